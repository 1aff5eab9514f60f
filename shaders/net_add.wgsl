// The sum of two values, y = a + b; or of a alone where `pair` is 0, as gradients of sums are; added to y where `adds` is 1.
//
// params           rows of the batch, quads of a row, rows of a net, and those two
// a, b, y          [nets, rows, width4] quads
//
// Workgroups: x 64 quads, y nets.

struct Params {
  rows: u32,
  width4: u32,
  y_rows: u32,
  pair: u32,
  adds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn net_add(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  for (var i = group.x * 64u + lane; i < params.rows * params.width4; i += groups.x * 64u) {
    let at = group.y * params.y_rows * params.width4 + i;
    var value = a[at];
    if (params.pair == 1u) {
      value += b[at];
    }
    if (params.adds == 1u) {
      value += y[at];
    }
    y[at] = value;
  }
}
