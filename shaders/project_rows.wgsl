// Products of every row with a few vectors.
//
// params           rows [first_row, end_row) of the tile; row of `points` at which it begins
// points           [panels, DIM, 64] f32: 64 rows to a panel, feature by feature
// vectors          [groups, DIM, 8] f32, a column a vector
// projected        [groups, 8, TILE_ROWS4] vec4<f32>, 4 rows a vec4, written
//
// A thread takes 4 rows and the 8 vectors of a group (z of the workgroup). f64 twin:
// test/reference/project_rows.ts.

override DIM: u32;
override TILE_ROWS4: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  base_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> points: array<vec4f>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> projected: array<vec4f>;

const PANEL4 = 16u;

@compute @workgroup_size(64)
fn project_rows(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row4 = params.first_row / 4u + 64u * group.x + lane;
  if (4u * row4 >= params.end_row) {
    return;
  }
  let point4 = params.base_row / 4u + row4;
  var at = point4 / PANEL4 * DIM * PANEL4 + point4 % PANEL4;
  var at_vector = group.z * DIM * 2u;
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
    let low = vectors[at_vector];
    let high = vectors[at_vector + 1u];
    sum0 += x * low.x;
    sum1 += x * low.y;
    sum2 += x * low.z;
    sum3 += x * low.w;
    sum4 += x * high.x;
    sum5 += x * high.y;
    sum6 += x * high.z;
    sum7 += x * high.w;
    at += PANEL4;
    at_vector += 2u;
  }
  let out = group.z * 8u * TILE_ROWS4 + row4;
  projected[out] = sum0;
  projected[out + TILE_ROWS4] = sum1;
  projected[out + 2u * TILE_ROWS4] = sum2;
  projected[out + 3u * TILE_ROWS4] = sum3;
  projected[out + 4u * TILE_ROWS4] = sum4;
  projected[out + 5u * TILE_ROWS4] = sum5;
  projected[out + 6u * TILE_ROWS4] = sum6;
  projected[out + 7u * TILE_ROWS4] = sum7;
}
