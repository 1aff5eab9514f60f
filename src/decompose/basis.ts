/**
 * A fitted basis, and what of it numbers can hold.
 *
 * @module
 */

/** Directions, in f64 and in the array's units. */
export interface Basis {
  /** `[components, features]`. */
  components: Float64Array;
  /** `[features]`. */
  mean: Float64Array;
  /** `[components]`: variance of the rows along each. */
  explainedVariance: Float64Array;
  /** Whether scores are divided by the standard deviation along their component. */
  whiten: boolean;
}

/**
 * What has less than this times the variance of the first component is turned by the rounding of f32 by some
 * 1e-4 rad, and its scores are off by some 1e-5 of their deviation: it takes sums that are exact.
 */
export const COARSE_VARIANCE = 1e-4;

/** Whether the last of some variances, largest first, is one that takes exact sums. */
export function endsFaint(variances: Float64Array): boolean {
  const [largest, smallest] = [variances[0]!, variances.at(-1)!];
  return largest > 0 && smallest <= COARSE_VARIANCE * largest;
}

/** Largest f32 number. */
const MOST_SCORE = (2 - 2 ** -23) * 2 ** 127;
/** Deviations whose squares f64 holds, summed over any rows; and those whose scores f32 holds. */
const SQUARED = [2 ** -500, 2 ** 500] as const;
const SCORED = [2 ** -100, 2 ** 120] as const;

/**
 * Looks whether results are numbers that their types hold. Rows that do not deviate at all have all 0.
 *
 * @param deviation Root of the variance along a component, or of that of all features together.
 * @param hasScores Whether there are scores in the rows' units.
 * @throws {RangeError} If rows deviate by so little or so much that variances or scores vanish or overflow.
 */
export function checkDeviation(action: string, deviation: number, hasScores: boolean): void {
  const [least, most] = hasScores ? SCORED : SQUARED;
  if (deviation === 0 || deviation >= least && deviation <= most) return;
  const why = hasScores
    ? "as scores are f32; scale the rows, or whiten"
    : "as variances are f64; scale the rows";
  throw new RangeError(
    `Cannot ${action}: rows deviate by ${deviation.toExponential(1)} from their mean, wanted ` +
      `${least.toExponential(0)} to ${most.toExponential(0)}, ${why}`,
  );
}

/** @throws {RangeError} If f32 cannot hold a score. */
export function checkScore(action: string, score: number, row: number, component: number): number {
  if (Math.abs(score) <= MOST_SCORE) return score;
  throw new RangeError(
    `Cannot ${action}: row ${row} has a score of ${score.toExponential(1)} along component ` +
      `${component}, wanted up to ${
        MOST_SCORE.toExponential(1)
      }, as scores are f32; scale the rows`,
  );
}

/** What scores are divided by: standard deviations; 1 where there is none, so that nothing is divided by 0. */
export function unitsOf({ explainedVariance, whiten }: Basis): Float64Array<ArrayBuffer> {
  return Float64Array.from(
    explainedVariance,
    (variance) => whiten && variance > 0 ? Math.sqrt(variance) : 1,
  );
}

/**
 * Rows back from their scores, on the host.
 *
 * @param scores `[rows, components]`.
 * @returns `[rows, features]` f32.
 * @throws {RangeError} If scores are no whole rows, or f32 cannot hold a value.
 */
export function unproject(
  basis: Basis,
  scores: ArrayLike<number>,
): Float32Array {
  const { components, mean } = basis;
  const units = unitsOf(basis);
  const vectors = units.length;
  const features = mean.length;
  if (scores.length % vectors !== 0) {
    throw new RangeError(
      `Cannot invert the projection: got ${scores.length} scores, wanted rows of ${vectors}`,
    );
  }
  const rows = scores.length / vectors;
  const values = new Float32Array(rows * features);
  const own = new Float64Array(features);
  for (let row = 0; row < rows; row++) {
    own.set(mean);
    for (let i = 0; i < vectors; i++) {
      const score = scores[row * vectors + i]! * units[i]!;
      for (let d = 0; d < features; d++) own[d]! += score * components[i * features + d]!;
    }
    const bad = own.findIndex((value) => !(Math.abs(value) <= MOST_SCORE));
    if (bad >= 0) {
      throw new RangeError(
        `Cannot invert the projection: row ${row}, feature ${bad} would be ${own[bad]}, wanted ` +
          `finite numbers up to ${MOST_SCORE.toExponential(1)}, as rows are f32`,
      );
    }
    values.set(own, row * features);
  }
  return values;
}
