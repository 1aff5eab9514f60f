// Columns of mean 0 and variance 1 over the rows of a batch, of many nets: y = (x - mean) / deviation * gamma + beta.
//
// params           see Params; places and strides in quads of f32
// x, y             [nets, x_rows, width4] quads, 0 past the last column
// parameters       [nets, parameters_net] quads: gamma at norm_at, beta, running mean and running variance after it. Where TRAIN
//                  is true statistics are those of the batch, and running ones move towards them by `momentum`: the variance as
//                  over rows - 1
// stats            [nets, 2, width4] quads, written: mean, and 1 / deviation, sqrt(mean of squares from the mean + epsilon)
//
// A workgroup a quad of columns, whose LANES threads share rows and add their sums pairwise. Workgroups: x quads, y nets. f64
// twin: CpaTwin in test/reference/cpa_model.ts.

override LANES: u32;

struct Params {
  rows: u32,
  width: u32,
  x_rows: u32,
  parameters_net: u32,
  norm_at: u32,
  trains: u32,
  epsilon: f32,
  momentum: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> stats: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(LANES)
fn net_batch_norm(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let columns = norm_columns(group);
  let width4 = columns.width4;
  let is_column = 4u * group.x + vec4u(0u, 1u, 2u, 3u) < vec4u(params.width);
  var mean = parameters[columns.gamma + 2u * width4];
  var variance = parameters[columns.gamma + 3u * width4];
  if (params.trains == 1u) {
    var sum = vec4f();
    for (var row = lane; row < params.rows; row += LANES) {
      sum += x[columns.first_row + row * width4];
    }
    let own_mean = column_sum(lane, sum) / f32(params.rows);
    sum = vec4f();
    for (var row = lane; row < params.rows; row += LANES) {
      let off = x[columns.first_row + row * width4] - own_mean;
      sum += off * off;
    }
    let squares = column_sum(lane, sum);
    // every thread has read what was there
    workgroupBarrier();
    if (lane == 0u) {
      let unbiased = squares / f32(params.rows - 1u);
      let moved = mean + params.momentum * (own_mean - mean);
      let moved_variance = variance + params.momentum * (unbiased - variance);
      parameters[columns.gamma + 2u * width4] = select(vec4f(), moved, is_column);
      parameters[columns.gamma + 3u * width4] = select(vec4f(), moved_variance, is_column);
    }
    mean = own_mean;
    variance = squares / f32(params.rows);
  }
  let inverse = 1.0 / sqrt(variance + params.epsilon);
  if (lane == 0u) {
    stats[columns.mean] = mean;
    stats[columns.inverse] = inverse;
  }
  let gamma = parameters[columns.gamma];
  let beta = parameters[columns.gamma + width4];
  for (var row = lane; row < params.rows; row += LANES) {
    let own = columns.first_row + row * width4;
    // past the last column gamma and beta are 0
    y[own] = (x[own] - mean) * inverse * gamma + beta;
  }
}
