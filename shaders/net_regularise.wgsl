// What a matrix W adds to the loss of a net for its own sake, and the gradient of that: l1 |W|_1 + orthogonal |W W^T - I|^2.
//
// params           see Params; places and strides in quads of f32
// parameters       [nets, parameters_net] quads: W [outputs, inputs4] at weights_at
// products         [nets, outputs, outputs] f32, scratch: W W^T - I
// gradient         as parameters: added to
// losses           [slots, nets, 3] f32: added to the third of `slot`
//
// A workgroup a net; sums of its threads are added pairwise. f64 twin: regularise() in
// test/reference/net_layers.ts.

override LANES: u32;

struct Params {
  inputs4: u32,
  outputs: u32,
  parameters_net: u32,
  weights_at: u32,
  slot: u32,
  l1: f32,
  orthogonal: f32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> products: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(64)
fn net_regularise(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.x;
  let own = net * params.parameters_net + params.weights_at;
  let squares = params.outputs * params.outputs;
  var off = 0.0;
  if (params.orthogonal > 0.0) {
    for (var i = lane; i < squares; i += LANES) {
      let row = own + i / params.outputs * params.inputs4;
      let column = own + i % params.outputs * params.inputs4;
      var sums = vec4f();
      for (var k = 0u; k < params.inputs4; k++) {
        sums += parameters[row + k] * parameters[column + k];
      }
      let same = i / params.outputs == i % params.outputs;
      let value = (sums.x + sums.y) + (sums.z + sums.w) - select(0.0, 1.0, same);
      products[net * squares + i] = value;
      off += value * value;
    }
  }
  storageBarrier();
  var magnitude = 0.0;
  for (var i = lane; i < params.outputs * params.inputs4; i += LANES) {
    let weight = parameters[own + i];
    let size = abs(weight);
    magnitude += (size.x + size.y) + (size.z + size.w);
    var sum = vec4f();
    if (params.orthogonal > 0.0) {
      let row = net * squares + i / params.inputs4 * params.outputs;
      for (var k = 0u; k < params.outputs; k++) {
        sum += products[row + k] * parameters[own + k * params.inputs4 + i % params.inputs4];
      }
    }
    let slope = params.l1 * sign(weight) + 4.0 * params.orthogonal * sum;
    gradient[own + i] += params.scale * slope;
  }
  magnitude = run_sum(lane, magnitude);
  off = run_sum(lane, off);
  if (lane == 0u) {
    losses[3u * (params.slot * groups.x + net) + 2u] += params.l1 * magnitude +
      params.orthogonal * off;
  }
}
