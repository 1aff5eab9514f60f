// From the gradient of a linear layer's result to that before its dropout and activation, in place.
//
// params           see Params
// source           [nets, y_rows, width4] quads: what the layer gave where the activation is ReLU, what it
//                  was before the activation where it is GELU, unused otherwise
// seeds            [nets] u32
// gradient         [nets, y_rows, width4] quads
//
// Dropout is drawn again, by the same counters as in net_linear.wgsl. Workgroups: x 256 quads, y nets. f64 twin:
// linearGradient() in test/reference/net_layers.ts.

struct Params {
  rows: u32,
  width4: u32,
  y_rows: u32,
  // 0 none, 1 ReLU, 2 GELU
  activation: u32,
  layer: u32,
  step: u32,
  threshold: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read> seeds: array<u32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<vec4f>;

@compute @workgroup_size(256)
fn net_activation_gradient(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  for (var i = group.x * 256u + lane; i < params.rows * params.width4; i += groups.x * 256u) {
    let at = net * params.y_rows * params.width4 + i;
    var value = gradient[at];
    if (params.activation == 1u) {
      // what was dropped is 0, too
      value = select(vec4f(), value * params.scale, source[at] > vec4f());
    } else {
      if (params.threshold > 0u) {
        value *= kept(i, params.layer, params.step, seeds[net], params.threshold, params.scale);
      }
      if (params.activation == 2u) {
        value *= gelu_slope(source[at]);
      }
    }
    gradient[at] = value;
  }
}
