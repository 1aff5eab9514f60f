// The gradient of a layer norm's gamma and beta: sums over rows, which are cut into blocks, of dy x^ and of dy.
//
// params           see Params; strides in quads of f32
// x, y_gradient    [nets, x_rows, width4] quads
// stats            [nets, x_rows] vec2<f32>, of net_row_stats.wgsl
// partials         [blocks, nets, 2, width4] quads, written
//
// A thread makes a quad of columns. Workgroups: x 64 quads, y nets, z blocks. f64 twin: layerNormGradient() in
// test/reference/net_layers.ts.

struct Params {
  rows: u32,
  width4: u32,
  x_rows: u32,
  block_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> y_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read> stats: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec4f>;

@compute @workgroup_size(64)
fn net_layer_norm_weights(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  let quad = group.x * 64u + lane;
  if (quad >= params.width4) {
    return;
  }
  let first = min(group.z * params.block_rows, params.rows);
  let end = min(first + params.block_rows, params.rows);
  var gamma = vec4f();
  var beta = vec4f();
  for (var row = net * params.x_rows + first; row < net * params.x_rows + end; row++) {
    let stat = stats[row];
    let dy = y_gradient[row * params.width4 + quad];
    gamma += dy * ((x[row * params.width4 + quad] - stat.x) * stat.y);
    beta += dy;
  }
  let at = (group.z * groups.y + net) * 2u * params.width4 + quad;
  partials[at] = gamma;
  partials[at + params.width4] = beta;
}
