// First half of a row of the backward smoother, what T is applied to: one workgroup a lane.
//
//   ratio = smoothed(t + 1) / predicted(t + 1), over the power of two that makes the largest about 1;
//   0 where either is 0
//
// params           elements: where lane 0 starts in `predicted`, and from one lane to the next; BINS
// states           [STATES + 1] vec2<u32>: first bin of each state, and BINS
// smoothed_carry   [LANES, BINS] u32, wide, smoothed row t + 1
// predicted        [.., BINS] u32, wide
// ratio            [LANES, BINS] u32, wide, written
// state_sums       [LANES, 1 + STATES] u32, written: levels of the ratios that count, and the sum of ratio
//                  over each state, wide
//
// A ratio counts where the smoothed probability is not below 2^-104: what all others hand on to row t is
// less than f32 shows of a probability. f64 twin: test/reference/hmm_ratio.ts.

override WORKGROUP: u32;
override STATES: u32;

const LEAST_COUNTED: i32 = -104;
// Ratios of 2^-96 to 2^31 are all near over the largest of them.
const LEAST_NEAR: f32 = 0x1p-96f;
const INVERSE_MOST: f32 = 0x1p-31f;

struct Params {
  predicted_at: u32,
  predicted_stride: u32,
  bins: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> states: array<vec2u>;
@group(0) @binding(2) var<storage, read> smoothed_carry: array<u32>;
@group(0) @binding(3) var<storage, read> predicted: array<u32>;
@group(0) @binding(4) var<storage, read_write> ratio: array<u32>;
@group(0) @binding(5) var<storage, read_write> state_sums: array<u32>;

// Where the lane's row begins in `predicted`, and in `smoothed_carry` and `ratio`.
var<private> below_at: u32;
var<private> own: u32;

fn weight_of(state: u32, bin: u32) -> Weight {
  let above = smoothed_carry[own + bin];
  let below = predicted[below_at + bin];
  let nothing = (above == 0u) | (below == 0u);
  let exponent = select(exponent_of(above) - exponent_of(below), WIDE_ZERO, nothing);
  let counts = !nothing & (exponent_of(above) >= LEAST_COUNTED);
  // a mantissa may be half of what its exponent says
  let counted = select(NOT_COUNTED, exponent - 1, counts);
  return Weight(mantissa_of(above) / mantissa_of(below), exponent, counted);
}

// Divides in f32, which has to hold all ratios for that, into `ratio`; returns what add_up_near() does.
fn divide_near(thread: u32) -> vec2f {
  var deep = false;
  var largest = 0.0;
  for (var state = 0u; state < STATES; state++) {
    let end = states[state + 1u].x;
    var sum = 0.0;
    for (var bin = states[state].x + thread; bin < end; bin += WORKGROUP) {
      let above = smoothed_carry[own + bin];
      let below = predicted[below_at + bin];
      let nothing = (above == 0u) | (below == 0u);
      // a deep number is negative as an f32, and finite
      let value = max(bitcast<f32>(above), 0.0);
      let divisor = bitcast<f32>(below);
      // asked of products, as quotients of others may overflow
      let near = !nothing & (divisor > 0.0) & (value >= divisor * LEAST_NEAR) &
        (value * INVERSE_MOST <= divisor);
      deep = deep | !(near | nothing);
      let quotient = select(0.0, value / select(1.0, divisor, near), near);
      ratio[own + bin] = bitcast<u32>(quotient);
      largest = max(largest, quotient);
      sum += quotient;
    }
    partial_sums[state * WORKGROUP + thread] = sum;
  }
  return add_up_near(thread, deep, largest);
}

@compute @workgroup_size(WORKGROUP)
fn hmm_ratio(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
) {
  let lane = group.x;
  below_at = params.predicted_at + lane * params.predicted_stride;
  own = lane * params.bins;
  let found = divide_near(thread);
  let near = found.x >= 0.0;
  var shift = i32(bitcast<u32>(found.y) >> 23u) - 127;
  var levels = 1u;
  for (var deep = !near; deep; deep = false) {
    // where all is zero, zeros stay below WIDE_LEAST
    shift = max(total_states(thread), WIDE_LEAST);
    levels = row_levels(1.0, shift);
  }
  let sums = lane * (1u + STATES);
  if (thread == 0u) {
    state_sums[sums] = levels;
  }
  for (var state = thread; state < STATES; state += WORKGROUP) {
    var sum = number_of(near_total(state), -shift);
    for (var deep = !near; deep; deep = false) {
      sum = state_total(state, 1.0, shift);
    }
    state_sums[sums + 1u + state] = sum;
  }
  // exact, and further than one factor reaches
  let power = u32(100 - shift) << 23u;
  for (var state = 0u; state < select(0u, STATES, near); state++) {
    for (var bin = states[state].x + thread; bin < states[state + 1u].x; bin += WORKGROUP) {
      let quotient = ratio[own + bin];
      ratio[own + bin] = select(quotient + power, 0u, quotient == 0u);
    }
  }
  for (var state = 0u; state < select(STATES, 0u, near); state++) {
    for (var bin = states[state].x + thread; bin < states[state + 1u].x; bin += WORKGROUP) {
      let weight = weight_of(state, bin);
      ratio[own + bin] = number_of(weight.mantissa, weight.exponent - shift);
    }
  }
}
