import * as kernel from "../src/kernels/logistic_residual.ts";
import { projectedBytes } from "../src/kernels/project_rows.ts";
import { Random } from "../src/math/random.ts";
import { logisticResidual } from "../test/reference/logistic_residual.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

export const logisticResidualBench: Bench = {
  name: "logistic_residual",
  cases: (scale = 1) =>
    [[16384, 16]].map((shape) => {
      const [some, columns] = shape as [number, number];
      const rows = some * scale;
      const random = new Random(1);
      const logits = () =>
        Float32Array.from({ length: rows * columns }, () => 4 * random.uniform() - 2);
      const [anchors, projected] = [logits(), logits()];
      return {
        spec: kernel.logisticResidual,
        constants: kernel.logisticResidualConstants(rows),
        shape: `${columns} columns, ${rows} rows`,
        rows,
        flops: 40 * rows * columns,
        bytes: 3 * projectedBytes(rows, columns),
        buffers: {
          params: kernel.logisticResidualParams(0, rows, columns),
          anchors,
          projected,
          offsets: new Float32Array(columns),
          residuals: projectedBytes(rows, columns),
        },
        workgroups: kernel.logisticResidualWorkgroups(rows, columns),
        outputs: ["residuals"],
        check({ residuals }) {
          residuals!.forEach((value, i) => {
            const off = value - logisticResidual(anchors[i]!, projected[i]!);
            checkWithin("logistic_residual", Math.abs(off), 1e-6);
          });
        },
      };
    }),
};
