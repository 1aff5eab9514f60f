// The mean of squared slopes, and what it is by them, in place: 2 * weight / elements * slope.
//
// params           see Params
// slopes           [nets, x_rows, width4] quads, 0 past the last column
// losses           [slots, nets, 2] f32, the second written at `slot`: the mean, without the weight
//
// A workgroup a net; sums of its threads are added pairwise. f64 twin: CpaTwin.adversary() in test/reference/cpa_model.ts.

override LANES: u32;

struct Params {
  rows: u32,
  width: u32,
  x_rows: u32,
  slot: u32,
  weight: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> slopes: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(64)
fn net_slope_penalty(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.x;
  let width4 = (params.width + 3u) / 4u;
  let at = net * params.x_rows * width4;
  let elements = f32(params.rows * params.width);
  var squares = 0.0;
  for (var i = lane; i < params.rows * width4; i += LANES) {
    let own = slopes[at + i];
    squares += dot(own, own);
    slopes[at + i] = own * (2.0 * params.weight / elements);
  }
  squares = run_sum(lane, squares);
  if (lane == 0u) {
    losses[2u * (params.slot * groups.x + net) + 1u] = squares / elements;
  }
}
