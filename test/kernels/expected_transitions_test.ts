import { describe, expect, it } from "vitest";
import {
  ALIKE,
  expectedTransitions,
  expectedTransitionsConstants,
  expectedTransitionsParams,
  expectedTransitionsWorkgroups,
} from "../../src/kernels/expected_transitions.ts";
import {
  smoothedRatio,
  smoothedRatioConstants,
  smoothedRatioParams,
  smoothedRatioWorkgroups,
} from "../../src/kernels/smoothed_ratio.ts";
import { expectedTransitions as twin } from "../reference/expected_transitions.ts";
import { hmmRatio } from "../reference/hmm_ratio.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import { asWide, logsOf, randomWide, wideOfLogs } from "../support/wide_numbers.ts";

const gpu = useGpu();

/** Two lanes of two rows, a state of all bins but one, and one of that one. */
function problem(bins: number, depth: number) {
  const random = seeded(bins + depth);
  const [lanes, tileRows] = [2, 2];
  const stride = bins + 3;
  // in any order, with room between
  const places = Uint32Array.from({ length: bins }, (_, bin) => bin % 2 === 0 ? bin + 2 : bin);
  const rowsOf = (rows: number, zeros = 0) => {
    const all = new Uint32Array(rows * stride);
    for (let row = 0; row < rows; row++) {
      const own = randomWide(bins, random, { depth, zeros });
      own.forEach((value, bin) => all[row * stride + places[bin]!] = value);
    }
    return all;
  };
  const at = (all: Uint32Array, row: number) =>
    logsOf(Uint32Array.from(places, (place) => all[row * stride + place]!));
  const smoothed = rowsOf(lanes * tileRows, 0.1);
  const smoothedNext = rowsOf(lanes, 0.1);
  const predicted = rowsOf(lanes * (tileRows + 1), 0.1);
  const logRatios = Array.from({ length: lanes * tileRows }, (_, row) => {
    const lane = Math.floor(row / tileRows);
    const above = row % tileRows === tileRows - 1 ? at(smoothedNext, lane) : at(smoothed, row + 1);
    return hmmRatio(above, at(predicted, row + lane + 1));
  });
  return {
    random,
    lanes,
    tileRows,
    stride,
    places,
    rowsOf,
    at,
    smoothed,
    smoothedNext,
    predicted,
    logRatios,
  };
}

describe("smoothed_ratio", () => {
  for (const [bins, depth] of [[1, 4], [63, 4], [65, 300], [130, 4000]] as const) {
    it(`divides rows of ${bins} bins that reach down to e^-${depth}, of every lane`, async () => {
      const { lanes, tileRows, stride, places, at, smoothed, smoothedNext, predicted, logRatios } =
        problem(bins, depth);
      const { outputs } = await runKernel(gpu(), {
        spec: smoothedRatio,
        constants: smoothedRatioConstants,
        buffers: {
          params: smoothedRatioParams(0, lanes * tileRows, tileRows, stride, bins),
          places,
          smoothed,
          smoothed_next: smoothedNext,
          ratio: predicted,
          shifts: 4 * lanes * tileRows,
        },
        workgroups: smoothedRatioWorkgroups(lanes * tileRows),
        outputs: ["ratio", "shifts"],
      });
      const ratio = asWide(outputs.ratio!);
      const shifts = new Int32Array(outputs.shifts!.buffer);
      logRatios.forEach((wanted, row) => {
        const got = at(ratio, row + Math.floor(row / tileRows) + 1);
        const shift = shifts[row]! * Math.LN2;
        wanted.forEach((log, bin) => {
          if (log === -Infinity) expect(got[bin]).toBe(-Infinity);
          // of numbers deep below the largest 18 digits are kept
          else if (log - shift > -8000 * Math.LN2) {
            expect(Math.abs(got[bin]! + shift - log)).toBeLessThan(6e-6);
          }
        });
      });
      // the first row of a lane stays a prediction
      expect(at(ratio, 0)).toEqual(at(predicted, 0));
    });
  }
});

