import { describe, expect, it } from "vitest";
import { packCounts, packNumbers } from "../../src/cpa/counts.ts";
import * as densify from "../../src/kernels/densify_rows.ts";
import type { Row } from "../reference/densify_rows.ts";
import { densifyRows } from "../reference/densify_rows.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

function someRows(rows: number, genes: number, value: (random: () => number) => number): Row[] {
  const random = seeded(rows + genes);
  return Array.from({ length: rows }, (_, row) => {
    // some are empty, and some full
    const share = row % 5 === 3 ? 0 : row % 5 === 4 ? 1 : random();
    const all = Array.from({ length: genes }, (_, gene) => [gene, value(random)] as const);
    return all.filter(([, value]) => value !== 0 && random() <= share);
  });
}

function entriesOf(rows: readonly Row[]) {
  const starts = Uint32Array.from(
    { length: rows.length + 1 },
    (_, i) => rows.slice(0, i).reduce((sum, row) => sum + row.length, 0),
  );
  const all = rows.flat();
  return {
    ...{ start: 0, end: rows.length, starts },
    genes: Uint32Array.from(all, ([gene]) => gene),
    values: Float64Array.from(all, ([, value]) => value),
    wholeBelow: 2 ** 53,
  };
}

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
        const own = someRows(rows, genes, (random) => {
          if (form === "float") return Math.fround(random() - 0.5);
          const most = form === "wide" ? 2 ** 23 : 60_000;
          return 1 + Math.floor(most * random() ** 8);
        });
        const read = entriesOf(own);
        if (form === "wide") read.values[0] = 2 ** 24;
        const packed = form === "float" ? packNumbers(read) : packCounts(read, genes);
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
        const sorted = own.map((row, i) =>
          row.map(([gene], at) => [gene, read.values[read.starts[i]! + at]!] as const)
        );
        const twin = densifyRows(sorted, genes, log);
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
