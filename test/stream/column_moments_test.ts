/** The worked example of CONTRIBUTING.md: an analysis in one file keeps what every analysis promises. */

import { describe, expect, it } from "vitest";
import { columnMoments } from "../../examples/column_moments.ts";
import { fromTypedArray } from "../../src/array/array.ts";
import { open } from "../../src/open.ts";
import { lendGpu, useGpu } from "../support/gpu.ts";
import { paceStates } from "../support/kept_states.ts";
import { seeded } from "../support/random.ts";

const gpu = useGpu();

/** Rows far from 0, and their moments by the definition, in f64, one column after the other. */
function problem(rows: number, columns: number, ddof: number) {
  const random = seeded(rows + columns);
  const values = Float64Array.from(
    { length: rows * columns },
    (_, i) => 1e6 * (i % columns) + random() * 10 ** (i % columns % 4),
  );
  const mean = new Float64Array(columns);
  const variance = new Float64Array(columns);
  for (let d = 0; d < columns; d++) {
    const own = values.filter((_, i) => i % columns === d);
    mean[d] = own.reduce((sum, value) => sum + value, 0) / rows;
    variance[d] = own.reduce((sum, value) => sum + (value - mean[d]!) ** 2, 0) / (rows - ddof);
  }
  return { array: fromTypedArray(values, [rows, columns]), mean, variance };
}

describe("the moments of columns", () => {
  for (
    const [rows, columns, ddof] of [[2, 1, 1], [256, 3, 1], [257, 65, 0], [1000, 7, 1], [1, 2, 0]]
  ) {
    it(`are those of the definition: ${rows} rows, ${columns} columns, ddof ${ddof}`, async () => {
      const { array, mean, variance } = problem(rows!, columns!, ddof!);
      const found = await columnMoments(gpu(), array, { ddof: ddof! }).run();
      mean.forEach((own, d) => {
        const deviation = Math.sqrt(variance[d]!);
        expect(Math.abs(found.mean[d]! - own)).toBeLessThanOrEqual(1e-6 * deviation + 1e-9);
        expect(Math.abs(found.variance[d]! - variance[d]!)).toBeLessThan(
          2e-6 * variance[d]! + 1e-12,
        );
      });
    });
  }

  it("are the same bits whatever the tile, and after a stop", async () => {
    const { array } = problem(3000, 5, 1);
    const { mean, variance } = await columnMoments(gpu(), array).run();
    for (const tileRows of [1, 300, 1024]) {
      expect(await columnMoments(gpu(), array, { tileRows }).run()).toMatchObject({
        mean,
        variance,
      });
    }
    const restore = paceStates();
    try {
      const out = "memory:column-moments-test";
      const cancel = new AbortController();
      const stopping = {
        ...array,
        read(start: number, end: number) {
          // a tile, where a look takes all rows
          if (end - start === 256 && start > 1500) cancel.abort();
          return array.read(start, end);
        },
      };
      const plan = columnMoments(gpu(), stopping, { out, tileRows: 256 });
      await expect(plan.run({ signal: cancel.signal })).rejects.toThrow(/abort/);
      const smaller = await lendGpu({ budget: "64 KiB" });
      const rest = await columnMoments(smaller, array, { out }).run();
      smaller.close();
      expect(rest.resumed?.row).toBeGreaterThan(0);
      expect(rest).toMatchObject({ mean, variance });
      const opened = await open(out);
      expect(opened.kind === "arrays" && await opened.arrays.mean!.read(0, 5)).toEqual(mean);
      await opened.close();
    } finally {
      restore();
    }
  });

  it("refuse options that they do not know, and rows that are no numbers", async () => {
    const { array } = problem(10, 2, 1);
    expect(() => columnMoments(gpu(), array, { ddofs: 1 } as object)).toThrow(
      /"ddof" may be meant/,
    );
    const bad = fromTypedArray(Float64Array.of(1, NaN), [2, 1]);
    await expect(columnMoments(gpu(), bad).run()).rejects.toThrow(/row 1, feature 0 is NaN/);
  });
});
