import { dispersionGradient } from "../src/kernels/likelihood_gradient.ts";
import { Random } from "../src/math/random.ts";
import { largestDifference } from "../test/support/hmm_problem.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

export const dispersionGradientBench: Bench = {
  name: "dispersion_gradient",
  cases: () =>
    [[128, 2000], [512, 5000]].map(([rows, genes]) => {
      const random = new Random(1);
      const slopes = Float32Array.from({ length: rows! * genes! }, () => random.uniform() - 0.5);
      return {
        spec: dispersionGradient,
        constants: {},
        shape: `${rows} rows of ${genes} genes`,
        rows: rows!,
        flops: slopes.length,
        bytes: slopes.byteLength + 4 * genes!,
        buffers: {
          // a scale of 1, and nothing there
          params: Uint32Array.of(rows!, genes! / 4, 0x3f800000, 0),
          slopes,
          gradient: 4 * genes!,
        },
        workgroups: [Math.ceil(genes! / 4 / 64)],
        outputs: ["gradient"],
        check({ gradient }) {
          const wanted = new Float64Array(genes!);
          slopes.forEach((slope, i) => wanted[i % genes!]! -= slope);
          checkWithin("dispersion_gradient", largestDifference(gradient!, wanted), 1e-4);
        },
      };
    }),
};
