// Values drawn from normal distributions, y = mean + deviation * e, whose variance is softplus(spread) + 1e-4; and how far these are from
// normal distributions of mean 0 and variance 1: the sum over a row of (variance + mean^2 - 1 - ln variance) / 2.
//
// params           see shared/sampled.wgsl
// mean, spread, y  [y_rows, width4] quads, 0 past the last column; y is written
// seeds            [1] u32
// divergences      [tile rows] f32, written from first_row on
//
// One net. A workgroup a row, whose threads add their sums pairwise. f64 twin: CpaTwin.forward() in test/reference/cpa_model.ts.

override LANES: u32;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<vec4f>;
@group(0) @binding(2) var<storage, read> spread: array<vec4f>;
@group(0) @binding(3) var<storage, read> seeds: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> divergences: array<f32>;

@compute @workgroup_size(64)
fn net_sample(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let width4 = (params.width + 3u) / 4u;
  for (var row = group.x; row < params.rows; row += groups.x) {
    var sum = 0.0;
    for (var quad = lane; quad < width4; quad += LANES) {
      let at = row * width4 + quad;
      let own = mean[at];
      let variance = variance_of(spread[at]);
      var value = own;
      if (params.draw > 0u) {
        value += sqrt(variance) * drawn(at);
      }
      let columns = 4u * quad + vec4u(0u, 1u, 2u, 3u);
      let is_column = columns < vec4u(params.width);
      y[at] = select(vec4f(), value, is_column);
      let part = 0.5 * (variance + own * own - 1.0 - logarithms(variance));
      let counted = select(vec4f(), part, is_column);
      sum += (counted.x + counted.y) + (counted.z + counted.w);
    }
    sum = run_sum(lane, sum);
    if (lane == 0u) {
      divergences[params.first_row + row] = sum;
    }
  }
}
