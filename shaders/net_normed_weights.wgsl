// The gradient of a linear layer that takes normalised inputs, x^ gamma + beta, and of gamma and beta: from dy^T x^ and
// the sums of dy, which net_linear_weights left in blocks. With A = dy^T x^ and s the sums of dy,
//
//   dW = A gamma + s beta,   db = s,   dgamma = sums over outputs of W A,   dbeta = sums over outputs of W s
//
// so that normalised inputs are never stored.
//
// params           see Params; places and strides in quads of f32
// parameters       [nets, parameters_net] quads: weights [outputs, inputs4] at weights_at, the bias after
//                  them; gamma at norm_at and beta after it
// partials         [blocks, nets, outputs * inputs4 + outputs4] quads
// gradient         as parameters, written; added to where `adds` is 1
//
// A thread makes a quad of inputs, and where there are as many, of the bias. Workgroups: x 64 quads, y nets. f64 twin: linearGradient() and
// layerNormGradient() in test/reference/net_layers.ts.

struct Params {
  inputs4: u32,
  outputs: u32,
  parameters_net: u32,
  weights_at: u32,
  has_bias: u32,
  norm_at: u32,
  blocks: u32,
  adds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read> partials: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gradient: array<vec4f>;

fn store(at: u32, sum: vec4f) {
  var value = sum;
  if (params.adds == 1u) {
    value += gradient[at];
  }
  gradient[at] = value;
}

@compute @workgroup_size(64)
fn net_normed_weights(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  let outputs4 = (params.outputs + 3u) / 4u;
  let bias_at = params.outputs * params.inputs4;
  let length = bias_at + outputs4;
  let own = net * params.parameters_net;
  let step = groups.y * length;
  for (var i = group.x * 64u + lane; i < max(params.inputs4, outputs4); i += groups.x * 64u) {
    if (i < outputs4 && params.has_bias == 1u) {
      var sum = vec4f();
      for (var block = 0u; block < params.blocks; block++) {
        sum += partials[block * step + net * length + bias_at + i];
      }
      store(own + params.weights_at + bias_at + i, sum);
    }
    if (i >= params.inputs4) {
      continue;
    }
    let gamma = parameters[own + params.norm_at + i];
    let beta = parameters[own + params.norm_at + params.inputs4 + i];
    var gamma_gradient = vec4f();
    var beta_gradient = vec4f();
    for (var output = 0u; output < params.outputs; output++) {
      let place = output * params.inputs4 + i;
      var product = vec4f();
      var sum = 0.0;
      for (var block = 0u; block < params.blocks; block++) {
        let at = block * step + net * length;
        product += partials[at + place];
        sum += partials[at + bias_at + output / 4u][output % 4u];
      }
      let weight = parameters[own + params.weights_at + place];
      gamma_gradient += weight * product;
      beta_gradient += weight * sum;
      store(own + params.weights_at + place, gamma * product + beta * sum);
    }
    store(own + params.norm_at + i, gamma_gradient);
    store(own + params.norm_at + params.inputs4 + i, beta_gradient);
  }
}
