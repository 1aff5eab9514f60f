import { describe, expect, it } from "vitest";
import * as pack from "../../src/kernels/pack_rows.ts";
import { packRows } from "../reference/pack_rows.ts";
import { toWide } from "../../src/math/wide.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

describe("pack_rows", () => {
  for (
    const [rows, stride, width, lanes = 0] of [
      [1, 4, 1],
      [3, 8, 5],
      [100, 28, 23],
      [7, 1000, 999],
      [14, 9, 7, 2],
      [3, 4, 4, 3],
    ] as const
  ) {
    const between = lanes > 0 ? `, with a row more at the end of each of ${lanes} lanes` : "";
    it(`gathers ${width} of ${stride} elements of ${rows} rows${between}, bit for bit`, async () => {
      const random = seeded(rows + width);
      // from 1 to far below what f32 holds
      const source = Uint32Array.from(
        { length: (rows + lanes) * stride },
        () => toWide(random(), -Math.floor(300 * random() ** 3)),
      );
      const table = Uint32Array.from({ length: width }, () => Math.floor(random() * stride));
      const laneRows = lanes > 0 ? rows / lanes : 0;
      const { outputs } = await runKernel(gpu(), {
        spec: pack.packRows,
        constants: pack.packRowsConstants,
        buffers: {
          params: pack.packRowsParams(0, rows, stride, width, laneRows),
          pack_table: table,
          unpacked: source,
          packed: 4 * rows * width,
        },
        workgroups: pack.packRowsWorkgroups(rows, width),
        outputs: ["packed"],
      });
      expect(outputs.packed).toEqual(packRows(source, stride, table, laneRows));
    });
  }
});
