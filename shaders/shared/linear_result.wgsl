// What becomes of the sums of a linear layer: bias, activation, dropout. Appended to net_linear.wgsl and
// net_linear_slices.wgsl, whose bindings it uses.

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
  // quads of inputs of a slice
  share: u32,
}

// Stores a quad of results, which is `place` quads from where the net's begin, and the quad of its row.
fn finish(net: u32, place: u32, quad: u32, sum: vec4f) {
  var value = sum;
  if (params.has_bias == 1u) {
    value += parameters[net * params.parameters_net + params.bias_at + quad];
  }
  let columns = 4u * quad + vec4u(0u, 1u, 2u, 3u);
  value = select(vec4f(), value, columns < vec4u(params.outputs));
  let at = net * params.y_rows * ((params.outputs + 3u) / 4u) + place;
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
