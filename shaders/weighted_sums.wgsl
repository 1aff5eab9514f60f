// Sums of rows by weights, in blocks of BLOCK_ROWS rows: of a block, a column of weights and a feature
//
//   sums[block, column, feature] = sum over rows of weight[column, row] * point[row, feature]
//
// params           rows [first_row, end_row) of the tile, the first a multiple of BLOCK_ROWS; row of
//                  `points` at which the tile begins
// points           [panels, DIM, 64] f32: 64 rows to a panel, feature by feature
// weights          [groups, 8, TILE_ROWS8] mat2x4<f32>, 8 rows a matrix, as project_rows leaves them;
//                  0 past the last row
// sums             [tile blocks, COLUMNS8, DIM8, 8] mat2x4<f32>, 8 columns a matrix, written
//
// A thread takes 8 features and the 8 columns of a group (z of the workgroup), in registers; blocks are y.
// f64 twin: test/reference/weighted_sums.ts.

override DIM: u32;
override TILE_ROWS8: u32;
override BLOCK_ROWS: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  base_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> points: array<mat2x4f>;
@group(0) @binding(2) var<storage, read> weights: array<mat2x4f>;
@group(0) @binding(3) var<storage, read_write> sums: array<mat2x4f>;

const PANEL8 = 8u;

fn products(point: mat2x4f, own: ptr<function, array<mat2x4f, 8>>) -> mat2x4f {
  return mat2x4f(
    vec4f(
      dot(point[0], (*own)[0][0]) + dot(point[1], (*own)[0][1]),
      dot(point[0], (*own)[1][0]) + dot(point[1], (*own)[1][1]),
      dot(point[0], (*own)[2][0]) + dot(point[1], (*own)[2][1]),
      dot(point[0], (*own)[3][0]) + dot(point[1], (*own)[3][1]),
    ),
    vec4f(
      dot(point[0], (*own)[4][0]) + dot(point[1], (*own)[4][1]),
      dot(point[0], (*own)[5][0]) + dot(point[1], (*own)[5][1]),
      dot(point[0], (*own)[6][0]) + dot(point[1], (*own)[6][1]),
      dot(point[0], (*own)[7][0]) + dot(point[1], (*own)[7][1]),
    ),
  );
}

@compute @workgroup_size(64)
fn weighted_sums(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let feature = 8u * (64u * group.x + lane);
  let block = params.first_row / BLOCK_ROWS + group.y;
  let end8 = (min((block + 1u) * BLOCK_ROWS, params.end_row) + 7u) / 8u;
  if (feature >= DIM || block * BLOCK_ROWS >= params.end_row) {
    return;
  }
  // those past the last feature are the last one again, and not kept
  let last = DIM - 1u - feature;
  let at1 = PANEL8 * min(1u, last);
  let at2 = PANEL8 * min(2u, last);
  let at3 = PANEL8 * min(3u, last);
  let at4 = PANEL8 * min(4u, last);
  let at5 = PANEL8 * min(5u, last);
  let at6 = PANEL8 * min(6u, last);
  let at7 = PANEL8 * min(7u, last);
  var totals = array<mat2x4f, 8>();
  for (var row8 = block * BLOCK_ROWS / 8u; row8 < end8; row8++) {
    let first = group.z * 8u * TILE_ROWS8 + row8;
    var own = array<mat2x4f, 8>(
      weights[first],
      weights[first + TILE_ROWS8],
      weights[first + 2u * TILE_ROWS8],
      weights[first + 3u * TILE_ROWS8],
      weights[first + 4u * TILE_ROWS8],
      weights[first + 5u * TILE_ROWS8],
      weights[first + 6u * TILE_ROWS8],
      weights[first + 7u * TILE_ROWS8],
    );
    let point8 = params.base_row / 8u + row8;
    let at = (point8 / PANEL8 * DIM + feature) * PANEL8 + point8 % PANEL8;
    totals[0] += products(points[at], &own);
    totals[1] += products(points[at + at1], &own);
    totals[2] += products(points[at + at2], &own);
    totals[3] += products(points[at + at3], &own);
    totals[4] += products(points[at + at4], &own);
    totals[5] += products(points[at + at5], &own);
    totals[6] += products(points[at + at6], &own);
    totals[7] += products(points[at + at7], &own);
  }
  let dim8 = (DIM + 7u) / 8u;
  let out = ((block * groups.z + group.z) * dim8 + feature / 8u) * 8u;
  sums[out] = totals[0];
  sums[out + 1u] = totals[1];
  sums[out + 2u] = totals[2];
  sums[out + 3u] = totals[3];
  sums[out + 4u] = totals[4];
  sums[out + 5u] = totals[5];
  sums[out + 6u] = totals[6];
  sums[out + 7u] = totals[7];
}
