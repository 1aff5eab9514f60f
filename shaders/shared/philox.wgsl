// Random words by counter, the same as in src/math/random.ts: Philox 4x32-10. Appended to the kernels that drop.
//
// Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".

// High and low 32 bits of a product.
fn multiply_wide(a: u32, b: u32) -> vec2u {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let cross = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return vec2u((a >> 16u) * (b >> 16u) + (middle >> 16u) + (cross >> 16u), a * b);
}

fn philox(counter: vec4u, seed: vec2u) -> vec4u {
  var c = counter;
  var key = seed;
  for (var round = 0u; round < 10u; round++) {
    let first = multiply_wide(0xd2511f53u, c.x);
    let second = multiply_wide(0xcd9e8d57u, c.z);
    c = vec4u(second.x ^ c.y ^ key.x, second.y, first.x ^ c.w ^ key.y, first.y);
    key += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}

// What a quad of elements is multiplied by: `scale` or, with a chance of threshold / 2^32, 0.
fn kept(quad: u32, layer: u32, step: u32, seed: u32, threshold: u32, scale: f32) -> vec4f {
  let words = philox(vec4u(quad, layer, step, 0u), vec2u(seed, DROPOUT_STREAM));
  return select(vec4f(scale), vec4f(), words < vec4u(threshold));
}

// keeps dropout apart from other uses of a seed
const DROPOUT_STREAM = 101u;
