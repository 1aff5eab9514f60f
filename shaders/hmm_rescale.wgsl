// Second half of a row of the backward smoother, after T was applied: one workgroup a lane.
//
//   smoothed(t) = filtered(t) * (T ratio), divided by its sum
//   row that a lane starts from, and one where no bin has both: smoothed = filtered
//
// params           row of the tile; rows from one lane to the next; where lanes start, as in
//                  hmm_smooth.wgsl; BINS
// states           [STATES + 1] vec2<u32>: first bin of each state, and BINS
// back             [LANES, BINS] u32, wide, T ratio in any scale
// filtered         [LANES * lane_rows, BINS] u32, wide; filtered in, smoothed out
// smoothed_carry   [LANES, BINS] u32, wide, written: the smoothed row
// smooth_sums      [LANES * lane_rows, STATES] f32, written: the smoothed probability of each state
//
// f64 twin: test/reference/hmm_rescale.ts.

override WORKGROUP: u32;
override STATES: u32;

struct Params {
  row: u32,
  lane_rows: u32,
  first_end: i32,
  lane_length: i32,
  burn_in_end: i32,
  bins: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> states: array<vec2u>;
@group(0) @binding(2) var<storage, read> back: array<u32>;
@group(0) @binding(3) var<storage, read_write> filtered: array<u32>;
@group(0) @binding(4) var<storage, read_write> smoothed_carry: array<u32>;
@group(0) @binding(5) var<storage, read_write> smooth_sums: array<f32>;

// Where the lane's row begins in `filtered`, and in `back` and `smoothed_carry`; whether it stays filtered.
var<private> own: u32;
var<private> carry: u32;
var<private> unchanged: bool;

fn weight_of(_state: u32, bin: u32) -> Weight {
  let ours = filtered[own + bin];
  let weight = select(back[carry + bin], WIDE_ONE, unchanged);
  let exponent = exponent_of(ours) + exponent_of(weight);
  return Weight(mantissa_of(ours) * mantissa_of(weight), exponent, exponent);
}

// Weighs the row in f32, all of whose weights have to be near for that, into `smoothed_carry`; returns what
// add_up_near() does.
fn weigh_near(thread: u32) -> vec2f {
  var deep = false;
  for (var state = 0u; state < STATES; state++) {
    let end = states[state + 1u].x;
    var sum = 0.0;
    for (var bin = states[state].x + thread; bin < end; bin += WORKGROUP) {
      let weight = near_product(filtered[own + bin], back[carry + bin]);
      deep = deep | (weight < 0.0);
      smoothed_carry[carry + bin] = bitcast<u32>(weight);
      sum += weight;
    }
    partial_sums[state * WORKGROUP + thread] = sum;
  }
  return add_up_near(thread, deep, 0.0);
}

@compute @workgroup_size(WORKGROUP)
fn hmm_rescale(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
) {
  let lane = group.x;
  let row = lane * params.lane_rows + params.row;
  own = row * params.bins;
  carry = lane * params.bins;
  let this_row = i32(params.row);
  let starts = this_row == params.first_end - i32(lane) * params.lane_length ||
    this_row == params.burn_in_end;
  let total = weigh_near(thread).x;
  unchanged = starts || total == 0.0;
  let near = !starts & (total > 0.0) & (total < MOST_TOTAL);
  var shift = 0;
  var inverse = near_inverse(select(1.0, total, near));
  for (var deep = !near; deep; deep = false) {
    shift = select(total_states(thread), 0, unchanged);
    inverse = 1.0 / select(row_total(shift), 1.0, unchanged);
  }
  for (var state = thread; state < STATES; state += WORKGROUP) {
    var share = bitcast<u32>(near_total(state) * inverse);
    for (var deep = !near; deep; deep = false) {
      share = state_total(state, inverse, shift);
    }
    smooth_sums[row * STATES + state] = wide_linear(share);
  }
  for (var state = 0u; state < select(0u, STATES, near); state++) {
    for (var bin = states[state].x + thread; bin < states[state + 1u].x; bin += WORKGROUP) {
      let value = bitcast<u32>(bitcast<f32>(smoothed_carry[carry + bin]) * inverse);
      smoothed_carry[carry + bin] = value;
      filtered[own + bin] = value;
    }
  }
  for (var state = 0u; state < select(STATES, 0u, near); state++) {
    for (var bin = states[state].x + thread; bin < states[state + 1u].x; bin += WORKGROUP) {
      let weight = weight_of(state, bin);
      let value = number_of(weight.mantissa * inverse, weight.exponent - shift);
      smoothed_carry[carry + bin] = value;
      filtered[own + bin] = value;
    }
  }
}
