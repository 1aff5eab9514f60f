// What is not 0 of rows that are mostly 0: of every row its columns, ascending, and their values.
//
// params    rows, quads of a row
// x         [rows, inputs4] quads
// columns   [rows, 4 inputs4] u32, written as far as a row has any
// values    as columns, f32
// counts    [rows] u32, written: how many each row has
//
// A workgroup a row, whose threads have neighbouring columns: counted first, then written. f64 twin: productsOf() in
// test/kernels/net_sparse_test.ts.

struct Params {
  rows: u32,
  inputs4: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> columns: array<u32>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;
@group(0) @binding(4) var<storage, read_write> counts: array<u32>;

var<workgroup> found: array<u32, 64>;

@compute @workgroup_size(64)
fn net_list_rows(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.y * groups.x + group.x;
  if (row >= params.rows) {
    return;
  }
  let inputs4 = params.inputs4;
  let share = (inputs4 + 63u) / 64u;
  let first = min(lane * share, inputs4);
  let end = min(first + share, inputs4);
  var own = 0u;
  for (var quad = first; quad < end; quad++) {
    let there = select(vec4u(), vec4u(1u), x[row * inputs4 + quad] != vec4f());
    own += there.x + there.y + there.z + there.w;
  }
  found[lane] = own;
  workgroupBarrier();
  var place = 0u;
  for (var before = 0u; before < lane; before++) {
    place += found[before];
  }
  if (lane == 63u) {
    counts[row] = place + own;
  }
  place += 4u * row * inputs4;
  for (var quad = first; quad < end; quad++) {
    let numbers = x[row * inputs4 + quad];
    for (var i = 0u; i < 4u; i++) {
      if (numbers[i] != 0.0) {
        columns[place] = 4u * quad + i;
        values[place] = numbers[i];
        place++;
      }
    }
  }
}
