// The best of a stretch of codes for every row. No distance matrix is ever stored.
//
//   score(row, code) = |code|^2 - 2 row . code,   smallest wins, the lowest code of equals
//
// Several codebooks are looked at side by side (z of the workgroup), and the codes of each in SPLITS
// stretches (y): vq_pick takes the best of those.
//
// params           rows [first_row, end_row) of the tile; row of `points` at which it begins; TILE_ROWS
// points           [panels, PARTS, DIM, 64] f32: 64 rows to a panel, feature by feature; 0 past the last
//                  row. Only the first part is looked at: what f32 leaves over decides nothing that the
//                  host does not decide again
// codebooks        [books, 2, DIM, CODES4] vec4<f32>, 4 codes a vec4, as f32 and what that leaves over;
//                  0 past the last code
// code_norms       [books, CODES4] vec4<f32>, |code|^2; 3e38 past the last code
// candidates       [books, SPLITS, TILE_ROWS] vec4<f32>, written: the best score, the next best, the
//                  code as a float, 0
//
// A thread holds 8 rows x 8 codes in registers (shared/outer_product.wgsl) and goes through all features. It
// needs no barrier, which software adapters pay dearly for. All threads of a workgroup take the same
// codes, so quads may share them. What is best so far is three numbers a row, not three for each lane of
// a vec4: registers are what limits how many threads a GPU has at a time. f64 twin:
// test/reference/vq_assign.ts.

override DIM: u32;
override CODES4: u32;
override SPLITS: u32;
override PARTS: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  base_row: u32,
  tile_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> points: array<mat2x4f>;
@group(0) @binding(2) var<storage, read> codebooks: array<mat2x4f>;
@group(0) @binding(3) var<storage, read> code_norms: array<mat2x4f>;
@group(0) @binding(4) var<storage, read_write> candidates: array<vec4f>;

// rows of a thread, and threads a panel has
const ROWS = 8u;
const PANEL8 = 8u;

struct Best {
  score: f32,
  next: f32,
  code: u32,
}

fn consider_one(best: Best, score: f32, code: u32) -> Best {
  return Best(
    min(best.score, score),
    min(best.next, max(best.score, score)),
    select(best.code, code, score < best.score),
  );
}

// 8 codes, ascending, by their norms and their products with a row.
fn consider(best: Best, norms: mat2x4f, products: mat2x4f, code: u32) -> Best {
  let low = norms[0] - 2.0 * products[0];
  let high = norms[1] - 2.0 * products[1];
  var so_far = consider_one(best, low.x, code);
  so_far = consider_one(so_far, low.y, code + 1u);
  so_far = consider_one(so_far, low.z, code + 2u);
  so_far = consider_one(so_far, low.w, code + 3u);
  so_far = consider_one(so_far, high.x, code + 4u);
  so_far = consider_one(so_far, high.y, code + 5u);
  so_far = consider_one(so_far, high.z, code + 6u);
  return consider_one(so_far, high.w, code + 7u);
}

fn shared_run(at: u32) -> mat2x4f {
  return codebooks[at];
}

fn shared_element(at: u32, column: u32, row: u32) -> f32 {
  return codebooks[at][column][row];
}

fn write_best(row: u32, slot: u32, best: Best) {
  if (row < params.end_row) {
    candidates[slot * params.tile_rows + row] = vec4f(best.score, best.next, f32(best.code), 0.0);
  }
}

@compute @workgroup_size(64)
fn vq_assign(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let split = group.y;
  let book = group.z;
  let codes8 = CODES4 / 2u;
  let row = (params.first_row / ROWS + 64u * group.x + lane) * ROWS;
  // as a whole quad: those that are left need what the others load
  if (row - lane % 4u * ROWS >= params.end_row) {
    return;
  }
  let octet = (params.base_row + row) / ROWS;
  let start_point = octet / PANEL8 * PARTS * DIM * PANEL8 + octet % PANEL8;

  let none = Best(3.4e38, 3.4e38, 0u);
  var best0 = none;
  var best1 = none;
  var best2 = none;
  var best3 = none;
  var best4 = none;
  var best5 = none;
  var best6 = none;
  var best7 = none;
  for (var code8 = split; code8 < codes8; code8 += SPLITS) {
    var products = Tile();
    var at_point = start_point;
    var at_code = 2u * book * DIM * codes8 + code8;
    for (var d = 1u; d < DIM; d += 2u) {
      let rows = points[at_point];
      let codes = take_run(at_code, lane);
      let next_rows = points[at_point + PANEL8];
      let next_codes = take_run(at_code + codes8, lane);
      add_outers(&products, rows, codes, next_rows, next_codes);
      at_point += 2u * PANEL8;
      at_code += 2u * codes8;
    }
    if (DIM % 2u == 1u) {
      add_outer(&products, points[at_point], take_run(at_code, lane));
    }
    let norms = code_norms[book * codes8 + code8];
    let code = 8u * code8;
    best0 = consider(best0, norms, products[0], code);
    best1 = consider(best1, norms, products[1], code);
    best2 = consider(best2, norms, products[2], code);
    best3 = consider(best3, norms, products[3], code);
    best4 = consider(best4, norms, products[4], code);
    best5 = consider(best5, norms, products[5], code);
    best6 = consider(best6, norms, products[6], code);
    best7 = consider(best7, norms, products[7], code);
  }
  let slot = book * SPLITS + split;
  write_best(row, slot, best0);
  write_best(row + 1u, slot, best1);
  write_best(row + 2u, slot, best2);
  write_best(row + 3u, slot, best3);
  write_best(row + 4u, slot, best4);
  write_best(row + 5u, slot, best5);
  write_best(row + 6u, slot, best6);
  write_best(row + 7u, slot, best7);
}
