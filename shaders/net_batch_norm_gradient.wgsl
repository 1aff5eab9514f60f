// The gradient of what a batch norm takes, of many nets. With x^ the normalised column,
//
//   dx = gamma / deviation * (dy - mean of dy - x^ mean of dy x^)
//
// which is also how a change of x changes y: the same numbers, with dy for the change. In inference statistics do not depend on
// the batch, and dx = gamma / deviation * dy.
//
// params           see Params; places and strides in quads of f32
// x, y_gradient    [nets, x_rows, width4] quads
// stats            [nets, 2, width4] quads, of net_batch_norm.wgsl
// parameters       [nets, parameters_net] quads: gamma at norm_at
// x_gradient       as x, written; added to where `adds` is 1
// gradient         [nets, parameters_net] quads: where `learns` is 1 the sums of dy x^ and of dy go to norm_at and after it, added
//                  to what is there where `learns` is 2
//
// A workgroup a quad of columns, whose LANES threads share rows. Workgroups: x quads, y nets. f64 twin: CpaTwin in
// test/reference/cpa_model.ts.

override LANES: u32;

struct Params {
  rows: u32,
  width: u32,
  x_rows: u32,
  parameters_net: u32,
  norm_at: u32,
  trains: u32,
  adds: u32,
  learns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> y_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read> stats: array<vec4f>;
@group(0) @binding(4) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> x_gradient: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> gradient: array<vec4f>;

@compute @workgroup_size(LANES)
fn net_batch_norm_gradient(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let columns = norm_columns(group);
  let width4 = columns.width4;
  let mean = stats[columns.mean];
  let inverse = stats[columns.inverse];
  var plain = vec4f();
  var along = vec4f();
  for (var row = lane; row < params.rows; row += LANES) {
    let own = columns.first_row + row * width4;
    let slope = y_gradient[own];
    plain += slope;
    along += slope * ((x[own] - mean) * inverse);
  }
  plain = column_sum(lane, plain);
  along = column_sum(lane, along);
  if (params.learns > 0u && lane == 0u) {
    var by_gamma = along;
    var by_beta = plain;
    if (params.learns == 2u) {
      by_gamma += gradient[columns.gamma];
      by_beta += gradient[columns.gamma + width4];
    }
    gradient[columns.gamma] = by_gamma;
    gradient[columns.gamma + width4] = by_beta;
  }
  let share = select(0.0, 1.0 / f32(params.rows), params.trains == 1u);
  let scale = parameters[columns.gamma] * inverse;
  for (var row = lane; row < params.rows; row += LANES) {
    let own = columns.first_row + row * width4;
    let normed = (x[own] - mean) * inverse;
    var value = scale * (y_gradient[own] - share * plain - normed * (share * along));
    if (params.adds == 1u) {
      value += x_gradient[own];
    }
    x_gradient[own] = value;
  }
}
