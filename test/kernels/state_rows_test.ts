import { describe, expect, it } from "vitest";
import * as kernel from "../../src/kernels/state_rows.ts";
import { fromFixed } from "../../src/kernels/spike_rows.ts";
import { toWide, wideLog2 } from "../../src/math/wide.ts";
import { stateRow } from "../reference/state_rows.ts";
import { useGpu } from "../support/gpu.ts";
import { wideBits } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

describe("state_rows", () => {
  for (
    const [rows, bins, ones, depth] of [[1, 1, 1, 3], [5, 66, 2, 400], [2, 301, 5, 2000]] as const
  ) {
    it(`has ${bins} bins of three kinds and ${ones} states of one bin, ${depth} nats apart`, async () => {
      const random = seeded(bins);
      // of two environments
      const widths = [bins, (bins >> 1) + 1];
      const kinds = [{ base: 1 }, { base: 0, bias: 1 }, { base: 1, bias: 0 }];
      const biasWidths = [widths[1]!, widths[0]!];
      const cellsOf = (width: number) => Math.ceil(width / 4);
      const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0);
      const firstOf = (counts: number[], at: number) => sum(counts.slice(0, at).map(cellsOf));
      const kindCells = kinds.map(({ base }) => cellsOf(widths[base]!));
      const shape = {
        sources: kinds.flatMap(({ base, bias }, kind) =>
          Array.from({ length: kindCells[kind]! }, (_, cell): [number, number] => [
            firstOf(widths, base) + cell,
            bias === undefined ? kernel.NO_BIAS : firstOf(biasWidths, bias) + cell,
          ])
        ),
        spatialCells: firstOf(widths, 2),
        biasCells: firstOf(biasWidths, 2),
        ones,
        cells: sum(kindCells) + Math.ceil(ones / 4),
      };
      const numbers = (count: number, from: number, to: number) =>
        Array.from({ length: count }, () => from + (to - from) * random());
      const given = Array.from({ length: rows }, (_, row) => ({
        // as the kernels before have it, the largest of a row is 0
        spatial: [[0, ...numbers(bins - 1, -depth, 0)], numbers(widths[1]!, -depth, 0)],
        biases: [
          numbers(biasWidths[0]!, -depth, 5).map((log) => random() < 0.2 ? -Infinity : log),
          numbers(biasWidths[1]!, -20, 5),
        ],
        // some far more likely than any place, some far less
        own: numbers(ones, -depth, row % 2 === 0 ? depth : -depth / 2),
        origin: 1000 * (random() - 0.5),
      }));
      const laidOut = (lists: number[][], outside: number) =>
        lists.flatMap((list) =>
          Array.from({ length: 4 * cellsOf(list.length) }, (_, bin) => list[bin] ?? outside)
        );
      const { outputs } = await runKernel(gpu(), {
        spec: kernel.stateRows,
        constants: kernel.stateRowsConstants(shape),
        buffers: {
          params: kernel.stateRowsParams(0, rows),
          sources: Uint32Array.from(shape.sources.flat()),
          spatial: Uint32Array.from(
            given.flatMap(({ spatial }) => laidOut(spatial, -Infinity)),
            toWideLog,
          ),
          bias: Float32Array.from(
            given.flatMap(({ biases }) => laidOut(biases, 0)),
            (log) => log === -Infinity ? kernel.RULED_OUT : log / Math.LN2,
          ),
          own: Int32Array.from(
            given.flatMap(({ own, origin }) => own.flatMap((log) => kernel.toFixed(log + origin))),
          ),
          likelihood: 16 * shape.cells * rows,
          row_maximum: Int32Array.from(given.flatMap(({ origin }) => kernel.toFixed(origin))),
        },
        workgroups: kernel.stateRowsWorkgroups(rows),
        outputs: ["likelihood", "row_maximum"],
      });
      const wide = wideBits(outputs.likelihood!);
      const maxima = new Int32Array(outputs.row_maximum!.buffer);
      given.forEach(({ origin, ...row }, at) => {
        const wanted = stateRow(row, kinds);
        const highest = fromFixed(maxima[2 * at]!, maxima[2 * at + 1]!) - origin;
        const rowLogs = Array.from(
          wide.subarray(4 * shape.cells * at, 4 * shape.cells * (at + 1)),
          (value) => wideLog2(value) * Math.LN2 + highest,
        );
        const found = [
          ...kinds.flatMap(({ base }, kind) => {
            const first = 4 * sum(kindCells.slice(0, kind));
            return rowLogs.slice(first, first + widths[base]!);
          }),
          ...rowLogs.slice(4 * sum(kindCells), 4 * sum(kindCells) + ones),
        ];
        expect(found).toHaveLength(wanted.length);
        const largest = Math.max(...wanted);
        expect(highest - largest).toBeGreaterThan(0);
        expect(highest - largest).toBeLessThan(Math.log(8) + 1e-5);
        wanted.forEach((log, i) => {
          // below 2^-128 a number keeps 18 bits, before and after
          if (log === -Infinity) expect(found[i]).toBe(-Infinity);
          else if (log > largest - 5600) expect(Math.abs(found[i]! - log)).toBeLessThan(2e-4);
          if (log > largest - 50) expect(Math.abs(found[i]! - log)).toBeLessThan(3e-5);
        });
        // nothing stands where there is no bin and no state
        const beyond = rowLogs.slice(4 * sum(kindCells) + ones);
        expect(beyond.every((log) => log === -Infinity)).toBe(true);
      });
    });
  }
});

function toWideLog(log: number): number {
  if (log === -Infinity) return 0;
  const power = Math.floor(log / Math.LN2);
  return toWide(Math.exp(log - power * Math.LN2), power);
}
