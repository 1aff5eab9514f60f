// Second moments of rows, x x^T, summed in blocks of BLOCK_ROWS rows of the whole array. Where a row is
// LAGS frames that follow each other, as in contexts: of its first frame x and each of them, x y^T.
//
// params           rows [first_row, end_row) of the tile; row of the array at which it begins; part;
//                  first of the pairs that are summed
// rows             [tile frames, STRIDE4] vec4<f32>; 0 past the last feature
// starts           [tile rows] u32: a row's first frame; where LAGS is 1, a row is a frame, and this unused
// grains           [STRIDE4] vec4<f32>, powers of two: a row's coarse part is a multiple of these
// moments          [RING, PAIRS, 64, 64] f32: squares of 64 x 64 features. Of lag 0 those on and above
//                  the diagonal, (0, 0), (0, 1), ..., (1, 1), ...; then all of lag 1, (0, 0), (0, 1),
//                  ..., and so on. What lies outside DIM is not written. Block b is in entry b % RING,
//                  and goes on there when a tile ends inside it
//
// Sums in f32 lose what is a ten-millionth of them. Where that counts, x = h + l is cut into a coarse
// part h, whose products are whole numbers of so few bits that a block of them sums up exactly, and a
// small rest: part 1 sums h h^T, part 2 sums h l^T + l x^T, and part 0 is x x^T as it is. Source: the
// error-free splitting of Ozaki, Ogita, Oishi and Rump 2012.
//
// A workgroup takes a square, a thread 8 x 8 features of it in registers, and adds rows one after the
// other, so that sums do not depend on where tiles and dispatches begin. f64 twin:
// test/reference/second_moments.ts.

override DIM: u32;
override STRIDE4: u32;
override BLOCK_ROWS: u32;
override RING: u32;
override PAIRS: u32;
override LAGS: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  array_row: u32,
  part: u32,
  first_pair: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4f>;
@group(0) @binding(2) var<storage, read> starts: array<u32>;
@group(0) @binding(3) var<storage, read> grains: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> moments: array<vec4f>;

const SQUARE = 64u;

// Where a row of the tile begins.
fn place(row: u32) -> u32 {
  if (LAGS == 1u) {
    return row * STRIDE4;
  }
  return starts[row] * STRIDE4;
}

@compute @workgroup_size(64)
fn second_moments(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  // the pair's row and column of squares, and how many frames lie between
  let across = (DIM + SQUARE - 1u) / SQUARE;
  let triangle = across * (across + 1u) / 2u;
  let pair = params.first_pair + group.x;
  var i = 0u;
  var j = pair;
  var lag = 0u;
  if (pair < triangle) {
    var left = across;
    while (j >= left) {
      j -= left;
      left -= 1u;
      i += 1u;
    }
    j += i;
  } else {
    let other = pair - triangle;
    lag = 1u + other / (across * across);
    i = other / across % across;
    j = other % across;
  }
  let down4 = (SQUARE * i + 8u * (lane / 8u)) / 4u;
  let along4 = (SQUARE * j + 8u * (lane % 8u)) / 4u;
  let block = (params.array_row + params.first_row) / BLOCK_ROWS + group.y;
  let block_start = block * BLOCK_ROWS;
  let start = max(block_start, params.array_row + params.first_row);
  let end = min(block_start + BLOCK_ROWS, params.array_row + params.end_row);
  if (4u * down4 >= DIM || 4u * along4 >= DIM || start >= end) {
    return;
  }
  let out = (block % RING * PAIRS + pair) * 1024u + 128u * (lane / 8u) + 2u * (lane % 8u);

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
  if (start != block_start) {
    a0 = moments[out];
    b0 = moments[out + 1u];
    a1 = moments[out + 16u];
    b1 = moments[out + 17u];
    a2 = moments[out + 32u];
    b2 = moments[out + 33u];
    a3 = moments[out + 48u];
    b3 = moments[out + 49u];
    a4 = moments[out + 64u];
    b4 = moments[out + 65u];
    a5 = moments[out + 80u];
    b5 = moments[out + 81u];
    a6 = moments[out + 96u];
    b6 = moments[out + 97u];
    a7 = moments[out + 112u];
    b7 = moments[out + 113u];
  }
  let later = lag * STRIDE4 + along4;
  if (params.part == 0u) {
    for (var row = start; row < end; row++) {
      let at = place(row - params.array_row);
      let x = rows[at + down4];
      let y = rows[at + down4 + 1u];
      let c = rows[at + later];
      let e = rows[at + later + 1u];
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
    }
  } else {
    let rest = params.part == 2u;
    let grain_x = grains[down4];
    let grain_y = grains[down4 + 1u];
    let grain_c = grains[along4];
    let grain_e = grains[along4 + 1u];
    for (var row = start; row < end; row++) {
      let at = place(row - params.array_row);
      let whole_x = rows[at + down4];
      let whole_y = rows[at + down4 + 1u];
      let whole_c = rows[at + later];
      let whole_e = rows[at + later + 1u];
      let x = round(whole_x / grain_x) * grain_x;
      let y = round(whole_y / grain_y) * grain_y;
      var c = round(whole_c / grain_c) * grain_c;
      var e = round(whole_e / grain_e) * grain_e;
      if (rest) {
        c = whole_c - c;
        e = whole_e - e;
        let less_x = whole_x - x;
        let less_y = whole_y - y;
        a0 += less_x.x * whole_c;
        b0 += less_x.x * whole_e;
        a1 += less_x.y * whole_c;
        b1 += less_x.y * whole_e;
        a2 += less_x.z * whole_c;
        b2 += less_x.z * whole_e;
        a3 += less_x.w * whole_c;
        b3 += less_x.w * whole_e;
        a4 += less_y.x * whole_c;
        b4 += less_y.x * whole_e;
        a5 += less_y.y * whole_c;
        b5 += less_y.y * whole_e;
        a6 += less_y.z * whole_c;
        b6 += less_y.z * whole_e;
        a7 += less_y.w * whole_c;
        b7 += less_y.w * whole_e;
      }
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
    }
  }
  moments[out] = a0;
  moments[out + 1u] = b0;
  moments[out + 16u] = a1;
  moments[out + 17u] = b1;
  moments[out + 32u] = a2;
  moments[out + 33u] = b2;
  moments[out + 48u] = a3;
  moments[out + 49u] = b3;
  moments[out + 64u] = a4;
  moments[out + 65u] = b4;
  moments[out + 80u] = a5;
  moments[out + 81u] = b5;
  moments[out + 96u] = a6;
  moments[out + 97u] = b6;
  moments[out + 112u] = a7;
  moments[out + 113u] = b7;
}
