// Natural logarithms that are near to the last digit, near 1 too, where WGSL's own may be off by 2^-21. Appended
// to the kernels that use them. Source: the polynomial of fdlibm's e_logf.c (Sun Microsystems 1993).

// Where 1 + f is from sqrt(1/2) to sqrt(2), all digits of ln(1 + f) are had from f.
fn is_near_one(f: f32) -> bool {
  return f > -0.29289 && f < 0.41421;
}

// ln(1 + f) - f for those: s (f^2/2 + R(s^2)) - f^2/2, s = f / (2 + f).
fn logarithm_excess(f: f32) -> f32 {
  let s = f / (2.0 + f);
  let z = s * s;
  let w = z * z;
  let odd = z * (0.6666666269302368 + w * 0.28498786687850952);
  let even = w * (0.40000972151756287 + w * 0.24279078841209412);
  let half_square = 0.5 * f * f;
  return s * (half_square + odd + even) - half_square;
}

// ln x for normal x > 0.
fn logarithm(x: f32) -> f32 {
  // the mantissa from sqrt(1/2) to sqrt(2)
  let shifted = bitcast<u32>(x) + (0x3f800000u - 0x3f3504f3u);
  let exponent = f32(i32(shifted >> 23u) - 127);
  let mantissa = bitcast<f32>((shifted & 0x007fffffu) + 0x3f3504f3u);
  // ln 2 in two parts: the first has few digits, so that its product is exact
  return exponent * 0.69313812256 +
    (mantissa - 1.0 + (logarithm_excess(mantissa - 1.0) + exponent * 0.0000090580006145));
}

// ln(1 + x) for x > -1 whose 1 + x is normal.
fn logarithm_of_one_plus(x: f32) -> f32 {
  // 1 + x loses digits of a small x; beyond, what it loses is below the last digit of the logarithm
  if (is_near_one(x)) {
    return x + logarithm_excess(x);
  }
  return logarithm(1.0 + x);
}
