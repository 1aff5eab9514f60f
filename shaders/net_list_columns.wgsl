// What is not 0 of columns that are mostly 0: of every column its rows, ascending, and their values.
//
// params    rows, columns of a row, those with padding, most rows of a column
// x         [rows, stride] f32
// rows      [columns, capacity] u32, written as far as a column has any
// values    as rows, f32
// counts    [columns] u32, written: how many each column has
//
// A thread a column. Workgroups: x 64 columns. f64 twin: productsOf() in test/kernels/net_sparse_test.ts.

struct Params {
  rows: u32,
  columns: u32,
  stride: u32,
  capacity: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;
@group(0) @binding(4) var<storage, read_write> counts: array<u32>;

@compute @workgroup_size(64)
fn net_list_columns(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  for (var column = group.x * 64u + lane; column < params.columns; column += groups.x * 64u) {
    let first = column * params.capacity;
    var place = first;
    for (var row = 0u; row < params.rows; row++) {
      let value = x[row * params.stride + column];
      if (value != 0.0) {
        rows[place] = row;
        values[place] = value;
        place++;
      }
    }
    counts[column] = place - first;
  }
}
