// The gradient of the values of attention: weight dy.
//
// params           see Params; strides of values in quads of f32
// starts           [tile samples + 1] u32, the row of the tile at which each sample begins
// weights          [nets, y_rows, stride] f32, of net_attend_weights.wgsl
// y_gradient       [nets, y_samples, width4] quads
// values_gradient  [nets, y_rows, width4] quads, written; added to where `adds` is 1
//
// Workgroups: x 64 quads, y nets. f64 twin: attendGradient() in test/reference/net_layers.ts.

struct Params {
  first_row: u32,
  rows: u32,
  first_sample: u32,
  samples: u32,
  width4: u32,
  heads: u32,
  head_width: u32,
  stride: u32,
  y_rows: u32,
  y_samples: u32,
  adds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> y_gradient: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> values_gradient: array<vec4f>;

@compute @workgroup_size(64)
fn net_attend_values(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  for (var i = group.x * 64u + lane; i < params.rows * params.width4; i += groups.x * 64u) {
    let row = i / params.width4;
    let quad = i % params.width4;
    let sample = sample_of(params.first_row + row, params.first_sample, params.samples);
    let columns = 4u * quad + vec4u(0u, 1u, 2u, 3u);
    let heads = min(columns / params.head_width, vec4u(params.heads - 1u));
    let at = (net * params.y_rows + row) * params.stride + heads;
    let weight = vec4f(weights[at.x], weights[at.y], weights[at.z], weights[at.w]);
    // past the last column dy is 0
    var value = weight * y_gradient[(net * params.y_samples + sample) * params.width4 + quad];
    let out = net * params.y_rows * params.width4 + i;
    if (params.adds == 1u) {
      value += values_gradient[out];
    }
    values_gradient[out] = value;
  }
}
