// Separable Gaussian convolution over a zero-padded grid, shared by hmm_filter and hmm_smooth.
//
// field [lanes, 3, JOBS, PADDED] vec4<f32>: per job the source, the half-way result and the result, each
// a grid of rows along x and vec4 columns along y. Row stride STRIDE vec4; the halo around the box is
// never written, so it stays zero and no tap needs a bounds check. Zeroes elsewhere are kept by
// the callers, who write sources at interior cells alone.
//
// A thread makes GROUP_ROWS consecutive grid rows of one vec4 column: taps are then read once for
// four rows, which makes uniform taps as fast as literals. Appended, with wide.wgsl, to the kernels that use
// it.

// Where this workgroup's lane begins in field; set once by the entry points.
var<private> field_start: u32;

fn source_at(job: u32) -> u32 {
  return field_start + job * transition.padded;
}

fn halfway_at(job: u32) -> u32 {
  return field_start + (JOBS + job) * transition.padded;
}

fn result_at(job: u32) -> u32 {
  return field_start + (2u * JOBS + job) * transition.padded;
}

// Where a cell lies in a grid, and which of its bins are interior.
fn place_of(cell: u32) -> u32 {
  return grid_table[cell] & 0xfffffffu;
}

fn inside_of(cell: u32) -> vec4<bool> {
  return (vec4u(grid_table[cell]) & vec4u(1u << 28u, 1u << 29u, 1u << 30u, 1u << 31u)) != vec4u();
}

// Of a group, counted through both convolutions: the first tap that meets anything, and the end of those.
fn tap_range(job: u32, item: u32) -> vec2u {
  let groups = transition.halfway_groups + transition.result_groups;
  let range = grid_table[transition.halfway_table + (1u + job) * groups + item];
  return vec2u(range & 0xffffu, range >> 16u);
}

// The first row of a matrix of taps, which has all that the matrix before it has not.
fn new_taps(at: u32) -> vec4f {
  return vec4f(
    transition.taps_y[at][0].x,
    transition.taps_y[at][1].x,
    transition.taps_y[at][2].x,
    transition.taps_y[at][3].x,
  );
}

// Along y, within vec4 columns: one 4x4 matrix of taps for each column offset.
fn convolve_y(job: u32, thread: u32) {
  let shape = transition.jobs[job];
  let target_base = select(halfway_at(job), result_at(job), GROUP_ROWS == 1u);
  for (var item = thread; item < transition.halfway_groups; item += WORKGROUP) {
    let cell = grid_table[transition.halfway_table + item];
    let range = tap_range(job, item);
    var row = source_at(job) + cell - shape.w + range.x;
    var before = transition.taps_y[shape.z + range.x][0].xwzy;
    var sum0 = vec4f();
    var sum1 = vec4f();
    var sum2 = vec4f();
    var sum3 = vec4f();
    for (var tap = shape.z + range.x; tap < shape.z + range.y; tap++) {
      let after = new_taps(tap);
      let taps = mat4x4f(
        vec4f(after.x, before.wzy),
        vec4f(after.yx, before.wz),
        vec4f(after.zyx, before.w),
        after.wzyx,
      );
      before = after;
      sum0 += taps * field[row];
      if (GROUP_ROWS == 4u) {
        sum1 += taps * field[row + transition.stride];
        sum2 += taps * field[row + 2u * transition.stride];
        sum3 += taps * field[row + 3u * transition.stride];
      }
      row++;
    }
    field[target_base + cell] = sum0;
    if (GROUP_ROWS == 4u) {
      field[target_base + cell + transition.stride] = sum1;
      field[target_base + cell + 2u * transition.stride] = sum2;
      field[target_base + cell + 3u * transition.stride] = sum3;
    }
  }
}

// Along x, across rows: every loaded vec4 adds to four output rows, each with its own tap.
fn convolve_x(job: u32, thread: u32) {
  let shape = transition.jobs[job];
  let halfway = halfway_at(job);
  let result = result_at(job);
  for (var item = thread; item < transition.result_groups; item += WORKGROUP) {
    let cell = grid_table[transition.result_table + item];
    let range = tap_range(job, transition.halfway_groups + item);
    var row = halfway + cell + range.x * transition.stride - shape.y * transition.stride;
    var taps = transition.taps_x[shape.x + range.x].yzwx;
    var sum0 = vec4f();
    var sum1 = vec4f();
    var sum2 = vec4f();
    var sum3 = vec4f();
    for (var tap = shape.x + range.x; tap < shape.x + range.y; tap++) {
      taps = vec4f(transition.taps_x[tap].x, taps.xyz);
      let value = field[row];
      sum0 += taps.x * value;
      sum1 += taps.y * value;
      sum2 += taps.z * value;
      sum3 += taps.w * value;
      row += transition.stride;
    }
    field[result + cell] = sum0;
    field[result + cell + transition.stride] = sum1;
    field[result + cell + 2u * transition.stride] = sum2;
    field[result + cell + 3u * transition.stride] = sum3;
  }
}

// Runs every job from source to result. Barriers at both ends: callers may write sources just
// before and read results just after.
fn convolve_all(thread: u32) {
  storageBarrier();
  for (var job = 0u; job < JOBS; job++) {
    convolve_y(job, thread);
  }
  storageBarrier();
  if (GROUP_ROWS == 4u) {
    for (var job = 0u; job < JOBS; job++) {
      convolve_x(job, thread);
    }
    storageBarrier();
  }
}

