// Separable Gaussian convolution over a zero-padded grid, shared by hmm_filter and hmm_smooth.
//
// field [lanes, 3, JOBS, PADDED] vec4<f32>: per job the source, the half-way result and the result, each
// a grid of rows along x and vec4 columns along y. Row stride STRIDE vec4; the halo around the box is
// never written, so it stays zero and no tap needs a bounds check. Zeroes elsewhere are kept by
// the callers, who write sources at interior cells alone.
//
// A thread makes GROUP_ROWS consecutive grid rows of one vec4 column: taps are then read once for
// four rows, which makes uniform taps as fast as literals. Appended to the kernels that use it.

const SUM_FLOOR: f32 = 1e-15;

// Where this workgroup's lane begins in field; set once by the entry points.
var<private> field_start: u32;

fn source_at(job: u32) -> u32 {
  return field_start + job * PADDED;
}

fn halfway_at(job: u32) -> u32 {
  return field_start + (JOBS + job) * PADDED;
}

fn result_at(job: u32) -> u32 {
  return field_start + (2u * JOBS + job) * PADDED;
}

// Along y, within vec4 columns: one 4x4 matrix of taps for each column offset.
fn convolve_y(job: u32, thread: u32) {
  let shape = transition.jobs[job];
  let reach = shape.w;
  let source = source_at(job);
  let target_base = select(halfway_at(job), result_at(job), GROUP_ROWS == 1u);
  for (var item = thread; item < HALFWAY_GROUPS; item += WORKGROUP) {
    let cell = grid_table[HALFWAY_TABLE + item];
    var row = source + cell - reach;
    var sum0 = vec4f();
    var sum1 = vec4f();
    var sum2 = vec4f();
    var sum3 = vec4f();
    for (var tap = 0u; tap <= 2u * reach; tap++) {
      let taps = transition.taps_y[shape.z + tap];
      sum0 += taps * field[row];
      if (GROUP_ROWS == 4u) {
        sum1 += taps * field[row + STRIDE];
        sum2 += taps * field[row + 2u * STRIDE];
        sum3 += taps * field[row + 3u * STRIDE];
      }
      row++;
    }
    field[target_base + cell] = sum0;
    if (GROUP_ROWS == 4u) {
      field[target_base + cell + STRIDE] = sum1;
      field[target_base + cell + 2u * STRIDE] = sum2;
      field[target_base + cell + 3u * STRIDE] = sum3;
    }
  }
}

// Along x, across rows: every loaded vec4 adds to four output rows, each with its own tap.
fn convolve_x(job: u32, thread: u32) {
  let shape = transition.jobs[job];
  let halfway = halfway_at(job);
  let result = result_at(job);
  for (var item = thread; item < RESULT_GROUPS; item += WORKGROUP) {
    let cell = grid_table[RESULT_TABLE + item];
    var row = halfway + cell - shape.y * STRIDE;
    var sum0 = vec4f();
    var sum1 = vec4f();
    var sum2 = vec4f();
    var sum3 = vec4f();
    for (var tap = 0u; tap < 2u * shape.y + 4u; tap++) {
      let taps = transition.taps_x[shape.x + tap];
      let value = field[row];
      sum0 += taps.x * value;
      sum1 += taps.y * value;
      sum2 += taps.z * value;
      sum3 += taps.w * value;
      row += STRIDE;
    }
    field[result + cell] = sum0;
    field[result + cell + STRIDE] = sum1;
    field[result + cell + 2u * STRIDE] = sum2;
    field[result + cell + 3u * STRIDE] = sum3;
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

// Sums partial[state, thread] over threads into totals[state], in a fixed order. Uniform control flow.
fn reduce_states(thread: u32) {
  workgroupBarrier();
  for (var width = WORKGROUP / 2u; width > 1u; width /= 2u) {
    if (thread < width) {
      for (var state = 0u; state < STATES; state++) {
        partial[state * WORKGROUP + thread] += partial[state * WORKGROUP + thread + width];
      }
    }
    workgroupBarrier();
  }
  // totals is written one barrier after partial may be, so a slow thread still reads the old totals
  // safely while a fast one starts the next sum
  if (thread < STATES) {
    totals[thread] = partial[thread * WORKGROUP] + partial[thread * WORKGROUP + 1u];
  }
  workgroupBarrier();
}
