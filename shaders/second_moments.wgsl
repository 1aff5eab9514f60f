// Second moments of rows, x x^T, summed in blocks of BLOCK_ROWS rows of the whole array. Where a row is
// LAGS frames that follow each other, as in contexts: of its first frame x and each of them, x y^T.
//
// params           rows [first_row, end_row) of the tile; row of the array at which it begins; part;
//                  first of the pairs that are summed; features of a frame; RING
// rows             [tile frames, STRIDE4] vec4<f32>; 0 past the last feature
// starts           [tile rows] u32: a row's first frame; where LAGS is 1, a row is a frame, and this unused
// grains           [STRIDE4] vec4<f32>, powers of two: a row's coarse part is a multiple of these
// moments          [RING, PAIRS, 64, 64] f32: squares of 64 x 64 features. Of lag 0 those on and above
//                  the diagonal, (0, 0), (0, 1), ..., (1, 1), ...; then all of lag 1, (0, 0), (0, 1),
//                  ..., and so on. What lies outside the features is not written, and what lies below the
//                  diagonal is not to be read. Block b is in entry b % RING, and goes on there when
//                  a tile ends inside it
//
// Sums in f32 lose what is a ten-millionth of them. Where that counts, x = h + l is cut into a coarse
// part h, whose products are whole numbers of so few bits that a block of them sums up exactly, and a
// small rest: part 1 sums h h^T, part 2 the others, h l^T + l x^T; and part 0 is x x^T as it is. Where it counts
// more, the rest is cut again, l = m + t: part 3 sums h m^T + m h^T, exactly too, and part 4 what is left
// of 2, m m^T + (h + m) t^T + t x^T. Source: the error-free splitting of Ozaki, Ogita, Oishi and Rump 2012.
//
// A workgroup takes a square, a thread 8 x 8 features of it in registers (shared/outer_product.wgsl), and
// adds rows one after the other, so that sums do not depend on where tiles and dispatches begin. Threads
// of a quad have the same features down, so they may share them. f64 twin:
// test/reference/second_moments.ts.

override BLOCK_ROWS: u32;
override LAGS: u32;
// grain of the middle part, in grains of the coarse one
override FINE: f32;

struct Params {
  first_row: u32,
  end_row: u32,
  array_row: u32,
  part: u32,
  first_pair: u32,
  features: u32,
  ring: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<mat2x4f>;
@group(0) @binding(2) var<storage, read> starts: array<u32>;
@group(0) @binding(3) var<storage, read> grains: array<mat2x4f>;
@group(0) @binding(4) var<storage, read_write> moments: array<mat2x4f>;

const SQUARE = 64u;

// Where a row of the tile begins.
fn place(row: u32) -> u32 {
  if (LAGS == 1u) {
    return row * frame_stride();
  }
  return starts[row] * frame_stride();
}

// From one frame to the next, in runs of 8 features.
fn frame_stride() -> u32 {
  return (params.features + 7u) / 8u;
}

fn shared_run(at: u32) -> mat2x4f {
  return rows[at];
}

fn shared_element(at: u32, column: u32, row: u32) -> f32 {
  return rows[at][column][row];
}

// What of 8 features is a whole number of their grains.
fn coarse(features: mat2x4f, grain: mat2x4f) -> mat2x4f {
  return mat2x4f(
    round(features[0] / grain[0]) * grain[0],
    round(features[1] / grain[1]) * grain[1],
  );
}

@compute @workgroup_size(64)
fn second_moments(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  // the pair's row and column of squares, and how many frames lie between
  let across = (params.features + SQUARE - 1u) / SQUARE;
  let triangle = across * (across + 1u) / 2u;
  let pairs = triangle + (LAGS - 1u) * across * across;
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
  let down8 = 8u * i + lane / 8u;
  let along8 = 8u * j + lane % 8u;
  let block = (params.array_row + params.first_row) / BLOCK_ROWS + group.y;
  let block_start = block * BLOCK_ROWS;
  let start = max(block_start, params.array_row + params.first_row);
  let end = min(block_start + BLOCK_ROWS, params.array_row + params.end_row);
  // as a whole quad: those that are left need what the others load
  let first_along = 8u * (along8 - lane % 4u);
  let below = lag == 0u && along8 - lane % 4u + 3u < down8;
  if (8u * down8 >= params.features || first_along >= params.features || below || start >= end) {
    return;
  }
  let out = (block % params.ring * pairs + pair) * 512u + 64u * (lane / 8u) + lane % 8u;

  var sums = Tile();
  if (start != block_start) {
    sums = Tile(
      moments[out],
      moments[out + 8u],
      moments[out + 16u],
      moments[out + 24u],
      moments[out + 32u],
      moments[out + 40u],
      moments[out + 48u],
      moments[out + 56u],
    );
  }
  let later = lag * frame_stride() + along8;
  let first = start - params.array_row;
  let last = end - params.array_row;
  if (params.part == 0u) {
    for (var row = first + 1u; row < last; row += 2u) {
      let at = place(row - 1u);
      let next = place(row);
      let down = take_run(at + down8, lane);
      let along = rows[at + later];
      let next_down = take_run(next + down8, lane);
      let next_along = rows[next + later];
      add_outers(&sums, down, along, next_down, next_along);
    }
    if ((last - first) % 2u == 1u) {
      let at = place(last - 1u);
      add_outer(&sums, take_run(at + down8, lane), rows[at + later]);
    }
  } else {
    let grain_down = grains[down8];
    let grain_along = grains[along8];
    for (var row = first; row < last; row++) {
      let at = place(row);
      let whole_down = take_run(at + down8, lane);
      let whole_along = rows[at + later];
      let coarse_down = coarse(whole_down, grain_down);
      let coarse_along = coarse(whole_along, grain_along);
      if (params.part == 1u) {
        add_outer(&sums, coarse_down, coarse_along);
        continue;
      }
      let rest_down = whole_down - coarse_down;
      let rest_along = whole_along - coarse_along;
      if (params.part == 2u) {
        add_outer(&sums, rest_down, whole_along);
        add_outer(&sums, coarse_down, rest_along);
        continue;
      }
      let middle_down = coarse(rest_down, FINE * grain_down);
      let middle_along = coarse(rest_along, FINE * grain_along);
      if (params.part == 3u) {
        add_outer(&sums, middle_down, coarse_along);
        add_outer(&sums, coarse_down, middle_along);
        continue;
      }
      add_outer(&sums, middle_down, middle_along);
      add_outer(&sums, rest_down - middle_down, whole_along);
      add_outer(&sums, coarse_down + middle_down, rest_along - middle_along);
    }
  }
  if (8u * along8 >= params.features) {
    return;
  }
  moments[out] = sums[0];
  moments[out + 8u] = sums[1];
  moments[out + 16u] = sums[2];
  moments[out + 24u] = sums[3];
  moments[out + 32u] = sums[4];
  moments[out + 40u] = sums[5];
  moments[out + 48u] = sums[6];
  moments[out + 56u] = sums[7];
}
