// The gradient of a linear layer's weights and bias, of many nets: dy^T x and the sums of dy, over rows that are
// cut into blocks.
//
// params           see Params; strides and places in quads of f32
// x                rows of quads, as in net_linear.wgsl; where NORMED, (x - mean) / deviation is taken
// stats            [.., rows] vec2<f32>, mean and 1 / deviation of rows of x: read where NORMED
// y_gradient       [nets, y_rows, outputs4] quads: before the activation; 0 past the last output
// partials         quads: [outputs, inputs4] then, where there is a bias, [outputs4], at
//                  partials_at + block * partials_block + net * partials_net; written, or added to where `adds` is 1
//
// A thread makes 8 outputs x 8 inputs in registers (shared/outer_product.wgsl), adding rows one after the other. A block has
// block_rows rows of the batch, the last one fewer. Workgroups: x 64 tiles, y nets, z blocks. f64 twin:
// linearGradient() in test/reference/net_layers.ts.

override NORMED: bool;

struct Params {
  rows: u32,
  inputs4: u32,
  outputs: u32,
  adds: u32,
  x_at: u32,
  x_net: u32,
  x_row: u32,
  y_rows: u32,
  stats_net: u32,
  // 0 none, 1 sums, 2 zeros, where sums are known to be 0
  bias: u32,
  block_rows: u32,
  partials_at: u32,
  partials_block: u32,
  partials_net: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> stats: array<vec2f>;
@group(0) @binding(3) var<storage, read> y_gradient: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec4f>;

fn store(at: u32, sum: vec4f) {
  var value = sum;
  if (params.adds == 1u) {
    value += partials[at];
  }
  partials[at] = value;
}

fn inputs(at: u32, quads: vec2u, stat_at: u32) -> mat2x4f {
  let own = mat2x4f(x[at + quads.x], x[at + quads.y]);
  if (NORMED) {
    let stat = stats[stat_at];
    return mat2x4f((own[0] - stat.x) * stat.y, (own[1] - stat.x) * stat.y);
  }
  return own;
}

fn outputs(at: u32, quads: vec2u) -> mat2x4f {
  return mat2x4f(y_gradient[at + quads.x], y_gradient[at + quads.y]);
}

@compute @workgroup_size(64)
fn net_linear_weights(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  let outputs4 = (params.outputs + 3u) / 4u;
  let across = (params.inputs4 + 1u) / 2u;
  let down_tiles = (params.outputs + 7u) / 8u;
  let tiles = down_tiles * across;
  // the longer side is gone along once, while the shorter one stays in caches
  let is_wide = across > down_tiles;
  let first = min(group.z * params.block_rows, params.rows);
  let end = min(first + params.block_rows, params.rows);
  let partials_at = params.partials_at + group.z * params.partials_block + net * params.partials_net;
  for (var tile = group.x * 64u + lane; tile < tiles; tile += groups.x * 64u) {
    let output4 = 2u * select(tile / across, tile % down_tiles, is_wide);
    let input4 = 2u * select(tile % across, tile / down_tiles, is_wide);
    let down = vec2u(output4, min(output4 + 1u, outputs4 - 1u));
    let along = vec2u(input4, min(input4 + 1u, params.inputs4 - 1u));
    let x_at = params.x_at + net * params.x_net;
    let y_at = net * params.y_rows * outputs4;
    let stats_at = net * params.stats_net;
    var sums = Tile();
    var bias = mat2x4f();
    for (var row = first + 1u; row < end; row += 2u) {
      let gradient = outputs(y_at + (row - 1u) * outputs4, down);
      let next = outputs(y_at + row * outputs4, down);
      let own = inputs(x_at + (row - 1u) * params.x_row, along, stats_at + row - 1u);
      let next_own = inputs(x_at + row * params.x_row, along, stats_at + row);
      add_outers(&sums, gradient, own, next, next_own);
      bias = bias + gradient + next;
    }
    if ((end - first) % 2u == 1u) {
      let gradient = outputs(y_at + (end - 1u) * outputs4, down);
      let own = inputs(x_at + (end - 1u) * params.x_row, along, stats_at + end - 1u);
      add_outer(&sums, gradient, own);
      bias += gradient;
    }
    // a copy: what a loop takes by number is not held in registers
    var made = sums;
    for (var i = 0u; i < 8u; i++) {
      let output = 4u * output4 + i;
      if (output < params.outputs) {
        let at = partials_at + output * params.inputs4 + input4;
        store(at, made[i][0]);
        if (input4 + 1u < params.inputs4) {
          store(at + 1u, made[i][1]);
        }
      }
    }
    if (params.bias > 0u && input4 == 0u) {
      if (params.bias == 2u) {
        bias = mat2x4f();
      }
      let at = partials_at + params.outputs * params.inputs4 + output4;
      store(at, bias[0]);
      if (output4 + 1u < outputs4) {
        store(at + 1u, bias[1]);
      }
    }
  }
}
