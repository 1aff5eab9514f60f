import { describe, expect, it } from "vitest";
import * as poisson from "../../src/kernels/poisson_likelihood.ts";
import {
  FIXED_ONE,
  fromFixed,
  OUTSIDE,
  ROW_MAXIMUM_BYTES,
  SILENT_ROW,
} from "../../src/kernels/spike_rows.ts";
import { poissonLikelihood } from "../reference/poisson_likelihood.ts";
import { wideLog2 } from "../../src/math/wide.ts";
import { useGpu } from "../support/gpu.ts";
import { wideBits } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

// of logarithms: those of rates round by 2^-25 a spike, exp() by some units in the last place
const TOLERANCE = 1e-6;
// below 2^-128 a number keeps 18 bits
const DEEP_TOLERANCE = 4e-6;

function problem(rows: number, units: number, bins: number, mostSpikes: number) {
  const random = seeded(rows + 7 * units + 31 * bins);
  // over many orders of magnitude, as fields are
  const rates = Float64Array.from({ length: units * bins }, () => 10 ** (-13 * random()));
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
      [3, 400, 33, 1650],
    ] as const
  ) {
    it(`agrees with its twin on ${rows} rows, ${units} units, ${bins} bins`, async () => {
      const { rates, rowStarts, units: spikes } = problem(rows, units, bins, mostSpikes);
      const twin = poissonLikelihood(rates, bins, { rowStarts, units: spikes });
      const cells = Math.ceil(bins / 4);
      const silence = new Int32Array(8 * cells).fill(OUTSIDE);
      const logRates = new Int32Array(units * 4 * cells);
      const silences = new Float64Array(bins);
      let most = -Infinity;
      const rowConstants = new Float64Array(rows);
      const highest = Float64Array.from(
        { length: units },
        (_, unit) => Math.log(Math.max(...rates.subarray(unit * bins, (unit + 1) * bins))),
      );
      for (let bin = 0; bin < bins; bin++) {
        let total = 0;
        for (let unit = 0; unit < units; unit++) {
          total += rates[unit * bins + bin]!;
          const log = Math.log2(rates[unit * bins + bin]!) - highest[unit]! / Math.LN2;
          logRates[unit * 4 * cells + bin] = Math.round(log * FIXED_ONE);
        }
        silences[bin] = -total / Math.LN2;
        most = Math.max(most, silences[bin]!);
      }
      for (let bin = 0; bin < bins; bin++) {
        const at = 8 * (bin >> 2) + (bin & 3);
        const centred = silences[bin]! - most;
        silence[at] = Math.floor(centred);
        silence[at + 4] = Math.floor((centred - Math.floor(centred)) * FIXED_ONE);
      }
      rowConstants.fill(most * Math.LN2);
      for (let row = 0; row < rows; row++) {
        for (let spike = rowStarts[row]!; spike < rowStarts[row + 1]!; spike++) {
          rowConstants[row]! += highest[spikes[spike]!]!;
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
          row_maximum: ROW_MAXIMUM_BYTES * rows,
        },
        workgroups: poisson.poissonLikelihoodWorkgroups(rows),
        outputs: ["likelihood", "row_maximum"],
      });
      const maxima = new Int32Array(outputs.row_maximum!.buffer);
      const likelihood = wideBits(outputs.likelihood!);
      for (let row = 0; row < rows; row++) {
        const own = twin.subarray(row * bins, (row + 1) * bins);
        const highestOwn = Math.max(...own);
        const spikesHere = rowStarts[row + 1]! - rowStarts[row]!;
        const tolerance = TOLERANCE + spikesHere * 2 ** -25;
        expect(Math.abs(
          fromFixed(maxima[2 * row]!, maxima[2 * row + 1]!) + rowConstants[row]! -
            highestOwn,
        )).toBeLessThan(tolerance);
        for (let bin = 0; bin < 4 * cells; bin++) {
          const log = wideLog2(likelihood[row * 4 * cells + bin]!) * Math.LN2;
          const wanted = bin < bins ? own[bin]! - highestOwn : -Infinity;
          if (wanted < -5677) expect(log).toBeLessThan(-5670);
          else if (wanted === -Infinity) expect(log).toBe(wanted);
          else {
            expect(Math.abs(log - wanted))
              .toBeLessThan(2 * tolerance + (wanted < -88 ? DEEP_TOLERANCE : 0));
          }
        }
      }
    });
  }

  it("holds bins for impossible that expect 1e9 to 1e18 spikes a row", async () => {
    // unit by unit; kernels that are narrow beside jumps of the animal give such rates
    const rates = Float64Array.of(1e-14, 0.5, 1e9, 4e9, 8e14, 2e3, 0.25, 2e-3, 7e9, 1e18);
    const bins = 5;
    const spikes = { rowStarts: Uint32Array.of(0, 0, 2, 5), units: Uint32Array.of(0, 1, 1, 1, 0) };
    const cells = 2;
    const { logRates, silence, unitConstants, silenceConstant } = poisson.packRates(rates, bins, {
      cells,
      toCells: (values, outside) =>
        Float64Array.from({ length: 4 * cells }, (_, bin) => bin < bins ? values(bin, 0) : outside),
    });
    const twin = poissonLikelihood(rates, bins, spikes);
    const { outputs } = await runKernel(gpu(), {
      spec: poisson.poissonLikelihood,
      constants: poisson.poissonLikelihoodConstants(cells),
      buffers: {
        params: poisson.poissonLikelihoodParams(0, 3),
        spike_starts: spikes.rowStarts,
        spike_units: spikes.units,
        log_rates: logRates,
        silence,
        likelihood: 48 * cells,
        row_maximum: 3 * ROW_MAXIMUM_BYTES,
      },
      workgroups: poisson.poissonLikelihoodWorkgroups(3),
      outputs: ["likelihood", "row_maximum"],
    });
    const logs = Array.from(wideBits(outputs.likelihood!), (wide) => wideLog2(wide) * Math.LN2);
    const maxima = new Int32Array(outputs.row_maximum!.buffer);
    for (let row = 0; row < 3; row++) {
      const own = twin.subarray(row * bins, (row + 1) * bins);
      const highest = Math.max(...own);
      const constant = spikes.units.slice(spikes.rowStarts[row]!, spikes.rowStarts[row + 1]!)
        .reduce((sum, unit) => sum + unitConstants[unit]!, silenceConstant);
      const found = fromFixed(maxima[2 * row]!, maxima[2 * row + 1]!) + constant;
      expect(Math.abs(found - highest)).toBeLessThan(TOLERANCE);
      own.forEach((log, bin) => {
        const ours = logs[row * 4 * cells + bin]!;
        if (log - highest < -5677) expect(ours).toBeLessThan(-5670);
        else expect(Math.abs(ours - (log - highest))).toBeLessThan(DEEP_TOLERANCE);
      });
    }
  });

  it("says nothing of a row that carries no evidence", async () => {
    const { outputs } = await runKernel(gpu(), {
      spec: poisson.poissonLikelihood,
      constants: poisson.poissonLikelihoodConstants(1),
      buffers: {
        params: poisson.poissonLikelihoodParams(0, 3),
        spike_starts: Uint32Array.of(0, 1 | SILENT_ROW, 3, 4),
        spike_units: Uint32Array.of(0, 0, 0, 0),
        log_rates: Int32Array.of(0, -FIXED_ONE, 0, 0),
        silence: Int32Array.of(0, 0, 0, OUTSIDE, 0, 0, 0, 0),
        likelihood: 48,
        row_maximum: 3 * ROW_MAXIMUM_BYTES,
      },
      workgroups: poisson.poissonLikelihoodWorkgroups(3),
      outputs: ["likelihood", "row_maximum"],
    });
    const logs = Array.from(wideBits(outputs.likelihood!), (wide) => wideLog2(wide) * Math.LN2);
    expect(logs.slice(4, 8)).toEqual([0, 0, 0, -Infinity]);
    expect(logs[1]).toBeCloseTo(-Math.LN2, 6);
    expect(logs[9]).toBeCloseTo(-Math.LN2, 6);
    expect(new Int32Array(outputs.row_maximum!.buffer).slice(2, 4)).toEqual(Int32Array.of(0, 0));
  });
});
