// How far profiles of categories of cells are from what is expected of them, in means and variances over cells of ln(1 + count) and of
// ln(1 + mean); of numbers that are no counts, in their means and variances, where the mean expected variance is what is expected.
//
// params         see Params
// counts, means  [rows, stride] f32
// raw_variances  [rows, stride] f32: where GAUSS is true, variances are e^u + 1e-4
// lists          [lists, words] u32: a bit for each gene; genes without are left out, or are 0 where ZEROS is true
// categories     [tile rows, 4] u32, from first_row on: the first row of a category in the batch, how many it has, and its list; 0 past
//                the last
// errors         [tile rows, 4] f32, written from first_row on: of means over genes, squared errors and squares about their mean; the
//                same of variances (over cells - 1), 0 of a single cell
//
// A workgroup a category. Threads take genes in turns, with running means and squares about them, and are added up pairwise. f64 twin:
// errorsOf() in test/kernels/profile_errors_test.ts.

override LANES: u32;
override GAUSS: bool;
override ZEROS: bool;

struct Params {
  rows: u32,
  first_row: u32,
  genes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> counts: array<f32>;
@group(0) @binding(2) var<storage, read> means: array<f32>;
@group(0) @binding(3) var<storage, read> raw_variances: array<f32>;
@group(0) @binding(4) var<storage, read> lists: array<u32>;
@group(0) @binding(5) var<storage, read> categories: array<vec4u>;
@group(0) @binding(6) var<storage, read_write> errors: array<vec4f>;

fn entered(value: f32) -> f32 {
  if (GAUSS) {
    return value;
  }
  return logarithm_of_one_plus(value);
}

@compute @workgroup_size(64)
fn profile_errors(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let own = group.y * groups.x + group.x;
  if (own >= params.rows) {
    return;
  }
  let category = categories[params.first_row + own];
  let cells = category.y;
  let stride = (params.genes + 3u) / 4u * 4u;
  let at = category.x * stride;
  let inverse = 1.0 / f32(max(cells, 1u));
  let rest = select(0.0, 1.0 / f32(max(cells, 2u) - 1u), cells > 1u);
  var error = vec2f();
  // running means and squares about them, of means and variances
  var seen = 0.0;
  var middle = vec2f();
  var squares = vec2f();
  let list = category.z * ((params.genes + 31u) / 32u);
  for (var gene = lane; gene < params.genes && cells > 0u; gene += LANES) {
    let is_listed = ((lists[list + gene / 32u] >> (gene % 32u)) & 1u) == 1u;
    if (!is_listed && !ZEROS) {
      continue;
    }
    var sums = vec2f();
    for (var cell = 0u; cell < cells; cell++) {
      let place = at + cell * stride + gene;
      sums += vec2f(entered(counts[place]), entered(means[place]));
    }
    let center = sums * inverse;
    var off = vec2f();
    var expected = 0.0;
    for (var cell = 0u; cell < cells; cell++) {
      let place = at + cell * stride + gene;
      let away = vec2f(entered(counts[place]), entered(means[place])) - center;
      off += away * away;
      if (GAUSS) {
        expected += exponential(raw_variances[place]) + 1e-4;
      }
    }
    var variance = off * rest;
    if (GAUSS) {
      variance.y = expected * inverse;
    }
    var missed = vec2f(center.x - center.y, variance.x - variance.y);
    var truth = vec2f(center.x, variance.x);
    if (!is_listed) {
      missed = vec2f();
      truth = vec2f();
    }
    error += missed * missed;
    seen += 1.0;
    let step = truth - middle;
    middle += step / seen;
    squares += step * (truth - middle);
  }
  let total = max(run_sum(lane, seen), 1.0);
  let all = vec2f(run_sum(lane, seen * middle.x), run_sum(lane, seen * middle.y)) / total;
  let away = middle - all;
  squares += seen * away * away;
  let sums = vec4f(
    run_sum(lane, error.x),
    run_sum(lane, squares.x),
    run_sum(lane, error.y),
    run_sum(lane, squares.y),
  );
  if (lane == 0u) {
    errors[params.first_row + own] = select(sums, vec4f(sums.xy, 0.0, 0.0), cells < 2u);
  }
}
