import type { TokenPool } from "../../src/kernels/pool_tokens.ts";

/** Pools of the tokens of one sample, by what they are called. */
export type SamplePool = TokenPool | { kind: "mean" } | { kind: "last" };

/**
 * f64 twin of `pool_tokens`, and of what is made of its sums: a sample, pooled alone.
 *
 * @param tokens [tokens, hidden].
 * @param detected [tokens] of 0 and 1.
 * @returns [hidden], zeros where no token is detected.
 */
export function poolSample(
  tokens: ArrayLike<number>,
  detected: ArrayLike<number>,
  hidden: number,
  pool: SamplePool,
): Float64Array {
  return Float64Array.from(
    { length: hidden },
    (_, channel) => {
      const values = Array.from(
        { length: detected.length },
        (_, token) => tokens[token * hidden + channel]!,
      );
      return poolChannel(values, Array.from(detected, (own) => own === 1), pool);
    },
  );
}

function poolChannel(values: number[], detected: boolean[], pool: SamplePool): number {
  const scored = values.filter((_, token) => detected[token]);
  const sum = scored.reduce((total, value) => total + value, 0);
  const highest = (candidates: number[]) => candidates.length === 0 ? 0 : Math.max(...candidates);
  switch (pool.kind) {
    case "sum":
      return sum;
    case "mean":
      return sum / Math.max(1, scored.length);
    case "max":
      return highest(scored);
    case "last":
      return scored.at(-1) ?? 0;
    case "ema": {
      const averages: number[] = [];
      let average = 0;
      values.forEach((value, token) => {
        if (!detected[token]) return;
        average = (1 - pool.alpha) * average + pool.alpha * value;
        averages.push(average);
      });
      return highest(averages);
    }
    case "rolling": {
      const means: number[] = [];
      values.forEach((_, token) => {
        if (pool.ends === "detected" && !detected[token]) return;
        const first = Math.max(0, token - pool.window + 1);
        const within = values.slice(first, token + 1).filter((_, i) => detected[first + i]);
        if (within.length === 0) return;
        means.push(within.reduce((total, value) => total + value, 0) / within.length);
      });
      return highest(means);
    }
  }
}
