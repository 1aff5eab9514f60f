// Copies the values of a batch to the rows of the tile, without what pads them.
//
// params           see Params
// x                [nets, x_rows, stride] f32
// stored           [tile rows, nets, width] f32, written from `first` on
//
// Workgroups: x 64 elements, y nets.

struct Params {
  rows: u32,
  width: u32,
  x_rows: u32,
  stride: u32,
  first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> stored: array<f32>;

@compute @workgroup_size(64)
fn net_store(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  for (var i = group.x * 64u + lane; i < params.rows * params.width; i += groups.x * 64u) {
    let row = i / params.width;
    let column = i % params.width;
    let at = ((params.first + row) * groups.y + net) * params.width + column;
    stored[at] = x[(net * params.x_rows + row) * params.stride + column];
  }
}
