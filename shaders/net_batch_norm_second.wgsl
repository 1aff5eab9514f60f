// The gradient of what a batch norm takes, and of gamma and beta, where the loss also has the slopes of what it gives: the slopes
// u of a sum by y are passed on through the batch's own statistics, so that they move with x. For a change t of x, whose
// change of that sum is what the loss has,
//
//   x^'  = (t - mean of t - x^ c) / deviation,  c = mean of t x^,  d = mean of q x^,  q = gamma u
//   G    = gamma dy - (c q + d t) / deviation
//   dx   = (G - mean of G - x^ mean of G x^ - x^ mean of q x^') / deviation
//   dgamma = sum of dy x^ + u x^',  dbeta = sum of dy
//
// params           see Params; places and strides in quads of f32
// x, y_gradient    [nets, x_rows, width4] quads: dy of the loss without slopes
// y_slope          as x: u, after what follows the norm
// change           as x: t
// stats            [nets, 2, width4] quads, of net_batch_norm.wgsl
// parameters       [nets, parameters_net] quads: gamma at norm_at
// x_gradient       as x, written
// gradient         [nets, parameters_net] quads: dgamma at norm_at and dbeta after it, written; added to where `adds` is 1
//
// A workgroup a quad of columns, whose LANES threads share rows. Workgroups: x quads, y nets. f64 twin: the derivative of a
// derivative, test/reference/differentiate.ts.

override LANES: u32;

struct Params {
  rows: u32,
  width: u32,
  x_rows: u32,
  parameters_net: u32,
  norm_at: u32,
  adds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> y_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read> y_slope: array<vec4f>;
@group(0) @binding(4) var<storage, read> change: array<vec4f>;
@group(0) @binding(5) var<storage, read> stats: array<vec4f>;
@group(0) @binding(6) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> x_gradient: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> gradient: array<vec4f>;

@compute @workgroup_size(LANES)
fn net_batch_norm_second(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let columns = norm_columns(group);
  let width4 = columns.width4;
  let mean = stats[columns.mean];
  let inverse = stats[columns.inverse];
  let gamma = parameters[columns.gamma];
  let share = 1.0 / f32(params.rows);

  var changes = vec4f();
  var changes_along = vec4f();
  var slopes_along = vec4f();
  for (var row = lane; row < params.rows; row += LANES) {
    let own = columns.first_row + row * width4;
    let normed = (x[own] - mean) * inverse;
    changes += change[own];
    changes_along += change[own] * normed;
    slopes_along += y_slope[own] * normed;
  }
  let change_mean = share * column_sum(lane, changes);
  let c = share * column_sum(lane, changes_along);
  let d = gamma * (share * column_sum(lane, slopes_along));

  var plain = vec4f();
  var along = vec4f();
  var turned = vec4f();
  var by_gamma = vec4f();
  var by_beta = vec4f();
  for (var row = lane; row < params.rows; row += LANES) {
    let own = columns.first_row + row * width4;
    let normed = (x[own] - mean) * inverse;
    let moved = (change[own] - change_mean - normed * c) * inverse;
    let q = gamma * y_slope[own];
    let whole = gamma * y_gradient[own] - (c * q + d * change[own]) * inverse;
    plain += whole;
    along += whole * normed;
    turned += q * moved;
    by_gamma += y_gradient[own] * normed + y_slope[own] * moved;
    by_beta += y_gradient[own];
  }
  plain = share * column_sum(lane, plain);
  along = share * (column_sum(lane, along) + column_sum(lane, turned));
  by_gamma = column_sum(lane, by_gamma);
  by_beta = column_sum(lane, by_beta);
  if (lane == 0u) {
    if (params.adds == 1u) {
      by_gamma += gradient[columns.gamma];
      by_beta += gradient[columns.gamma + width4];
    }
    gradient[columns.gamma] = by_gamma;
    gradient[columns.gamma + width4] = by_beta;
  }
  for (var row = lane; row < params.rows; row += LANES) {
    let own = columns.first_row + row * width4;
    let normed = (x[own] - mean) * inverse;
    let q = gamma * y_slope[own];
    let whole = gamma * y_gradient[own] - (c * q + d * change[own]) * inverse;
    x_gradient[own] = (whole - plain - normed * along) * inverse;
  }
}
