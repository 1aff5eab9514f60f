import type { TokenPool } from "../src/kernels/pool_tokens.ts";
import * as kernel from "../src/kernels/pool_tokens.ts";
import { decodeBfloat16, encodeBfloat16 } from "../src/math/bfloat16.ts";
import { Random } from "../src/math/random.ts";
import { poolSample } from "../test/reference/pool_tokens.ts";
import { largestDifference } from "../test/support/hmm_problem.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

const [SAMPLES, TOKENS, HIDDEN] = [32, 128, 512];
const POOLS: TokenPool[] = [
  { kind: "sum" },
  { kind: "max" },
  { kind: "ema", alpha: 0.5 },
  { kind: "rolling", window: 10, ends: "any" },
];

export const poolTokensBench: Bench = {
  name: "pool_tokens",
  cases: (scale = 1) =>
    POOLS.map((pool) => {
      const random = new Random(1);
      const samples = SAMPLES * scale;
      const rows = samples * TOKENS;
      const tokens = encodeBfloat16(
        Float32Array.from({ length: rows * HIDDEN }, () => random.uniform()),
      );
      const segments = Array.from({ length: samples }, (_, entry) => ({
        ...{ start: entry * TOKENS, end: (entry + 1) * TOKENS, entry, position: 0, before: 0 },
      }));
      return {
        spec: kernel.poolTokens,
        constants: kernel.poolTokensConstants({ hidden: HIDDEN, format: "bfloat16", pool }),
        shape: `${samples} x ${TOKENS} x ${HIDDEN} bfloat16, ${pool.kind}`,
        rows,
        flops: rows * HIDDEN * { sum: 1, max: 1, ema: 4, rolling: 11 }[pool.kind],
        bytes: tokens.byteLength + 8 * samples * HIDDEN,
        buffers: {
          params: kernel.poolTokensParams(0, rows, 0),
          segments: kernel.packSegments(segments),
          detected: new Uint32Array(rows).fill(1),
          tokens,
          pooled: 8 * samples * HIDDEN,
          faults: kernel.NO_FAULTS,
        },
        workgroups: kernel.poolTokensWorkgroups(HIDDEN, samples),
        outputs: ["pooled"],
        check({ pooled }) {
          const last = samples - 1;
          const words = new Uint32Array(pooled!.buffer).subarray(2 * last * HIDDEN);
          const own = kernel.readPooled(words, HIDDEN, pool)!;
          const values = decodeBfloat16(tokens.subarray(last * TOKENS * HIDDEN));
          const twin = poolSample(values, new Uint8Array(TOKENS).fill(1), HIDDEN, pool);
          // at most 128 numbers below 1
          checkWithin("pool_tokens", largestDifference(Float32Array.from(own), twin), 2e-5);
        },
      };
    }),
};
