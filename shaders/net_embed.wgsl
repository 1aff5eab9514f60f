// Rows with embeddings added to them: y = x + sum of share * dosed * table[row] over the entries of a row that count.
//
// params           see shared/embedding_entries.wgsl
// x, y             [y_rows, stride] f32; y is written
// parameters       f32: the table [table_rows, stride] and, after DOSER 0, beta and bias of doses
// entries          [tile rows, entries] of 16 bytes, from first_row on
//
// One net. Workgroups: x rows. f64 twin: CpaTwin.forward() in test/reference/cpa_model.ts.

override DOSER: u32;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> parameters: array<f32>;
@group(0) @binding(3) var<storage, read> entries: array<Entry>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn net_embed(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  for (var row = group.x; row < params.rows; row += groups.x) {
    for (var column = lane; column < stride(); column += 64u) {
      var sum = x[row * stride() + column];
      for (var i = 0u; i < params.entries; i++) {
        let entry = entries[(params.first_row + row) * params.entries + i];
        if (counts(entry)) {
          let own = parameters[params.table_at + entry.row * stride() + column];
          sum += entry.share * dosed(entry) * own;
        }
      }
      y[row * stride() + column] = sum;
    }
  }
}
