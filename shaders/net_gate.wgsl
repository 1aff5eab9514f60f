// Gated values: y = values * softplus(gates).
//
// params           rows of the batch, quads of a row, rows of a net
// values, gates, y [nets, rows, width4] quads; values are 0 past the last column
//
// Workgroups: x 64 quads, y nets. f64 twin: gate() in test/reference/net_layers.ts.

struct Params {
  rows: u32,
  width4: u32,
  y_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<vec4f>;
@group(0) @binding(2) var<storage, read> gates: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn net_gate(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  for (var i = group.x * 64u + lane; i < params.rows * params.width4; i += groups.x * 64u) {
    let at = group.y * params.y_rows * params.width4 + i;
    y[at] = values[at] * softplus(gates[at]);
  }
}
