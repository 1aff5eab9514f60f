// 8 numbers that the threads of a quad share: each loads two and hands them to the others. What that is
// worth is said in src/gpu/quads.ts. The kernel that this is appended to says where they are, by
// shared_element(); all threads of a quad have to take the same at the same time.

fn take_run(at: u32, lane: u32) -> mat2x4f {
  // by bits: SwiftShader divides one thread after the other
  let column = (lane >> 1u) & 1u;
  let row = 2u * (lane & 1u);
  let own = vec2f(shared_element(at, column, row), shared_element(at, column, row + 1u));
  return mat2x4f(
    vec4f(quadBroadcast(own, 0u), quadBroadcast(own, 1u)),
    vec4f(quadBroadcast(own, 2u), quadBroadcast(own, 3u)),
  );
}
