// The sum of every row and a number: y = x_1 + ... + x_width + bias.
//
// params           see Params
// x                [nets, y_rows, width4] quads, 0 past the last column
// parameters       [nets, parameters_net] quads: the number is the first of the quad at bias_at
// y                [nets, y_rows] quads, of which the first counts and the others become 0
//
// Workgroups: x 64 rows, y nets. f64 twin: addColumns() in test/reference/net_layers.ts.

struct Params {
  rows: u32,
  width4: u32,
  y_rows: u32,
  parameters_net: u32,
  bias_at: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn net_add_columns(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  for (var row = group.x * 64u + lane; row < params.rows; row += groups.x * 64u) {
    let at = net * params.y_rows + row;
    var sum = vec4f();
    for (var quad = 0u; quad < params.width4; quad++) {
      sum += x[at * params.width4 + quad];
    }
    let bias = parameters[net * params.parameters_net + params.bias_at].x;
    y[at] = vec4f((sum.x + sum.y) + (sum.z + sum.w) + bias, 0.0, 0.0, 0.0);
  }
}
