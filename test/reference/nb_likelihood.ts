import { digamma, logGamma } from "./gamma.ts";

const EPSILON = 1e-8;

/** Twin of `nb_likelihood`: a negative binomial as scvi-tools defines it, and its derivatives. */
export function nbLikelihood(x: number, mean: number, logDispersion: number) {
  const theta = Math.exp(logDispersion);
  const all = theta + mean + EPSILON;
  const reached = Math.log(theta + EPSILON) - Math.log(all);
  return {
    logLikelihood: logGamma(x + theta) - logGamma(theta) - logGamma(x + 1) + theta * reached +
      x * (Math.log(mean + EPSILON) - Math.log(all)),
    byLogMean: mean * (x / (mean + EPSILON) - (x + theta) / all),
    byLogDispersion: theta *
      (digamma(x + theta) - digamma(theta) + reached + theta / (theta + EPSILON) -
        (x + theta) / all),
  };
}
