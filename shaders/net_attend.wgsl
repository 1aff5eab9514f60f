// What attention gives for every sample: sums of values over its rows, each run of head_width columns times the weights of
// its head.
//
// params           see Params; places and strides of values in quads of f32
// starts           [tile samples + 1] u32, the row of the tile at which each sample begins
// weights          [nets, y_rows, stride] f32, of net_attend_weights.wgsl
// values           rows of quads, 0 past the last column
// y                [nets, y_samples, width4] quads, written
//
// A thread makes a quad of columns, adding rows one after the other. Workgroups: x 64 quads, y samples, z nets.
// f64 twin: attend() in test/reference/net_layers.ts.

struct Params {
  first_row: u32,
  first_sample: u32,
  width4: u32,
  heads: u32,
  head_width: u32,
  stride: u32,
  y_rows: u32,
  y_samples: u32,
  values_at: u32,
  values_net: u32,
  values_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> values: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn net_attend(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let quad = group.x * 64u + lane;
  if (quad >= params.width4) {
    return;
  }
  let start = starts[params.first_sample + group.y] - params.first_row;
  let end = starts[params.first_sample + group.y + 1u] - params.first_row;
  let columns = 4u * quad + vec4u(0u, 1u, 2u, 3u);
  let heads = min(columns / params.head_width, vec4u(params.heads - 1u));
  let values_at = params.values_at + group.z * params.values_net + quad;
  var sum = vec4f();
  for (var row = start; row < end; row++) {
    let at = (group.z * params.y_rows + row) * params.stride + heads;
    let weight = vec4f(weights[at.x], weights[at.y], weights[at.z], weights[at.w]);
    // rows that do not count are not read
    if (any(weight > vec4f())) {
      sum += weight * values[values_at + row * params.values_row];
    }
  }
  y[(group.z * params.y_samples + group.y) * params.width4 + quad] = sum;
}
