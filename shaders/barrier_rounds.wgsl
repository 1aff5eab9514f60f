// What a workgroup's barriers cost beside the work between them, by how many threads it has.
//
// params   rounds
// numbers  [32] vec4<f32>
// sums     [128] vec4<f32>, written: a number, and the last round
//
// Used by src/gpu/threads.ts.

override WORKGROUP: u32;

@group(0) @binding(0) var<uniform> params: vec4u;
@group(0) @binding(1) var<storage, read> numbers: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn barrier_rounds(@builtin(local_invocation_index) thread: u32) {
  for (var round = 0u; round < params.x; round++) {
    for (var item = thread; item < 128u; item += WORKGROUP) {
      sums[item] = numbers[item & 31u] + vec4f(f32(round));
    }
    storageBarrier();
  }
}
