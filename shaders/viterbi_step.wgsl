// A row of the search for the likeliest path, through the transition and back: for every bin of the row before,
// the best bin of this one. A thread a bin.
//
//   message' = max over bins of (log p(bin | source) + weighted) - the largest weighted, next = that bin
//
// params           row of the tile; where it begins in `next`; sources [first_source, end_source) to look at, the
//                  start being the one after all bins; the first of `entries`, which are those of these sources
// sources          [BINS + 1, 2] state of a source, and its first entry; then the start, which has none of its
//                  own state but STATES; [BINS + 2] in all, of which the last ends the entries
// entries          [entries, 3] bin, and score of p(bin | source), in order of bins
// spread           [STATES + 1, STATES] score of p(any bin of a state | source's state), where all are alike
// weighted         [BINS] scores
// best             [STATES, 3] score and bin of the best of each state
// row_best         [tile rows] the largest score of a row
// message          [BINS + 1] scores, written
// next             u32, written: the best bin, the first of equals
//
// f64 twin: test/reference/viterbi.ts.

override WORKGROUP: u32;
override STATES: u32;

struct Params {
  row: u32,
  next_at: u32,
  first_source: u32,
  end_source: u32,
  first_entry: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sources: array<vec2u>;
@group(0) @binding(2) var<storage, read> entries: array<u32>;
@group(0) @binding(3) var<storage, read> spread: array<vec2u>;
@group(0) @binding(4) var<storage, read> weighted: array<vec2u>;
@group(0) @binding(5) var<storage, read> best: array<u32>;
@group(0) @binding(6) var<storage, read> row_best: array<vec2u>;
@group(0) @binding(7) var<storage, read_write> message: array<vec2u>;
@group(0) @binding(8) var<storage, read_write> next: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn viterbi_step(@builtin(global_invocation_id) id: vec3u) {
  let source = params.first_source + id.x;
  if (source >= params.end_source) {
    return;
  }
  var found = vec3u(NO_SCORE, 0u);
  let own = sources[source];
  let end = sources[source + 1u].y - params.first_entry;
  for (var entry = own.y - params.first_entry; entry < end; entry++) {
    let bin = entries[3u * entry];
    let score = vec2u(entries[3u * entry + 1u], entries[3u * entry + 2u]);
    let candidate = vec3u(sum_of_scores(score, weighted[bin]), bin);
    if (goes_before(candidate, found)) {
      found = candidate;
    }
  }
  for (var state = 0u; state < STATES; state++) {
    let theirs = vec2u(best[3u * state], best[3u * state + 1u]);
    let score = sum_of_scores(spread[own.x * STATES + state], theirs);
    let candidate = vec3u(score, best[3u * state + 2u]);
    if (goes_before(candidate, found)) {
      found = candidate;
    }
  }
  let largest = row_best[params.row];
  message[source] = select(NO_SCORE, score_below(found.xy, largest), is_score(largest));
  next[params.next_at + source] = found.z;
}