// Reductions over a workgroup, by SUMS sums however many threads it has: the bits are then the same. Every
// thread adds up for itself, in the same order: on software adapters that takes less time than one barrier.
const SUMS: u32 = 32u;
var<workgroup> partial: array<f32, STATES * SUMS>;
// As partial, for a second sum of the same row: threads may still be reading the first.
var<workgroup> partial_products: array<f32, STATES * SUMS>;
// Highest exponents of weights, and of what takes their place where there is none.
var<workgroup> exponents: array<i32, STATES * WORKGROUP>;
var<workgroup> other_exponents: array<i32, STATES * WORKGROUP>;
var<workgroup> depths: array<u32, WORKGROUP>;
var<workgroup> level_count: u32;
// Whether some thread has met what f32 does not hold.
var<workgroup> is_deep: u32;
// Of each state: the sum of its weights over 2 to its shift; and that sum at a level.
var<private> totals: array<f32, 8>;
var<private> shifts: array<i32, 8>;
var<private> level_totals: array<f32, 8>;

// The next bin of those a thread owns: the four of a cell, then those of its next cell.
fn next_bin(bin: u32) -> u32 {
  return select(bin + 1u, bin + 4u * WORKGROUP - 3u, bin % 4u == 3u);
}

// The same of those that one of SUMS sums is made of.
fn next_summed(bin: u32) -> u32 {
  return select(bin + 1u, bin + 4u * SUMS - 3u, bin % 4u == 3u);
}

// Sums partial[state, SUMS], after a barrier.
fn add_up() {
  for (var state = 0u; state < STATES; state++) {
    var sum = 0.0;
    for (var own = 0u; own < SUMS; own++) {
      sum += partial[state * SUMS + own];
    }
    totals[state] = sum;
  }
}

// Sums weights over 2^shift, f32 where all are near enough for it; returns whether they are, and `deep` that
// a thread's are not. Uniform control flow, as in what follows.
fn reduce_near(thread: u32, deep: bool, shift: i32) -> bool {
  if (deep) {
    is_deep = 1u;
  }
  let near = workgroupUniformLoad(&is_deep) == 0u;
  if (thread == 0u) {
    is_deep = 0u;
  }
  add_up();
  for (var state = 0u; state < STATES; state++) {
    shifts[state] = shift;
  }
  return near;
}

// Sums partial_products[state, SUMS].
fn add_up_products() {
  workgroupBarrier();
  for (var state = 0u; state < STATES; state++) {
    var sum = 0.0;
    for (var own = 0u; own < SUMS; own++) {
      sum += partial_products[state * SUMS + own];
    }
    totals[state] = sum;
  }
}

// The same of f32 over 2^shift.
fn reduce_products(shift: i32) {
  add_up_products();
  for (var state = 0u; state < STATES; state++) {
    shifts[state] = shift;
  }
}

// Finds the highest of exponents[state, thread] over threads; the highest of all states, or WIDE_ZERO.
fn reduce_exponents() -> i32 {
  workgroupBarrier();
  var highest = WIDE_ZERO;
  for (var state = 0u; state < STATES; state++) {
    var own = WIDE_ZERO;
    for (var other = 0u; other < WORKGROUP; other++) {
      own = max(own, exponents[state * WORKGROUP + other]);
    }
    shifts[state] = own;
    highest = max(highest, own);
  }
  return select(WIDE_ZERO, highest, highest > WIDE_LEAST);
}

// The same of other_exponents, after it.
fn reduce_other_exponents() -> i32 {
  var highest = WIDE_ZERO;
  for (var state = 0u; state < STATES; state++) {
    var own = WIDE_ZERO;
    for (var other = 0u; other < WORKGROUP; other++) {
      own = max(own, other_exponents[state * WORKGROUP + other]);
    }
    shifts[state] = own;
    highest = max(highest, own);
  }
  return highest;
}

// Sums weights of each state over 2 to its own shift; returns how many levels there are, by the deepest of
// depths[thread].
fn reduce_wide(thread: u32) -> u32 {
  workgroupBarrier();
  add_up();
  if (thread == 0u) {
    level_count = 1u;
    for (var other = 0u; other < WORKGROUP; other++) {
      level_count = max(level_count, 1u + depths[other]);
    }
  }
  return workgroupUniformLoad(&level_count);
}

// The sum of a state's weights over 2^shift.
fn state_share(state: u32, shift: i32) -> f32 {
  return totals[state] * two_to(shifts[state] - shift);
}

fn total_of_states(shift: i32) -> f32 {
  var sum = 0.0;
  for (var state = 0u; state < STATES; state++) {
    sum += state_share(state, shift);
  }
  return sum;
}

// Sets level_totals to the sums of each state at a level, times its scale; to totals where all are near.
fn find_level_totals(shift: i32, level: u32, near: bool) {
  for (var state = 0u; state < STATES; state++) {
    level_totals[state] = totals[state];
  }
  for (var state = 0u; state < select(STATES, 0u, near); state++) {
    level_totals[state] = value_at_level(number_of(totals[state], shifts[state] - shift), level);
  }
}
