// The nearest code of every row, of those that vq_assign left to choose from, and how clear the choice
// is.
//
// params           rows [first_row, end_row) of the tile; row of `points` at which it begins; TILE_ROWS
// points           [panels, PARTS, DIM, 64] f32: 64 rows to a panel, feature by feature; a second part is
//                  what f32 leaves over
// codebooks        [books, 2, DIM, CODES4] vec4<f32>, 4 codes a vec4, as f32 and what that leaves over
// candidates       [books, SPLITS, TILE_ROWS] vec4<f32>: score, next best score, code
// ids              [books, TILE_ROWS] u32, written: the lowest code of equals, less than CODES
// nearness         [books, TILE_ROWS] vec2<f32>, written: the squared distance to that code, summed
//                  from differences, and by how much the next best score is larger
//
// A thread a row. Differences are taken part by part, so that distances are right to f32 where rows and
// codes are closer than f32 tells apart. f64 twin: test/reference/vq_pick.ts.

override DIM: u32;
override CODES4: u32;
override SPLITS: u32;
override PARTS: u32;
override CODES: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  base_row: u32,
  tile_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> points: array<f32>;
@group(0) @binding(2) var<storage, read> codebooks: array<f32>;
@group(0) @binding(3) var<storage, read> candidates: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> ids: array<u32>;
@group(0) @binding(5) var<storage, read_write> nearness: array<vec2f>;

const PANEL_ROWS = 64u;

// Of a row and a code, by the positions of their first parts.
fn difference(at_point: u32, at_code: u32) -> f32 {
  var low = -codebooks[at_code + DIM * 4u * CODES4];
  if (PARTS == 2u) {
    low += points[at_point + DIM * PANEL_ROWS];
  }
  return (points[at_point] - codebooks[at_code]) + low;
}

@compute @workgroup_size(64)
fn vq_pick(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let book = group.z;
  let row = params.first_row + 64u * group.x + lane;
  if (row >= params.end_row) {
    return;
  }
  var best = candidates[book * SPLITS * params.tile_rows + row];
  for (var split = 1u; split < SPLITS; split++) {
    let rival = candidates[(book * SPLITS + split) * params.tile_rows + row];
    let next = min(min(best.y, rival.y), max(best.x, rival.x));
    let wins = rival.x < best.x || (rival.x == best.x && rival.z < best.z);
    best = vec4f(min(best.x, rival.x), next, select(best.z, rival.z, wins), 0.0);
  }
  // whatever scores are, it is a code
  let code = min(u32(best.z), CODES - 1u);

  let point_row = params.base_row + row;
  var at_point = point_row / PANEL_ROWS * PARTS * DIM * PANEL_ROWS + point_row % PANEL_ROWS;
  var at_code = 2u * book * DIM * 4u * CODES4 + code;
  var distance = 0.0;
  // several at a time, one after the other: a round of a loop takes software adapters as long as its loads
  for (var d = 3u; d < DIM; d += 4u) {
    let off0 = difference(at_point, at_code);
    let off1 = difference(at_point + PANEL_ROWS, at_code + 4u * CODES4);
    let off2 = difference(at_point + 2u * PANEL_ROWS, at_code + 8u * CODES4);
    let off3 = difference(at_point + 3u * PANEL_ROWS, at_code + 12u * CODES4);
    distance = distance + off0 * off0 + off1 * off1 + off2 * off2 + off3 * off3;
    at_point += 4u * PANEL_ROWS;
    at_code += 16u * CODES4;
  }
  for (var d = DIM - DIM % 4u; d < DIM; d++) {
    let off = difference(at_point, at_code);
    distance += off * off;
    at_point += PANEL_ROWS;
    at_code += 4u * CODES4;
  }
  ids[book * params.tile_rows + row] = code;
  nearness[book * params.tile_rows + row] = vec2f(distance, best.y - best.x);
}
