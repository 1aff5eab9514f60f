// Uniform blocks of a transition, which are rank 1: a weight times the sum over a state. Appended to
// the kernels that use it, which bind
//
// states           [STATES + 1] vec2<u32>: first bin of each state, and BINS
// spread_weights   [STATES, STATES] f32: from the state summed over, to the state of the result
// state_sums       f32, STATES of them for each lane

// Sum of what all states spread onto `bin`.
fn spread_onto(bin: u32, sums_at: u32) -> f32 {
  var state = 0u;
  for (var next = 1u; next < STATES; next++) {
    state += select(0u, 1u, bin >= states[next].x);
  }
  var sum = 0.0;
  for (var other = 0u; other < STATES; other++) {
    sum += spread_weights[other * STATES + state] * state_sums[sums_at + other];
  }
  return sum;
}
