import * as project from "../src/kernels/project_rows.ts";
import { toPanels } from "../src/math/panels.ts";
import { Random } from "../src/math/random.ts";
import { projectRows } from "../test/reference/project_rows.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

const CHECKED_ROWS = 20;

export const projectRowsBench: Bench = {
  name: "project_rows",
  cases: (scale = 1) =>
    [[16384, 512, 8], [4096, 4096, 8], [16384, 192, 64]].map((shape) => {
      const [some, features, vectors] = shape as [number, number, number];
      const rows = some * scale;
      const random = new Random(1);
      const points = Float32Array.from({ length: rows * features }, () => random.uniform() - 0.5);
      const axes = Float32Array.from({ length: vectors * features }, () => random.uniform() - 0.5);
      return {
        spec: project.projectRows,
        constants: project.projectRowsConstants(features, rows),
        shape: `${vectors} vectors x ${features} features, ${rows} rows`,
        rows,
        flops: 2 * rows * features * vectors,
        bytes: 4 * rows * features + project.projectedBytes(rows, vectors),
        buffers: {
          params: project.projectRowsParams(0, rows, 0),
          points: toPanels(points, features),
          vectors: project.packVectors(axes, features),
          projected: project.projectedBytes(rows, vectors),
        },
        workgroups: project.projectRowsWorkgroups(rows, vectors),
        outputs: ["projected"],
        check({ projected }) {
          const twin = projectRows(points.subarray(0, CHECKED_ROWS * features), axes, features);
          twin.forEach((value, i) => {
            const got = projected![i % vectors * rows + Math.floor(i / vectors)]!;
            checkWithin("project_rows", Math.abs(got - value), 1e-3);
          });
        },
      };
    }),
};
