// A row of the search for the likeliest path, before it goes through the transition: what a bin of this row
// scores with all that comes after, and the best bin of every state. One workgroup.
//
//   weighted = log-likelihood + message
//
// params           row of the tile; 1 where every state has log-likelihoods of its own
// states           [STATES + 1] first bin of each state, then BINS
// log_likelihood   [tile rows, COLUMNS] scores (log_score.wgsl) relative to the largest of a row
// message          [BINS + 1] scores of the best way on from a bin, up to what all rows to come lost
// weighted         [BINS] scores, written
// best             [STATES, 3] u32, written: score and bin of the best of each state, the first of equals
// row_best         [tile rows] scores, written: the largest of a row
//
// f64 twin: test/reference/viterbi.ts.

override WORKGROUP: u32;
override STATES: u32;
override COLUMNS: u32;

struct Params {
  row: u32,
  per_state: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> states: array<u32>;
@group(0) @binding(2) var<storage, read> log_likelihood: array<vec2u>;
@group(0) @binding(3) var<storage, read> message: array<vec2u>;
@group(0) @binding(4) var<storage, read_write> weighted: array<vec2u>;
@group(0) @binding(5) var<storage, read_write> best: array<u32>;
@group(0) @binding(6) var<storage, read_write> row_best: array<vec2u>;

var<workgroup> partial: array<vec3u, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn viterbi_weigh(@builtin(local_invocation_index) thread: u32) {
  var largest = vec3u(NO_SCORE, 0u);
  for (var state = 0u; state < STATES; state++) {
    let first = states[state];
    let end = states[state + 1u];
    let column = params.row * COLUMNS + select(0u, first, params.per_state == 1u);
    var own = vec3u(NO_SCORE, first);
    for (var bin = first + thread; bin < end; bin += WORKGROUP) {
      let score = sum_of_scores(log_likelihood[column + bin - first], message[bin]);
      weighted[bin] = score;
      let candidate = vec3u(score, bin);
      if (goes_before(candidate, own)) {
        own = candidate;
      }
    }
    partial[thread] = own;
    workgroupBarrier();
    for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
      if (thread < width) {
        let other = partial[thread + width];
        if (goes_before(other, partial[thread])) {
          partial[thread] = other;
        }
      }
      workgroupBarrier();
    }
    let found = partial[0];
    if (goes_before(found, largest)) {
      largest = found;
    }
    if (thread == 0u) {
      best[3u * state] = found.x;
      best[3u * state + 1u] = found.y;
      best[3u * state + 2u] = found.z;
    }
    // partial is written again
    workgroupBarrier();
  }
  if (thread == 0u) {
    row_best[params.row] = largest.xy;
  }
}
