// Powers of two, to a unit in the last place. Appended to the kernels that use it.

const FRACTION: i32 = 0xffffff;

struct Power {
  // in [0.7, 1.42)
  mantissa: vec4f,
  exponent: vec4i,
}

// 2^-(whole + fraction / 2^24) for whole from 0, to a unit in the last place.
//
// WGSL's own exp errs by 3 + 2 |x| units, always to the same side on some adapters: over the rows of a
// recording that adds up in the log-likelihood. Coefficients: Cephes, exp2f.
fn power_of_two(whole: vec4i, fraction: vec4i) -> Power {
  let part = vec4f(fraction) * 5.9604645e-8;
  let up = round(part);
  let rest = up - part;
  var sum = vec4f(1.535336188e-4);
  sum = sum * rest + 1.339887440e-3;
  sum = sum * rest + 9.618437357e-3;
  sum = sum * rest + 5.550332471e-2;
  sum = sum * rest + 2.402264791e-1;
  sum = sum * rest + 6.931472029e-1;
  sum = sum * rest + 1.0;
  // 16384 is beyond what wide numbers hold, and no sum of exponents overflows
  return Power(sum, -min(whole + vec4i(up), vec4i(16384)));
}
