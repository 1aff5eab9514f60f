// The gradients of sums of columns: dx = dy in every column, and of the number the sum of dy over rows.
//
// params           see Params
// y_gradient       [nets, y_rows] quads, of which the first counts
// x_gradient       [nets, y_rows, width4] quads, written, 0 past the last column; added to where adds_x is 1
// gradient         [nets, parameters_net] quads, written at bias_at; added to where `adds` is 1
//
// A workgroup a net: sums of its threads are added pairwise. f64 twin: addColumnsGradient() in test/reference/net_layers.ts.

override LANES: u32;

struct Params {
  rows: u32,
  width: u32,
  y_rows: u32,
  parameters_net: u32,
  bias_at: u32,
  adds_x: u32,
  adds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y_gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> x_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gradient: array<vec4f>;

@compute @workgroup_size(64)
fn net_add_columns_gradient(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.x;
  let width4 = (params.width + 3u) / 4u;
  var sum = 0.0;
  for (var row = lane; row < params.rows; row += LANES) {
    let place = net * params.y_rows + row;
    let own = y_gradient[place].x;
    sum += own;
    for (var quad = 0u; quad < width4; quad++) {
      let columns = 4u * quad + vec4u(0u, 1u, 2u, 3u);
      let at = place * width4 + quad;
      var value = select(vec4f(), vec4f(own), columns < vec4u(params.width));
      if (params.adds_x == 1u) {
        value += x_gradient[at];
      }
      x_gradient[at] = value;
    }
  }
  var whole = run_sum(lane, sum);
  if (lane == 0u) {
    let at = net * params.parameters_net + params.bias_at;
    if (params.adds == 1u) {
      whole += gradient[at].x;
    }
    gradient[at] = vec4f(whole, 0.0, 0.0, 0.0);
  }
}
