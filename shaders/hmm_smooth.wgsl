// Backward smoother of a hidden Markov model: one workgroup walks back through time.
//
//   r = smoothed(t + 1) / predicted(t + 1)  (0 where predicted is 0)
//   smoothed(t) = filtered(t) * (T r), divided by its sum + 1e-15
//   last row of the recording: smoothed = filtered, divided by its sum + 1e-15
//
// T as in hmm_filter.wgsl, here applied to a column: mask, convolve, scale.
//
// One workgroup a lane, as in hmm_filter.wgsl. A lane starts at its newest row: the one that ends the
// recording, or the one its burn-in starts from as if it did.
//
// params           rows [first_row, end_row) of each lane, taken from the end; tile_rows, from one lane
//                  to the next; first_end, lane_length: the recording ends at row
//                  first_end - lane * lane_length of a lane; burn_in_end, the row of every lane that
//                  starts a burn-in; rows outside the tile never match
// transition, grid_table, row_scale, field   as in hmm_filter.wgsl
// predicted        [lanes, tile_rows + 1, S, CELLS] vec4<f32>
// filtered         [lanes, tile_rows, S, CELLS] vec4<f32>; filtered in, smoothed out
// smoothed_carry   [lanes, S, CELLS] vec4<f32>, smoothed row t + 1 in, smoothed row first_row out; holds
//                  r in between, made once: quotients are what takes long to compile
// smooth_sums      [lanes, tile_rows, S] f32, written: the smoothed probability of each state
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
  tile_rows: u32,
  first_end: i32,
  lane_length: i32,
  burn_in_end: i32,
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
fn hmm_smooth(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let lane = group.x;
  field_start = lane * 3u * JOBS * PADDED;
  let carry = lane * STATES * CELLS;
  let recording_end = params.first_end - i32(lane) * params.lane_length;
  for (var row = params.end_row; row > params.first_row; row--) {
    let tile_row = lane * params.tile_rows + row - 1u;
    let here = tile_row * STATES * CELLS;
    // a lane has one row more of predictions than of others
    let next = (tile_row + lane + 1u) * STATES * CELLS;
    let this_row = i32(row) - 1;

    if (this_row != recording_end && this_row != params.burn_in_end) {
      for (var state = 0u; state < STATES; state++) {
        let base = state * CELLS;
        var sum = 0.0;
        for (var cell = thread; cell < CELLS; cell += WORKGROUP) {
          let quotient = ratio(smoothed_carry[carry + base + cell], predicted[next + base + cell]);
          smoothed_carry[carry + base + cell] = quotient;
          sum += dot(quotient, vec4f(1.0));
        }
        partial[state * WORKGROUP + thread] = sum;
      }
      for (var cell = thread; cell < CELLS; cell += WORKGROUP) {
        for (var job = 0u; job < JOBS; job++) {
          var source = vec4f();
          for (var state = 0u; state < STATES; state++) {
            source += transition.weights[job * MAX_STATES + state].y *
              smoothed_carry[carry + state * CELLS + cell];
          }
          field[source_at(job) + grid_table[cell]] = source;
        }
      }
      reduce_states(thread);
      convolve_all(thread);

      for (var state = 0u; state < STATES; state++) {
        var spread = 0.0;
        for (var to = 0u; to < STATES; to++) {
          spread += transition.weights[state * MAX_STATES + to].z * totals[to];
        }
        for (var cell = thread; cell < CELLS; cell += WORKGROUP) {
          var sum = vec4f(spread);
          for (var job = 0u; job < JOBS; job++) {
            sum += transition.weights[job * MAX_STATES + state].x *
              row_scale[job * CELLS + cell] * field[result_at(job) + grid_table[cell]];
          }
          for (var to = 0u; to < STATES; to++) {
            sum += transition.weights[state * MAX_STATES + to].w *
              smoothed_carry[carry + to * CELLS + cell];
          }
          filtered[here + state * CELLS + cell] *= sum;
        }
      }
    }

    for (var state = 0u; state < STATES; state++) {
      var sum = 0.0;
      for (var cell = thread; cell < CELLS; cell += WORKGROUP) {
        sum += dot(filtered[here + state * CELLS + cell], vec4f(1.0));
      }
      partial[state * WORKGROUP + thread] = sum;
    }
    reduce_states(thread);
    var norm = 0.0;
    for (var state = 0u; state < STATES; state++) {
      norm += totals[state];
    }
    let inverse = 1.0 / (norm + SUM_FLOOR);
    if (thread < STATES) {
      smooth_sums[tile_row * STATES + thread] = totals[thread] * inverse;
    }
    for (var state = 0u; state < STATES; state++) {
      for (var cell = thread; cell < CELLS; cell += WORKGROUP) {
        let at = state * CELLS + cell;
        let value = filtered[here + at] * inverse;
        filtered[here + at] = value;
        smoothed_carry[carry + at] = value;
      }
    }
  }
}
