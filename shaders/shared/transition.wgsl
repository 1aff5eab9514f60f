// The transition operator as the HMM kernels read it. Mirrors packTransition() in
// src/hmm/transition.ts. Appended to the kernels that use it.

const MAX_STATES: u32 = 8u;

struct Transition {
  // cells with an interior bin; vec4 of the padded grid, and from one of its rows to the next; groups of the
  // half-way and of the final convolution, and where the tables of those begin in grid_table
  cells: u32,
  padded: u32,
  stride: u32,
  halfway_groups: u32,
  result_groups: u32,
  halfway_table: u32,
  result_table: u32,
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
