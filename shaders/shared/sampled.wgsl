// What values are drawn from. Appended to net_sample.wgsl and net_sample_gradient.wgsl, whose bindings it uses, with exponential.wgsl,
// logarithm.wgsl, normal.wgsl and philox.wgsl.

struct Params {
  rows: u32,
  width: u32,
  first_row: u32,
  layer: u32,
  // which draw, and of which turn; of draw 0 values are their means
  draw: u32,
  drawn_for: u32,
  divergence: f32,
}

fn variance_of(spread: vec4f) -> vec4f {
  return vec4f(softplus(spread.x), softplus(spread.y), softplus(spread.z), softplus(spread.w)) +
    1e-4;
}

// The derivative of the variance.
fn slope_of(spread: vec4f) -> vec4f {
  return vec4f(sigmoid(spread.x), sigmoid(spread.y), sigmoid(spread.z), sigmoid(spread.w));
}

fn logarithms(x: vec4f) -> vec4f {
  return vec4f(logarithm(x.x), logarithm(x.y), logarithm(x.z), logarithm(x.w));
}

// What is drawn for a quad of the batch.
fn drawn(quad: u32) -> vec4f {
  return normal_quad(quad, params.layer, params.draw, params.drawn_for, seeds[0]);
}
