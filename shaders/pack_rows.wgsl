// Gathers the interior bins of rows kept in cells into dense rows of f32, ready to be read back.
//
// params           rows [first_row, end_row) of the tile; source_stride in elements; width of a packed row;
//                  after how many rows the source has one that is left out, 0 where it has none
// pack_table       [width] u32, offset of each packed element within a source row
// unpacked         [rows, source_stride] u32, wide (shared/wide.wgsl)
// packed           [rows, width] f32, written; 0 for what is below 2^-126
//
// One thread an element of the flat result: rows have odd widths. Twin: test/reference/pack_rows.ts.

override WORKGROUP: u32;

// 2^-26, which stands for 2^-126: f32 has no smaller number that adapters keep
const LEAST: u32 = 0x32800000u;
const DEEP: u32 = 0x80000000u;

struct Params {
  first_row: u32,
  end_row: u32,
  source_stride: u32,
  width: u32,
  lane_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pack_table: array<u32>;
@group(0) @binding(2) var<storage, read> unpacked: array<u32>;
@group(0) @binding(3) var<storage, read_write> packed: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn pack_rows(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let element = (group.y * groups.x + group.x) * WORKGROUP + lane;
  if (element >= (params.end_row - params.first_row) * params.width) {
    return;
  }
  let row = params.first_row + element / params.width;
  let column = element % params.width;
  // predictions have one row more than a lane
  let left_out = select(0u, row / max(params.lane_rows, 1u), params.lane_rows > 0u);
  let wide = unpacked[(row + left_out) * params.source_stride + pack_table[column]];
  let kept = wide >= LEAST && wide < DEEP;
  packed[row * params.width + column] = bitcast<f32>(select(0u, wide, kept)) * 7.8886091e-31;
}
