// Normalised rows: y = (x - mean) / deviation * gamma + beta.
//
// params           see Params; places and strides in quads of f32
// x, y             [nets, x_rows, width4] quads
// stats            [nets, x_rows] vec2<f32>, of net_row_stats.wgsl
// parameters       [nets, parameters_net] quads: gamma at norm_at, beta after it, 0 past the last column; where AFFINE is false
//                  gamma is 1 and beta 0
//
// Workgroups: x 64 quads, y nets. f64 twin: layerNorm() in test/reference/net_layers.ts.

override AFFINE: bool;

struct Params {
  rows: u32,
  width4: u32,
  x_rows: u32,
  parameters_net: u32,
  norm_at: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> stats: array<vec2f>;
@group(0) @binding(3) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn net_layer_norm(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  let norm_at = net * params.parameters_net + params.norm_at;
  for (var i = group.x * 64u + lane; i < params.rows * params.width4; i += groups.x * 64u) {
    let quad = i % params.width4;
    let stat = stats[net * params.x_rows + i / params.width4];
    let at = net * params.x_rows * params.width4 + i;
    let normed = (x[at] - stat.x) * stat.y;
    if (AFFINE) {
      y[at] = normed * parameters[norm_at + quad] + parameters[norm_at + params.width4 + quad];
    } else {
      y[at] = select(vec4f(), normed, 4u * quad + vec4u(0u, 1u, 2u, 3u) < vec4u(params.width));
    }
  }
}
