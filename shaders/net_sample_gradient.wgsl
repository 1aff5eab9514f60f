// The gradient of what values are drawn from, and of `divergence` times how far that is from normal distributions: see net_sample.wgsl. With
// e what was drawn, v the variance and s' its derivative by the spread,
//
//   dmean = dy + divergence mean,  dspread = s' (dy e / (2 sqrt v) + divergence (1 - 1 / v) / 2)
//
// params           see shared/sampled.wgsl
// mean, spread     [y_rows, width4] quads
// seeds            [1] u32
// y_gradient       as mean
// mean_gradient, spread_gradient   as mean, written; 0 past the last column
//
// One net. Workgroups: x 64 quads. f64 twin: derivatives of CpaTwin.forward() in test/reference/cpa_model.ts.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<vec4f>;
@group(0) @binding(2) var<storage, read> spread: array<vec4f>;
@group(0) @binding(3) var<storage, read> seeds: array<u32>;
@group(0) @binding(4) var<storage, read> y_gradient: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> mean_gradient: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> spread_gradient: array<vec4f>;

@compute @workgroup_size(64)
fn net_sample_gradient(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let width4 = (params.width + 3u) / 4u;
  for (var at = group.x * 64u + lane; at < params.rows * width4; at += groups.x * 64u) {
    let variance = variance_of(spread[at]);
    var by_variance = params.divergence * 0.5 * (1.0 - 1.0 / variance);
    if (params.draw > 0u) {
      by_variance += y_gradient[at] * drawn(at) * (0.5 / sqrt(variance));
    }
    let by_spread = by_variance * slope_of(spread[at]);
    let columns = 4u * (at % width4) + vec4u(0u, 1u, 2u, 3u);
    let is_column = columns < vec4u(params.width);
    mean_gradient[at] = select(vec4f(), y_gradient[at] + params.divergence * mean[at], is_column);
    spread_gradient[at] = select(vec4f(), by_spread, is_column);
  }
}
