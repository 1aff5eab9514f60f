// Means and variances of values that come one draw after the other (Welford 1962): what they take does not grow with the draws.
//
// params           see Params
// values           [length] quads, of a draw
// means            [length] quads: of all draws so far
// variances        [length] quads: squares from their means so far; over draws - 1 after the last, 0 of a single one
//
// Workgroups: x 64 quads. f64 twin: in test/kernels/running_moments_test.ts.

struct Params {
  length: u32,
  // from 1, and how many there are
  draw: u32,
  draws: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> means: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> variances: array<vec4f>;

@compute @workgroup_size(64)
fn running_moments(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  for (var i = group.x * 64u + lane; i < params.length; i += groups.x * 64u) {
    var mean = vec4f();
    var squares = vec4f();
    if (params.draw > 1u) {
      mean = means[i];
      squares = variances[i];
    }
    let away = values[i] - mean;
    mean += away / f32(params.draw);
    squares += select(vec4f(), away * (values[i] - mean), vec4<bool>(params.draw > 1u));
    if (params.draw == params.draws && params.draws > 1u) {
      squares /= f32(params.draws - 1u);
    }
    means[i] = mean;
    variances[i] = squares;
  }
}
