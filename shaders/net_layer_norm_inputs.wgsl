// The gradient of what a layer norm takes. With g = dy gamma and x^ the normalised row,
//
//   dx = (g - mean of g - x^ mean of g x^) / deviation
//
// params           see Params; strides in quads of f32
// x, y_gradient    [nets, x_rows, width4] quads
// stats            [nets, x_rows] vec2<f32>, of net_row_stats.wgsl
// parameters       [nets, parameters_net] quads: gamma at norm_at, 0 past the last column; where AFFINE is false gamma is 1
// x_gradient       as x, written; added to where `adds` is 1
//
// LANES threads share a row, and add their sums pairwise. Workgroups: x 64 / LANES rows, y nets. f64 twin: layerNormGradient() in
// test/reference/net_layers.ts.

override LANES: u32;
override AFFINE: bool;

struct Params {
  rows: u32,
  width: u32,
  x_rows: u32,
  parameters_net: u32,
  norm_at: u32,
  adds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> y_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read> stats: array<vec2f>;
@group(0) @binding(4) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> x_gradient: array<vec4f>;

fn scaled(slope: vec4f, gamma_at: u32, quad: u32) -> vec4f {
  if (AFFINE) {
    return slope * parameters[gamma_at + quad];
  }
  return select(vec4f(), slope, 4u * quad + vec4u(0u, 1u, 2u, 3u) < vec4u(params.width));
}

@compute @workgroup_size(64)
fn net_layer_norm_inputs(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  let quads = (params.width + 3u) / 4u;
  let gamma_at = net * params.parameters_net + params.norm_at;
  let together = 64u / LANES;
  for (var base = group.x * together; base < params.rows; base += groups.x * together) {
    let row = base + lane / LANES;
    let source = net * params.x_rows + min(row, params.rows - 1u);
    let stat = stats[source];
    var plain = vec4f();
    var along = vec4f();
    for (var quad = lane % LANES; quad < quads; quad += LANES) {
      let at = source * quads + quad;
      let g = scaled(y_gradient[at], gamma_at, quad);
      plain += g;
      along += g * ((x[at] - stat.x) * stat.y);
    }
    let mean = run_sum(lane, (plain.x + plain.y) + (plain.z + plain.w)) / f32(params.width);
    let slope = run_sum(lane, (along.x + along.y) + (along.z + along.w)) / f32(params.width);
    // nobody leaves before the barriers of the next rows
    let end = select(quads, 0u, row >= params.rows);
    for (var quad = lane % LANES; quad < end; quad += LANES) {
      let at = source * quads + quad;
      let g = scaled(y_gradient[at], gamma_at, quad);
      let normed = (x[at] - stat.x) * stat.y;
      let columns = 4u * quad + vec4u(0u, 1u, 2u, 3u);
      let own = (g - mean - normed * slope) * stat.y;
      var value = select(vec4f(), own, columns < vec4u(params.width));
      if (params.adds == 1u) {
        value += x_gradient[at];
      }
      x_gradient[at] = value;
    }
  }
}
