import { describe, expect, it } from "vitest";
import * as kernel from "../../src/kernels/logistic_residual.ts";
import { projectedBytes } from "../../src/kernels/project_rows.ts";
import { logisticResidual } from "../reference/logistic_residual.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

describe("logistic_residual", () => {
  for (const [rows, columns] of [[1, 1], [67, 3], [513, 8], [130, 17]] as const) {
    it(`has the error of the step, for ${rows} rows of ${columns} columns`, async () => {
      const random = seeded(rows);
      const stride = Math.ceil(rows / 8) * 8;
      const length = projectedBytes(rows, columns) / 4;
      const anchors = new Float32Array(length).fill(3);
      const steps = new Float32Array(length).fill(5);
      const offsets = new Float32Array(Math.ceil(columns / 8) * 8);
      for (let column = 0; column < columns; column++) {
        offsets[column] = column % 2 ? 0 : Math.fround(random() - 0.5);
        for (let row = 0; row < rows; row++) {
          anchors[column * stride + row] = 40 * (random() - 0.5);
          // from 1e-8 to 1e2, either sign
          steps[column * stride + row] = 10 ** (10 * random() - 8) * (random() < 0.5 ? -1 : 1);
        }
      }
      const { outputs } = await runKernel(gpu(), {
        spec: kernel.logisticResidual,
        constants: kernel.logisticResidualConstants(rows),
        buffers: {
          params: kernel.logisticResidualParams(0, rows, columns),
          anchors,
          projected: steps,
          offsets,
          residuals: new Float32Array(length).fill(7),
        },
        workgroups: kernel.logisticResidualWorkgroups(rows, columns),
        outputs: ["residuals"],
      });
      const residuals = outputs.residuals!;
      residuals.forEach((value, i) => {
        const [column, row] = [Math.floor(i / stride), i % stride];
        if (column >= columns || row >= rows) {
          expect(value).toBe(0);
          return;
        }
        const step = Math.fround(steps[i]! + offsets[column]!);
        const twin = logisticResidual(anchors[i]!, step);
        // f32 rounds the logit to which a large step leads, and probabilities near 0 by as much
        const error = 1e-5 * Math.abs(twin) + 1e-34;
        expect([anchors[i], step, Math.abs(value - twin) < error]).toEqual([
          anchors[i],
          step,
          true,
        ]);
      });
    });
  }

  it("moves nothing where nothing moves, and not past 0 and 1", async () => {
    const anchors = Float32Array.of(0, 100, -100, 1000, -1000, 3e38, -3e38, 5);
    const steps = Float32Array.of(0, -200, 200, 10, -10, -3e38, 3e38, 0);
    const { outputs } = await runKernel(gpu(), {
      spec: kernel.logisticResidual,
      constants: kernel.logisticResidualConstants(8),
      buffers: {
        params: kernel.logisticResidualParams(0, 8, 1),
        anchors: Float32Array.from({ length: 64 }, (_, i) => anchors[i] ?? 0),
        projected: Float32Array.from({ length: 64 }, (_, i) => steps[i] ?? 0),
        offsets: new Float32Array(8),
        residuals: 4 * 64,
      },
      workgroups: kernel.logisticResidualWorkgroups(8, 1),
      outputs: ["residuals"],
    });
    const got = [...outputs.residuals!.subarray(0, 8)];
    [0, -1, 1, 0, 0, -0.5, 0.5, 0].forEach((value, i) => expect(got[i]).toBeCloseTo(value, 6));
  });
});
