// First half of a row of the backward smoother, what T is applied to: one workgroup a lane.
//
//   ratio = smoothed(t + 1) / predicted(t + 1), 0 where predicted is 0
//
// params           elements: where lane 0 starts in `predicted`, and from one lane to the next
// states           [STATES + 1] vec2<u32>: first bin of each state, and BINS
// smoothed_carry   [LANES, BINS] f32, smoothed row t + 1
// predicted        [.., BINS] f32
// ratio            [LANES, BINS] f32, written
// ratio_sums       [LANES, STATES] f32, written: the sum of ratio over each state
//
// f64 twin: test/reference/hmm_ratio.ts.

override WORKGROUP: u32;
override STATES: u32;
override BINS: u32;

// below it a quotient could overflow, and adapters may flush such numbers to zero anyway
const SMALLEST_NORMAL: f32 = 1.1754944e-38;

struct Params {
  predicted_at: u32,
  predicted_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> states: array<vec2u>;
@group(0) @binding(2) var<storage, read> smoothed_carry: array<f32>;
@group(0) @binding(3) var<storage, read> predicted: array<f32>;
@group(0) @binding(4) var<storage, read_write> ratio: array<f32>;
@group(0) @binding(5) var<storage, read_write> ratio_sums: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn hmm_ratio(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
) {
  let lane = group.x;
  let below_at = params.predicted_at + lane * params.predicted_stride;
  let own = lane * BINS;
  for (var state = 0u; state < STATES; state++) {
    var sum = 0.0;
    for (var bin = states[state].x + thread; bin < states[state + 1u].x; bin += WORKGROUP) {
      let below = predicted[below_at + bin];
      let usable = below >= SMALLEST_NORMAL;
      let quotient = smoothed_carry[own + bin] / select(1.0, below, usable);
      let value = select(0.0, quotient, usable);
      ratio[own + bin] = value;
      sum += value;
    }
    partial_sums[state * WORKGROUP + thread] = sum;
  }
  total_states(thread);
  if (thread < STATES) {
    ratio_sums[lane * STATES + thread] = state_total(thread);
  }
}
