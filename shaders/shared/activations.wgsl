// Functions of one number that layers are made of, true to some 1e-7 wherever f32 has numbers, for WGSL's own
// log is only true to 5e-7 near 1. Appended to the kernels that use them.

// erfc(z) / exp(-z^2) for z >= 0, times exp(-z^2). Source: Press et al., "Numerical Recipes", erfcc.
fn complementary_error(z: vec4f) -> vec4f {
  // past 10 there is nothing left in f32
  let near = min(z, vec4f(10.0));
  let t = 1.0 / (1.0 + 0.5 * near);
  var sum = vec4f(0.17087277);
  sum = sum * t - 0.82215223;
  sum = sum * t + 1.48851587;
  sum = sum * t - 1.13520398;
  sum = sum * t + 0.27886807;
  sum = sum * t - 0.18628806;
  sum = sum * t + 0.09678418;
  sum = sum * t + 0.37409196;
  sum = sum * t + 1.00002368;
  sum = sum * t - 1.26551223;
  return t * exp(sum - near * near);
}

// The normal distribution's share below x.
fn normal_below(x: vec4f) -> vec4f {
  let tail = 0.5 * complementary_error(abs(x) * 0.70710678);
  return select(tail, 1.0 - tail, x > vec4f());
}

fn gelu(x: vec4f) -> vec4f {
  return x * normal_below(x);
}

fn gelu_slope(x: vec4f) -> vec4f {
  let near = clamp(x, vec4f(-15.0), vec4f(15.0));
  return normal_below(x) + near * exp(-0.5 * near * near) * 0.39894228;
}

// log(1 + u) for u in [0, 1], as 2 atanh(u / (2 + u)).
fn log_one_plus(u: vec4f) -> vec4f {
  let s = u / (2.0 + u);
  let square = s * s;
  var sum = vec4f(1.0 / 17.0);
  sum = sum * square + 1.0 / 15.0;
  sum = sum * square + 1.0 / 13.0;
  sum = sum * square + 1.0 / 11.0;
  sum = sum * square + 1.0 / 9.0;
  sum = sum * square + 1.0 / 7.0;
  sum = sum * square + 1.0 / 5.0;
  sum = sum * square + 1.0 / 3.0;
  return 2.0 * s + 2.0 * s * square * sum;
}

fn softplus(x: vec4f) -> vec4f {
  return max(x, vec4f()) + log_one_plus(exp(-abs(x)));
}

fn sigmoid(x: vec4f) -> vec4f {
  let small = exp(-abs(x));
  return select(small, vec4f(1.0), x >= vec4f()) / (1.0 + small);
}
