// The gradient of a group of parameters, times limit / (norm + 1e-6) where that is below 1, as torch's clip_grad_norm_ has it.
//
// params           see Params
// squares          [count] f32, of net_gradient_squares.wgsl: the norm is the root of their sum
// group_of         [length] u32: of every quad of parameters
// gradient         [length] quads, changed in place
//
// Every workgroup adds up the squares. Workgroups: x 64 quads. f64 twin: in
// test/cpa/model_test.ts.

override LANES: u32;

struct Params {
  length: u32,
  chosen: u32,
  count: u32,
  limit: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> squares: array<f32>;
@group(0) @binding(2) var<storage, read> group_of: array<u32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<vec4f>;

@compute @workgroup_size(64)
fn net_clip_gradient(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  var sum = 0.0;
  for (var i = lane; i < params.count; i += LANES) {
    sum += squares[i];
  }
  let scale = params.limit / (sqrt(run_sum(lane, sum)) + 1e-6);
  if (scale >= 1.0) {
    return;
  }
  for (var i = group.x * LANES + lane; i < params.length; i += groups.x * LANES) {
    if (group_of[i] == params.chosen) {
      gradient[i] *= scale;
    }
  }
}
