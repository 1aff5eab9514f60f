// Products of every row with a few vectors.
//
// params           rows [first_row, end_row) of the tile; row of `points` at which it begins
// points           [panels, DIM, 64] f32: 64 rows to a panel, feature by feature
// vectors          [groups, DIM, 8] f32, a column a vector
// projected        [groups, 8, TILE_ROWS8] mat2x4<f32>, 8 rows a matrix, written
//
// A thread takes 8 rows and the 8 vectors of a group (z of the workgroup), in registers
// (shared/outer_product.wgsl); quads may share the vectors. f64 twin: test/reference/project_rows.ts.

override DIM: u32;
override TILE_ROWS8: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  base_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> points: array<mat2x4f>;
@group(0) @binding(2) var<storage, read> vectors: array<mat2x4f>;
@group(0) @binding(3) var<storage, read_write> projected: array<mat2x4f>;

const PANEL8 = 8u;

fn shared_run(at: u32) -> mat2x4f {
  return vectors[at];
}

fn shared_element(at: u32, column: u32, row: u32) -> f32 {
  return vectors[at][column][row];
}

@compute @workgroup_size(64)
fn project_rows(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row8 = params.first_row / 8u + 64u * group.x + lane;
  // as a whole quad: those that are left need what the others load
  if (8u * (row8 - lane % 4u) >= params.end_row) {
    return;
  }
  let point8 = params.base_row / 8u + row8;
  var at = point8 / PANEL8 * DIM * PANEL8 + point8 % PANEL8;
  var at_vector = group.z * DIM;
  var products = Tile();
  for (var d = 1u; d < DIM; d += 2u) {
    let elements = take_run(at_vector, lane);
    let rows = points[at];
    let next_elements = take_run(at_vector + 1u, lane);
    let next_rows = points[at + PANEL8];
    add_outers(&products, elements, rows, next_elements, next_rows);
    at += 2u * PANEL8;
    at_vector += 2u;
  }
  if (DIM % 2u == 1u) {
    add_outer(&products, take_run(at_vector, lane), points[at]);
  }
  if (8u * row8 >= params.end_row) {
    return;
  }
  let out = group.z * 8u * TILE_ROWS8 + row8;
  projected[out] = products[0];
  projected[out + TILE_ROWS8] = products[1];
  projected[out + 2u * TILE_ROWS8] = products[2];
  projected[out + 3u * TILE_ROWS8] = products[3];
  projected[out + 4u * TILE_ROWS8] = products[4];
  projected[out + 5u * TILE_ROWS8] = products[5];
  projected[out + 6u * TILE_ROWS8] = products[6];
  projected[out + 7u * TILE_ROWS8] = products[7];
}
