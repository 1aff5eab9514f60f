// First half of a row of the backward smoother, what T is applied to: one workgroup a lane.
//
//   ratio = smoothed(t + 1) / predicted(t + 1), over the power of two that makes the largest about 1;
//   0 where either is 0
//
// params           elements: where lane 0 starts in `predicted`, and from one lane to the next
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
override BINS: u32;

const LEAST_COUNTED: i32 = -104;

struct Params {
  predicted_at: u32,
  predicted_stride: u32,
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

fn weights_of(state: u32, bins: vec4u) -> Weights {
  let under = below_at + bins;
  let over = own + bins;
  let below = wide_parts(
    vec4u(predicted[under.x], predicted[under.y], predicted[under.z], predicted[under.w]),
  );
  let above = wide_parts(vec4u(
    smoothed_carry[over.x],
    smoothed_carry[over.y],
    smoothed_carry[over.z],
    smoothed_carry[over.w],
  ));
  let zero = vec4i(WIDE_ZERO);
  let exponent = select(above.exponent - below.exponent, zero, min(above.exponent, below.exponent) == zero);
  let counts = (exponent > zero) & (above.exponent >= vec4i(LEAST_COUNTED));
  // a mantissa may be half of what its exponent says
  let counted = select(vec4i(NOT_COUNTED), exponent - 1, counts);
  return Weights(above.mantissa / below.mantissa, exponent, counted);
}

@compute @workgroup_size(WORKGROUP)
fn hmm_ratio(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
) {
  let lane = group.x;
  below_at = params.predicted_at + lane * params.predicted_stride;
  own = lane * BINS;
  // where all is zero, zeros stay below WIDE_LEAST
  let shift = max(total_states(thread), WIDE_LEAST);
  if (thread == 0u) {
    let sums = lane * (1u + STATES);
    state_sums[sums] = row_levels(1.0, shift);
    for (var state = 0u; state < STATES; state++) {
      state_sums[sums + 1u + state] = state_total(state, 1.0, shift);
    }
  }
  for (var state = 0u; state < STATES; state++) {
    let end = states[state + 1u].x;
    for (var bin = states[state].x + thread; bin < end; bin += 4u * WORKGROUP) {
      let bins = bins_from(bin);
      let weights = weights_of(state, min(bins, vec4u(end - 1u)));
      let value = wide_of(weights.mantissa, weights.exponent - shift);
      for (var i = 0u; i < 4u; i++) {
        if (bins[i] < end) {
          ratio[own + bins[i]] = value[i];
        }
      }
    }
  }
}
