// The gradient of some parameters of many nets: what net_linear_weights and others left in blocks, added up one
// block after the other.
//
// params           quads of the parameters, where they begin in the gradient, quads of a net there; blocks;
//                  whether the sums are added to what is there
// partials         [blocks, nets, length] quads
// gradient         [nets, gradient_net] quads, written at gradient_at
//
// Workgroups: x 64 quads, y nets. f64 twin: gradients of test/reference/net_layers.ts, which have no blocks.

struct Params {
  length: u32,
  gradient_at: u32,
  gradient_net: u32,
  blocks: u32,
  adds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> gradient: array<vec4f>;

@compute @workgroup_size(64)
fn net_sum_partials(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  let nets = groups.y;
  for (var i = group.x * 64u + lane; i < params.length; i += groups.x * 64u) {
    let at = net * params.gradient_net + params.gradient_at + i;
    var sum = vec4f();
    if (params.adds == 1u) {
      sum = gradient[at];
    }
    for (var block = 0u; block < params.blocks; block++) {
      sum += partials[(block * nets + net) * params.length + i];
    }
    gradient[at] = sum;
  }
}
