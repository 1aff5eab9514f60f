// Sums and maxima over runs of LANES of a workgroup's 64 threads, in a fixed order. Appended to the kernels that
// use them, which have `override LANES`, a power of two; all threads have to come by.

var<workgroup> gathered: array<f32, 64>;

// The sum over a thread's run, for every thread of it.
fn run_sum(lane: u32, value: f32) -> f32 {
  if (LANES == 1u) {
    return value;
  }
  workgroupBarrier();
  gathered[lane] = value;
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane % LANES < step) {
      gathered[lane] += gathered[lane + step];
    }
  }
  workgroupBarrier();
  return gathered[lane / LANES * LANES];
}

fn run_max(lane: u32, value: f32) -> f32 {
  if (LANES == 1u) {
    return value;
  }
  workgroupBarrier();
  gathered[lane] = value;
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane % LANES < step) {
      gathered[lane] = max(gathered[lane], gathered[lane + step]);
    }
  }
  workgroupBarrier();
  return gathered[lane / LANES * LANES];
}
