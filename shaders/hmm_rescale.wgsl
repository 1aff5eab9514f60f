// Second half of a row of the backward smoother, after T was applied: one workgroup a lane.
//
//   smoothed(t) = filtered(t) * (T ratio), divided by its sum
//   row that a lane starts from, and one where no bin has both: smoothed = filtered
//
// params           row of the tile; rows from one lane to the next; where lanes start, as in
//                  hmm_smooth.wgsl
// states           [STATES + 1] vec2<u32>: first bin of each state, and BINS
// back             [LANES, BINS] u32, wide, T ratio in any scale
// filtered         [LANES * lane_rows, BINS] u32, wide; filtered in, smoothed out
// smoothed_carry   [LANES, BINS] u32, wide, written: the smoothed row
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
@group(0) @binding(2) var<storage, read> back: array<u32>;
@group(0) @binding(3) var<storage, read_write> filtered: array<u32>;
@group(0) @binding(4) var<storage, read_write> smoothed_carry: array<u32>;
@group(0) @binding(5) var<storage, read_write> smooth_sums: array<f32>;

// Where the lane's row begins in `filtered`, and in `back` and `smoothed_carry`; whether it stays filtered.
var<private> own: u32;
var<private> carry: u32;
var<private> unchanged: bool;

fn weights_of(state: u32, bins: vec4u) -> Weights {
  let at = own + bins;
  let ours = wide_parts(vec4u(filtered[at.x], filtered[at.y], filtered[at.z], filtered[at.w]));
  let later = carry + bins;
  let weight = wide_parts(select(
    vec4u(back[later.x], back[later.y], back[later.z], back[later.w]),
    vec4u(WIDE_ONE),
    unchanged,
  ));
  let exponent = ours.exponent + weight.exponent;
  return Weights(ours.mantissa * weight.mantissa, exponent, exponent);
}

@compute @workgroup_size(WORKGROUP)
fn hmm_rescale(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
) {
  let lane = group.x;
  let row = lane * params.lane_rows + params.row;
  own = row * BINS;
  carry = lane * BINS;
  let this_row = i32(params.row);
  let starts = this_row == params.first_end - i32(lane) * params.lane_length ||
    this_row == params.burn_in_end;
  unchanged = starts;
  var shift = 0;
  // a second turn rather than a branch, which software adapters run through without taking it
  var turns = select(1u, 2u, starts);
  loop {
    shift = total_states(thread);
    if (shift >= WIDE_LEAST || turns == 2u) {
      break;
    }
    unchanged = true;
    turns = 2u;
  }
  if (unchanged) {
    shift = 0;
  }
  let inverse = 1.0 / select(row_total(shift), 1.0, unchanged);
  if (thread < STATES) {
    smooth_sums[row * STATES + thread] = wide_linear(state_total(thread, inverse, shift));
  }
  for (var state = 0u; state < STATES; state++) {
    let end = states[state + 1u].x;
    for (var bin = states[state].x + thread; bin < end; bin += 4u * WORKGROUP) {
      let bins = bins_from(bin);
      let weights = weights_of(state, min(bins, vec4u(end - 1u)));
      let value = wide_of(weights.mantissa * inverse, weights.exponent - shift);
      for (var i = 0u; i < 4u; i++) {
        if (bins[i] < end) {
          smoothed_carry[carry + bins[i]] = value[i];
          filtered[own + bins[i]] = value[i];
        }
      }
    }
  }
}
