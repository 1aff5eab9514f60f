// Sums over the threads of a workgroup, a sum for each discrete state. Appended to the kernels that
// use it, which declare `override WORKGROUP` (a power of 2 from 2) and `override STATES`.

const SUM_FLOOR: f32 = 1e-15;

var<workgroup> partial_sums: array<f32, STATES * WORKGROUP>;
var<workgroup> totals: array<f32, STATES>;

// Adds partial_sums[state, thread] up into totals[state], in a fixed order. Uniform control flow.
fn total_states(thread: u32) {
  workgroupBarrier();
  for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
    if (thread < width) {
      for (var state = 0u; state < STATES; state++) {
        let at = state * WORKGROUP + thread;
        partial_sums[at] += partial_sums[at + width];
      }
    }
    workgroupBarrier();
  }
  if (thread < STATES) {
    totals[thread] = partial_sums[thread * WORKGROUP];
  }
  workgroupBarrier();
}

// The sum over all states, after total_states().
fn total() -> f32 {
  var sum = 0.0;
  for (var state = 0u; state < STATES; state++) {
    sum += totals[state];
  }
  return sum;
}
