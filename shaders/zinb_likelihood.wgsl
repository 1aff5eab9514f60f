// Log-likelihood of counts under negative binomials with extra zeros, element by element, with its derivatives.
// A count is 0 with probability 1 / (1 + e^-logit), else it comes from the negative binomial. Natural logarithms.
//
// params            elements: cells * genes; genes
// counts            [cells, genes] f32 from 0, mixtures of counts too; up to 1e-8 it is 0
// means             [cells, genes] f32 from 0, of the negative binomial
// log_dispersions   [genes] f32, r = ln theta
// zero_logits       [cells, genes] f32
// log_likelihood    [cells, genes] f32, written
// by_log_mean, by_log_dispersion, by_zero_logit   [cells, genes] f32, written: its derivatives
//
// A thread an element. f64 twin: test/reference/zinb_likelihood.ts.

override WORKGROUP: u32;

struct Params {
  elements: u32,
  genes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> counts: array<f32>;
@group(0) @binding(2) var<storage, read> means: array<f32>;
@group(0) @binding(3) var<storage, read> log_dispersions: array<f32>;
@group(0) @binding(4) var<storage, read> zero_logits: array<f32>;
@group(0) @binding(5) var<storage, read_write> log_likelihood: array<f32>;
@group(0) @binding(6) var<storage, read_write> by_log_mean: array<f32>;
@group(0) @binding(7) var<storage, read_write> by_log_dispersion: array<f32>;
@group(0) @binding(8) var<storage, read_write> by_zero_logit: array<f32>;

// ln(s(l) + (1 - s(l)) e^n) for n up to 0
fn log_zero(logit: f32, nb_zero: f32) -> f32 {
  let change = sigmoid(-logit) * exponential_minus_one(nb_zero);
  if (change > -0.25) {
    return logarithm_of_one_plus(change);
  }
  let extra = -softplus(-logit);
  let own = nb_zero - softplus(logit);
  return max(extra, own) + logarithm_of_one_plus(exponential(-abs(extra - own)));
}

@compute @workgroup_size(WORKGROUP)
fn zinb_likelihood(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let element = (group.y * groups.x + group.x) * WORKGROUP + lane;
  if (element >= params.elements) {
    return;
  }
  let count = counts[element];
  let logit = zero_logits[element];
  let terms = negative_binomial(count, means[element], log_dispersions[element % params.genes]);
  var own = 1.0;
  var by_logit = -sigmoid(logit);
  var result = terms.log_likelihood - softplus(logit);
  if (count <= NB_EPSILON) {
    let nb_zero = terms.log_likelihood;
    // how likely a zero is one of the negative binomial
    own = sigmoid(nb_zero - logit);
    by_logit = -sigmoid(-logit) * sigmoid(logit - nb_zero) * exponential_minus_one(nb_zero);
    result = log_zero(logit, nb_zero);
  }
  log_likelihood[element] = result;
  by_log_mean[element] = own * terms.by_log_mean;
  by_log_dispersion[element] = own * terms.by_log_dispersion;
  by_zero_logit[element] = by_logit;
}
