// Numbers drawn from a normal distribution of mean 0 and variance 1, by the inverse of its distribution function. Appended to kernels that
// draw, with philox.wgsl and logarithm.wgsl.
//
// Source of the polynomials: Giles 2012, "Approximating the erfinv function", single precision.

// sqrt(2) erfinv(x), for x between -1 and 1.
fn normal_of(x: f32) -> f32 {
  var w = -logarithm((1.0 - x) * (1.0 + x));
  var p = 0.0;
  if (w < 5.0) {
    w -= 2.5;
    p = 2.81022636e-8;
    p = 3.43273939e-7 + p * w;
    p = -3.5233877e-6 + p * w;
    p = -4.39150654e-6 + p * w;
    p = 0.00021858087 + p * w;
    p = -0.00125372503 + p * w;
    p = -0.00417768164 + p * w;
    p = 0.246640727 + p * w;
    p = 1.50140941 + p * w;
  } else {
    w = sqrt(w) - 3.0;
    p = -0.000200214257;
    p = 0.000100950558 + p * w;
    p = 0.00134934322 + p * w;
    p = -0.00367342844 + p * w;
    p = 0.00573950773 + p * w;
    p = -0.0076224613 + p * w;
    p = 0.00943887047 + p * w;
    p = 1.00167406 + p * w;
    p = 2.83297682 + p * w;
  }
  return 1.41421356 * p * x;
}

// A quad of them, by counter.
fn normal_quad(quad: u32, layer: u32, draw: u32, drawn_for: u32, seed: u32) -> vec4f {
  let words = philox(vec4u(quad, layer, draw, drawn_for), vec2u(seed, NORMAL_STREAM));
  // 23 bits and a half: exact, and never -1 or 1
  let x = vec4f(2u * (words >> vec4u(9u)) + 1u) * 1.1920928955078125e-7 - 1.0;
  return vec4f(normal_of(x.x), normal_of(x.y), normal_of(x.z), normal_of(x.w));
}

// keeps these apart from other uses of a seed
const NORMAL_STREAM = 102u;
