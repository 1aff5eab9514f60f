// From derivatives of log-likelihoods to those of a loss by what a decoder gives, in place: the loss is -scale times their sum. By
// the logits of a softmax over genes whose logarithms they are by, dL / dlogit = D - p sum of D.
//
// params           see Params
// log_likelihoods  [rows, stride] f32
// means            [rows, stride] f32 and
// libraries        [rows] f32: where SOFTMAX is 1, p = mean / library
// slopes           [rows, stride] f32: by the logarithm of means, or by means; then the gradient
// others           [rows, stride] f32: where OTHERS is 1, by another number; then the gradient
// losses           [tile rows] f32, written from first_row on: minus the sum over genes
//
// A workgroup a row, whose threads add their sums pairwise. f64 twin: test/reference/likelihood_gradient.ts.

override LANES: u32;
override SOFTMAX: u32;
override OTHERS: u32;

struct Params {
  rows: u32,
  genes: u32,
  first_row: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> log_likelihoods: array<f32>;
@group(0) @binding(2) var<storage, read> means: array<f32>;
@group(0) @binding(3) var<storage, read> libraries: array<f32>;
@group(0) @binding(4) var<storage, read_write> slopes: array<f32>;
@group(0) @binding(5) var<storage, read_write> others: array<f32>;
@group(0) @binding(6) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(64)
fn likelihood_gradient(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.y * groups.x + group.x;
  if (row >= params.rows) {
    return;
  }
  let stride = (params.genes + 3u) / 4u * 4u;
  let at = row * stride;
  var sum = 0.0;
  var slope = 0.0;
  for (var gene = lane; gene < params.genes; gene += LANES) {
    sum += log_likelihoods[at + gene];
    slope += slopes[at + gene];
  }
  sum = run_sum(lane, sum);
  slope = run_sum(lane, slope);
  if (lane == 0u) {
    losses[params.first_row + row] = -sum;
  }
  // a cell without counts has no shares
  let library = libraries[row];
  let inverse = select(0.0, 1.0 / library, SOFTMAX == 1u && library > 0.0);
  for (var gene = lane; gene < stride; gene += LANES) {
    let is_gene = gene < params.genes;
    let own = slopes[at + gene] - means[at + gene] * inverse * slope;
    slopes[at + gene] = select(0.0, -params.scale * own, is_gene);
    if (OTHERS == 1u) {
      others[at + gene] = select(0.0, -params.scale * others[at + gene], is_gene);
    }
  }
}
