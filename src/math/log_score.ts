/**
 * Logarithms of probabilities as 64-bit integers of 2^-32 nat, in two 32-bit words. What they are for:
 * `shaders/shared/log_score.wgsl`, which the kernels use.
 *
 * @module
 */

const FRACTIONS = 2 ** 32;
const NO_WHOLE = -(2 ** 31);
/** Less is no score. */
const LEAST = -(2 ** 30);

/** Writes the score nearest to a natural logarithm of at most 0. */
export function writeScore(log: number, into: Uint32Array, at: number): void {
  let whole = log >= LEAST ? Math.floor(log) : NO_WHOLE;
  let fraction = whole === NO_WHOLE ? 0 : Math.round((log - whole) * FRACTIONS);
  if (fraction === FRACTIONS) {
    whole++;
    fraction = 0;
  }
  into[at] = whole;
  into[at + 1] = fraction;
}

/** Whole nats of a score, and what is above them in 2^-32; `undefined` for none. */
export function readScore(
  scores: Uint32Array,
  at: number,
): { whole: number; fraction: number } | undefined {
  const whole = scores[at]! | 0;
  return whole < LEAST ? undefined : { whole, fraction: scores[at + 1]! };
}
