// A row of the forward filter, between two products with the transition: one workgroup a lane.
//
//   q = predicted * likelihood, filtered = q / sum q
//   row that is impossible, where no bin has both: filtered = predicted
//
// params           row of the tile; rows from one lane to the next; elements: where lane 0 starts in
//                  `predicted`, and from one lane to the next; BINS and LIKELIHOODS of a row
// states           [STATES + 1] vec2<u32>: first bin of each state and first entry of its likelihood;
//                  then BINS. States may share entries
// likelihood       [LANES * lane_rows, LIKELIHOODS] u32, wide
// predicted        [.., BINS] u32, wide
// filtered         [LANES * lane_rows, BINS] u32, wide, written
// filter_sums      [LANES * lane_rows, 2 + STATES] f32, written: shift and inverse, where sum q is
//                  2^shift / inverse and inverse is what q was multiplied by, 0 in an impossible row; then
//                  the filtered probability of each state
// state_sums       [LANES, 1 + STATES] u32, written: levels of the filtered row, and those probabilities
//                  again, wide
//
// Row `row` of lane `lane` is row lane * lane_rows + row of these. What hmm_filter.wgsl does for
// transitions that are convolutions. f64 twin: test/reference/hmm_weigh.ts.

override WORKGROUP: u32;
override STATES: u32;

struct Params {
  row: u32,
  lane_rows: u32,
  predicted_at: u32,
  predicted_stride: u32,
  bins: u32,
  likelihoods: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> states: array<vec2u>;
@group(0) @binding(2) var<storage, read> likelihood: array<u32>;
@group(0) @binding(3) var<storage, read> predicted: array<u32>;
@group(0) @binding(4) var<storage, read_write> filtered: array<u32>;
@group(0) @binding(5) var<storage, read_write> filter_sums: array<f32>;
@group(0) @binding(6) var<storage, read_write> state_sums: array<u32>;

// Where the lane's row begins in `predicted` and `likelihood`, and whether to weigh by the latter.
var<private> source: u32;
var<private> likelihoods: u32;
var<private> impossible: bool;

fn weight_of(state: u32, bin: u32) -> Weight {
  let ours = predicted[source + bin];
  let entry = likelihoods + states[state].y + bin - states[state].x;
  let likely = select(likelihood[entry], WIDE_ONE, impossible);
  let exponent = exponent_of(ours) + exponent_of(likely);
  let counted = select(exponent, NOT_COUNTED, exponent < WIDE_LEAST);
  return Weight(mantissa_of(ours) * mantissa_of(likely), exponent, counted);
}

// Weighs the row in f32, all of whose weights have to be near for that, into `filtered`; returns what
// add_up_near() does.
fn weigh_near(thread: u32, own: u32) -> vec2f {
  var deep = false;
  for (var state = 0u; state < STATES; state++) {
    let end = states[state + 1u].x;
    let entry = likelihoods + states[state].y - states[state].x;
    var sum = 0.0;
    for (var bin = states[state].x + thread; bin < end; bin += WORKGROUP) {
      let weight = near_product(predicted[source + bin], likelihood[entry + bin]);
      deep = deep | (weight < 0.0);
      filtered[own + bin] = bitcast<u32>(weight);
      sum += weight;
    }
    partial_sums[state * WORKGROUP + thread] = sum;
  }
  return add_up_near(thread, deep, 0.0);
}

@compute @workgroup_size(WORKGROUP)
fn hmm_weigh(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
) {
  let lane = group.x;
  let row = lane * params.lane_rows + params.row;
  let own = row * params.bins;
  source = params.predicted_at + lane * params.predicted_stride;
  likelihoods = row * params.likelihoods;
  let total = weigh_near(thread, own).x;
  let near = (total > 0.0) & (total < MOST_TOTAL);
  impossible = total == 0.0;
  var shift = 0;
  var inverse = near_inverse(select(1.0, total, near));
  var levels = 1u;
  for (var deep = !near; deep; deep = false) {
    shift = select(total_states(thread), 0, impossible);
    inverse = 1.0 / select(row_total(shift), 1.0, impossible);
    levels = row_levels(inverse, shift);
  }
  let sums = row * (2u + STATES);
  let lane_sums = lane * (1u + STATES);
  if (thread == 0u) {
    filter_sums[sums] = f32(shift);
    filter_sums[sums + 1u] = select(inverse, 0.0, impossible);
    state_sums[lane_sums] = levels;
  }
  for (var state = thread; state < STATES; state += WORKGROUP) {
    var share = bitcast<u32>(near_total(state) * inverse);
    for (var deep = !near; deep; deep = false) {
      share = state_total(state, inverse, shift);
    }
    filter_sums[sums + 2u + state] = wide_linear(share);
    state_sums[lane_sums + 1u + state] = share;
  }
  for (var state = 0u; state < select(0u, STATES, near); state++) {
    for (var bin = states[state].x + thread; bin < states[state + 1u].x; bin += WORKGROUP) {
      filtered[own + bin] = bitcast<u32>(bitcast<f32>(filtered[own + bin]) * inverse);
    }
  }
  for (var state = 0u; state < select(STATES, 0u, near); state++) {
    for (var bin = states[state].x + thread; bin < states[state + 1u].x; bin += WORKGROUP) {
      let weight = weight_of(state, bin);
      filtered[own + bin] = number_of(weight.mantissa * inverse, weight.exponent - shift);
    }
  }
}
