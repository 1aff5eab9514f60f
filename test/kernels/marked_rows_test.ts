import { describe, expect, it } from "vitest";
import * as rowsOf from "../../src/kernels/marked_rows.ts";
import { wideLog2 } from "../../src/math/wide.ts";
import { useGpu } from "../support/gpu.ts";
import { wideBits } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

describe("marked_rows", () => {
  for (const [rows, bins, depth] of [[1, 1, 1], [9, 65, 5], [4, 301, 900]] as const) {
    it(`adds up the spikes of ${rows} rows for ${bins} bins, ${depth} deep`, async () => {
      const random = seeded(rows);
      const cells = Math.ceil(bins / 4);
      const starts = new Uint32Array(rows + 1);
      for (let row = 0; row < rows; row++) {
        starts[row + 1] = starts[row]! + Math.floor(4 * random());
      }
      const spikes = starts[rows]!;
      const intensity = Float32Array.from(
        { length: Math.max(4, 4 * cells * spikes) },
        () => -depth * random(),
      );
      const ground = new Float32Array(4 * cells).fill(rowsOf.NO_GROUND);
      for (let bin = 0; bin < bins; bin++) ground[bin] = -random();
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
          row_maximum: 4 * rows,
        },
        workgroups: rowsOf.markedRowsWorkgroups(rows),
        outputs: ["likelihood", "row_maximum"],
      });
      const wide = wideBits(outputs.likelihood!);
      for (let row = 0; row < rows; row++) {
        const sums = Array.from({ length: bins }, (_, bin) => {
          if (rows > 1 && row === silent) return 0;
          let sum = ground[bin]!;
          for (let spike = starts[row]!; spike < starts[row + 1]!; spike++) {
            sum += intensity[4 * cells * spike + bin]!;
          }
          return sum;
        });
        const largest = Math.max(...sums);
        const scale = Math.max(1, -Math.min(...sums));
        expect(Math.abs(outputs.row_maximum![row]! - largest)).toBeLessThan(3e-7 * scale);
        for (let bin = 0; bin < 4 * cells; bin++) {
          const log = wideLog2(wide[4 * cells * row + bin]!) * Math.LN2;
          if (bin >= bins) expect(log).toBe(-Infinity);
          // below 2^-128 a number keeps 18 bits
          else expect(Math.abs(log - (sums[bin]! - largest))).toBeLessThan(4e-6 + 3e-7 * scale);
        }
      }
    });
  }
});
