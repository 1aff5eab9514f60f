import * as poisson from "../src/kernels/poisson_likelihood.ts";
import { Random } from "../src/math/random.ts";
import { poissonLikelihood } from "../test/reference/poisson_likelihood.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

const UNITS = 31;
const CHECKED_ROWS = 20;

export const poissonLikelihoodBench: Bench = {
  name: "poisson_likelihood",
  cases: () =>
    [[1000, 992, 0.2], [1000, 992, 5], [200, 5328, 1]].map(([rows, bins, spikesPerRow]) => {
      const random = new Random(1);
      const rates = Float64Array.from({ length: UNITS * bins! }, () => 0.01 + random.uniform());
      const rowStarts = new Uint32Array(rows! + 1);
      for (let row = 0; row < rows!; row++) {
        rowStarts[row + 1] = rowStarts[row]! + random.poisson(spikesPerRow!);
      }
      const spikes = rowStarts[rows!]!;
      const units = Uint32Array.from({ length: Math.max(1, spikes) }, () => random.integer(UNITS));
      const silence = Float32Array.from({ length: bins! }, (_, bin) => {
        let sum = 0;
        for (let unit = 0; unit < UNITS; unit++) sum += rates[unit * bins! + bin]!;
        return -sum;
      });
      const cells = bins! / 4;
      return {
        spec: poisson.poissonLikelihood,
        constants: poisson.poissonLikelihoodConstants(cells),
        shape: `${bins} bins x ${rows} rows, ${spikesPerRow} spikes a row`,
        rows: rows!,
        // a gathered addition a spike, and an exponential of some 16 operations
        flops: bins! * (spikes + 17 * rows!),
        bytes: 4 * bins! * (spikes + 4 * rows!),
        buffers: {
          params: poisson.poissonLikelihoodParams(0, rows!),
          spike_starts: rowStarts,
          spike_units: units,
          log_rates: Float32Array.from(rates, Math.log),
          silence,
          likelihood: 4 * bins! * rows!,
          row_maximum: 4 * rows!,
        },
        workgroups: poisson.poissonLikelihoodWorkgroups(rows!),
        outputs: ["likelihood"],
        check({ likelihood }) {
          const twin = poissonLikelihood(rates, bins!, {
            rowStarts: rowStarts.subarray(0, CHECKED_ROWS + 1),
            units,
          });
          let worst = 0;
          for (let row = 0; row < CHECKED_ROWS; row++) {
            const own = twin.subarray(row * bins!, (row + 1) * bins!);
            const highest = own.reduce((most, value) => Math.max(most, value), -Infinity);
            own.forEach((value, bin) => {
              const wanted = Math.exp(value - highest);
              worst = Math.max(worst, Math.abs(likelihood![row * bins! + bin]! - wanted));
            });
          }
          checkWithin("poisson_likelihood", worst, 2e-5);
        },
      };
    }),
};
