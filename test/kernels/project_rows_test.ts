import { describe, expect, it } from "vitest";
import * as kernel from "../../src/kernels/project_rows.ts";
import { toPanels } from "../../src/math/panels.ts";
import { projectRows } from "../reference/project_rows.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

describe("project_rows", () => {
  for (
    const [rows, features, vectors] of [[1, 1, 1], [67, 5, 3], [130, 33, 8], [64, 20, 17]] as const
  ) {
    it(`projects ${rows} rows of ${features} features onto ${vectors} vectors`, async () => {
      const random = seeded(rows + features);
      const some = (count: number) =>
        Float32Array.from({ length: count * features }, () => 2 * random() - 1);
      const [points, directions] = [some(rows), some(vectors)];
      const { outputs } = await runKernel(gpu(), {
        spec: kernel.projectRows,
        constants: kernel.projectRowsConstants(features, rows),
        buffers: {
          params: kernel.projectRowsParams(0, rows, 0),
          points: toPanels(points, features),
          vectors: kernel.packVectors(directions, features),
          projected: kernel.projectedBytes(rows, vectors),
        },
        workgroups: kernel.projectRowsWorkgroups(rows, vectors),
        outputs: ["projected"],
      });
      const twin = projectRows(points, directions, features);
      for (let vector = 0; vector < vectors; vector++) {
        for (let row = 0; row < rows; row++) {
          const got = outputs.projected![vector * kernel.projectedRows(rows) + row]!;
          expect(Math.abs(got - twin[row * vectors + vector]!)).toBeLessThan(5e-6);
        }
      }
    });
  }
});
