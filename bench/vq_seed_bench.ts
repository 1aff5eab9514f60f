import * as seeding from "../src/kernels/vq_seed.ts";
import { toPanels } from "../src/math/panels.ts";
import { Random } from "../src/math/random.ts";
import { vqSeed } from "../test/reference/vq_seed.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

export const vqSeedBench: Bench = {
  name: "vq_seed",
  cases: (scale = 1) =>
    [[16384, 512, 8], [16384, 8, 64]].map((shape) => {
      const [some, features, seeds] = shape as [number, number, number];
      const rows = some * scale;
      const random = new Random(1);
      const points = Float32Array.from({ length: rows * features }, () => random.uniform() - 0.5);
      const places = Float32Array.from({ length: seeds * features }, () => random.uniform() - 0.5);
      const bytes = 4 * seeds * seeding.seedRows(rows);
      return {
        spec: seeding.vqSeed,
        constants: seeding.vqSeedConstants(features, rows),
        shape: `${seeds} points x ${features} features, ${rows} rows`,
        rows,
        flops: 3 * rows * features * seeds,
        bytes: points.byteLength + bytes,
        buffers: {
          params: seeding.vqSeedParams(0, rows, 0),
          points: toPanels(points, features),
          seeds: seeding.packSeeds(places, features),
          seed_distances: bytes,
        },
        workgroups: seeding.vqSeedWorkgroups(rows, seeds / seeding.SEEDS),
        outputs: ["seed_distances"],
        check({ seed_distances: distances }) {
          const twin = vqSeed(points, places, features);
          for (let row = 0; row < rows; row++) {
            for (let seed = 0; seed < seeds; seed++) {
              const got = distances![seed * seeding.seedRows(rows) + row]!;
              checkWithin("vq_seed", Math.abs(got - twin[seed * rows + row]!), 1e-3);
            }
          }
        },
      };
    }),
};
