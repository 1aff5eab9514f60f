// Cross-entropy of logits over classes, of many nets, and its gradient. Rows may be mixed in pairs: the loss is
//
//   own * L(classes) + other * L(other classes),  L = sum of w -ln p / sum of w,  w the weight of a row's class, p its softmax
//
// or, where FOCAL is true, L = sum of w (1 - p)^2 -ln p / rows (Lin et al. 2017).
//
// params           see Params; strides in elements of f32
// logits           [nets, y_rows, row_stride] f32
// classes          [tile rows, 2] u32: of each row, and of the row it is mixed with, from first_row on
// class_weights    [classes] f32
// gradient         as logits, written, times `scale`; 0 past the last class
// losses           [slots, nets, 2] f32, the first written at `slot`: the loss
//
// A workgroup a net, a thread a row; sums of threads are added pairwise. f64 twin: CpaTwin.adversary() in
// test/reference/cpa_model.ts.

override LANES: u32;
override FOCAL: bool;

struct Params {
  rows: u32,
  y_rows: u32,
  classes: u32,
  row_stride: u32,
  first_row: u32,
  slot: u32,
  own: f32,
  other: f32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> classes: array<vec2u>;
@group(0) @binding(3) var<storage, read> class_weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> losses: array<f32>;

// What is lost with -ln p, and what that makes of the derivatives of -ln p.
fn focus(lost: f32) -> vec2f {
  if (!FOCAL) {
    return vec2f(lost, 1.0);
  }
  let rest = -exponential_minus_one(-lost);
  return vec2f(rest * rest * lost, rest * rest + 2.0 * rest * (1.0 - rest) * lost);
}

@compute @workgroup_size(64)
fn net_class_entropy(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.x;
  let first = net * params.y_rows;
  var weight = 0.0;
  var other_weight = 0.0;
  for (var row = lane; row < params.rows; row += LANES) {
    let chosen = classes[params.first_row + row];
    weight += class_weights[chosen.x];
    other_weight += class_weights[chosen.y];
  }
  weight = run_sum(lane, weight);
  other_weight = run_sum(lane, other_weight);
  if (FOCAL) {
    weight = f32(params.rows);
    other_weight = weight;
  }
  // a batch of classes without weight says nothing
  let share = select(0.0, params.own / weight, weight > 0.0);
  let other_share = select(0.0, params.other / other_weight, other_weight > 0.0);

  var loss = 0.0;
  for (var row = lane; row < params.rows; row += LANES) {
    let at = (first + row) * params.row_stride;
    let chosen = classes[params.first_row + row];
    var most = logits[at];
    for (var i = 1u; i < params.classes; i++) {
      most = max(most, logits[at + i]);
    }
    var sum = 0.0;
    for (var i = 0u; i < params.classes; i++) {
      sum += exponential(logits[at + i] - most);
    }
    let log_sum = most + logarithm(sum);
    var own = share * class_weights[chosen.x];
    var other = other_share * class_weights[chosen.y];
    let own_focus = focus(log_sum - logits[at + chosen.x]);
    let other_focus = focus(log_sum - logits[at + chosen.y]);
    loss += own * own_focus.x + other * other_focus.x;
    own *= own_focus.y;
    other *= other_focus.y;
    for (var i = 0u; i < params.row_stride; i++) {
      var slope = 0.0;
      if (i < params.classes) {
        slope = (own + other) * (exponential(logits[at + i] - most) / sum);
        slope -= select(0.0, own, i == chosen.x) + select(0.0, other, i == chosen.y);
      }
      gradient[at + i] = params.scale * slope;
    }
  }
  loss = run_sum(lane, loss);
  if (lane == 0u) {
    losses[2u * (params.slot * groups.x + net)] = loss;
  }
}
