// Squared distances of every row to a few points, summed from differences.
//
// params           rows [first_row, end_row) of the tile; row of `points` at which it begins
// points           [panels, DIM, 64] f32: 64 rows to a panel, feature by feature
// seeds            [groups, DIM, 8] f32, a column a point
// seed_distances   [groups, 8, TILE_ROWS4] vec4<f32>, 4 rows a vec4, written
//
// A thread takes 4 rows and the 8 points of a group (z of the workgroup). f64 twin: squaredDistance() in test/reference/vq_assign.ts.

override DIM: u32;
override TILE_ROWS4: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  base_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> points: array<vec4f>;
@group(0) @binding(2) var<storage, read> seeds: array<vec4f>;
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
  var at = point4 / PANEL4 * DIM * PANEL4 + point4 % PANEL4;
  var at_seed = group.z * DIM * 2u;
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  var sum4 = vec4f();
  var sum5 = vec4f();
  var sum6 = vec4f();
  var sum7 = vec4f();
  for (var d = 0u; d < DIM; d++) {
    let x = points[at];
    let low = seeds[at_seed];
    let high = seeds[at_seed + 1u];
    sum0 += (x - low.x) * (x - low.x);
    sum1 += (x - low.y) * (x - low.y);
    sum2 += (x - low.z) * (x - low.z);
    sum3 += (x - low.w) * (x - low.w);
    sum4 += (x - high.x) * (x - high.x);
    sum5 += (x - high.y) * (x - high.y);
    sum6 += (x - high.z) * (x - high.z);
    sum7 += (x - high.w) * (x - high.w);
    at += PANEL4;
    at_seed += 2u;
  }
  let out = group.z * 8u * TILE_ROWS4 + row4;
  seed_distances[out] = sum0;
  seed_distances[out + TILE_ROWS4] = sum1;
  seed_distances[out + 2u * TILE_ROWS4] = sum2;
  seed_distances[out + 3u * TILE_ROWS4] = sum3;
  seed_distances[out + 4u * TILE_ROWS4] = sum4;
  seed_distances[out + 5u * TILE_ROWS4] = sum5;
  seed_distances[out + 6u * TILE_ROWS4] = sum6;
  seed_distances[out + 7u * TILE_ROWS4] = sum7;
}
