// Rows that are mostly zero, from their entries to one f32 for each gene, each mixed with another row of the batch: share * own +
// (1 - share) * other. Unmixed rows are never stored.
//
// params     see Params
// starts     [tile rows + 1] u32: first entry of each row, and the end of the last
// entries    u32, see shared/packed_entries.wgsl. Of one row each gene comes once
// partners   [tile rows] u32: with which row of the tile each is mixed
// mixed      [rows, stride] f32, written: 0 past the last gene
// entered    as mixed, written: ln(1 + mixed) where LOG is 1, of values from 0; mixed otherwise
// libraries  [rows] f32, written: sums of the mixed rows
//
// A workgroup a row, whose threads add their sums pairwise. f64 twin: test/reference/mix_rows.ts.

override LANES: u32;
override FORM: u32;
override LOG: u32;

struct Params {
  rows: u32,
  first_row: u32,
  genes: u32,
  share: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> entries: array<u32>;
@group(0) @binding(3) var<storage, read> partners: array<u32>;
@group(0) @binding(4) var<storage, read_write> mixed: array<f32>;
@group(0) @binding(5) var<storage, read_write> entered: array<f32>;
@group(0) @binding(6) var<storage, read_write> libraries: array<f32>;

fn add_row(at: u32, source: u32, lane: u32, share: f32) {
  for (var entry = starts[source] + lane; entry < starts[source + 1u]; entry += LANES) {
    mixed[at + gene_of(entry)] += share * value_of(entry);
  }
}

@compute @workgroup_size(64)
fn mix_rows(
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
  for (var gene = lane; gene < stride; gene += LANES) {
    mixed[at + gene] = 0.0;
  }
  // other threads write what this one goes on with
  storageBarrier();
  add_row(at, params.first_row + row, lane, params.share);
  storageBarrier();
  if (params.share < 1.0) {
    add_row(at, partners[params.first_row + row], lane, 1.0 - params.share);
  }
  storageBarrier();
  var sum = 0.0;
  for (var gene = lane; gene < stride; gene += LANES) {
    let value = mixed[at + gene];
    sum += value;
    entered[at + gene] = value;
    if (LOG == 1u) {
      entered[at + gene] = logarithm_of_one_plus(value);
    }
  }
  sum = run_sum(lane, sum);
  if (lane == 0u) {
    libraries[row] = sum;
  }
}
