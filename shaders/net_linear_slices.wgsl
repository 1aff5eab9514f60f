// A linear layer of many nets whose inputs were cut into slices: adds their sums, one after the other, and finishes them.
//
// params           see shared/linear_result.wgsl
// sums             [slices, nets, y_rows, outputs4] quads, of net_linear.wgsl
// parameters, seeds, y, z   as in net_linear.wgsl
//
// Workgroups: x 64 quads, y nets. f64 twin: linear() in test/reference/net_layers.ts.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<vec4f>;
@group(0) @binding(2) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(3) var<storage, read> seeds: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> z: array<vec4f>;

@compute @workgroup_size(64)
fn net_linear_slices(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let outputs4 = (params.outputs + 3u) / 4u;
  let slices = (params.inputs4 + params.share - 1u) / params.share;
  for (var i = group.x * 64u + lane; i < params.rows * outputs4; i += groups.x * 64u) {
    var sum = vec4f();
    for (var slice = 0u; slice < slices; slice++) {
      sum += sums[(slice * groups.y + group.y) * params.y_rows * outputs4 + i];
    }
    finish(group.y, i, i % outputs4, sum);
  }
}
