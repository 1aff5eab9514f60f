// A step of Adam or AdamW for the parameters of many nets.
//
// params           see Params
// gradient         [nets, length] quads
// rates            [nets, groups] vec4<f32>: rate, decay, epsilon, 0
// group_of         [length] u32: of every quad of parameters
// progress         [nets, 8] u32: a net whose seventh word is not 0 stays as it is
// parameters       [nets, length] quads
// moments          [nets, 2, length] quads: running means of the gradient and of its square
//
// Decay shrinks parameters by themselves where DECOUPLED, and is added to the gradient otherwise. Workgroups: x 256
// quads, y nets. f64 twin: Adam in test/reference/net_layers.ts. Sources: Kingma and Ba 2015; Loshchilov and Hutter 2019.

override DECOUPLED: bool;

struct Params {
  length: u32,
  groups: u32,
  // beta and 1 - beta, of both moments
  beta1: f32,
  rest1: f32,
  beta2: f32,
  rest2: f32,
  // 1 / (1 - beta1^step) and 1 / sqrt(1 - beta2^step)
  mean_scale: f32,
  root_scale: f32,
  rate_scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> rates: array<vec4f>;
@group(0) @binding(3) var<storage, read> group_of: array<u32>;
@group(0) @binding(4) var<storage, read> progress: array<u32>;
@group(0) @binding(5) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> moments: array<vec4f>;

@compute @workgroup_size(256)
fn net_adam(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  if (progress[8u * net + 6u] != 0u) {
    return;
  }
  for (var i = group.x * 256u + lane; i < params.length; i += groups.x * 256u) {
    let rates_of = rates[net * params.groups + group_of[i]];
    let rate = rates_of.x * params.rate_scale;
    let at = net * params.length + i;
    var value = parameters[at];
    var slope = gradient[at];
    if (DECOUPLED) {
      value -= rate * rates_of.y * value;
    } else {
      slope += rates_of.y * value;
    }
    let first = 2u * net * params.length + i;
    let second = first + params.length;
    let mean = params.beta1 * moments[first] + params.rest1 * slope;
    let square = params.beta2 * moments[second] + params.rest2 * slope * slope;
    moments[first] = mean;
    moments[second] = square;
    parameters[at] = value -
      rate * params.mean_scale * mean / (sqrt(square) * params.root_scale + rates_of.z);
  }
}
