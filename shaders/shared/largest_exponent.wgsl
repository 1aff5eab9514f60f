// The largest of a workgroup's exponents, appended to kernels of WORKGROUP threads, a power of two.

var<workgroup> exponents: array<i32, WORKGROUP>;

// The largest value of all threads, the same in all of them. Uniform control flow.
fn largest_exponent(thread: u32, value: i32) -> i32 {
  workgroupBarrier();
  exponents[thread] = value;
  workgroupBarrier();
  for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
    if (thread < width) {
      exponents[thread] = max(exponents[thread], exponents[thread + width]);
    }
    workgroupBarrier();
  }
  return exponents[0];
}
