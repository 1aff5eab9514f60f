// Expected counts of cells: the softmax over genes of logits, times the cell's library, in place.
//
// params      see Params
// libraries   [rows] f32
// values      [rows, stride] f32: logits, then means; 0 past the last gene
// zero_logits [rows, stride] f32: where ZEROS is 1, means are of counts that are 0 with probability 1 / (1 + e^-logit) besides
//
// A workgroup a row, whose threads add their sums pairwise. f64 twin: test/reference/likelihood_gradient.ts.

override LANES: u32;
override ZEROS: u32;

struct Params {
  rows: u32,
  genes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> libraries: array<f32>;
@group(0) @binding(2) var<storage, read> zero_logits: array<f32>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(64)
fn softmax_means(
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
  var most = values[at];
  for (var gene = lane; gene < params.genes; gene += LANES) {
    most = max(most, values[at + gene]);
  }
  most = run_max(lane, most);
  var sum = 0.0;
  for (var gene = lane; gene < params.genes; gene += LANES) {
    let own = exponential(values[at + gene] - most);
    values[at + gene] = own;
    sum += own;
  }
  let scale = libraries[row] / run_sum(lane, sum);
  for (var gene = lane; gene < stride; gene += LANES) {
    var mean = values[at + gene] * scale;
    if (ZEROS == 1u) {
      mean *= sigmoid(-zero_logits[at + gene]);
    }
    values[at + gene] = select(0.0, mean, gene < params.genes);
  }
}
