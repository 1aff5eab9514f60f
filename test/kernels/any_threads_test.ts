import { describe, expect, it } from "vitest";
import { THREADS } from "../../src/gpu/threads.ts";
import { contFrag } from "../../src/hmm/decoder.ts";
import { useGpu } from "../support/gpu.ts";
import {
  boxGrid,
  filterCase,
  hmmLayout,
  mixedStates,
  randomLogLikelihoods,
  smoothCase,
} from "../support/hmm_problem.ts";
import type { KernelCase } from "../support/run_kernel.ts";
import { runKernel } from "../support/run_kernel.ts";
import { cases } from "../support/tier.ts";
import { asWide } from "../support/wide_numbers.ts";

const gpu = useGpu();

const CASES = [
  {
    where: "in a box",
    grid: boxGrid([13, 21], (x, y) => Math.abs(x - y) < 5),
    model: contFrag({ movementVar: 1.4 }),
  },
  { where: "on a line of five bins", grid: boxGrid([5]), model: mixedStates() },
];

describe("kernels with any number of threads", () => {
  it.each(cases(CASES.slice(0, 1), CASES))(
    "give the same bits, of near, deep and impossible rows: $where",
    async ({ grid, model }) => {
      const layout = hmmLayout({ grid, model });
      const bits = async ({ spec, constants, ...rest }: KernelCase, WORKGROUP: number) => {
        const { anyThreads, ...fixed } = spec;
        expect(anyThreads).toBe(true);
        const own = { spec: fixed, constants: { ...constants, WORKGROUP } };
        const { outputs } = await runKernel(gpu(), { ...rest, ...own });
        return Object.fromEntries(rest.outputs.map((name) => [name, asWide(outputs[name]!)]));
      };
      const logLikelihoods = randomLogLikelihoods(7, layout.bins, 3).map((log, i) => {
        const row = Math.floor(i / layout.bins);
        return row < 3 ? log : row === 5 ? -Infinity : 60 * log;
      });
      const filter = filterCase(layout, logLikelihoods);
      const filtered = await bits(filter, THREADS[0]!);
      const smooth = smoothCase(layout, filtered.filtered!, filtered.predicted!);
      const smoothed = await bits(smooth, THREADS[0]!);
      for (const threads of THREADS.slice(cases(3, 1))) {
        expect(await bits(filter, threads)).toEqual(filtered);
        expect(await bits(smooth, threads)).toEqual(smoothed);
      }
    },
  );
});
