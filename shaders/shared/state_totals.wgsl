// Sums over the threads of a workgroup, a sum for each discrete state, once a dispatch. Appended to the
// kernels that use it, which declare `override WORKGROUP` (16 times 1 to 16) and `override STATES`.

const SUM_FLOOR: f32 = 1e-15;
const FOLD: u32 = 16u;

var<workgroup> partial_sums: array<f32, STATES * WORKGROUP>;

// Adds partial_sums[state, thread] up over threads, in a fixed order. Uniform control flow. Folding by
// 16 takes three barriers, which on software adapters cost more than the additions.
fn total_states(thread: u32) {
  workgroupBarrier();
  for (var width = WORKGROUP; width > 1u; width = max(1u, width / FOLD)) {
    let folded = max(1u, width / FOLD);
    if (thread < folded) {
      for (var state = 0u; state < STATES; state++) {
        let first = state * WORKGROUP + thread;
        var sum = 0.0;
        for (var other = 0u; other < width; other += folded) {
          sum += partial_sums[first + other];
        }
        partial_sums[first] = sum;
      }
    }
    workgroupBarrier();
  }
}

// The sum of a state, after total_states().
fn state_total(state: u32) -> f32 {
  return partial_sums[state * WORKGROUP];
}

// The sum over all states, after total_states().
fn total() -> f32 {
  var sum = 0.0;
  for (var state = 0u; state < STATES; state++) {
    sum += state_total(state);
  }
  return sum;
}
