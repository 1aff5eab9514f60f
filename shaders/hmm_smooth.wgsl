// Backward smoother of a hidden Markov model: one workgroup walks back through time.
//
//   r = smoothed(t + 1) / predicted(t + 1)  (0 where predicted is 0)
//   smoothed(t) = filtered(t) * (T r), divided by its sum + 1e-15
//   last row of the recording: smoothed = filtered, divided by its sum + 1e-15
//
// T as in hmm_filter.wgsl, here applied to a column: mask, convolve, scale.
//
// params           rows [first_row, end_row) of the tile, taken from the end; last_row is the tile
//                  row that ends the recording, or 0xffffffff
// transition, grid_table, row_scale, field   as in hmm_filter.wgsl
// predicted        [rows + 1, S, CELLS] vec4<f32>
// filtered         [rows, S, CELLS] vec4<f32>; filtered in, smoothed out
// smoothed_carry   [S, CELLS] vec4<f32>, smoothed row t + 1 in, smoothed row first_row out
// smooth_sums      [rows, S] f32, written: the smoothed probability of each state
//
// f64 twin: test/reference/hmm_smooth.ts.

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

// below it a quotient could overflow, and adapters may flush such numbers to zero anyway
const SMALLEST_NORMAL: f32 = 1.1754944e-38;

struct Params {
  first_row: u32,
  end_row: u32,
  last_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> transition: Transition;
@group(0) @binding(2) var<storage, read> grid_table: array<u32>;
@group(0) @binding(3) var<storage, read> row_scale: array<vec4f>;
@group(0) @binding(4) var<storage, read> predicted: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> filtered: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> smoothed_carry: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> smooth_sums: array<f32>;
@group(0) @binding(8) var<storage, read_write> field: array<vec4f>;

var<workgroup> partial: array<f32, STATES * WORKGROUP>;
var<workgroup> totals: array<f32, STATES>;

fn ratio(above: vec4f, below: vec4f) -> vec4f {
  let usable = below >= vec4f(SMALLEST_NORMAL);
  return select(vec4f(), above / select(vec4f(1.0), below, usable), usable);
}

@compute @workgroup_size(WORKGROUP)
fn hmm_smooth(@builtin(local_invocation_index) lane: u32) {
  for (var row = params.end_row; row > params.first_row; row--) {
    let here = (row - 1u) * STATES * CELLS;
    let next = row * STATES * CELLS;

    if (row - 1u != params.last_row) {
      for (var state = 0u; state < STATES; state++) {
        let base = state * CELLS;
        var sum = 0.0;
        for (var cell = lane; cell < CELLS; cell += WORKGROUP) {
          sum += dot(
            ratio(smoothed_carry[base + cell], predicted[next + base + cell]), vec4f(1.0));
        }
        partial[state * WORKGROUP + lane] = sum;
      }
      for (var cell = lane; cell < CELLS; cell += WORKGROUP) {
        for (var job = 0u; job < JOBS; job++) {
          var source = vec4f();
          for (var state = 0u; state < STATES; state++) {
            let at = state * CELLS + cell;
            source += transition.weights[job * MAX_STATES + state].y *
              ratio(smoothed_carry[at], predicted[next + at]);
          }
          field[source_at(job) + grid_table[cell]] = source;
        }
      }
      reduce_states(lane);
      convolve_all(lane);

      for (var state = 0u; state < STATES; state++) {
        var spread = 0.0;
        for (var to = 0u; to < STATES; to++) {
          spread += transition.weights[state * MAX_STATES + to].z * totals[to];
        }
        for (var cell = lane; cell < CELLS; cell += WORKGROUP) {
          var sum = vec4f(spread);
          for (var job = 0u; job < JOBS; job++) {
            sum += transition.weights[job * MAX_STATES + state].x *
              row_scale[job * CELLS + cell] * field[result_at(job) + grid_table[cell]];
          }
          for (var to = 0u; to < STATES; to++) {
            let at = to * CELLS + cell;
            sum += transition.weights[state * MAX_STATES + to].w *
              ratio(smoothed_carry[at], predicted[next + at]);
          }
          filtered[here + state * CELLS + cell] *= sum;
        }
      }
    }

    for (var state = 0u; state < STATES; state++) {
      var sum = 0.0;
      for (var cell = lane; cell < CELLS; cell += WORKGROUP) {
        sum += dot(filtered[here + state * CELLS + cell], vec4f(1.0));
      }
      partial[state * WORKGROUP + lane] = sum;
    }
    reduce_states(lane);
    var norm = 0.0;
    for (var state = 0u; state < STATES; state++) {
      norm += totals[state];
    }
    let inverse = 1.0 / (norm + SUM_FLOOR);
    if (lane < STATES) {
      smooth_sums[(row - 1u) * STATES + lane] = totals[lane] * inverse;
    }
    for (var state = 0u; state < STATES; state++) {
      for (var cell = lane; cell < CELLS; cell += WORKGROUP) {
        let at = state * CELLS + cell;
        let value = filtered[here + at] * inverse;
        filtered[here + at] = value;
        smoothed_carry[at] = value;
      }
    }
  }
}
