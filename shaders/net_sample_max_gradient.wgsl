// The gradient of largest values: dy where a row was chosen, 0 elsewhere.
//
// params           see Params
// starts           [tile samples + 1] u32, the row of the tile at which each sample begins
// chosen           [nets, y_samples, y_stride] u32, of net_sample_max.wgsl
// y_gradient       the same, f32
// x_gradient       [nets, x_rows, x_stride] f32, written; added to where `adds` is 1
//
// Workgroups: x 64 elements of x, y nets. f64 twin: sampleMaxGradient() in test/reference/net_layers.ts.

struct Params {
  first_row: u32,
  rows: u32,
  first_sample: u32,
  samples: u32,
  width: u32,
  bipolar: u32,
  x_stride: u32,
  x_rows: u32,
  y_stride: u32,
  y_samples: u32,
  adds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> chosen: array<u32>;
@group(0) @binding(3) var<storage, read> y_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> x_gradient: array<f32>;

@compute @workgroup_size(64)
fn net_sample_max_gradient(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  for (var i = group.x * 64u + lane; i < params.rows * params.width; i += groups.x * 64u) {
    let row = i / params.width;
    let column = i % params.width;
    let sample = sample_of(params.first_row + row, params.first_sample, params.samples);
    let at = (net * params.y_samples + sample) * params.y_stride + column;
    var value = 0.0;
    if (chosen[at] == row) {
      value = y_gradient[at];
    }
    if (params.bipolar == 1u && chosen[at + params.width] == row) {
      value -= y_gradient[at + params.width];
    }
    let out = (net * params.x_rows + row) * params.x_stride + column;
    if (params.adds == 1u) {
      value += x_gradient[out];
    }
    x_gradient[out] = value;
  }
}
