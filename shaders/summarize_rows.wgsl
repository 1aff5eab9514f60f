// What a row of probabilities says in a few numbers.
//
// params           rows [first_row, end_row) of the tile; width of a row
// packed           [rows, width] f32, in [0, 1]
// positions        [width] vec2<f32>, centre of each element's bin, relative to the grid's middle
// summaries        [rows, 9] f32, written:
//                  0 largest element's index, the lowest of equals   1 the element itself
//                  2 entropy, nats, 0 log 0 = 0
//                  3, 4 mean position                                5, 6 its variance
//                  7 the largest threshold t with sum of elements >= t at least COVERAGE of the row
//                  8 how many elements are at least that
//
// One workgroup a row. The threshold is found on the bits of a float, which are in the order of the floats
// themselves: each of 13 rounds leaves a fifth of what it may be, by four sums at once, in a fixed
// order. f64 twin: test/reference/summarize_rows.ts.

override WORKGROUP: u32;
override COVERAGE: f32;

struct Params {
  first_row: u32,
  end_row: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> packed: array<f32>;
@group(0) @binding(2) var<storage, read> positions: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> summaries: array<f32>;

const SUMMARIES = 9u;
// Threads whose values are summed together first; 5^ROUNDS is more than there are floats in [0, 1].
const TOGETHER = 8u;
const ROUNDS = 13u;

var<workgroup> partial: array<vec4f, WORKGROUP>;
var<workgroup> sums_of_some: array<vec4f, WORKGROUP / TOGETHER>;
var<workgroup> peaks: array<vec2u, WORKGROUP>;

// Sum of every thread's value, the same in all of them. Uniform control flow.
fn sum_of(lane: u32, value: vec4f) -> vec4f {
  workgroupBarrier();
  partial[lane] = value;
  workgroupBarrier();
  if (lane < WORKGROUP / TOGETHER) {
    var some = vec4f();
    for (var i = 0u; i < TOGETHER; i++) {
      some += partial[lane * TOGETHER + i];
    }
    sums_of_some[lane] = some;
  }
  workgroupBarrier();
  var sum = vec4f();
  for (var i = 0u; i < WORKGROUP / TOGETHER; i++) {
    sum += sums_of_some[i];
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP)
fn summarize_rows(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  // more rows than one dispatch dimension takes are folded into two
  let row = params.first_row + group.y * groups.x + group.x;
  if (row >= params.end_row) {
    return;
  }
  let start = row * params.width;

  var own = vec4f();
  var peak = vec2u(0u, 0xffffffffu);
  for (var column = lane; column < params.width; column += WORKGROUP) {
    let value = packed[start + column];
    own += vec4f(value, value * positions[column], 0.0);
    if (value > 0.0) {
      own.w -= value * log(value);
    }
    let bits = bitcast<u32>(value);
    if (bits > peak.x || peak.y == 0xffffffffu) {
      peak = vec2u(bits, column);
    }
  }
  peaks[lane] = peak;
  let sums = sum_of(lane, own);
  if (lane == 0u) {
    for (var other = 1u; other < WORKGROUP; other++) {
      let candidate = peaks[other];
      let larger = candidate.x > peak.x || (candidate.x == peak.x && candidate.y < peak.y);
      peak = select(peak, candidate, larger);
    }
    peaks[0] = peak;
  }
  workgroupBarrier();
  peak = peaks[0];
  let total = max(sums.x, 1e-30);
  let mean = sums.yz / total;

  // sums of what is at least `low` reach the coverage, those of what is at least `high` do not
  var low = 0u;
  var high = peak.x + 1u;
  for (var i = 0u; i < ROUNDS; i++) {
    let fifths = (high - low) / 5u * vec4u(1u, 2u, 3u, 4u) +
      (high - low) % 5u * vec4u(1u, 2u, 3u, 4u) / 5u;
    let middles = low + fifths;
    var mass = vec4f();
    for (var column = lane; column < params.width; column += WORKGROUP) {
      let value = packed[start + column];
      mass += select(vec4f(), vec4f(value), vec4u(bitcast<u32>(value)) >= middles);
    }
    let reaches = sum_of(lane, mass) >= vec4f(COVERAGE * sums.x);
    let below = select(vec4u(low), middles, reaches);
    let above = select(middles, vec4u(high), reaches);
    low = max(max(below.x, below.y), max(below.z, below.w));
    high = min(min(above.x, above.y), min(above.z, above.w));
  }
  // the variance's sums and the size together: every call of sum_of is compiled by itself
  var rest = vec4f();
  for (var column = lane; column < params.width; column += WORKGROUP) {
    let value = packed[start + column];
    let off = positions[column] - mean;
    rest += vec4f(value * off * off, select(0.0, 1.0, bitcast<u32>(value) >= low), 0.0);
  }
  rest = sum_of(lane, rest);
  let variance = rest.xy / total;

  if (lane == 0u) {
    let out = row * SUMMARIES;
    summaries[out] = f32(peak.y);
    summaries[out + 1u] = bitcast<f32>(peak.x);
    summaries[out + 2u] = sums.w;
    summaries[out + 3u] = mean.x;
    summaries[out + 4u] = mean.y;
    summaries[out + 5u] = variance.x;
    summaries[out + 6u] = variance.y;
    summaries[out + 7u] = bitcast<f32>(low);
    summaries[out + 8u] = rest.z;
  }
}
