import { describe, expect, it } from "vitest";
import { THREADS } from "../../src/gpu/threads.ts";
import { contFrag } from "../../src/hmm/decoder.ts";
import { useGpu } from "../support/gpu.ts";
import {
  boxGrid,
  filterCase,
  hmmLayout,
  randomLogLikelihoods,
  smoothCase,
} from "../support/hmm_problem.ts";
import type { KernelCase } from "../support/run_kernel.ts";
import { runKernel } from "../support/run_kernel.ts";
import { cases } from "../support/tier.ts";
import { asWide } from "../support/wide_numbers.ts";

const gpu = useGpu();

describe("kernels with any number of threads", () => {
  it("give the same bits, of near and of deep numbers", async () => {
    const grid = boxGrid([13, 21], (x, y) => Math.abs(x - y) < 5);
    const layout = hmmLayout({ grid, model: contFrag({ movementVar: 1.4 }) });
    const bits = async ({ spec, constants, ...rest }: KernelCase, WORKGROUP: number) => {
      const { anyThreads, ...fixed } = spec;
      expect(anyThreads).toBe(true);
      const own = { spec: fixed, constants: { ...constants, WORKGROUP } };
      const { outputs } = await runKernel(gpu(), { ...rest, ...own });
      return Object.fromEntries(rest.outputs.map((name) => [name, asWide(outputs[name]!)]));
    };
    // rows of both kinds
    const logLikelihoods = randomLogLikelihoods(6, layout.bins, 3)
      .map((log, i) => i < 3 * layout.bins ? log : 60 * log);
    const filter = filterCase(layout, logLikelihoods);
    const filtered = await bits(filter, THREADS[0]!);
    const smooth = smoothCase(layout, filtered.filtered!, filtered.predicted!);
    const smoothed = await bits(smooth, THREADS[0]!);
    for (const threads of THREADS.slice(cases(3, 1))) {
      expect(await bits(filter, threads)).toEqual(filtered);
      expect(await bits(smooth, threads)).toEqual(smoothed);
    }
  });
});
