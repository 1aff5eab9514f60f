// The gradient of embeddings and of what doses make of them: what rows that have an entry have by way of it, added up in the order
// of rows and entries.
//
// params           see shared/embedding_entries.wgsl
// y_gradient       [y_rows, stride] f32
// parameters       f32: as in net_embed.wgsl
// entries          [tile rows, entries] of 16 bytes, from first_row on
// gradient         f32, as parameters: table, beta and bias are written; added to where `adds` is 1
//
// One net. A thread a row of the table. Workgroups: x 64 of them. f64 twin: CpaTwin.forward() in
// test/reference/cpa_model.ts.

override DOSER: u32;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> parameters: array<f32>;
@group(0) @binding(3) var<storage, read> entries: array<Entry>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;

fn slope_of_sigmoid(x: f32) -> f32 {
  return sigmoid(x) * sigmoid(-x);
}

@compute @workgroup_size(64)
fn net_embed_gradient(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let own = group.x * 64u + lane;
  if (own >= params.table_rows) {
    return;
  }
  let at = params.table_at + own * stride();
  if (params.adds == 0u) {
    for (var column = 0u; column < stride(); column++) {
      gradient[at + column] = 0.0;
    }
  }
  var by_beta = 0.0;
  var by_bias = 0.0;
  for (var i = 0u; i < params.rows * params.entries; i++) {
    let entry = entries[params.first_row * params.entries + i];
    if (entry.row != own || !counts(entry)) {
      continue;
    }
    let row = i / params.entries * stride();
    let weight = entry.share * dosed(entry);
    var along = 0.0;
    for (var column = 0u; column < stride(); column++) {
      let slope = y_gradient[row + column];
      gradient[at + column] += weight * slope;
      along += slope * parameters[at + column];
    }
    if (DOSER == 1u && entry.kind == PERTURBATION) {
      let bias = parameters[params.bias_at + own];
      let steep = slope_of_sigmoid(parameters[params.beta_at + own] * entry.dose + bias);
      by_beta += entry.share * along * steep * entry.dose;
      by_bias += entry.share * along * (steep - slope_of_sigmoid(bias));
    }
  }
  if (DOSER == 1u && own < params.perturbations) {
    if (params.adds == 1u) {
      by_beta += gradient[params.beta_at + own];
      by_bias += gradient[params.bias_at + own];
    }
    gradient[params.beta_at + own] = by_beta;
    gradient[params.bias_at + own] = by_bias;
  }
}
