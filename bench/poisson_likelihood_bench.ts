import * as poisson from "../src/kernels/poisson_likelihood.ts";
import { fromFixed, ROW_MAXIMUM_BYTES } from "../src/kernels/spike_rows.ts";
import { Random } from "../src/math/random.ts";
import { wideLog2 } from "../src/math/wide.ts";
import { poissonLikelihood } from "../test/reference/poisson_likelihood.ts";
import { wideBits } from "../test/support/hmm_problem.ts";
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
      const cells = bins! / 4;
      const { logRates, silence, unitConstants, silenceConstant } = poisson.packRates(
        rates,
        bins!,
        {
          cells,
          toCells: (values) => Float64Array.from({ length: bins! }, (_, bin) => values(bin, 0)),
        },
      );
      return {
        spec: poisson.poissonLikelihood,
        constants: poisson.poissonLikelihoodConstants(cells),
        shape: `${bins} bins x ${rows} rows, ${spikesPerRow} spikes a row`,
        rows: rows!,
        // four operations on integers a spike, twice, and an exponential of some 40 operations
        flops: bins! * (8 * spikes + 40 * rows!),
        bytes: 4 * bins! * (2 * spikes + 5 * rows!),
        buffers: {
          params: poisson.poissonLikelihoodParams(0, rows!),
          spike_starts: rowStarts,
          spike_units: units,
          log_rates: logRates,
          silence,
          likelihood: 4 * bins! * rows!,
          row_maximum: ROW_MAXIMUM_BYTES * rows!,
        },
        workgroups: poisson.poissonLikelihoodWorkgroups(rows!),
        outputs: ["likelihood", "row_maximum"],
        check({ likelihood, row_maximum }) {
          const wide = wideBits(likelihood!);
          const maxima = new Int32Array(row_maximum!.buffer);
          const twin = poissonLikelihood(rates, bins!, {
            rowStarts: rowStarts.subarray(0, CHECKED_ROWS + 1),
            units,
          });
          let worst = 0;
          for (let row = 0; row < CHECKED_ROWS; row++) {
            const own = twin.subarray(row * bins!, (row + 1) * bins!);
            let constant = silenceConstant;
            for (let spike = rowStarts[row]!; spike < rowStarts[row + 1]!; spike++) {
              constant += unitConstants[units[spike]!]!;
            }
            const highest = constant + fromFixed(maxima[2 * row]!, maxima[2 * row + 1]!);
            own.forEach((value, bin) => {
              const got = wideLog2(wide[row * bins! + bin]!) * Math.LN2 + highest;
              worst = Math.max(worst, Math.abs(got - value));
            });
          }
          checkWithin("poisson_likelihood", worst, 5e-6);
        },
      };
    }),
};
