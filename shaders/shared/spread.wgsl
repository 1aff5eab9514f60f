// Uniform blocks of a transition, which are rank 1: a weight times the sum over a state. Appended, with
// wide.wgsl, to the kernels that use it, which bind
//
// states           [STATES + 1] vec2<u32>: first bin of each state, and BINS
// spread_weights   [STATES, STATES] f32: from the state summed over, to the state of the result
// state_sums       [LANES, 1 + STATES] u32: levels of a lane's vector, then its sum over each state, wide

// How many levels of a lane's vector count.
fn levels_of(lane: u32) -> u32 {
  return state_sums[lane * (1u + params.states)];
}

// What all states of a lane that has a single level spread onto a bin, times 2^100.
fn spread_near(bin: u32, lane: u32) -> f32 {
  var state = 0u;
  for (var next = 1u; next < params.states; next++) {
    state += select(0u, 1u, bin >= states[next].x);
  }
  let sums = lane * (1u + params.states) + 1u;
  var sum = 0.0;
  for (var other = 0u; other < params.states; other++) {
    // a state may have a deep sum where only what carries mass is counted: negative here, and nothing
    let near = max(bitcast<f32>(state_sums[sums + other]), 0.0);
    sum += spread_weights[other * params.states + state] * near;
  }
  return sum;
}

// What they spread onto four bins, of any lane.
fn spread_onto(bins: vec4u, lane: u32) -> vec4u {
  var state = vec4u();
  for (var next = 1u; next < params.states; next++) {
    state += select(vec4u(), vec4u(1u), bins >= vec4u(states[next].x));
  }
  let sums = lane * (1u + params.states) + 1u;
  var sum = vec4u();
  for (var other = 0u; other < params.states; other++) {
    let total = wide_parts(vec4u(state_sums[sums + other]));
    let to = other * params.states + state;
    let weights = vec4f(
      spread_weights[to.x],
      spread_weights[to.y],
      spread_weights[to.z],
      spread_weights[to.w],
    );
    sum = wide_sum(sum, wide_of(weights * total.mantissa, total.exponent));
  }
  return sum;
}
