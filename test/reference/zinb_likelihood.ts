import { nbLikelihood } from "./nb_likelihood.ts";

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** Twin of `zinb_likelihood`: a mixture of zero and a negative binomial. */
export function zinbLikelihood(x: number, mean: number, logDispersion: number, logit: number) {
  const nb = nbLikelihood(x, mean, logDispersion);
  const extra = sigmoid(logit);
  if (x > 1e-8) {
    return { ...nb, logLikelihood: nb.logLikelihood + Math.log(sigmoid(-logit)), byLogit: -extra };
  }
  // a zero of either kind
  const own = sigmoid(-logit) * Math.exp(nb.logLikelihood);
  return {
    logLikelihood: Math.log(extra + own),
    byLogMean: own / (extra + own) * nb.byLogMean,
    byLogDispersion: own / (extra + own) * nb.byLogDispersion,
    // of the logit: extra' = extra (1 - extra), own' = -own extra
    byLogit: (extra * sigmoid(-logit) - own * extra) / (extra + own),
  };
}
