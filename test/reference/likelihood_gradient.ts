/** Twins of what lies between a decoder and likelihoods of counts, in f64. Rows have `genes` numbers, no padding. */

/** The softmax of logits times a library; of counts that are 0 besides, where logits of that are given. */
export function softmaxMeans(
  logits: ArrayLike<number>,
  genes: number,
  libraries: ArrayLike<number>,
  zeroLogits?: ArrayLike<number>,
): Float64Array {
  const means = new Float64Array(logits.length);
  for (let row = 0; row < libraries.length; row++) {
    let most = -Infinity;
    for (let gene = 0; gene < genes; gene++) most = Math.max(most, logits[row * genes + gene]!);
    let sum = 0;
    for (let gene = 0; gene < genes; gene++) sum += Math.exp(logits[row * genes + gene]! - most);
    for (let at = row * genes; at < (row + 1) * genes; at++) {
      const counted = zeroLogits ? 1 / (1 + Math.exp(zeroLogits[at]!)) : 1;
      means[at] = libraries[row]! * Math.exp(logits[at]! - most) / sum * counted;
    }
  }
  return means;
}

/** -scale times the gradient by logits of what has these slopes by the logarithms of softmax means. */
export function slopesByLogits(
  slopes: ArrayLike<number>,
  genes: number,
  means: ArrayLike<number>,
  libraries: ArrayLike<number>,
  scale: number,
): Float64Array {
  return Float64Array.from(slopes, (slope, at) => {
    const row = Math.floor(at / genes);
    let sum = 0;
    for (let gene = 0; gene < genes; gene++) sum += slopes[row * genes + gene]!;
    const share = libraries[row]! > 0 ? means[at]! / libraries[row]! : 0;
    return -scale * (slope - share * sum);
  });
}
