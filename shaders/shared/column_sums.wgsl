// Sums over the LANES threads of a workgroup, a quad of columns at once, in a fixed order. Appended to the kernels that use them;
// LANES is a power of two up to 64, and all threads have to come by.

var<workgroup> gathered_quads: array<vec4f, 64>;

fn column_sum(lane: u32, value: vec4f) -> vec4f {
  workgroupBarrier();
  gathered_quads[lane] = value;
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) {
      gathered_quads[lane] += gathered_quads[lane + step];
    }
  }
  workgroupBarrier();
  return gathered_quads[0];
}
