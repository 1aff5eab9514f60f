/** Twin of `gauss_likelihood`: a normal distribution of variance e^u + 1e-4. */
export function gaussLikelihood(value: number, mean: number, rawVariance: number) {
  const variance = Math.exp(rawVariance) + 1e-4;
  const square = (value - mean) ** 2;
  return {
    logLikelihood: -0.5 * Math.log(2 * Math.PI * variance) - square / (2 * variance),
    byMean: (value - mean) / variance,
    byRawVariance: Math.exp(rawVariance) * (square / variance - 1) / (2 * variance),
  };
}
