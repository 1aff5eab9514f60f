// Sums of squares of the gradient of a group of parameters, of one net.
//
// params           see Params
// gradient         [length] quads
// group_of         [length] u32: of every quad of parameters
// squares          f32, written: a sum a workgroup, from first on
//
// Threads of all workgroups take quads in turns; those of a workgroup are added pairwise. f64 twin: in
// test/cpa/model_test.ts.

override LANES: u32;

struct Params {
  length: u32,
  chosen: u32,
  first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> group_of: array<u32>;
@group(0) @binding(3) var<storage, read_write> squares: array<f32>;

@compute @workgroup_size(64)
fn net_gradient_squares(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  var sum = 0.0;
  for (var i = group.x * LANES + lane; i < params.length; i += groups.x * LANES) {
    if (group_of[i] == params.chosen) {
      sum += dot(gradient[i], gradient[i]);
    }
  }
  sum = run_sum(lane, sum);
  if (lane == 0u) {
    squares[params.first + group.x] = sum;
  }
}
