// Rows that are mostly zero, from their entries to one f32 for each gene. A workgroup a row.
//
// params    rows [first_row, end_row) of what is packed; genes
// starts    [rows + 1] u32: first entry of each row, and the end of the last
// entries   u32, see shared/packed_entries.wgsl. Of one row each gene comes once
// dense     [rows, genes] f32, written: the values, or with LOG 1 ln(1 + value), of values from 0
//
// Counts above 2^24 are rounded to f32. f64 twin: test/reference/densify_rows.ts.

override WORKGROUP: u32;
override FORM: u32;
override LOG: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  genes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> entries: array<u32>;
@group(0) @binding(3) var<storage, read_write> dense: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn densify_rows(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = params.first_row + group.y * groups.x + group.x;
  if (row >= params.end_row) {
    return;
  }
  for (var gene = lane; gene < params.genes; gene += WORKGROUP) {
    dense[row * params.genes + gene] = 0.0;
  }
  // other threads zeroed what this one writes
  storageBarrier();
  let end = starts[row + 1u];
  for (var entry = starts[row] + lane; entry < end; entry += WORKGROUP) {
    var value = value_of(entry);
    if (LOG == 1u) {
      value = logarithm_of_one_plus(value);
    }
    dense[row * params.genes + gene_of(entry)] = value;
  }
}
