// Log-likelihood of counts under a negative binomial of mean mu and dispersion theta = e^r, and its derivatives
// by ln mu and by r. Appended, with logarithm.wgsl and exponential.wgsl, to the kernels that use it.
//
// As differences of log-gammas it is off by 1e-3 in f32. Here it is a Stirling remainder g and a deviance, of
// which each is small where the whole is:
//
//   ln p = g(x + theta) - g(theta) - g(x) + ln(theta / (2 pi x (x + theta))) / 2
//          + x ln(1 + a) - theta ln(1 + b),   a = theta d / (x (mu + theta)), b = d / (theta + x), d = mu - x
//
// where a and b are small their first orders are taken together: x a - theta b = -theta d^2 / ((mu + theta) (x + theta)).
// To mu 1e-8 is added, as in scvi-tools. Counts may be mixtures: no whole numbers. Those up to 1e-8 are 0.
// r is limited to -60 .. 60.

const NB_EPSILON: f32 = 1e-8;

struct NbTerms {
  log_likelihood: f32,
  by_log_mean: f32,
  by_log_dispersion: f32,
}

// ln gamma(z) - (z - 1/2) ln z + z - ln(2 pi) / 2 for z from 8.
fn stirling_series(z: f32) -> f32 {
  let inverse = 1.0 / z;
  let square = inverse * inverse;
  return inverse * (0.083333336 - square * (0.0027777778 - square * 0.00079365080));
}

// The same for z > 0.
fn stirling_remainder(z: f32) -> f32 {
  if (z >= 8.0) {
    return stirling_series(z);
  }
  var product = z;
  var steps = 1.0;
  for (var k = 1; k < 8; k++) {
    let next = z + steps;
    if (next < 8.0) {
      product *= next;
      steps += 1.0;
    }
  }
  let shifted = z + steps;
  return (shifted - 0.5) * logarithm(shifted) - (z - 0.5) * logarithm(z) - logarithm(product) -
    steps + stirling_series(shifted);
}

// x ln(1 + a) - theta ln(1 + b); of x = 0 that is -theta ln(1 + b).
fn nb_deviance(x: f32, mean: f32, theta: f32) -> f32 {
  let d = mean - x;
  let share = theta / (mean + theta);
  let b = d / (theta + x);
  // where x is 0, so is its part, whatever a is
  let safe = max(x, NB_EPSILON);
  let a = share * (d / safe);
  let excess_a = logarithm_excess(a);
  let excess_b = logarithm_excess(b);
  if (x > NB_EPSILON && is_near_one(a) && is_near_one(b)) {
    return x * excess_a - theta * excess_b - (share * d) * b;
  }
  var first = a + excess_a;
  if (!is_near_one(a)) {
    first = logarithm((mean / safe) * ((x + theta) / (mean + theta)));
  }
  var second = b + excess_b;
  if (!is_near_one(b)) {
    second = logarithm((mean + theta) / (x + theta));
  }
  return x * first - theta * second;
}

fn nb_by_dispersion(x: f32, mean: f32, theta: f32) -> f32 {
  let t = (x - mean) / (theta + mean);
  var sum = 0.0;
  var shifted = theta;
  for (var k = 0; k < 6; k++) {
    if (shifted < 6.0) {
      // one after the other: their product may be too small for f32
      sum += (x / shifted) / (shifted + x);
      shifted += 1.0;
    }
  }
  // ln(shifted + x) - ln(shifted) - ln(1 + mean / theta) - t, which is small where nothing was shifted
  var logarithms = logarithm_excess(t);
  if (theta < 6.0 || !is_near_one(t)) {
    logarithms = logarithm(((shifted + x) / shifted) * (theta / (theta + mean))) - t;
  }
  let inverse = 1.0 / shifted;
  let inverse_end = 1.0 / (shifted + x);
  let square = inverse * inverse;
  let square_end = inverse_end * inverse_end;
  let fourth = square * square;
  let fourth_end = square_end * square_end;
  let series = 0.5 * x * inverse * inverse_end + (square - square_end) * 0.083333336 -
    (fourth - fourth_end) * 0.0083333338 + (fourth * square - fourth_end * square_end) * 0.0039682540;
  return theta * (sum + logarithms + series);
}

fn negative_binomial(count: f32, mu: f32, log_dispersion: f32) -> NbTerms {
  let theta = exponential(clamp(log_dispersion, -60.0, 60.0));
  let x = select(count, 0.0, count <= NB_EPSILON);
  let mean = select(mu + NB_EPSILON, mu, x == 0.0);
  var constant = 0.0;
  if (x > 0.0) {
    let end = x + theta;
    // ln(theta / (2 pi x (x + theta))) / 2
    let scale = 0.5 * logarithm((theta / end) * (0.15915494 / x));
    constant = stirling_remainder(end) - stirling_remainder(theta) - stirling_remainder(x) + scale;
  }
  let by_log_mean = theta * ((x - mu) / (theta + mu)) - x * (NB_EPSILON / (mu + NB_EPSILON));
  return NbTerms(
    constant + nb_deviance(x, mean, theta),
    by_log_mean,
    nb_by_dispersion(x, mu, theta),
  );
}
