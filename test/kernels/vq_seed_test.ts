import { describe, expect, it } from "vitest";
import * as kernel from "../../src/kernels/vq_seed.ts";
import { SEEDS } from "../../src/kernels/vq_seed.ts";
import { toPanels, toTwoParts } from "../../src/math/panels.ts";
import { vqSeed } from "../reference/vq_seed.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

describe("vq_seed", () => {
  for (const [rows, features] of [[1, 1], [5, 3], [64, 8], [131, 33]] as const) {
    it(`measures ${rows} rows of ${features} features from 11 points`, async () => {
      const random = seeded(rows + features);
      const points = Float32Array.from({ length: rows * features }, random);
      const count = SEEDS + 3;
      const places = Float32Array.from({ length: count * features }, random);
      const { outputs } = await runKernel(gpu(), {
        spec: kernel.vqSeed,
        constants: kernel.vqSeedConstants(features, rows),
        buffers: {
          params: kernel.vqSeedParams(0, rows, 0),
          points: toPanels(points, features),
          seeds: kernel.packSeeds(places, features),
          seed_distances: 2 * 4 * SEEDS * kernel.seedRows(rows),
        },
        workgroups: kernel.vqSeedWorkgroups(rows, 2),
        outputs: ["seed_distances"],
      });
      const twin = vqSeed(points, places, features);
      for (let seed = 0; seed < count; seed++) {
        for (let row = 0; row < rows; row++) {
          const got = outputs.seed_distances![seed * kernel.seedRows(rows) + row]!;
          expect(Math.abs(got - twin[seed * rows + row]!)).toBeLessThan(2e-6 * features);
        }
      }
    });
  }

  for (const parts of [1, 2]) {
    it(`measures rows of ${parts} parts from points that f32 does not tell from them`, async () => {
      const [rows, features] = [70, 3];
      const random = seeded(9);
      const near = (count: number) =>
        Float64Array.from({ length: count * features }, () => 10 + 1e-9 * random());
      const places = near(SEEDS);
      const points = near(rows);
      if (parts === 1) points.forEach((value, i) => points[i] = Math.fround(value));
      const { outputs } = await runKernel(gpu(), {
        spec: kernel.vqSeed,
        constants: kernel.vqSeedConstants(features, rows, parts, 2),
        buffers: {
          params: kernel.vqSeedParams(0, rows, 0),
          points: parts === 1 ? toPanels(points, features) : toTwoParts(points, features),
          seeds: kernel.packSeeds(places, features),
          seed_distances: 4 * SEEDS * kernel.seedRows(rows),
        },
        workgroups: kernel.vqSeedWorkgroups(rows, 1),
        outputs: ["seed_distances"],
      });
      const twin = vqSeed(points, places, features);
      for (let seed = 0; seed < SEEDS; seed++) {
        for (let row = 0; row < rows; row++) {
          const got = outputs.seed_distances![seed * kernel.seedRows(rows) + row]!;
          const wanted = twin[seed * rows + row]!;
          // what is left over is f32 again: 2^-24 of some 1e-6, beside differences of 1e-9
          expect(Math.abs(got - wanted)).toBeLessThan(2e-3 * 1e-18);
        }
      }
    });
  }
});
