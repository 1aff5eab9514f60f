// exp() to one unit in the last place, for arguments of at most 0; below -87 it is 0.
//
// WGSL's own may err by 3 + 2 |x| units, always to the same side on some adapters: over the rows of a
// recording that adds up in the log-likelihood. Coefficients: Cephes, expf. Appended to the kernels
// that use it.
fn exponential(x: vec4f) -> vec4f {
  let bounded = max(x, vec4f(-87.0));
  let power = round(bounded * 1.44269504);
  // ln 2 in two parts, the first short enough for an exact product
  let rest = bounded - power * 0.693359375 + power * 2.12194440e-4;
  var sum = vec4f(1.9875691500e-4);
  sum = sum * rest + 1.3981999507e-3;
  sum = sum * rest + 8.3334519073e-3;
  sum = sum * rest + 4.1665795894e-2;
  sum = sum * rest + 1.6666665459e-1;
  sum = sum * rest + 5.0000001201e-1;
  sum = sum * rest * rest + rest + 1.0;
  let scale = bitcast<vec4f>((vec4i(power) + 127) << vec4u(23u));
  return select(sum * scale, vec4f(), x < vec4f(-87.0));
}
