// Sums of the rows of every code less that code, in blocks of BLOCK_ROWS rows of the whole array: what is
// summed is as small as clusters are, however far out they lie.
//
// params           rows [first_row, end_row) of the tile; row of `points` at which it begins; row of
//                  the array at which it begins
// points           [panels, PARTS, DIM, 64] f32: 64 rows to a panel, feature by feature; a second part is
//                  what f32 leaves over
// codebooks        [books, 2, DIM, CODES4, 4] f32; the first part is what is subtracted
// ids              [books, TILE_ROWS] u32
// sums             [RING, books, CODES, DIM] f32; block b is in entry b % RING, and goes on there when
//                  a tile ends inside it
//
// A thread owns a feature of a block and adds its rows one after the other, so that sums do not depend
// on where tiles and dispatches begin. f64 twin: test/reference/vq_sums.ts.

override DIM: u32;
override PARTS: u32;
override CODES: u32;
override CODES4: u32;
override TILE_ROWS: u32;
override BLOCK_ROWS: u32;
override RING: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  base_row: u32,
  array_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> points: array<f32>;
@group(0) @binding(2) var<storage, read> codebooks: array<f32>;
@group(0) @binding(3) var<storage, read> ids: array<u32>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

const PANEL_ROWS = 64u;

// Of a row of the tile and a code: a feature of their difference.
fn difference(row: u32, code: u32, d: u32, at_code: u32) -> f32 {
  let point = params.base_row + row;
  let at = (point / PANEL_ROWS * PARTS * DIM + d) * PANEL_ROWS + point % PANEL_ROWS;
  let off = points[at] - codebooks[at_code + code];
  if (PARTS == 2u) {
    return off + points[at + DIM * PANEL_ROWS];
  }
  return off;
}

@compute @workgroup_size(64)
fn vq_sums(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let d = 64u * group.x + lane;
  let book = group.z;
  let block = (params.array_row + params.first_row) / BLOCK_ROWS + group.y;
  // in rows of the array
  let block_start = block * BLOCK_ROWS;
  let start = max(block_start, params.array_row + params.first_row);
  let end = min(block_start + BLOCK_ROWS, params.array_row + params.end_row);
  if (d >= DIM || start >= end) {
    return;
  }
  let out = (block % RING * groups.z + book) * CODES * DIM + d;
  if (start == block_start) {
    for (var code = 0u; code < CODES; code++) {
      sums[out + code * DIM] = 0.0;
    }
  }
  let at_code = (2u * book * DIM + d) * 4u * CODES4;
  var row = start - params.array_row;
  let end_row = end - params.array_row;
  // several at a time, one after the other: a round of a loop takes software adapters as long as its loads
  for (; row + 4u <= end_row; row += 4u) {
    let at_id = book * TILE_ROWS + row;
    let code0 = ids[at_id];
    let code1 = ids[at_id + 1u];
    let code2 = ids[at_id + 2u];
    let code3 = ids[at_id + 3u];
    let off0 = difference(row, code0, d, at_code);
    let off1 = difference(row + 1u, code1, d, at_code);
    let off2 = difference(row + 2u, code2, d, at_code);
    let off3 = difference(row + 3u, code3, d, at_code);
    sums[out + code0 * DIM] += off0;
    sums[out + code1 * DIM] += off1;
    sums[out + code2 * DIM] += off2;
    sums[out + code3 * DIM] += off3;
  }
  for (; row < end_row; row++) {
    let code = ids[book * TILE_ROWS + row];
    sums[out + code * DIM] += difference(row, code, d, at_code);
  }
}
