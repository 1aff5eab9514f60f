import { describe, expect, it } from "vitest";
import type { Segment, TokenFormat, TokenPool } from "../../src/kernels/pool_tokens.ts";
import * as kernel from "../../src/kernels/pool_tokens.ts";
import { decodeBfloat16, encodeBfloat16 } from "../../src/math/bfloat16.ts";
import { decodeFloat16, encodeFloat16 } from "../../src/math/half.ts";
import { poolSample } from "../reference/pool_tokens.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();
const POOLS: TokenPool[] = [
  { kind: "sum" },
  { kind: "max" },
  { kind: "ema", alpha: 0.3 },
  { kind: "rolling", window: 3, ends: "any" },
  { kind: "rolling", window: 5, ends: "detected" },
];

/** All samples in one dispatch, or tokens from `from` on after what an earlier one left. */
async function pooled(
  { tokens, detected, lengths, hidden, pool, format = "float32" }: {
    tokens: Uint16Array | Float32Array;
    detected: Uint32Array;
    lengths: readonly number[];
    hidden: number;
    pool: TokenPool;
    format?: TokenFormat;
  },
  from = 0,
  to = detected.length,
  state?: Float32Array,
) {
  let start = 0;
  const segments: Segment[] = lengths.map((length, entry) => {
    const segment = { start, end: start + length, entry, position: 0, before: 0 };
    start += length;
    return segment;
  });
  const { outputs } = await runKernel(gpu(), {
    spec: kernel.poolTokens,
    constants: kernel.poolTokensConstants({ hidden, format, pool }),
    buffers: {
      params: kernel.poolTokensParams(from, to, 0),
      segments: kernel.packSegments(segments),
      detected,
      tokens,
      pooled: state ?? 8 * lengths.length * hidden,
      faults: kernel.NO_FAULTS,
    },
    workgroups: kernel.poolTokensWorkgroups(hidden, lengths.length),
    outputs: ["pooled", "faults"],
  });
  return outputs as Record<"pooled" | "faults", Float32Array>;
}

const wordsOf = ({ buffer, byteOffset, length }: Float32Array) =>
  new Uint32Array(buffer, byteOffset, length);

describe("pool_tokens", () => {
  for (const pool of POOLS) {
    for (
      const [hidden, format] of [[1, "float32"], [65, "bfloat16"], [3, "float16"], [8, "float32"], [
        12,
        "float16",
      ], [260, "bfloat16"]] as const
    ) {
      it(`pools ${JSON.stringify(pool)} of ${hidden} channels of ${format} as its twin does`, async () => {
        const lengths = [1, 64, 7, 65, 130, 2];
        const count = lengths.reduce((sum, length) => sum + length, 0);
        const random = seeded(hidden);
        const values = Float32Array.from({ length: count * hidden }, () => 4 * random() - 2);
        const detected = Uint32Array.from({ length: count }, () => random() < 0.7 ? 1 : 0);
        // a sample of which nothing is detected
        detected.fill(0, 65, 72);
        const tokens = format === "float32"
          ? values
          : (format === "float16" ? encodeFloat16 : encodeBfloat16)(values);
        const exact = format === "float32"
          ? values
          : (format === "float16" ? decodeFloat16 : decodeBfloat16)(tokens as Uint16Array);
        const outputs = await pooled({ tokens, detected, lengths, hidden, pool, format });
        expect([...wordsOf(outputs.faults)]).toEqual([...kernel.NO_FAULTS]);
        let start = 0;
        for (const [entry, length] of lengths.entries()) {
          const twin = poolSample(
            exact.subarray(start * hidden, (start + length) * hidden),
            detected.subarray(start, start + length),
            hidden,
            pool,
          );
          const words = wordsOf(outputs.pooled).subarray(
            2 * entry * hidden,
            2 * (entry + 1) * hidden,
          );
          const own = kernel.readPooled(words, hidden, pool) ?? new Float64Array(hidden);
          // sums of at most 130 numbers below 2, in blocks of 64
          twin.forEach((value, i) => expect(Math.abs(own[i]! - value)).toBeLessThan(3e-5));
          start += length;
        }
      });
    }

    it(`goes on in ${JSON.stringify(pool)} where an earlier dispatch ended, to the same bits`, async () => {
      const [hidden, lengths] = [5, [3, 200, 4]];
      const random = seeded(9);
      const tokens = Float32Array.from({ length: 207 * hidden }, () => random() - 0.5);
      const detected = Uint32Array.from({ length: 207 }, () => random() < 0.5 ? 1 : 0);
      const given = { tokens, detected, lengths, hidden, pool };
      const whole = await pooled(given);
      const begun = await pooled(given, 0, 101);
      const parts = await pooled(given, 101, 207, begun.pooled);
      expect(wordsOf(parts.pooled)).toEqual(wordsOf(whole.pooled));
    });
  }

  it("notes NaN and infinity of detected tokens, and keeps -inf as the largest of nothing else", async () => {
    const tokens = Float32Array.of(1, NaN, -Infinity, 2, -Infinity, 3);
    const detected = Uint32Array.of(1, 0, 1);
    const given = { tokens, detected, lengths: [3], hidden: 2, pool: { kind: "max" } as const };
    const outputs = await pooled(given);
    // channel 1 of token 0 is NaN, channel 0 of token 2 infinite; token 1 is not detected
    const words = wordsOf(outputs.pooled).subarray(0, 4);
    expect([...wordsOf(outputs.faults)]).toEqual([1, 1, 0, 2]);
    expect([...kernel.readPooled(words, 2, given.pool)!]).toEqual([1, 3]);
    const lowest = await pooled({
      ...given,
      tokens: Float32Array.of(-Infinity, 0, 5, 5, -Infinity, -3),
    });
    const alone = kernel.readPooled(wordsOf(lowest.pooled).subarray(0, 4), 2, given.pool)!;
    expect([...alone]).toEqual([-Infinity, 0]);
  });
});
