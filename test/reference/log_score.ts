/** Scores in 64 bits as whole numbers of 2^-32 nat; `undefined` is none. */

export type Score = bigint | undefined;

const LEAST = -(2n ** 62n);

export function scoreOf(log: number): Score {
  return log === -Infinity ? undefined : BigInt(Math.round(log * 2 ** 32));
}

/** [scores, 2] as the kernels have them. */
export function wordsOf(scores: readonly Score[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(2 * scores.length);
  scores.forEach((score, i) => {
    const bits = BigInt.asUintN(64, score ?? -(2n ** 63n));
    words[2 * i] = Number(bits >> 32n);
    words[2 * i + 1] = Number(bits & 0xffffffffn);
  });
  return words;
}

export function scoresOf(words: Uint32Array): Score[] {
  return Array.from({ length: words.length / 2 }, (_, i) => {
    const score = BigInt.asIntN(64, (BigInt(words[2 * i]!) << 32n) + BigInt(words[2 * i + 1]!));
    return score < LEAST ? undefined : score;
  });
}

export function plus(a: Score, b: Score): Score {
  if (a === undefined || b === undefined || a + b < LEAST) return undefined;
  return a + b;
}

/** The first of the largest, by index among `scores`; 0 where there is none. */
export function firstLargest(scores: readonly Score[]): number {
  let best = -1;
  scores.forEach((score, i) => {
    if (score !== undefined && (best < 0 || score > scores[best]!)) best = i;
  });
  return Math.max(0, best);
}
