// Sums of rows of probabilities over the bins of each discrete state.
//
// params           rows [first_row, end_row) of the tile; width of a row
// state_starts     [STATES + 1] u32, first bin of each state, then the width
// packed           [rows, width] f32
// state_shares     [rows, STATES] f32, written
//
// One workgroup a row. Threads add up bins that lie WORKGROUP apart, and then halves are folded: a fixed order, which
// loses no more than a few roundings however wide rows are. f64 twin: test/reference/sum_states.ts.

// a power of 2
override WORKGROUP: u32;
override STATES: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state_starts: array<u32>;
@group(0) @binding(2) var<storage, read> packed: array<f32>;
@group(0) @binding(3) var<storage, read_write> state_shares: array<f32>;

var<workgroup> partial: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn sum_states(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  // more rows than one dispatch dimension takes are folded into two
  let row = params.first_row + group.y * groups.x + group.x;
  if (row >= params.end_row) {
    return;
  }
  for (var state = 0u; state < STATES; state++) {
    var sum = 0.0;
    for (var bin = state_starts[state] + lane; bin < state_starts[state + 1u]; bin += WORKGROUP) {
      sum += packed[row * params.width + bin];
    }
    // the state before may still be read
    workgroupBarrier();
    partial[lane] = sum;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half) {
        partial[lane] += partial[lane + half];
      }
    }
    if (lane == 0u) {
      state_shares[row * STATES + state] = partial[0];
    }
  }
}
