/**
 * The forward filter in logarithms throughout, f64: slow, and never short of range.
 */

/**
 * @param transition [states][states] p(next | state).
 * @param logLikelihoods [rows, states], natural logarithm.
 * @param missing [rows] 1 where a row says nothing.
 * @returns `filtered` [rows, states]; `logNormalisers` [rows], natural logarithm.
 */
export function logFilter(
  { initial, transition, logLikelihoods, missing }: {
    initial: readonly number[];
    transition: readonly (readonly number[])[];
    logLikelihoods: ArrayLike<number>;
    missing?: ArrayLike<number>;
  },
): { filtered: Float64Array; logNormalisers: Float64Array } {
  const states = initial.length;
  const rows = logLikelihoods.length / states;
  const logTransition = transition.map((row) => row.map(Math.log));
  const filtered = new Float64Array(rows * states);
  const logNormalisers = new Float64Array(rows);
  let predicted = initial.map(Math.log);
  for (let row = 0; row < rows; row++) {
    const joint = predicted.map((p, state) =>
      p + (missing?.[row] ? 0 : logLikelihoods[row * states + state]!)
    );
    logNormalisers[row] = logSum(joint);
    const own = joint.map((value) => value - logNormalisers[row]!);
    own.forEach((value, state) => filtered[row * states + state] = Math.exp(value));
    predicted = predicted.map((_, next) =>
      logSum(own.map((value, state) => value + logTransition[state]![next]!))
    );
  }
  return { filtered, logNormalisers };
}

function logSum(values: readonly number[]): number {
  const most = values.reduce((largest, value) => Math.max(largest, value), -Infinity);
  return most === -Infinity
    ? most
    : most + Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0));
}
