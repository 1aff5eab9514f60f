// ReLU of what a norm gives, and dropout, in place.
//
// params           see Params
// seeds            [nets] u32
// y                [nets, y_rows, width4] quads
//
// Dropout is drawn as in net_linear.wgsl, and undone as there by net_activation_gradient.wgsl. Workgroups: x 256 quads, y nets. f64
// twin: CpaTwin in test/reference/cpa_model.ts.

struct Params {
  rows: u32,
  width4: u32,
  y_rows: u32,
  // 0 none, 1 ReLU
  activation: u32,
  layer: u32,
  step: u32,
  threshold: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> seeds: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn net_activate(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  for (var i = group.x * 256u + lane; i < params.rows * params.width4; i += groups.x * 256u) {
    let at = net * params.y_rows * params.width4 + i;
    var value = y[at];
    if (params.activation == 1u) {
      value = max(value, vec4f());
    }
    if (params.threshold > 0u) {
      value *= kept(i, params.layer, params.step, seeds[net], params.threshold, params.scale);
    }
    y[at] = value;
  }
}
