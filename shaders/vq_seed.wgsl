// Squared distances of every row to a few points, summed from differences.
//
// params           rows [first_row, end_row) of the tile; row of `points` at which it begins
// points           [panels, PARTS, DIM, 64] f32: 64 rows to a panel, feature by feature; a second part is
//                  what f32 leaves over
// seeds            [groups, 2, DIM, 8] f32, a column a point, as f32 and what that leaves over; the latter
//                  is only looked at where SEED_PARTS is 2
// seed_distances   [groups, 8, TILE_ROWS4] vec4<f32>, 4 rows a vec4, written
//
// A thread takes 4 rows and the 8 points of a group (z of the workgroup). f64 twin: squaredDistance() in test/reference/vq_seed.ts.

override DIM: u32;
override TILE_ROWS4: u32;
override PARTS: u32;
override SEED_PARTS: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  base_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> points: array<vec4f>;
@group(0) @binding(2) var<storage, read> seeds: array<mat2x4f>;
@group(0) @binding(3) var<storage, read_write> seed_distances: array<vec4f>;

const PANEL4 = 16u;

@compute @workgroup_size(64)
fn vq_seed(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row4 = params.first_row / 4u + 64u * group.x + lane;
  if (4u * row4 >= params.end_row) {
    return;
  }
  let point4 = params.base_row / 4u + row4;
  var at = point4 / PANEL4 * PARTS * DIM * PANEL4 + point4 % PANEL4;
  var at_seed = 2u * group.z * DIM;
  // by seed, of 4 rows each
  var sums = array<vec4f, 8>();
  for (var d = 0u; d < DIM; d++) {
    let rows = points[at];
    let places = seeds[at_seed];
    var off0 = rows - places[0].x;
    var off1 = rows - places[0].y;
    var off2 = rows - places[0].z;
    var off3 = rows - places[0].w;
    var off4 = rows - places[1].x;
    var off5 = rows - places[1].y;
    var off6 = rows - places[1].z;
    var off7 = rows - places[1].w;
    if (SEED_PARTS == 2u) {
      let low = seeds[at_seed + DIM];
      var low_rows = vec4f();
      if (PARTS == 2u) {
        low_rows = points[at + DIM * PANEL4];
      }
      off0 += low_rows - low[0].x;
      off1 += low_rows - low[0].y;
      off2 += low_rows - low[0].z;
      off3 += low_rows - low[0].w;
      off4 += low_rows - low[1].x;
      off5 += low_rows - low[1].y;
      off6 += low_rows - low[1].z;
      off7 += low_rows - low[1].w;
    }
    sums[0] += off0 * off0;
    sums[1] += off1 * off1;
    sums[2] += off2 * off2;
    sums[3] += off3 * off3;
    sums[4] += off4 * off4;
    sums[5] += off5 * off5;
    sums[6] += off6 * off6;
    sums[7] += off7 * off7;
    at += PANEL4;
    at_seed += 1u;
  }
  let out = group.z * 8u * TILE_ROWS4 + row4;
  seed_distances[out] = sums[0];
  seed_distances[out + TILE_ROWS4] = sums[1];
  seed_distances[out + 2u * TILE_ROWS4] = sums[2];
  seed_distances[out + 3u * TILE_ROWS4] = sums[3];
  seed_distances[out + 4u * TILE_ROWS4] = sums[4];
  seed_distances[out + 5u * TILE_ROWS4] = sums[5];
  seed_distances[out + 6u * TILE_ROWS4] = sums[6];
  seed_distances[out + 7u * TILE_ROWS4] = sums[7];
}
