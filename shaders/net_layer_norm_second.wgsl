// The gradient of what a plain layer norm takes, where the loss also has the slopes of what it gives: the slopes u of a sum by y are
// passed on through a row's own mean and deviation, so that they move with x. For a change t of x, whose change of that sum is
// what the loss has,
//
//   x^'  = (t - mean of t - x^ c) / deviation,  c = mean of t x^,  d = mean of u x^
//   G    = dy - (c u + d t) / deviation
//   dx   = (G - mean of G - x^ mean of G x^ - x^ mean of u x^') / deviation
//
// params           see Params
// x, y_gradient    [nets, x_rows, width4] quads: dy of the loss without slopes
// y_slope          as x: u, after what follows the norm
// change           as x: t
// stats            [nets, x_rows] vec2<f32>, of net_row_stats.wgsl
// x_gradient       as x, written: 0 past the last column
//
// LANES threads share a row, and add their sums pairwise. Workgroups: x 64 / LANES rows, y nets. f64 twin: the derivative of a
// derivative, test/reference/differentiate.ts.

override LANES: u32;

struct Params {
  rows: u32,
  width: u32,
  x_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> y_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read> y_slope: array<vec4f>;
@group(0) @binding(4) var<storage, read> change: array<vec4f>;
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> x_gradient: array<vec4f>;

fn row_mean(lane: u32, sums: vec4f) -> f32 {
  return run_sum(lane, (sums.x + sums.y) + (sums.z + sums.w)) / f32(params.width);
}

fn inside(quad: u32, value: vec4f) -> vec4f {
  return select(vec4f(), value, 4u * quad + vec4u(0u, 1u, 2u, 3u) < vec4u(params.width));
}

@compute @workgroup_size(64)
fn net_layer_norm_second(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let quads = (params.width + 3u) / 4u;
  let together = 64u / LANES;
  for (var base = group.x * together; base < params.rows; base += groups.x * together) {
    let row = base + lane / LANES;
    let source = group.y * params.x_rows + min(row, params.rows - 1u);
    let stat = stats[source];
    var changes = vec4f();
    var changes_along = vec4f();
    var slopes_along = vec4f();
    for (var quad = lane % LANES; quad < quads; quad += LANES) {
      let at = source * quads + quad;
      let normed = inside(quad, (x[at] - stat.x) * stat.y);
      changes += inside(quad, change[at]);
      changes_along += change[at] * normed;
      slopes_along += y_slope[at] * normed;
    }
    let change_mean = row_mean(lane, changes);
    let c = row_mean(lane, changes_along);
    let d = row_mean(lane, slopes_along);

    var plain = vec4f();
    var along = vec4f();
    for (var quad = lane % LANES; quad < quads; quad += LANES) {
      let at = source * quads + quad;
      let normed = inside(quad, (x[at] - stat.x) * stat.y);
      let moved = (change[at] - change_mean - normed * c) * stat.y;
      let whole = inside(quad, y_gradient[at] - (c * y_slope[at] + d * change[at]) * stat.y);
      plain += whole;
      along += whole * normed + inside(quad, y_slope[at] * moved);
    }
    let mean = row_mean(lane, plain);
    let slope = row_mean(lane, along);
    // nobody leaves before the barriers of the next rows
    let end = select(quads, 0u, row >= params.rows);
    for (var quad = lane % LANES; quad < end; quad += LANES) {
      let at = source * quads + quad;
      let normed = (x[at] - stat.x) * stat.y;
      let whole = y_gradient[at] - (c * y_slope[at] + d * change[at]) * stat.y;
      x_gradient[at] = inside(quad, (whole - mean - normed * slope) * stat.y);
    }
  }
}
