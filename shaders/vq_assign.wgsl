// The best of a stretch of codes for every row. No distance matrix is ever stored.
//
//   score(row, code) = |code|^2 - 2 row . code,   smallest wins, the lowest code of equals
//
// Several codebooks are looked at side by side (z of the workgroup), and the codes of each in SPLITS
// stretches (y): vq_pick takes the best of those.
//
// params           rows [first_row, end_row) of the tile; row of `points` at which it begins
// points           [panels, DIM, 64] f32: 64 rows to a panel, feature by feature; 0 past the last row
// codebooks        [books, DIM, CODES4] vec4<f32>, 4 codes a vec4; 0 past the last code
// code_norms       [books, CODES4] vec4<f32>, |code|^2; 3e38 past the last code
// candidates       [books, SPLITS, TILE_ROWS] vec4<f32>, written: the best score, the next best, the
//                  code as a float, 0
//
// A thread holds 8 rows x 8 codes in registers and goes through all features: 64 multiply-adds for 4
// loads. It needs no barrier, which software adapters pay dearly for. f64 twin:
// test/reference/vq_assign.ts.

override DIM: u32;
override CODES4: u32;
override SPLITS: u32;
override TILE_ROWS: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  base_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> points: array<vec4f>;
@group(0) @binding(2) var<storage, read> codebooks: array<vec4f>;
@group(0) @binding(3) var<storage, read> code_norms: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> candidates: array<vec4f>;

// vec4 of a feature in a panel, and threads a panel has
const PANEL4 = 16u;
const PANEL_THREADS = 8u;
const ROWS = 8u;

// The four codes of each lane so far: the best score, the next best, and the vec4 the best is in.
struct Best {
  score: vec4f,
  next: vec4f,
  code4: vec4u,
}

// Two vec4 of codes, ascending.
fn consider(best: Best, low: vec4f, high: vec4f, code4: u32) -> Best {
  let smaller = min(low, high);
  let wins = smaller < best.score;
  let place = select(vec4u(code4), vec4u(code4 + 1u), high < low);
  return Best(
    min(best.score, smaller),
    min(best.next, min(max(low, high), max(best.score, smaller))),
    select(best.code4, place, wins),
  );
}

fn write_best(row: u32, slot: u32, best: Best) {
  if (row >= params.end_row) {
    return;
  }
  var score = best.score.x;
  var next = best.next.x;
  var code = 4u * best.code4.x;
  for (var lane = 1u; lane < 4u; lane++) {
    let rival = best.score[lane];
    let rival_code = 4u * best.code4[lane] + lane;
    next = min(min(next, best.next[lane]), max(score, rival));
    if (rival < score || (rival == score && rival_code < code)) {
      code = rival_code;
    }
    score = min(score, rival);
  }
  candidates[slot * TILE_ROWS + row] = vec4f(score, next, f32(code), 0.0);
}

@compute @workgroup_size(64)
fn vq_assign(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let split = group.y;
  let book = group.z;
  let row = (params.first_row / ROWS + 64u * group.x + lane) * ROWS;
  if (row >= params.end_row) {
    return;
  }
  let octet = (params.base_row + row) / ROWS;
  let start_point = octet / PANEL_THREADS * DIM * PANEL4 + octet % PANEL_THREADS * 2u;

  var best0 = Best(vec4f(3.4e38), vec4f(3.4e38), vec4u());
  var best1 = Best(vec4f(3.4e38), vec4f(3.4e38), vec4u());
  var best2 = Best(vec4f(3.4e38), vec4f(3.4e38), vec4u());
  var best3 = Best(vec4f(3.4e38), vec4f(3.4e38), vec4u());
  var best4 = Best(vec4f(3.4e38), vec4f(3.4e38), vec4u());
  var best5 = Best(vec4f(3.4e38), vec4f(3.4e38), vec4u());
  var best6 = Best(vec4f(3.4e38), vec4f(3.4e38), vec4u());
  var best7 = Best(vec4f(3.4e38), vec4f(3.4e38), vec4u());
  for (var code4 = 2u * split; code4 < CODES4; code4 += 2u * SPLITS) {
    var a0 = vec4f();
    var a1 = vec4f();
    var a2 = vec4f();
    var a3 = vec4f();
    var a4 = vec4f();
    var a5 = vec4f();
    var a6 = vec4f();
    var a7 = vec4f();
    var b0 = vec4f();
    var b1 = vec4f();
    var b2 = vec4f();
    var b3 = vec4f();
    var b4 = vec4f();
    var b5 = vec4f();
    var b6 = vec4f();
    var b7 = vec4f();
    var at_point = start_point;
    var at_code = book * DIM * CODES4 + code4;
    for (var d = 0u; d < DIM; d++) {
      let x = points[at_point];
      let y = points[at_point + 1u];
      let c = codebooks[at_code];
      let e = codebooks[at_code + 1u];
      a0 += x.x * c;
      b0 += x.x * e;
      a1 += x.y * c;
      b1 += x.y * e;
      a2 += x.z * c;
      b2 += x.z * e;
      a3 += x.w * c;
      b3 += x.w * e;
      a4 += y.x * c;
      b4 += y.x * e;
      a5 += y.y * c;
      b5 += y.y * e;
      a6 += y.z * c;
      b6 += y.z * e;
      a7 += y.w * c;
      b7 += y.w * e;
      at_point += PANEL4;
      at_code += CODES4;
    }
    let norm_a = code_norms[book * CODES4 + code4];
    let norm_b = code_norms[book * CODES4 + code4 + 1u];
    best0 = consider(best0, norm_a - 2.0 * a0, norm_b - 2.0 * b0, code4);
    best1 = consider(best1, norm_a - 2.0 * a1, norm_b - 2.0 * b1, code4);
    best2 = consider(best2, norm_a - 2.0 * a2, norm_b - 2.0 * b2, code4);
    best3 = consider(best3, norm_a - 2.0 * a3, norm_b - 2.0 * b3, code4);
    best4 = consider(best4, norm_a - 2.0 * a4, norm_b - 2.0 * b4, code4);
    best5 = consider(best5, norm_a - 2.0 * a5, norm_b - 2.0 * b5, code4);
    best6 = consider(best6, norm_a - 2.0 * a6, norm_b - 2.0 * b6, code4);
    best7 = consider(best7, norm_a - 2.0 * a7, norm_b - 2.0 * b7, code4);
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
