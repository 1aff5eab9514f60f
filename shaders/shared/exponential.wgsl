// e^x that is near to the last digits, where WGSL's own loses as many as x has. Appended to the kernels that use
// it, with logarithm.wgsl where they need softplus().

// e^x; of x beyond 80 that of 80 and of -80, so that nothing overflows.
fn exponential(x: f32) -> f32 {
  let limited = clamp(x, -80.0, 80.0);
  let power = round(limited * 1.44269504);
  // ln 2 in two parts: the first has few digits, so that its product is exact
  let rest = (limited - power * 0.693359375) + power * 0.000212194440055;
  return (1.0 + excess_of_one(rest)) * bitcast<f32>(u32(i32(power) + 127) << 23u);
}

// e^f - 1 for f from -0.35 to 0.35.
fn excess_of_one(f: f32) -> f32 {
  let tail = 0.0083333338 + f * (0.0013888889 + f * 0.0001984127);
  return f + f * f * (0.5 + f * (0.16666667 + f * (0.041666668 + f * tail)));
}

// e^x - 1.
fn exponential_minus_one(x: f32) -> f32 {
  if (abs(x) < 0.35) {
    return excess_of_one(x);
  }
  return exponential(x) - 1.0;
}

// 1 / (1 + e^-x).
fn sigmoid(x: f32) -> f32 {
  let small = exponential(-abs(x));
  return select(small, 1.0, x >= 0.0) / (1.0 + small);
}

// ln(1 + e^x).
fn softplus(x: f32) -> f32 {
  return max(x, 0.0) + logarithm_of_one_plus(exponential(-abs(x)));
}
