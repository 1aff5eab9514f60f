/**
 * Components of flat contexts by products of frames and those that follow them: the kernel beside its
 * floor, and a whole fit beside one of the same rows that are built.
 */

import { fromTypedArray } from "../src/array/array.ts";
import { contexts } from "../src/array/contexts.ts";
import { PCA } from "../src/decompose/pca.ts";
import type { Gpu } from "../src/gpu/device.ts";
import * as kernel from "../src/kernels/second_moments.ts";
import { PART, SQUARE } from "../src/kernels/second_moments.ts";
import { formatTable } from "../src/math/format.ts";
import { Random } from "../src/math/random.ts";
import { laggedMoments } from "../test/reference/second_moments.ts";
import { largestAngle } from "../test/support/sklearn.ts";
import type { CeilingMeter } from "./ceilings.ts";
import type { Bench } from "./harness.ts";
import { checkWithin, median, problemScale, runBench } from "./harness.ts";
import type { ResultRow } from "./results.ts";

const WIDTH = 8;
const FRAMES = 10_000;
const COMPONENTS = 8;
const REPEATS = 3;
const CHECKED_ROWS = 64;

const kernelBench: Bench = {
  name: "lag_products",
  cases: (scale = 1) =>
    ([[512, 512], [64, 4096]] as const).map(([features, some]) => {
      const rows = some * scale;
      const random = new Random(1);
      const frames = rows + WIDTH - 1;
      const values = Float32Array.from(
        { length: frames * features },
        () => random.uniform() - 0.5,
      );
      const blockRows = kernel.momentBlockRows(features, WIDTH);
      const shape = { features, lags: WIDTH, blockRows, tileRows: rows };
      const starts = Uint32Array.from({ length: rows }, (_, row) => row);
      const buffers = {
        params: kernel.secondMomentsParams(shape, 0, rows, 0, PART.whole),
        rows: values,
        starts,
        grains: kernel.momentGrains(new Float32Array(features).fill(1), shape),
        moments: kernel.momentBytes(shape),
      };
      return {
        spec: kernel.secondMoments,
        constants: kernel.secondMomentsConstants(shape),
        shape: `${WIDTH} lags x ${features} features, ${rows} rows`,
        rows,
        // of lag 0 on and above the diagonal
        flops: rows * features * (features + 1 + 2 * features * (WIDTH - 1)),
        bytes: values.byteLength + buffers.moments,
        buffers,
        workgroups: kernel.secondMomentsWorkgroups(rows, shape),
        outputs: ["moments"],
        check({ moments }) {
          const own = starts.subarray(0, Math.min(rows, blockRows));
          // the first features of every frame are enough
          const few = Float32Array.from(
            { length: frames * CHECKED_ROWS },
            (_, i) => values[Math.floor(i / CHECKED_ROWS) * features + i % CHECKED_ROWS]!,
          );
          const twin = laggedMoments(few, CHECKED_ROWS, own, WIDTH);
          kernel.forEachSquare(features, (at, row, column, lag) => {
            if (row > 0 || column > 0) return;
            for (let i = 0; i < SQUARE; i++) {
              for (let j = i; j < SQUARE; j++) {
                const off = moments![at + i * SQUARE + j]! -
                  twin[(lag * SQUARE + i) * SQUARE + j]!;
                checkWithin("lag_products", Math.abs(off), 1e-2);
              }
            }
          }, WIDTH);
        },
      };
    }),
};

export const lagProductsBench = {
  name: "lag_products",

  async run(gpu: Gpu, ceilings: CeilingMeter): Promise<ResultRow[]> {
    const { software } = gpu.adapter;
    const results: ResultRow[] = await runBench(gpu, kernelBench, ceilings, problemScale(gpu));
    const features = software ? 128 : 512;
    const random = new Random(2);
    const values = new Float32Array(FRAMES * features);
    // as much of what follows as of what was before, and a few directions that stand out
    values.forEach((_, i) => {
      const [t, d] = [Math.floor(i / features), i % features];
      const wave = 3 * Math.sin(t / 9) * Math.cos(d) + 2 * Math.cos(t / 25) * Math.sin(3 * d);
      values[i] = wave + 0.5 * (i < features ? 0 : values[i - features]!) + random.normal();
    });
    const segments = Array.from({ length: FRAMES / 200 }, (_, i) => 200 * i);
    const base = fromTypedArray(values, [FRAMES, features]);
    const view = contexts(base, { width: WIDTH, lag: 1, mode: "flat", segments });
    const rows = fromTypedArray(await view.read(0, view.shape[0]), view.shape);
    const fit = (points: typeof view | typeof rows) =>
      new PCA({ components: COMPONENTS }).fit(gpu, points).run();
    const seconds: Record<string, number[]> = { frames: [], rows: [] };
    const peak: Record<string, number> = {};
    for (let i = 0; i < REPEATS; i++) {
      const [own, built] = [await fit(view), await fit(rows)];
      // those that stand out of the noise
      const [a, b] = [own, built].map(({ components }) =>
        components.subarray(0, 4 * view.shape[1])
      );
      checkWithin("lag_products", largestAngle(a!, b!, view.shape[1]), 1e-3);
      for (const [name, result] of [["frames", own], ["rows", built]] as const) {
        seconds[name]!.push(result.seconds.total!);
        peak[name] = result.peakBytes.gpu;
      }
    }
    const table = [["components from", "min s", "median s", "GPU MiB"]];
    for (const [name, all] of Object.entries(seconds)) {
      const [min, middle] = [Math.min(...all), median(all)];
      table.push([
        name,
        min.toFixed(2),
        middle.toFixed(2),
        (peak[name]! / 2 ** 20).toFixed(1),
      ]);
      results.push({
        bench: "lag_products",
        case: `fit from ${name}, ${features} features`,
        frames: FRAMES,
        features,
        width: WIDTH,
        minSeconds: min,
        medianSeconds: middle,
        peakGpuBytes: peak[name],
      });
    }
    console.log(
      `${COMPONENTS} components of ${view.shape[0]} x ${
        view.shape[1]
      } contexts, ${FRAMES} frames\n` +
        `${formatTable(table)}\n`,
    );
    return results;
  },
};
