import { describe, expect, it } from "vitest";
import { netSampleMax } from "../../src/kernels/net_sample_max.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();
const NONE = 2 ** 32 - 1;

describe("net_sample_max", () => {
  // lengths of samples; one has no row, one none that counts
  const cases = [
    { lengths: [1], width: 1, bipolar: 0 },
    { lengths: [0, 3, 65, 2, 130], width: 5, bipolar: 1 },
    { lengths: [64, 0], width: 17, bipolar: 0 },
  ];
  for (const { lengths, width, bipolar } of cases) {
    it(`finds the largest of ${width} columns in samples of ${lengths.join(", ")} rows`, async () => {
      const random = seeded(width);
      const rows = lengths.reduce((sum, length) => sum + length, 0);
      const starts = [0];
      for (const length of lengths) starts.push(starts.at(-1)! + length);
      const stride = 4 * Math.ceil(width / 4);
      const columns = width * (1 + bipolar);
      const yStride = 4 * Math.ceil(columns / 4);
      // few values, so that many are equal, of which the largest of f32 and zeros of either sign
      const some = [-3.4e38, -1, -0, 0, 2, 3.4e38];
      const x = Float32Array.from(
        { length: rows * stride },
        (_, i) => i % stride < width ? some[Math.floor(6 * random())]! : 3.4e38,
      );
      const detected = Uint32Array.from(
        { length: rows },
        (_, row) =>
          row >= starts[3]! && row < (starts[4] ?? 0) ? 0 : Number(rows === 1 || random() < 0.7),
      );
      const { outputs } = await runKernel(gpu(), {
        spec: netSampleMax,
        constants: { LANES: 16 },
        buffers: {
          params: Uint32Array.of(0, 0, width, bipolar, stride, rows, yStride, lengths.length),
          ...{ starts: Uint32Array.from(starts), detected, x },
          ...{ y: 4 * yStride * lengths.length, chosen: 4 * yStride * lengths.length },
        },
        workgroups: [Math.ceil(columns / 4), lengths.length, 1],
        outputs: ["y", "chosen"],
      });
      const chosen = new Uint32Array(outputs.chosen!.buffer, outputs.chosen!.byteOffset);
      lengths.forEach((_, sample) => {
        for (let column = 0; column < columns; column++) {
          const sign = column < width ? 1 : -1;
          let [most, place] = [0, NONE];
          for (let row = starts[sample]!; row < starts[sample + 1]!; row++) {
            const value = sign * x[row * stride + column % width]!;
            if (detected[row] === 1 && (place === NONE || value > most)) {
              [most, place] = [value, row];
            }
          }
          const at = sample * yStride + column;
          expect([outputs.y![at]! + 0, chosen[at]]).toEqual([most + 0, place]);
        }
      });
    });
  }
});
