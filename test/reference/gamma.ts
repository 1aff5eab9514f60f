/** Functions of f64 that likelihoods of counts are defined by. */

/** Where the series below are exact to f64. */
const FAR = 24;
/** Of ln gamma: Bernoulli numbers over 2 k (2 k - 1); of digamma over 2 k. */
const LOG_GAMMA = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188];
const DIGAMMA = [1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132];

/** ln of the gamma function of z > 0. */
export function logGamma(z: number): number {
  let product = 0;
  let far = z;
  for (; far < FAR; far++) product += Math.log(far);
  const series = LOG_GAMMA.reduce((sum, c, k) => sum + c / far ** (2 * k + 1), 0);
  return (far - 0.5) * Math.log(far) - far + Math.log(2 * Math.PI) / 2 + series - product;
}

/** Its derivative. */
export function digamma(z: number): number {
  let sum = 0;
  let far = z;
  for (; far < FAR; far++) sum += 1 / far;
  const series = DIGAMMA.reduce((all, c, k) => all + c / far ** (2 * k + 2), 0);
  return Math.log(far) - 1 / (2 * far) - series - sum;
}
