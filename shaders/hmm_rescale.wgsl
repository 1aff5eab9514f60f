// Second half of a row of the backward smoother, after T was applied: one workgroup a lane.
//
//   smoothed(t) = filtered(t) * (T ratio), divided by its sum + 1e-15
//   row that a lane starts from: smoothed = filtered, divided by its sum + 1e-15
//
// params           row of the tile; rows from one lane to the next; where lanes start, as in
//                  hmm_smooth.wgsl
// states           [STATES + 1] vec2<u32>: first bin of each state, and BINS
// back             [LANES, BINS] f32, T ratio
// filtered         [LANES * lane_rows, BINS] f32; filtered in, smoothed out
// smoothed_carry   [LANES, BINS] f32, written: the smoothed row
// smooth_sums      [LANES * lane_rows, STATES] f32, written: the smoothed probability of each state
//
// f64 twin: test/reference/hmm_rescale.ts.

override WORKGROUP: u32;
override STATES: u32;
override BINS: u32;

struct Params {
  row: u32,
  lane_rows: u32,
  first_end: i32,
  lane_length: i32,
  burn_in_end: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> states: array<vec2u>;
@group(0) @binding(2) var<storage, read> back: array<f32>;
@group(0) @binding(3) var<storage, read_write> filtered: array<f32>;
@group(0) @binding(4) var<storage, read_write> smoothed_carry: array<f32>;
@group(0) @binding(5) var<storage, read_write> smooth_sums: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn hmm_rescale(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
) {
  let lane = group.x;
  let row = lane * params.lane_rows + params.row;
  let own = row * BINS;
  let carry = lane * BINS;
  let this_row = i32(params.row);
  let starts = this_row == params.first_end - i32(lane) * params.lane_length ||
    this_row == params.burn_in_end;
  for (var state = 0u; state < STATES; state++) {
    var sum = 0.0;
    for (var bin = states[state].x + thread; bin < states[state + 1u].x; bin += WORKGROUP) {
      let weight = filtered[own + bin] * select(back[carry + bin], 1.0, starts);
      smoothed_carry[carry + bin] = weight;
      sum += weight;
    }
    partial_sums[state * WORKGROUP + thread] = sum;
  }
  total_states(thread);
  let inverse = 1.0 / (total() + SUM_FLOOR);
  if (thread < STATES) {
    smooth_sums[row * STATES + thread] = state_total(thread) * inverse;
  }
  // a thread scales what it wrote itself, so no barrier is needed
  for (var state = 0u; state < STATES; state++) {
    for (var bin = states[state].x + thread; bin < states[state + 1u].x; bin += WORKGROUP) {
      let value = smoothed_carry[carry + bin] * inverse;
      smoothed_carry[carry + bin] = value;
      filtered[own + bin] = value;
    }
  }
}
