// Binary cross-entropy of logits, for many nets, and its gradient: the weighted mean over the batch of
// log(1 + exp(-z)) where the label is 1, log(1 + exp(z)) where it is 0.
//
// params           see Params; places and strides in elements
// logits           [nets, y_rows] quads, of which the first counts
// labels, weights  f32
// gradient         as logits, written: weight (sigmoid(z) - label) / sum of weights * scale, the other columns 0
// losses           [slots, nets, 3] f32, written at `slot`: sum of weighted losses, sum of weights, 0
// progress         [nets, 8] u32: the first two are those sums as f32 bits, begun anew or, where `adds` is 1, added to
//
// A workgroup a net; sums of its threads are added pairwise. f64 twin: crossEntropy() in
// test/reference/net_layers.ts.

override LANES: u32;

struct Params {
  rows: u32,
  y_rows: u32,
  labels_at: u32,
  labels_row: u32,
  labels_net: u32,
  weights_at: u32,
  weights_row: u32,
  weights_net: u32,
  slot: u32,
  adds: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<vec4f>;
@group(0) @binding(2) var<storage, read> labels: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> losses: array<f32>;
@group(0) @binding(6) var<storage, read_write> progress: array<u32>;

@compute @workgroup_size(64)
fn net_cross_entropy(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.x;
  let labels_at = params.labels_at + net * params.labels_net;
  let weights_at = params.weights_at + net * params.weights_net;
  var loss = 0.0;
  var weight = 0.0;
  for (var row = lane; row < params.rows; row += LANES) {
    let z = logits[net * params.y_rows + row].x;
    let label = labels[labels_at + row * params.labels_row];
    let own = weights[weights_at + row * params.weights_row];
    // both in full, where one of them is small
    let costs = softplus(vec4f(z, -z, 0.0, 0.0));
    loss += own * ((1.0 - label) * costs.x + label * costs.y);
    weight += own;
  }
  loss = run_sum(lane, loss);
  weight = run_sum(lane, weight);
  let share = select(0.0, params.scale / weight, weight > 0.0);
  for (var row = lane; row < params.rows; row += LANES) {
    let z = logits[net * params.y_rows + row].x;
    let label = labels[labels_at + row * params.labels_row];
    let own = weights[weights_at + row * params.weights_row];
    let chances = sigmoid(vec4f(z, -z, 0.0, 0.0));
    let slope = (1.0 - label) * chances.x - label * chances.y;
    gradient[net * params.y_rows + row] = vec4f(own * slope * share, 0.0, 0.0, 0.0);
  }
  if (lane == 0u) {
    let at = 3u * (params.slot * groups.x + net);
    losses[at] = loss;
    losses[at + 1u] = weight;
    losses[at + 2u] = 0.0;
    if (params.adds == 1u) {
      loss += bitcast<f32>(progress[8u * net]);
      weight += bitcast<f32>(progress[8u * net + 1u]);
    }
    progress[8u * net] = bitcast<u32>(loss);
    progress[8u * net + 1u] = bitcast<u32>(weight);
  }
}
