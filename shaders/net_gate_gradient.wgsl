// The gradients of gated values: dvalues = dy softplus(gates), dgates = dy values / (1 + exp(-gates)).
//
// params           rows of the batch, quads of a row, rows of a net; whether to add to what is there
// all others       [nets, rows, width4] quads; the last two are written
//
// Workgroups: x 64 quads, y nets. f64 twin: gateGradient() in test/reference/net_layers.ts.

struct Params {
  rows: u32,
  width4: u32,
  y_rows: u32,
  adds_values: u32,
  adds_gates: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<vec4f>;
@group(0) @binding(2) var<storage, read> gates: array<vec4f>;
@group(0) @binding(3) var<storage, read> y_gradient: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> values_gradient: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> gates_gradient: array<vec4f>;

@compute @workgroup_size(64)
fn net_gate_gradient(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  for (var i = group.x * 64u + lane; i < params.rows * params.width4; i += groups.x * 64u) {
    let at = group.y * params.y_rows * params.width4 + i;
    var own = y_gradient[at] * softplus(gates[at]);
    var other = y_gradient[at] * values[at] * sigmoid(gates[at]);
    if (params.adds_values == 1u) {
      own += values_gradient[at];
    }
    if (params.adds_gates == 1u) {
      other += gates_gradient[at];
    }
    values_gradient[at] = own;
    gates_gradient[at] = other;
  }
}
