import { describe, expect, it } from "vitest";
import * as densify from "../../src/kernels/densify_rows.ts";
import { densifyRows } from "../reference/densify_rows.ts";
import { packedRows } from "../support/entry_rows.ts";
import { useGpu } from "../support/gpu.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

/** Of f32 around a logarithm near 0 and far from it. */
const LOG_TOLERANCE = 2.5e-7;

describe("densify_rows", () => {
  for (
    const [form, rows, genes] of [
      ["narrow", 1, 1],
      ["narrow", 7, 257],
      ["narrow", 3, 1000],
      ["wide", 5, 300],
      ["float", 6, 259],
    ] as const
  ) {
    for (const log of form === "float" ? [false] : [false, true]) {
      it(`fills ${rows} rows of ${genes} genes from ${form} entries${log ? ", as logarithms" : ""}`, async () => {
        const { rows: own, packed } = packedRows(form, rows, genes);
        expect(packed.form).toBe(form);
        const { outputs } = await runKernel(gpu(), {
          spec: densify.densifyRows,
          constants: densify.densifyRowsConstants(packed.form, log),
          buffers: {
            params: densify.densifyRowsParams(0, rows, genes),
            starts: packed.starts,
            entries: packed.entries.length > 0 ? packed.entries : 4,
            // what was there before
            dense: new Float32Array(rows * genes).fill(-7),
          },
          workgroups: densify.densifyRowsWorkgroups(rows),
          outputs: ["dense"],
        });
        const twin = densifyRows(own, genes, log);
        const dense = outputs.dense!.subarray(0, twin.length);
        if (!log) expect(dense).toEqual(Float32Array.from(twin));
        else {
          const worst = twin.reduce(
            (most, value, i) => Math.max(most, Math.abs(dense[i]! - value) / Math.max(value, 0.1)),
            0,
          );
          expect(worst).toBeLessThan(LOG_TOLERANCE);
        }
      });
    }
  }
});
