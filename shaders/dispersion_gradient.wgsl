// The gradient of a loss by parameters that all rows share: -scale times the sum over rows of derivatives of log-likelihoods, one row
// after the other.
//
// params     see Params
// slopes     [rows, width4] quads
// gradient   quads: the first width4 are written; added to where `adds` is 1
//
// Workgroups: x 64 quads. f64 twin: CpaTwin.forward() in test/reference/cpa_model.ts.

struct Params {
  rows: u32,
  width4: u32,
  scale: f32,
  adds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> slopes: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> gradient: array<vec4f>;

@compute @workgroup_size(64)
fn dispersion_gradient(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let quad = group.x * 64u + lane;
  if (quad >= params.width4) {
    return;
  }
  var sum = vec4f();
  for (var row = 0u; row < params.rows; row++) {
    sum += slopes[row * params.width4 + quad];
  }
  var value = -params.scale * sum;
  if (params.adds == 1u) {
    value += gradient[quad];
  }
  gradient[quad] = value;
}
