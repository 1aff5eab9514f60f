// The transition operator as the HMM kernels read it. Mirrors packTransition() in
// src/hmm/transition.ts. Appended to the kernels that use it.

const MAX_STATES: u32 = 8u;

struct Transition {
  // per job: first entry in taps_x, radius along x in bins, first entry in taps_y, reach along y in
  // vec4 columns
  jobs: array<vec4u, 8>,
  // [row, column]: x weight of state `column` into job `row`, y weight of job `row` into state
  // `column`, z uniform weight per bin and w identity weight from state `row` to state `column`
  weights: array<vec4f, 64>,
  // entry i: taps i, i - 1, i - 2, i - 3, zero outside the kernel
  taps_x: array<vec4f, 1024>,
  // entry b: column c, row j holds the tap at distance 4 b + c - j
  taps_y: array<mat4x4f, 256>,
}
