// Log-likelihood of counts under negative binomials, element by element, with its derivatives. Natural
// logarithms.
//
// params            elements: cells * genes; genes
// counts            [cells, genes] f32 from 0, mixtures of counts too
// means             [cells, genes] f32 from 0
// log_dispersions   [genes] f32, r = ln theta
// log_likelihood    [cells, genes] f32, written
// by_log_mean       [cells, genes] f32, written: derivative by ln mean
// by_log_dispersion [cells, genes] f32, written: derivative by r, to be added up over cells
//
// A thread an element. f64 twin: test/reference/nb_likelihood.ts.

override WORKGROUP: u32;

struct Params {
  elements: u32,
  genes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> counts: array<f32>;
@group(0) @binding(2) var<storage, read> means: array<f32>;
@group(0) @binding(3) var<storage, read> log_dispersions: array<f32>;
@group(0) @binding(4) var<storage, read_write> log_likelihood: array<f32>;
@group(0) @binding(5) var<storage, read_write> by_log_mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> by_log_dispersion: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn nb_likelihood(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let element = (group.y * groups.x + group.x) * WORKGROUP + lane;
  if (element >= params.elements) {
    return;
  }
  let dispersion = log_dispersions[element % params.genes];
  let terms = negative_binomial(counts[element], means[element], dispersion);
  log_likelihood[element] = terms.log_likelihood;
  by_log_mean[element] = terms.by_log_mean;
  by_log_dispersion[element] = terms.by_log_dispersion;
}