describe("expected_transitions", () => {
  for (const [bins, depth] of [[2, 4], [65, 4], [131, 200]] as const) {
    it(`sums up pairs of states over ${bins} bins that reach down to e^-${depth}`, async () => {
      const { random, lanes, tileRows, stride, places, rowsOf, at } = problem(bins, depth);
      const starts = [0, bins - 1, bins];
      const discrete = [[0.75, 0.25], [0.5, 0.5]];
      const rows = lanes * tileRows;
      const filtered = rowsOf(rows);
      const ratios = rowsOf(lanes * (tileRows + 1), 0.1);
      // ratios of what is unlikely are large: sums are near 1 all the same
      const shifts = Int32Array.from({ length: rows }, () => Math.floor(depth * random()));
      // from the first state to itself by rows of some entries; else anywhere
      const rowStarts = [0];
      const entries: number[] = [];
      const logBlocks = new Float64Array(bins * bins).fill(-Infinity);
      const bits = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]!;
      for (let i = 0; i < bins; i++) {
        for (let j = 0; j < bins; j++) {
          const own = i < bins - 1 && j < bins - 1;
          if (!own) logBlocks[i * bins + j] = -Math.log(j < bins - 1 ? bins - 1 : 1);
          else if (j === i || random() < 0.3) {
            const value = Math.fround(random());
            entries.push(j, bits(value));
            logBlocks[i * bins + j] = Math.log(value);
          }
        }
        if (i < bins - 1) rowStarts.push(entries.length / 2);
      }
      const head = 3 + 8 + bins;
      const weights = [0.75, 0.25, 0.5 / (bins - 1), 0.5];
      const tables = Uint32Array.from([
        ...starts,
        ...weights.flatMap((weight, pair) => [pair === 0 ? head : ALIKE, bits(weight)]),
        ...places,
        ...rowStarts,
      ]);
      const { outputs } = await runKernel(gpu(), {
        spec: expectedTransitions,
        constants: expectedTransitionsConstants(2),
        buffers: {
          params: expectedTransitionsParams(1, rows, tileRows, stride),
          tables,
          entries: Uint32Array.from(entries),
          filtered,
          ratio: ratios,
          shifts,
          expected: 16 * rows,
        },
        workgroups: expectedTransitionsWorkgroups(rows - 1, 2),
        outputs: ["expected"],
      });
      // rows before the first are not touched
      expect([...outputs.expected!.subarray(0, 4)]).toEqual([0, 0, 0, 0]);
      for (let row = 1; row < rows; row++) {
        const logRatio = at(ratios, row + Math.floor(row / tileRows) + 1)
          .map((log) => log + shifts[row]! * Math.LN2);
        const wanted = twin({
          logFiltered: at(filtered, row),
          logRatio,
          logBlocks,
          discrete,
          starts,
        });
        wanted.forEach((value, pair) => {
          const got = outputs.expected![4 * row + pair]!;
          if (value < 1e30) expect(Math.abs(got - value)).toBeLessThan(3e-6 * value + 1e-30);
        });
      }
    });
  }

  it("finds a transition that is certain however unlikely both of its bins were", async () => {
    // e^-600 of the filter, which only what comes after makes likely
    const ratio = Uint32Array.of(0, 0, ...wideOfLogs([-Infinity, 0]));
    const shift = Math.round(600 / Math.LN2);
    const { outputs } = await runKernel(gpu(), {
      spec: expectedTransitions,
      constants: expectedTransitionsConstants(2),
      buffers: {
        params: expectedTransitionsParams(0, 1, 1, 2),
        tables: Uint32Array.from([
          ...[0, 1, 2],
          ...[1, 1, 1, 1].flatMap((weight) => [
            ALIKE,
            new Uint32Array(Float32Array.of(weight).buffer)[0]!,
          ]),
          ...[0, 1],
        ]),
        entries: new Uint32Array(2),
        filtered: wideOfLogs([0, -shift * Math.LN2]),
        ratio,
        shifts: Int32Array.of(shift),
        expected: 16,
      },
      workgroups: expectedTransitionsWorkgroups(1, 2),
      outputs: ["expected"],
    });
    expect(outputs.expected![3]).toBeCloseTo(1, 4);
  });
});
