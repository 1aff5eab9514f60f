// A row of the forward filter, between two products with the transition: one workgroup a lane.
//
//   q = predicted * likelihood, c = sum q, filtered = q / (c + 1e-15)
//
// params           row of the tile; rows from one lane to the next; elements: where lane 0 starts in
//                  `predicted`, and from one lane to the next
// states           [STATES + 1] vec2<u32>: first bin of each state and first entry of its likelihood;
//                  then BINS. States may share entries
// likelihood       [LANES * lane_rows, LIKELIHOODS] f32, exp(log-likelihood - row maximum)
// predicted        [.., BINS] f32
// filtered         [LANES * lane_rows, BINS] f32, written
// filter_sums      [LANES * lane_rows, 2 + STATES] f32, written: c, 1 / (c + 1e-15) as it was used,
//                  then the filtered probability of each state
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
@group(0) @binding(2) var<storage, read> likelihood: array<f32>;
@group(0) @binding(3) var<storage, read> predicted: array<f32>;
@group(0) @binding(4) var<storage, read_write> filtered: array<f32>;
@group(0) @binding(5) var<storage, read_write> filter_sums: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn hmm_weigh(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
) {
  let lane = group.x;
  let row = lane * params.lane_rows + params.row;
  let source = params.predicted_at + lane * params.predicted_stride;
  let own = row * BINS;
  for (var state = 0u; state < STATES; state++) {
    let first = states[state].x;
    let weights = row * LIKELIHOODS + states[state].y;
    var sum = 0.0;
    for (var bin = first + thread; bin < states[state + 1u].x; bin += WORKGROUP) {
      let weight = predicted[source + bin] * likelihood[weights + bin - first];
      filtered[own + bin] = weight;
      sum += weight;
    }
    partial_sums[state * WORKGROUP + thread] = sum;
  }
  total_states(thread);
  let norm = total();
  let inverse = 1.0 / (norm + SUM_FLOOR);
  let sums = row * (2u + STATES);
  if (thread == 0u) {
    filter_sums[sums] = norm;
    filter_sums[sums + 1u] = inverse;
    for (var state = 0u; state < STATES; state++) {
      filter_sums[sums + 2u + state] = state_total(state) * inverse;
    }
  }
  // a thread scales what it wrote itself, so no barrier is needed
  for (var state = 0u; state < STATES; state++) {
    for (var bin = states[state].x + thread; bin < states[state + 1u].x; bin += WORKGROUP) {
      filtered[own + bin] *= inverse;
    }
  }
}
