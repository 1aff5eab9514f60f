import { describe, expect, it } from "vitest";
import * as poisson from "../../src/kernels/poisson_likelihood.ts";
import { poissonLikelihood } from "../reference/poisson_likelihood.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

// of values up to 1: sums of logarithms up to 40 round by 2e-6, exp() passes that on
const TOLERANCE = 5e-6;

function problem(rows: number, units: number, bins: number, mostSpikes: number) {
  const random = seeded(rows + 7 * units + 31 * bins);
  const rates = Float64Array.from({ length: units * bins }, () => 1e-3 + random());
  const rowStarts = new Uint32Array(rows + 1);
  const list: number[] = [];
  for (let row = 0; row < rows; row++) {
    const spikes = Math.floor(random() * (mostSpikes + 1));
    for (let i = 0; i < spikes; i++) list.push(Math.floor(random() * units));
    rowStarts[row + 1] = list.length;
  }
  return { rates, rowStarts, units: Uint32Array.from(list) };
}

describe("poisson_likelihood", () => {
  for (
    const [rows, units, bins, mostSpikes] of [
      [1, 1, 1, 0],
      [1, 3, 5, 4],
      [37, 31, 91, 3],
      [5, 2, 257, 9],
      [70, 4, 300, 2],
    ] as const
  ) {
    it(`agrees with its twin on ${rows} rows, ${units} units, ${bins} bins`, async () => {
      const { rates, rowStarts, units: spikes } = problem(rows, units, bins, mostSpikes);
      const twin = poissonLikelihood(rates, bins, { rowStarts, units: spikes });
      const cells = Math.ceil(bins / 4);
      const silence = new Float32Array(4 * cells).fill(-1e30);
      const logRates = new Float32Array(units * 4 * cells);
      for (let bin = 0; bin < bins; bin++) {
        silence[bin] = 0;
        for (let unit = 0; unit < units; unit++) {
          silence[bin]! -= rates[unit * bins + bin]!;
          logRates[unit * 4 * cells + bin] = Math.log(rates[unit * bins + bin]!);
        }
      }
      const { outputs } = await runKernel(gpu(), {
        spec: poisson.poissonLikelihood,
        constants: poisson.poissonLikelihoodConstants(cells),
        buffers: {
          params: poisson.poissonLikelihoodParams(0, rows),
          spike_starts: rowStarts,
          spike_units: spikes,
          log_rates: logRates,
          silence,
          likelihood: 16 * cells * rows,
          row_maximum: 4 * rows,
        },
        workgroups: poisson.poissonLikelihoodWorkgroups(rows),
        outputs: ["likelihood", "row_maximum"],
      });
      for (let row = 0; row < rows; row++) {
        const own = twin.subarray(row * bins, (row + 1) * bins);
        const highest = Math.max(...own);
        expect(Math.abs(outputs.row_maximum![row]! - highest))
          .toBeLessThan(TOLERANCE * Math.max(1, Math.abs(highest)));
        for (let bin = 0; bin < 4 * cells; bin++) {
          const wanted = bin < bins ? Math.exp(own[bin]! - highest) : 0;
          expect(Math.abs(outputs.likelihood![row * 4 * cells + bin]! - wanted))
            .toBeLessThan(bin < bins ? TOLERANCE : 1e-37);
        }
      }
    });
  }
});
