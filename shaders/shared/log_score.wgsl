// Logarithms of probabilities as 64-bit integers of 2^-32 nat: sums and maxima of them are exact, so that the
// likeliest path does not depend on an adapter, a tile, or an order. Appended to the kernels that use it.
//
// A score is vec2<u32>: whole nats as i32, and 2^-32 of them above that. Below -2^30 nats it is none.

const NO_SCORE: vec2u = vec2u(0x80000000u, 0u);
const LEAST_WHOLE: i32 = -1073741824;

fn whole_of(score: vec2u) -> i32 {
  return bitcast<i32>(score.x);
}

fn is_score(score: vec2u) -> bool {
  return whole_of(score) >= LEAST_WHOLE;
}

// Both are above -2^30: no sum overflows.
fn sum_of_scores(a: vec2u, b: vec2u) -> vec2u {
  let low = a.y + b.y;
  let whole = whole_of(a) + whole_of(b) + select(0, 1, low < a.y);
  let is_sum = is_score(a) && is_score(b) && whole >= LEAST_WHOLE;
  return select(NO_SCORE, vec2u(bitcast<u32>(whole), low), is_sum);
}

// `a` less `b`, of which `b` is a score.
fn score_below(a: vec2u, b: vec2u) -> vec2u {
  let low = a.y - b.y;
  let whole = whole_of(a) - whole_of(b) - select(0, 1, a.y < b.y);
  let is_difference = is_score(a) && whole >= LEAST_WHOLE;
  return select(NO_SCORE, vec2u(bitcast<u32>(whole), low), is_difference);
}

// Whether (score, bin) `a` goes before `b`: it is larger, or comes first where both are as large.
fn goes_before(a: vec3u, b: vec3u) -> bool {
  let whole_a = bitcast<i32>(a.x);
  let whole_b = bitcast<i32>(b.x);
  if (whole_a != whole_b) {
    return whole_a > whole_b;
  }
  if (a.y != b.y) {
    return a.y > b.y;
  }
  return a.z < b.z;
}
