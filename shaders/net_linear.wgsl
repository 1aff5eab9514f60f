// A linear layer of many nets: y = dropped(activation(x W^T + b)).
//
// params           see Params; strides and places in quads of f32, of which rows are made
// x                rows of quads, 0 past the last column
// parameters       [nets, parameters_net] quads: weights [outputs, inputs4] at weights_at, the bias at bias_at;
//                  where NORMED, gamma at norm_at and beta after it
// stats            [.., rows] vec2<f32>, mean and 1 / deviation of rows of x: read where NORMED
// seeds            [nets] u32
// y                [nets, y_rows, outputs4] quads, written
// z                the same before the activation, written where `keep` is 1
//
// NORMED takes (x - mean) / deviation * gamma + beta in place of x. A thread makes 8 rows x 8 outputs in
// registers (shared/outer_product.wgsl). Where there are few of them, SLICES threads share the inputs, and their
// sums are added pairwise in a fixed order. Workgroups: x 64 / SLICES tiles, y nets. f64 twin: linear() in
// test/reference/net_layers.ts.

override NORMED: bool;
override SLICES: u32;

struct Params {
  rows: u32,
  inputs4: u32,
  outputs: u32,
  // 0 none, 1 ReLU, 2 GELU
  activation: u32,
  x_at: u32,
  x_net: u32,
  x_row: u32,
  y_rows: u32,
  parameters_net: u32,
  weights_at: u32,
  has_bias: u32,
  bias_at: u32,
  norm_at: u32,
  stats_net: u32,
  keep: u32,
  layer: u32,
  step: u32,
  // of 2^32, dropped; and what the others are multiplied by
  threshold: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(3) var<storage, read> stats: array<vec2f>;
@group(0) @binding(4) var<storage, read> seeds: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> z: array<vec4f>;

// tiles of half of the threads: 8 KiB
var<workgroup> others: array<mat2x4f, 256>;

fn store(net: u32, row: u32, quad: u32, sum: vec4f) {
  let outputs4 = (params.outputs + 3u) / 4u;
  if (row >= params.rows || quad >= outputs4) {
    return;
  }
  var value = sum;
  if (params.has_bias == 1u) {
    value += parameters[net * params.parameters_net + params.bias_at + quad];
  }
  let columns = 4u * quad + vec4u(0u, 1u, 2u, 3u);
  value = select(vec4f(), value, columns < vec4u(params.outputs));
  let place = row * outputs4 + quad;
  let at = net * params.y_rows * outputs4 + place;
  if (params.keep == 1u) {
    z[at] = value;
  }
  if (params.activation == 1u) {
    value = max(value, vec4f());
  } else if (params.activation == 2u) {
    value = gelu(value);
  }
  if (params.threshold > 0u) {
    value *= kept(place, params.layer, params.step, seeds[net], params.threshold, params.scale);
  }
  y[at] = value;
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
  let threads = 64u / SLICES;
  let slice = lane / threads;
  // slices of whole quads, the last ones may be empty
  let share = (params.inputs4 + SLICES - 1u) / SLICES;
  let first = min(slice * share, params.inputs4);
  let end = min(first + share, params.inputs4);

  for (var base = group.x * threads; base < tiles; base += groups.x * threads) {
    let tile = base + lane % threads;
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
    if (SLICES > 1u) {
      for (var half = SLICES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (slice >= half && slice < 2u * half) {
          let at = 8u * (lane - half * threads);
          others[at] = sums[0];
          others[at + 1u] = sums[1];
          others[at + 2u] = sums[2];
          others[at + 3u] = sums[3];
          others[at + 4u] = sums[4];
          others[at + 5u] = sums[5];
          others[at + 6u] = sums[6];
          others[at + 7u] = sums[7];
        }
        workgroupBarrier();
        if (slice < half) {
          let at = 8u * lane;
          sums[0] += others[at];
          sums[1] += others[at + 1u];
          sums[2] += others[at + 2u];
          sums[3] += others[at + 3u];
          sums[4] += others[at + 4u];
          sums[5] += others[at + 5u];
          sums[6] += others[at + 6u];
          sums[7] += others[at + 7u];
        }
      }
    }
    if (slice == 0u && tile < tiles) {
      // a copy: what a loop takes by number is not held in registers
      var made = sums;
      for (var i = 0u; i < 8u; i++) {
        store(net, row + i, column / 4u, made[i][0]);
        store(net, row + i, column / 4u + 1u, made[i][1]);
      }
    }
  }
}
