/**
 * k-means beside scikit-learn in f64, over types, offsets and scales: the table of docs/accuracy.md. The
 * problems, and what scikit-learn says of them, are those of test/fixtures/make_sklearn.py.
 */

import { KMeans } from "../src/cluster/kmeans.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { unkindCases } from "../test/support/unkind.ts";
import type { ResultRow } from "./results.ts";

async function measure(gpu: Gpu, one: typeof unkindCases[number]): Promise<ResultRow> {
  const { name, points, init, k, wanted, dtype, offset, scale, gap } = one;
  const fit = await new KMeans({ k, init }).fit(gpu, points).run();
  const off = fit.inertia - wanted.inertia;
  return {
    bench: "kmeans_accuracy",
    case: name,
    dtype,
    offset,
    scale,
    gap,
    otherIds: fit.ids.filter((id, row) => id !== wanted.ids[row]).length,
    inertia: fit.inertia,
    wantedInertia: wanted.inertia,
    inertiaOff: off === 0 ? 0 : Math.abs(off / wanted.inertia),
    iterations: fit.iterations,
    wantedIterations: wanted.iterations,
    nearTies: fit.nearTies,
  };
}

export const kmeansAccuracyBench = {
  name: "kmeans_accuracy",
  async run(gpu: Gpu): Promise<ResultRow[]> {
    const rows: ResultRow[] = [];
    for (const one of unkindCases) rows.push(await measure(gpu, one));
    const power = (value: unknown) => {
      const number = value as number;
      return Math.abs(number) < 1e4 && Number.isInteger(number)
        ? String(number)
        : number.toExponential(1).replace(".0e", "e").replace("+", "");
    };
    const columns = [
      ["type", "offset", "scale", "groups apart", "other ids", "inertia off by", "iterations"],
      Array(7).fill("---"),
      ...rows.map((row) => [
        row.dtype,
        power(row.offset),
        power(row.scale),
        row.gap === 0 ? "" : row.gap,
        row.otherIds,
        row.inertiaOff === 0 ? "0" : Number(row.inertiaOff).toExponential(1),
        `${row.iterations} of ${row.wantedIterations}`,
      ]),
    ];
    for (const cells of columns) console.log(`| ${cells.join(" | ")} |`);
    return rows;
  },
};
