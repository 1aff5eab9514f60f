/**
 * Student's t distribution: intervals and tests of a mean.
 *
 * @module
 */

/** Natural logarithm of the gamma function for x > 0. Source: Lanczos 1964, g = 7, nine terms. */
function logGamma(x: number): number {
  const terms = [
    0.99999999999980993,
    676.5203681218851,
    -1259.1392167224028,
    771.32342877765313,
    -176.61502916214059,
    12.507343278686905,
    -0.13857109526572012,
    9.9843695780195716e-6,
    1.5056327351493116e-7,
  ];
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const sum = terms.reduce((total, term, i) => i === 0 ? term : total + term / (x - 1 + i), 0);
  const shifted = x + 6.5;
  return Math.log(2 * Math.PI) / 2 + (x - 0.5) * Math.log(shifted) - shifted + Math.log(sum);
}

/** Regularised incomplete beta function by Lentz's continued fraction. Source: DLMF 8.17.22. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x),
  );
  const least = 1e-300;
  let c = 1;
  let d = 1 / (1 - (a + b) * x / (a + 1) || least);
  let fraction = d;
  for (let m = 1; m < 10_000; m++) {
    let change = 1;
    for (
      const term of [
        m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
        -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
      ]
    ) {
      d = 1 / (1 + term * d || least);
      c = 1 + term / c || least;
      change = c * d;
      fraction *= change;
    }
    if (Math.abs(change - 1) < 1e-15) break;
  }
  return front * fraction / a;
}

/** Probability that |t| is at least this large, for so many degrees of freedom. */
export function studentTails(t: number, degrees: number): number {
  return incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5);
}

/** The t that |t| stays below with this probability. */
export function studentQuantile(coverage: number, degrees: number): number {
  let [low, high] = [0, 1];
  while (studentTails(high, degrees) > 1 - coverage) high *= 2;
  for (let i = 0; i < 200 && high - low > 1e-14 * high; i++) {
    const middle = (low + high) / 2;
    if (studentTails(middle, degrees) > 1 - coverage) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** A mean of independent values, and how sure it is. */
export interface MeanEstimate {
  count: number;
  /** NaN of no values. */
  mean: number;
  /** Standard deviation over count - 1; NaN of fewer than 2 values, as what follows. */
  std: number;
  /** 95 % interval of the mean. */
  low: number;
  high: number;
}

/** Mean, standard deviation and Student's 95 % interval. */
export function estimateMean(values: readonly number[]): MeanEstimate {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count < 2) return { count, mean, std: NaN, low: NaN, high: NaN };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const std = Math.sqrt(squares / (count - 1));
  const half = studentQuantile(0.95, count - 1) * std / Math.sqrt(count);
  return { count, mean, std, low: mean - half, high: mean + half };
}
