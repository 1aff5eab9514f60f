/** f64 twin of `logistic_residual`: by the definition where steps are large, by an integral where they are not. */
export function logisticResidual(anchor: number, step: number): number {
  const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));
  if (Math.abs(step) > 1e-3) {
    // what is left of 1 has the digits
    return anchor > 0
      ? sigmoid(-anchor) - sigmoid(-anchor - step)
      : sigmoid(anchor + step) - sigmoid(anchor);
  }
  const slope = (z: number) => sigmoid(z) * sigmoid(-z);
  // Simpson's rule
  return step / 6 * (slope(anchor) + 4 * slope(anchor + step / 2) + slope(anchor + step));
}
