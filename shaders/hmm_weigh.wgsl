// A row of the forward filter, between two products with the transition: one workgroup a lane.
//
//   q = predicted * likelihood, filtered = q / sum q
//   row that is impossible, where no bin has both: filtered = predicted
//
// params           row of the tile; rows from one lane to the next; elements: where lane 0 starts in
//                  `predicted`, and from one lane to the next
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
override BINS: u32;
override LIKELIHOODS: u32;

struct Params {
  row: u32,
  lane_rows: u32,
  predicted_at: u32,
  predicted_stride: u32,
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

fn weights_of(state: u32, bins: vec4u) -> Weights {
  let at = source + bins;
  let ours = wide_parts(vec4u(predicted[at.x], predicted[at.y], predicted[at.z], predicted[at.w]));
  let entry = likelihoods + states[state].y + bins - states[state].x;
  let likely = wide_parts(select(
    vec4u(likelihood[entry.x], likelihood[entry.y], likelihood[entry.z], likelihood[entry.w]),
    vec4u(WIDE_ONE),
    impossible,
  ));
  let exponent = ours.exponent + likely.exponent;
  let counted = select(exponent, vec4i(NOT_COUNTED), exponent < vec4i(WIDE_LEAST));
  return Weights(ours.mantissa * likely.mantissa, exponent, counted);
}

@compute @workgroup_size(WORKGROUP)
fn hmm_weigh(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
) {
  let lane = group.x;
  let row = lane * params.lane_rows + params.row;
  source = params.predicted_at + lane * params.predicted_stride;
  likelihoods = row * LIKELIHOODS;
  var shift = 0;
  // a second turn rather than a branch, which software adapters run through without taking it
  var turns = 1u;
  loop {
    shift = total_states(thread);
    if (shift >= WIDE_LEAST || turns == 2u) {
      break;
    }
    impossible = true;
    turns = 2u;
  }
  if (impossible) {
    shift = 0;
  }
  let inverse = 1.0 / select(row_total(shift), 1.0, impossible);
  if (thread == 0u) {
    let sums = row * (2u + STATES);
    let lane_sums = lane * (1u + STATES);
    filter_sums[sums] = f32(shift);
    filter_sums[sums + 1u] = select(inverse, 0.0, impossible);
    state_sums[lane_sums] = row_levels(inverse, shift);
    for (var state = 0u; state < STATES; state++) {
      let total = state_total(state, inverse, shift);
      filter_sums[sums + 2u + state] = wide_linear(total);
      state_sums[lane_sums + 1u + state] = total;
    }
  }
  let own = row * BINS;
  for (var state = 0u; state < STATES; state++) {
    let end = states[state + 1u].x;
    for (var bin = states[state].x + thread; bin < end; bin += 4u * WORKGROUP) {
      let bins = bins_from(bin);
      let weights = weights_of(state, min(bins, vec4u(end - 1u)));
      let value = wide_of(weights.mantissa * inverse, weights.exponent - shift);
      for (var i = 0u; i < 4u; i++) {
        if (bins[i] < end) {
          filtered[own + bins[i]] = value[i];
        }
      }
    }
  }
}
