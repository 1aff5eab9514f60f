// Log-likelihood of numbers under Gaussians of variance e^u + 1e-4, element by element, with its derivatives.
// Natural logarithms.
//
// params            elements
// values, means     [elements] f32
// raw_variances     [elements] f32, u
// log_likelihood    [elements] f32, written
// by_mean           [elements] f32, written: derivative by the mean
// by_raw_variance   [elements] f32, written: derivative by u
//
// A thread an element. f64 twin: test/reference/gauss_likelihood.ts.

override WORKGROUP: u32;

struct Params {
  elements: u32,
}

const LEAST_VARIANCE: f32 = 1e-4;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> means: array<f32>;
@group(0) @binding(3) var<storage, read> raw_variances: array<f32>;
@group(0) @binding(4) var<storage, read_write> log_likelihood: array<f32>;
@group(0) @binding(5) var<storage, read_write> by_mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> by_raw_variance: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn gauss_likelihood(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let element = (group.y * groups.x + group.x) * WORKGROUP + lane;
  if (element >= params.elements) {
    return;
  }
  let own = exponential(raw_variances[element]);
  let variance = own + LEAST_VARIANCE;
  let difference = values[element] - means[element];
  let slope = difference / variance;
  // ln(2 pi) / 2
  log_likelihood[element] = -0.91893853 - 0.5 * (logarithm(variance) + difference * slope);
  by_mean[element] = slope;
  by_raw_variance[element] = 0.5 * (own / variance) * (difference * slope - 1.0);
}
