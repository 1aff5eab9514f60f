// Mean and 1 / deviation of every row: sqrt(mean of squares from the mean + 1e-5).
//
// params           see Params; places and strides in quads of f32
// x                rows of quads, 0 past the last column
// stats            [nets, stat_rows] vec2<f32>, written
//
// LANES threads share a row, and add their sums pairwise. Workgroups: x 64 / LANES rows, y nets, or 1 where nets share x. f64 twin:
// layerNorm() in test/reference/net_layers.ts.

override LANES: u32;

struct Params {
  rows: u32,
  width: u32,
  x_at: u32,
  x_net: u32,
  x_row: u32,
  stat_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> stats: array<vec2f>;

@compute @workgroup_size(64)
fn net_row_stats(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  let quads = (params.width + 3u) / 4u;
  let together = 64u / LANES;
  for (var base = group.x * together; base < params.rows; base += groups.x * together) {
    let row = base + lane / LANES;
    let at = params.x_at + net * params.x_net + min(row, params.rows - 1u) * params.x_row;
    var sums = vec4f();
    for (var quad = lane % LANES; quad < quads; quad += LANES) {
      sums += x[at + quad];
    }
    let mean = run_sum(lane, (sums.x + sums.y) + (sums.z + sums.w)) / f32(params.width);
    sums = vec4f();
    for (var quad = lane % LANES; quad < quads; quad += LANES) {
      let columns = 4u * quad + vec4u(0u, 1u, 2u, 3u);
      let off = select(vec4f(), x[at + quad] - mean, columns < vec4u(params.width));
      sums += off * off;
    }
    let variance = run_sum(lane, (sums.x + sums.y) + (sums.z + sums.w)) / f32(params.width);
    if (lane % LANES == 0u && row < params.rows) {
      stats[net * params.stat_rows + row] = vec2f(mean, 1.0 / sqrt(variance + 1e-5));
    }
  }
}
