// Sums of wide numbers over the bins of a row, one for each discrete state. One workgroup a row. In f32 where
// all of a row are near 1, as in nearly every row; else each in a scale of its own: what a state has left
// counts, however little that is beside another. Appended, with wide.wgsl, to the kernels that use it, which
// declare `override WORKGROUP` (a multiple of 4) and `override STATES`, bind `states` and say what a bin
// weighs by
//
//   fn weight_of(state: u32, bin: u32) -> Weight
//
// Wide code goes bin by bin: what near rows run through of it (see wide.wgsl) is short then.

struct Weight {
  mantissa: f32,
  // below WIDE_LEAST: nothing
  exponent: i32,
  // the same where it counts for how deep a product with this row must go
  counted: i32,
}

const NOT_COUNTED: i32 = 1048576;
const PARTS: u32 = 4u;
// Times 2^100: what a product may be in f32, and what their sum may be that leaves all quotients near.
const LEAST_PRODUCT: f32 = 0x1p-24f;
const MOST_TOTAL: f32 = 0x1p104f;

// The sum of a state is that of partial_sums, * 2^partial_tops where the row is not near.
var<workgroup> partial_sums: array<f32, STATES * WORKGROUP>;
var<workgroup> partial_tops: array<i32, STATES * WORKGROUP>;
var<workgroup> partial_leasts: array<i32, WORKGROUP>;
// Whether some thread has met what f32 does not hold.
var<workgroup> is_deep: u32;
// Sums over all states, -1 where that is so, and the largest.
var<workgroup> near_parts: array<vec2f, PARTS>;

// The product of two numbers, times 2^100; -1 where f32 does not hold it.
fn near_product(a: u32, b: u32) -> f32 {
  let halves = half_scaled(vec4u(a, b, 0u, 0u));
  let product = halves.x * halves.y;
  let nothing = (a == 0u) | (b == 0u);
  return select(select(product, -1.0, product < LEAST_PRODUCT), 0.0, nothing);
}

// 2^100 over a sum of those, by integers: see half_scaled().
fn near_inverse(total: f32) -> f32 {
  return 1.0 / bitcast<f32>(bitcast<u32>(total) - (100u << 23u));
}

// Adds up f32 in partial_sums[state, thread], in a fixed order. Returns the sum over all states, -1 where a
// thread's are `deep`, and the largest of what threads give, none negative. Uniform control flow.
fn add_up_near(thread: u32, deep: bool, largest: f32) -> vec2f {
  if (deep) {
    is_deep = 1u;
  }
  // as integers they have the same order
  partial_leasts[thread] = bitcast<i32>(largest);
  workgroupBarrier();
  if (thread < PARTS) {
    var total = 0.0;
    for (var state = 0u; state < STATES; state++) {
      let first = state * WORKGROUP + thread;
      var sum = 0.0;
      for (var other = 0u; other < WORKGROUP; other += PARTS) {
        sum += partial_sums[first + other];
      }
      partial_sums[first] = sum;
      total += sum;
    }
    var most = 0;
    for (var other = thread; other < WORKGROUP; other += PARTS) {
      most = max(most, partial_leasts[other]);
    }
    near_parts[thread] = vec2f(select(total, -1.0, is_deep == 1u), bitcast<f32>(most));
  }
  let parts = workgroupUniformLoad(&near_parts);
  let total = parts[0].x + parts[1].x + parts[2].x + parts[3].x;
  let most = max(max(parts[0].y, parts[1].y), max(parts[2].y, parts[3].y));
  return vec2f(select(total, -1.0, parts[0].x < 0.0), most);
}

// After add_up_near(): the sum of a state.
fn near_total(state: u32) -> f32 {
  let first = state * WORKGROUP;
  return partial_sums[first] + partial_sums[first + 1u] + partial_sums[first + 2u] +
    partial_sums[first + 3u];
}

// Weighs a row however deep, in a fixed order. Returns the highest exponent, below WIDE_LEAST where all is
// zero. Uniform control flow.
fn total_states(thread: u32) -> i32 {
  var least = NOT_COUNTED;
  for (var state = 0u; state < STATES; state++) {
    var top = WIDE_ZERO;
    var sum = 0.0;
    for (var bin = states[state].x + thread; bin < states[state + 1u].x; bin += WORKGROUP) {
      let weight = weight_of(state, bin);
      let higher = max(top, weight.exponent);
      sum = sum * two_to(top - higher) + weight.mantissa * two_to(weight.exponent - higher);
      top = higher;
      least = min(least, weight.counted);
    }
    partial_sums[state * WORKGROUP + thread] = sum;
    partial_tops[state * WORKGROUP + thread] = top;
  }
  partial_leasts[thread] = least;
  workgroupBarrier();
  if (thread < PARTS) {
    for (var state = 0u; state < STATES; state++) {
      fold_state(state * WORKGROUP + thread);
    }
    for (var other = thread; other < WORKGROUP; other += PARTS) {
      least = min(least, partial_leasts[other]);
    }
    partial_leasts[thread] = least;
  }
  workgroupBarrier();
  var top = WIDE_ZERO;
  for (var state = 0u; state < STATES; state++) {
    top = max(top, state_top(state));
  }
  return top;
}

fn fold_state(first: u32) {
  var top = WIDE_ZERO;
  for (var other = 0u; other < WORKGROUP; other += PARTS) {
    top = max(top, partial_tops[first + other]);
  }
  var sum = 0.0;
  for (var other = 0u; other < WORKGROUP; other += PARTS) {
    sum += partial_sums[first + other] * two_to(partial_tops[first + other] - top);
  }
  partial_sums[first] = sum;
  partial_tops[first] = top;
}

// What follows is of a row that total_states() weighed.

fn state_top(state: u32) -> i32 {
  var top = WIDE_ZERO;
  for (var part = 0u; part < PARTS; part++) {
    top = max(top, partial_tops[state * WORKGROUP + part]);
  }
  return top;
}

// The sum of a state over 2^top.
fn state_sum(state: u32, top: i32) -> f32 {
  let first = state * WORKGROUP;
  var sum = 0.0;
  for (var part = 0u; part < PARTS; part++) {
    sum += partial_sums[first + part] * two_to(partial_tops[first + part] - top);
  }
  return sum;
}

// The sum over all states, over 2^top.
fn row_total(top: i32) -> f32 {
  var sum = 0.0;
  for (var state = 0u; state < STATES; state++) {
    sum += state_sum(state, top);
  }
  return sum;
}

// The sum of a state times factor, over 2^top.
fn state_total(state: u32, factor: f32, top: i32) -> u32 {
  let own = state_top(state);
  return number_of(state_sum(state, own) * factor, own - top);
}

// Levels of what counted, times factor and over 2^top.
fn row_levels(factor: f32, top: i32) -> u32 {
  let power = i32(bitcast<u32>(factor) >> 23u) - 127;
  var least = NOT_COUNTED;
  for (var part = 0u; part < PARTS; part++) {
    least = min(least, partial_leasts[part]);
  }
  return levels_down_to(least + power - top);
}
