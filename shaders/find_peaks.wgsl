// The largest element of every row.
//
// params           rows [first_row, end_row) of the tile; width of a row
// packed           [rows, width] f32, not negative
// row_peaks        [rows] f32, written
//
// One workgroup a row. Twin: test/reference/find_peaks.ts.

override WORKGROUP: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> packed: array<f32>;
@group(0) @binding(2) var<storage, read_write> row_peaks: array<f32>;

var<workgroup> partial: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn find_peaks(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  // more rows than one dispatch dimension takes are folded into two
  let row = params.first_row + group.y * groups.x + group.x;
  if (row >= params.end_row) {
    return;
  }
  var highest = 0.0;
  for (var column = lane; column < params.width; column += WORKGROUP) {
    highest = max(highest, packed[row * params.width + column]);
  }
  partial[lane] = highest;
  workgroupBarrier();
  if (lane == 0u) {
    for (var other = 1u; other < WORKGROUP; other++) {
      highest = max(highest, partial[other]);
    }
    row_peaks[row] = highest;
  }
}
