// Sums of wide numbers over the bins of a row, one for each discrete state and each in a scale of its own:
// what a state has left counts, however little that is beside another. One workgroup a row. Appended, with
// wide.wgsl, to the kernels that use it, which declare `override WORKGROUP` (16 times 1 to 16) and
// `override STATES`, bind `states` and say what a bin weighs by
//
//   fn weights_of(state: u32, bins: vec4u) -> Weights

struct Weights {
  mantissa: vec4f,
  // below WIDE_LEAST: nothing
  exponent: vec4i,
  // the same where it counts for how deep a product with this row must go
  counted: vec4i,
}

const FOLD: u32 = 16u;
const NOT_COUNTED: i32 = 1048576;

// The sum of a state is that of partial_sums * 2^partial_tops.
var<workgroup> partial_sums: array<f32, STATES * WORKGROUP>;
var<workgroup> partial_tops: array<i32, STATES * WORKGROUP>;
var<workgroup> partial_leasts: array<i32, WORKGROUP>;
var<workgroup> row_top: i32;

// 4 bins of a thread: a workgroup apart, so that neighbours load neighbouring memory.
fn bins_from(bin: u32) -> vec4u {
  return vec4u(bin) + WORKGROUP * vec4u(0u, 1u, 2u, 3u);
}

// Weighs the row, in a fixed order. Returns the highest exponent, below WIDE_LEAST where all is zero.
// Uniform control flow. Folding by 16 takes few barriers, which on software adapters cost more than the
// additions.
fn total_states(thread: u32) -> i32 {
  var least = NOT_COUNTED;
  for (var state = 0u; state < STATES; state++) {
    let end = states[state + 1u].x;
    var top = WIDE_ZERO;
    var sum = 0.0;
    for (var bin = states[state].x + thread; bin < end; bin += 4u * WORKGROUP) {
      let bins = bins_from(bin);
      let weights = weights_of(state, min(bins, vec4u(end - 1u)));
      let exponent = select(vec4i(WIDE_ZERO), weights.exponent, bins < vec4u(end));
      let higher = max(top, highest_of(exponent));
      let own = dot(scaled(weights.mantissa, exponent - higher), vec4f(1.0));
      sum = sum * two_to(top - higher) + own;
      top = higher;
      least = min(least, lowest_of(weights.counted));
    }
    partial_sums[state * WORKGROUP + thread] = sum;
    partial_tops[state * WORKGROUP + thread] = top;
  }
  partial_leasts[thread] = least;
  workgroupBarrier();
  for (var width = WORKGROUP; width > 1u; width = max(1u, width / FOLD)) {
    let folded = max(1u, width / FOLD);
    if (thread < folded) {
      for (var state = 0u; state < STATES; state++) {
        fold_state(state * WORKGROUP + thread, width, folded);
      }
      for (var other = folded; other < width; other += folded) {
        partial_leasts[thread] = min(partial_leasts[thread], partial_leasts[thread + other]);
      }
    }
    // the last fold has a single thread, and a barrier below
    if (folded > 1u) {
      workgroupBarrier();
    }
  }
  if (thread == 0u) {
    var top = WIDE_ZERO;
    for (var state = 0u; state < STATES; state++) {
      top = max(top, partial_tops[state * WORKGROUP]);
    }
    row_top = top;
  }
  return workgroupUniformLoad(&row_top);
}

fn fold_state(first: u32, width: u32, folded: u32) {
  var top = WIDE_ZERO;
  for (var other = 0u; other < width; other += folded) {
    top = max(top, partial_tops[first + other]);
  }
  var sum = 0.0;
  for (var other = 0u; other < width; other += folded) {
    sum += partial_sums[first + other] * two_to(partial_tops[first + other] - top);
  }
  partial_sums[first] = sum;
  partial_tops[first] = top;
}

// After total_states(): the sum over all states, over 2^top.
fn row_total(top: i32) -> f32 {
  var sum = 0.0;
  for (var state = 0u; state < STATES; state++) {
    let first = state * WORKGROUP;
    sum += partial_sums[first] * two_to(partial_tops[first] - top);
  }
  return sum;
}

// The sum of a state times factor, over 2^top.
fn state_total(state: u32, factor: f32, top: i32) -> u32 {
  let first = state * WORKGROUP;
  return wide_of(vec4f(partial_sums[first] * factor), vec4i(partial_tops[first] - top)).x;
}

// Levels of what counted, times factor and over 2^top.
fn row_levels(factor: f32, top: i32) -> u32 {
  let power = i32(bitcast<u32>(factor) >> 23u) - 127;
  return levels_down_to(partial_leasts[0] + power - top);
}
