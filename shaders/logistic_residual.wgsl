// How far probabilities move where logits move: of logits a and steps d
//
//   residual = 1 / (1 + exp(-a - d)) - 1 / (1 + exp(-a))
//
// with the relative error of d, so that what is summed of small steps is as exact as they are.
//
// params           rows [first_row, end_row) of the tile; columns
// anchors          [groups, 8, TILE_ROWS8] mat2x4<f32>: a, 8 rows a matrix
// projected        as anchors: what of d comes of the rows
// offsets          [groups, 8] f32: what of d all rows of a column share
// residuals        as anchors, written; 0 past the last row and column
//
// A thread takes 8 rows of a column (y of the workgroup). f64 twin: test/reference/logistic_residual.ts.

override TILE_ROWS8: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> anchors: array<mat2x4f>;
@group(0) @binding(2) var<storage, read> projected: array<mat2x4f>;
@group(0) @binding(3) var<storage, read> offsets: array<f32>;
@group(0) @binding(4) var<storage, read_write> residuals: array<mat2x4f>;

// exp(x) - 1 for x from -80 to 0; near 0 by its series, where the difference would lose digits.
fn exp_less_one(x: vec4f) -> vec4f {
  let series = x * (1.0 + x * (1.0 / 2.0 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x * (1.0 / 120.0 +
    x * (1.0 / 720.0))))));
  return select(exp(x) - 1.0, series, x > vec4f(-0.4));
}

// 1 / (1 + exp(-z))
fn sigmoid(z: vec4f) -> vec4f {
  // beyond, exp() may overflow, and nothing is left of it
  return 1.0 / (1.0 + exp(-clamp(z, vec4f(-80.0), vec4f(80.0))));
}

fn residual(a: vec4f, d: vec4f) -> vec4f {
  // of the larger and the smaller logit, s(h) - s(l) = s(h) s(-l) (1 - exp(l - h))
  let high = max(a, a + d);
  let low = min(a, a + d);
  let moved = sigmoid(high) * sigmoid(-low) * -exp_less_one(-min(abs(d), vec4f(80.0)));
  return sign(d) * moved;
}

@compute @workgroup_size(64)
fn logistic_residual(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row8 = params.first_row / 8u + 64u * group.x + lane;
  let row = 8u * row8;
  if (row >= params.end_row) {
    return;
  }
  let at = group.y * TILE_ROWS8 + row8;
  if (group.y >= params.columns) {
    residuals[at] = mat2x4f();
    return;
  }
  let a = anchors[at];
  let d = projected[at];
  let offset = offsets[group.y];
  let rows = vec4u(row) + vec4u(0u, 1u, 2u, 3u);
  let none = vec4f();
  residuals[at] = mat2x4f(
    select(none, residual(a[0], d[0] + offset), rows < vec4u(params.end_row)),
    select(none, residual(a[1], d[1] + offset), rows + 4u < vec4u(params.end_row)),
  );
}
