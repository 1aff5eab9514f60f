// The gradient of the scores of attention: weight / T times the sum over the head's columns of dy (value - y).
//
// params           see Params; places and strides of values in quads of f32
// starts           [tile samples + 1] u32, the row of the tile at which each sample begins
// weights          [nets, y_rows, stride] f32, of net_attend_weights.wgsl
// values           rows of quads, 0 past the last column
// y, y_gradient    [nets, y_samples, width4] quads
// scores_gradient  as weights, written; added to where `adds` is 1
//
// LANES threads share a row and head, a quad of columns each in turn, and add their sums pairwise. Workgroups: x 64 / LANES rows and heads, y nets. f64 twin:
// attendGradient() in test/reference/net_layers.ts.

override LANES: u32;

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
  values_at: u32,
  values_net: u32,
  values_row: u32,
  inverse_temperature: f32,
  adds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> values: array<vec4f>;
@group(0) @binding(4) var<storage, read> y: array<vec4f>;
@group(0) @binding(5) var<storage, read> y_gradient: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> scores_gradient: array<f32>;

@compute @workgroup_size(64)
fn net_attend_scores(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  let items = params.rows * params.heads;
  let together = 64u / LANES;
  for (var base = group.x * together; base < items; base += groups.x * together) {
    let item = min(base + lane / LANES, items - 1u);
    let row = item / params.heads;
    let head = item % params.heads;
    let at = (net * params.y_rows + row) * params.stride + head;
    let weight = weights[at];
    var sums = vec4f();
    if (weight > 0.0) {
      let sample = sample_of(params.first_row + row, params.first_sample, params.samples);
      // heads may begin and end within a quad
      let first = head * params.head_width;
      let end = first + params.head_width;
      let values_at = params.values_at + net * params.values_net + row * params.values_row;
      let y_at = (net * params.y_samples + sample) * params.width4;
      for (var quad = first / 4u + lane % LANES; 4u * quad < end; quad += LANES) {
        let columns = 4u * quad + vec4u(0u, 1u, 2u, 3u);
        let own = (columns >= vec4u(first)) & (columns < vec4u(end));
        let off = y_gradient[y_at + quad] * (values[values_at + quad] - y[y_at + quad]);
        sums += select(vec4f(), off, own);
      }
    }
    let sum = (sums.x + sums.y) + (sums.z + sums.w);
    var value = run_sum(lane, sum) * weight * params.inverse_temperature;
    if (lane % LANES == 0u && base + lane / LANES < items) {
      if (params.adds == 1u) {
        value += scores_gradient[at];
      }
      scores_gradient[at] = value;
    }
  }
}
