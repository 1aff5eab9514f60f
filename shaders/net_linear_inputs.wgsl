// The gradient of a linear layer's inputs, of many nets: dx = dy W, or dx += dy W.
//
// params           see Params; strides and places in quads of f32
// y_gradient       [nets, y_rows, outputs4] quads: before the activation; 0 past the last output
// parameters       [nets, parameters_net] quads: weights [outputs, inputs4] at weights_at
// x_gradient       [slices, nets, x_rows, inputs4] quads, written; added to where `adds` is 1
//
// A thread makes 8 rows x 8 inputs in registers (shared/outer_product.wgsl). Where there are few of them and many outputs,
// outputs are cut into slices of `share` quads, whose sums net_sum_partials.wgsl adds up. Workgroups: x 64 tiles, y nets, z
// slices. f64 twin: linearGradient() in test/reference/net_layers.ts.

struct Params {
  rows: u32,
  inputs4: u32,
  outputs: u32,
  adds: u32,
  y_rows: u32,
  x_rows: u32,
  parameters_net: u32,
  weights_at: u32,
  // quads of outputs of a slice
  share: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y_gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> x_gradient: array<vec4f>;

fn store(slice: u32, row: u32, quad: u32, sum: vec4f) {
  if (row >= params.rows || quad >= params.inputs4) {
    return;
  }
  let at = (slice * params.x_rows + row) * params.inputs4 + quad;
  var value = sum;
  if (params.adds == 1u) {
    value += x_gradient[at];
  }
  x_gradient[at] = value;
}

fn weights(at: u32, quads: vec2u) -> mat2x4f {
  return mat2x4f(parameters[at + quads.x], parameters[at + quads.y]);
}

@compute @workgroup_size(64)
fn net_linear_inputs(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  let outputs4 = (params.outputs + 3u) / 4u;
  let across = (params.inputs4 + 1u) / 2u;
  let tiles = (params.rows + 7u) / 8u * across;
  let first = min(group.z * params.share, outputs4);
  let end = min(first + params.share, outputs4);
  for (var tile = group.x * 64u + lane; tile < tiles; tile += groups.x * 64u) {
    let row = 8u * (tile / across);
    let quad = 2u * (tile % across);
    let low = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u));
    let high = min(row + vec4u(4u, 5u, 6u, 7u), vec4u(params.rows - 1u));
    let low_at = (net * params.y_rows + low) * outputs4;
    let high_at = (net * params.y_rows + high) * outputs4;
    let own = net * params.parameters_net + params.weights_at;
    let quads = vec2u(quad, min(quad + 1u, params.inputs4 - 1u));
    // out of the loop: compilers do not know that nothing changes them
    let inputs4 = params.inputs4;
    let last = own + (params.outputs - 1u) * inputs4;
    var sums = Tile();
    for (var k = first; k < end; k++) {
      // outputs past the end have no gradient, so that any weights will do
      let at = min(own + 4u * k * inputs4 + vec4u(0u, 1u, 2u, 3u) * inputs4, vec4u(last));
      let top = transpose(mat4x4f(
        y_gradient[low_at.x + k],
        y_gradient[low_at.y + k],
        y_gradient[low_at.z + k],
        y_gradient[low_at.w + k],
      ));
      let bottom = transpose(mat4x4f(
        y_gradient[high_at.x + k],
        y_gradient[high_at.y + k],
        y_gradient[high_at.z + k],
        y_gradient[high_at.w + k],
      ));
      add_outers(
        &sums,
        mat2x4f(top[0], bottom[0]),
        weights(at.x, quads),
        mat2x4f(top[1], bottom[1]),
        weights(at.y, quads),
      );
      add_outers(
        &sums,
        mat2x4f(top[2], bottom[2]),
        weights(at.z, quads),
        mat2x4f(top[3], bottom[3]),
        weights(at.w, quads),
      );
    }
    // a copy: what a loop takes by number is not held in registers
    var made = sums;
    for (var i = 0u; i < 8u; i++) {
      store(group.z * groups.y + net, row + i, quad, made[i][0]);
      store(group.z * groups.y + net, row + i, quad + 1u, made[i][1]);
    }
  }
}
