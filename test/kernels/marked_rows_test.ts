import { describe, expect, it } from "vitest";
import * as rowsOf from "../../src/kernels/marked_rows.ts";
import { fromFixed, packSilence, ROW_MAXIMUM_BYTES } from "../../src/kernels/spike_rows.ts";
import { wideLog2 } from "../../src/math/wide.ts";
import { useGpu } from "../support/gpu.ts";
import { wideBits } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

describe("marked_rows", () => {
  // a row of 1,650 spikes is off by hundredths of a nat where f32 adds up
  for (
    const [rows, bins, depth, most] of [
      [1, 1, 1, 3],
      [9, 65, 5, 3],
      [4, 301, 900, 3],
      [2, 33, 30, 1650],
    ] as const
  ) {
    it(`adds up ${rows} rows of up to ${most} spikes for ${bins} bins, ${depth} deep`, async () => {
      const random = seeded(rows);
      const cells = Math.ceil(bins / 4);
      const starts = new Uint32Array(rows + 1);
      for (let row = 0; row < rows; row++) {
        starts[row + 1] = starts[row]! + (most > 3 ? most : Math.floor(4 * random()));
      }
      const spikes = starts[rows]!;
      const intensity = Float32Array.from(
        { length: Math.max(4, 4 * cells * spikes) },
        () => -depth * random(),
      );
      const expected = Float64Array.from({ length: bins }, random);
      const { silence: ground, silenceConstant } = packSilence(expected, bins, {
        cells,
        toCells: (values, outside) =>
          Float64Array.from(
            { length: 4 * cells },
            (_, bin) => bin < bins ? values(bin, 0) : outside,
          ),
      });
      const silent = rows - 1;
      const told = starts.slice();
      if (rows > 1) told[silent]! |= 0x80000000;
      const { outputs } = await runKernel(gpu(), {
        spec: rowsOf.markedRows,
        constants: rowsOf.markedRowsConstants(cells),
        buffers: {
          params: rowsOf.markedRowsParams(0, rows),
          spike_starts: told,
          intensity,
          ground,
          likelihood: 16 * cells * rows,
          row_maximum: ROW_MAXIMUM_BYTES * rows,
        },
        workgroups: rowsOf.markedRowsWorkgroups(rows),
        outputs: ["likelihood", "row_maximum"],
      });
      const wide = wideBits(outputs.likelihood!);
      const maxima = new Int32Array(outputs.row_maximum!.buffer);
      for (let row = 0; row < rows; row++) {
        const sums = Array.from({ length: bins }, (_, bin) => {
          if (rows > 1 && row === silent) return 0;
          let sum = -expected[bin]!;
          for (let spike = starts[row]!; spike < starts[row + 1]!; spike++) {
            sum += intensity[4 * cells * spike + bin]!;
          }
          return sum;
        });
        const largest = Math.max(...sums);
        // each logarithm is rounded once, and roundings of many go either way
        const rounding = 4e-6 + 2e-7 * depth * Math.sqrt(most);
        const highest = fromFixed(maxima[2 * row]!, maxima[2 * row + 1]!) +
          (rows > 1 && row === silent ? 0 : silenceConstant);
        expect(Math.abs(highest - largest)).toBeLessThan(rounding);
        for (let bin = 0; bin < 4 * cells; bin++) {
          const log = wideLog2(wide[4 * cells * row + bin]!) * Math.LN2;
          if (bin >= bins) expect(log).toBe(-Infinity);
          // below 2^-128 a number keeps 18 bits
          else expect(Math.abs(log - (sums[bin]! - largest))).toBeLessThan(rounding);
        }
      }
    });
  }
});
