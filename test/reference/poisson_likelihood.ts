/**
 * f64 twin of `poisson_likelihood`: natural log-likelihood of the spikes of every row in every bin.
 *
 * @param rates [units, bins] spikes per row.
 * @returns [rows, bins], constants included (nothing is centred).
 */
export function poissonLikelihood(
  rates: Float64Array,
  bins: number,
  spikes: { rowStarts: Uint32Array; units: ArrayLike<number> },
): Float64Array {
  const rows = spikes.rowStarts.length - 1;
  const units = rates.length / bins;
  const logLikelihoods = new Float64Array(rows * bins);
  for (let row = 0; row < rows; row++) {
    for (let bin = 0; bin < bins; bin++) {
      let sum = 0;
      for (let unit = 0; unit < units; unit++) sum -= rates[unit * bins + bin]!;
      for (let spike = spikes.rowStarts[row]!; spike < spikes.rowStarts[row + 1]!; spike++) {
        sum += Math.log(rates[spikes.units[spike]! * bins + bin]!);
      }
      logLikelihoods[row * bins + bin] = sum;
    }
  }
  return logLikelihoods;
}
