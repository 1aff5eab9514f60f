// Forward filter of a hidden Markov model: one workgroup walks through time.
//
//   q = predicted * likelihood, c = sum q, filtered = q / (c + 1e-15), predicted' = filtered @ T
//
// T is kept as an operator over S discrete states that share one grid:
//   random walk: scale each bin by 1 / its masked row sum, convolve, mask  (JOBS convolutions)
//   uniform:     a weight times the sum over a state                        (rank 1)
//   identity:    a weight times the bin itself
//
// A cell is 4 neighbouring bins along y, of which at least one is interior; lanes of a cell outside
// the interior hold 0 throughout.
//
// One workgroup a lane: stretches of time go side by side, each with rows of its own in every buffer.
//
// params           rows [first_row, end_row) of each lane; tile_rows, from one lane to the next;
//                  strides of predicted in vec4, from row to row (0: one row, in place) and from lane
//                  to lane
// transition       taps and weights, linear probabilities
// grid_table       [CELLS] padded index of each cell, then the group tables of random_walk.wgsl
// row_scale        [JOBS, CELLS] vec4<f32>, 1 / masked row sum, 0 outside the interior
// likelihood       [lanes, tile_rows, CELLS] vec4<f32>, exp(log-likelihood - row maximum)
// predicted        [lanes, tile_rows + 1, S, CELLS] vec4<f32>; row r in, row r + 1 out
// filtered         [lanes, tile_rows, S, CELLS] vec4<f32>, written
// filter_sums      [lanes, tile_rows, 2 + S] f32, written: c, 1 / (c + 1e-15) as it was used, then the
//                  filtered probability of each state
// field            scratch of random_walk.wgsl
//
// Threads own cells (thread, thread + WORKGROUP, ...), so only the convolutions and the two sums need
// barriers. f64 twin: test/reference/hmm_filter.ts.

// overrides stand here rather than in random_walk.wgsl: naga 29 fails on one used before its line
override WORKGROUP: u32;
override STATES: u32;
override JOBS: u32;
override CELLS: u32;
override PADDED: u32;
override STRIDE: u32;
override GROUP_ROWS: u32;
override HALFWAY_GROUPS: u32;
override RESULT_GROUPS: u32;
override HALFWAY_TABLE: u32;
override RESULT_TABLE: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  tile_rows: u32,
  predicted_stride: u32,
  predicted_lane_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> transition: Transition;
@group(0) @binding(2) var<storage, read> grid_table: array<u32>;
@group(0) @binding(3) var<storage, read> row_scale: array<vec4f>;
@group(0) @binding(4) var<storage, read> likelihood: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> predicted: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> filtered: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> filter_sums: array<f32>;
@group(0) @binding(8) var<storage, read_write> field: array<vec4f>;

var<workgroup> partial: array<f32, STATES * WORKGROUP>;
var<workgroup> totals: array<f32, STATES>;

@compute @workgroup_size(WORKGROUP)
fn hmm_filter(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let lane = group.x;
  field_start = lane * 3u * JOBS * PADDED;
  for (var row = params.first_row; row < params.end_row; row++) {
    let here = lane * params.predicted_lane_stride + row * params.predicted_stride;
    let next = here + params.predicted_stride;
    let tile_row = lane * params.tile_rows + row;
    let out = tile_row * STATES * CELLS;

    for (var state = 0u; state < STATES; state++) {
      let base = state * CELLS;
      var sum = 0.0;
      for (var cell = thread; cell < CELLS; cell += WORKGROUP) {
        let weight = predicted[here + base + cell] * likelihood[tile_row * CELLS + cell];
        filtered[out + base + cell] = weight;
        sum += dot(weight, vec4f(1.0));
      }
      partial[state * WORKGROUP + thread] = sum;
    }
    reduce_states(thread);
    var norm = 0.0;
    for (var state = 0u; state < STATES; state++) {
      norm += totals[state];
    }
    let inverse = 1.0 / (norm + SUM_FLOOR);
    if (thread == 0u) {
      let sums = tile_row * (2u + STATES);
      filter_sums[sums] = norm;
      filter_sums[sums + 1u] = inverse;
      for (var state = 0u; state < STATES; state++) {
        filter_sums[sums + 2u + state] = totals[state] * inverse;
      }
    }

    for (var cell = thread; cell < CELLS; cell += WORKGROUP) {
      for (var state = 0u; state < STATES; state++) {
        filtered[out + state * CELLS + cell] *= inverse;
      }
      for (var job = 0u; job < JOBS; job++) {
        var source = vec4f();
        for (var state = 0u; state < STATES; state++) {
          source += transition.weights[job * MAX_STATES + state].x *
            filtered[out + state * CELLS + cell];
        }
        field[source_at(job) + grid_table[cell]] = source * row_scale[job * CELLS + cell];
      }
    }
    convolve_all(thread);

    for (var to = 0u; to < STATES; to++) {
      var spread = 0.0;
      for (var state = 0u; state < STATES; state++) {
        spread += transition.weights[state * MAX_STATES + to].z * totals[state] * inverse;
      }
      for (var cell = thread; cell < CELLS; cell += WORKGROUP) {
        var sum = vec4f(spread);
        for (var job = 0u; job < JOBS; job++) {
          sum += transition.weights[job * MAX_STATES + to].y *
            field[result_at(job) + grid_table[cell]];
        }
        for (var state = 0u; state < STATES; state++) {
          sum += transition.weights[state * MAX_STATES + to].w *
            filtered[out + state * CELLS + cell];
        }
        predicted[next + to * CELLS + cell] = select(
          vec4f(), sum, row_scale[cell] > vec4f());
      }
    }
  }
}
