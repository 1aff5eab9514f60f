// A linear layer of many nets: y = dropped(activation(x W^T + b)).
//
// params           see shared/linear_result.wgsl; strides and places in quads of f32, of which rows are made
// x                rows of quads, 0 past the last column
// parameters       [nets, parameters_net] quads: weights [outputs, inputs4] at weights_at, the bias at bias_at;
//                  where NORMED, gamma at norm_at and beta after it
// stats            [.., rows] vec2<f32>, mean and 1 / deviation of rows of x: read where NORMED
// seeds            [nets] u32
// y                [nets, y_rows, outputs4] quads, written
// z                the same before the activation, written where `keep` is 1
//
// NORMED takes (x - mean) / deviation * gamma + beta in place of x. A thread makes 8 rows x 8 outputs in
// registers (shared/outer_product.wgsl). Where there are few of them the inputs are cut into slices of `share` quads,
// whose plain sums go to z, [slices, nets, y_rows, outputs4], for net_linear_slices.wgsl. In one dispatch, sums through
// workgroup memory would take three times as long on software adapters. Workgroups: x 64 tiles, y nets, z slices. f64 twin: linear() in
// test/reference/net_layers.ts.

override NORMED: bool;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(3) var<storage, read> stats: array<vec2f>;
@group(0) @binding(4) var<storage, read> seeds: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> z: array<vec4f>;

fn store(group: vec3u, slices: u32, nets: u32, row: u32, quad: u32, sum: vec4f) {
  let outputs4 = (params.outputs + 3u) / 4u;
  if (row >= params.rows || quad >= outputs4) {
    return;
  }
  let place = row * outputs4 + quad;
  if (slices > 1u) {
    z[(group.z * nets + group.y) * params.y_rows * outputs4 + place] = sum;
  } else {
    finish(group.y, place, quad, sum);
  }
}

@compute @workgroup_size(64)
fn net_linear(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  let across = (params.outputs + 7u) / 8u;
  let tiles = (params.rows + 7u) / 8u * across;
  let first = min(group.z * params.share, params.inputs4);
  let end = min(first + params.share, params.inputs4);

  for (var tile = group.x * 64u + lane; tile < tiles; tile += groups.x * 64u) {
    let row = 8u * (tile / across);
    let column = 8u * (tile % across);
    // rows and outputs past the end load the last one, and are not stored
    let low = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u));
    let high = min(row + vec4u(4u, 5u, 6u, 7u), vec4u(params.rows - 1u));
    let rows_at = params.x_at + net * params.x_net;
    let low_at = rows_at + low * params.x_row;
    let high_at = rows_at + high * params.x_row;
    let own = net * params.parameters_net;
    let last_output = vec4u(params.outputs - 1u);
    let left = min(column + vec4u(0u, 1u, 2u, 3u), last_output);
    let right = min(column + vec4u(4u, 5u, 6u, 7u), last_output);
    let left_at = own + params.weights_at + left * params.inputs4;
    let right_at = own + params.weights_at + right * params.inputs4;
    let gamma_at = own + params.norm_at;

    var low_mean = vec4f();
    var low_scale = vec4f();
    var high_mean = vec4f();
    var high_scale = vec4f();
    if (NORMED) {
      let stats_at = net * params.stats_net;
      for (var i = 0u; i < 4u; i++) {
        let stat = stats[stats_at + low[i]];
        low_mean[i] = stat.x;
        low_scale[i] = stat.y;
        let other = stats[stats_at + high[i]];
        high_mean[i] = other.x;
        high_scale[i] = other.y;
      }
    }

    var sums = Tile();
    for (var k = first; k < end; k++) {
      var top = transpose(mat4x4f(
        x[low_at.x + k],
        x[low_at.y + k],
        x[low_at.z + k],
        x[low_at.w + k],
      ));
      var bottom = transpose(mat4x4f(
        x[high_at.x + k],
        x[high_at.y + k],
        x[high_at.z + k],
        x[high_at.w + k],
      ));
      if (NORMED) {
        let gamma = parameters[gamma_at + k];
        let beta = parameters[gamma_at + params.inputs4 + k];
        top = mat4x4f(
          (top[0] - low_mean) * low_scale * gamma.x + beta.x,
          (top[1] - low_mean) * low_scale * gamma.y + beta.y,
          (top[2] - low_mean) * low_scale * gamma.z + beta.z,
          (top[3] - low_mean) * low_scale * gamma.w + beta.w,
        );
        bottom = mat4x4f(
          (bottom[0] - high_mean) * high_scale * gamma.x + beta.x,
          (bottom[1] - high_mean) * high_scale * gamma.y + beta.y,
          (bottom[2] - high_mean) * high_scale * gamma.z + beta.z,
          (bottom[3] - high_mean) * high_scale * gamma.w + beta.w,
        );
      }
      let near = transpose(mat4x4f(
        parameters[left_at.x + k],
        parameters[left_at.y + k],
        parameters[left_at.z + k],
        parameters[left_at.w + k],
      ));
      let far = transpose(mat4x4f(
        parameters[right_at.x + k],
        parameters[right_at.y + k],
        parameters[right_at.z + k],
        parameters[right_at.w + k],
      ));
      add_outers(
        &sums,
        mat2x4f(top[0], bottom[0]),
        mat2x4f(near[0], far[0]),
        mat2x4f(top[1], bottom[1]),
        mat2x4f(near[1], far[1]),
      );
      add_outers(
        &sums,
        mat2x4f(top[2], bottom[2]),
        mat2x4f(near[2], far[2]),
        mat2x4f(top[3], bottom[3]),
        mat2x4f(near[3], far[3]),
      );
    }
    // a copy: what a loop takes by number is not held in registers
    var made = sums;
    for (var i = 0u; i < 8u; i++) {
      store(group, groups.z, groups.y, row + i, column / 4u, made[i][0]);
      store(group, groups.z, groups.y, row + i, column / 4u + 1u, made[i][1]);
    }
  }
}
