import { describe, expect, it } from "vitest";
import { netBatchNorm } from "../../src/kernels/net_batch_norm.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();
const bitsOf = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]!;
const [EPSILON, MOMENTUM] = [1e-3, 0.01];

describe("net_batch_norm", () => {
  const cases = [
    { rows: 2, width: 1, offset: 0, size: 1, trains: 1 },
    { rows: 65, width: 6, offset: 1000, size: 1, trains: 1 },
    { rows: 17, width: 9, offset: 0, size: 1e12, trains: 1 },
    // a column that is constant, as a gene that no cell has
    { rows: 40, width: 5, offset: -3, size: 0, trains: 1 },
    { rows: 1, width: 5, offset: 2, size: 1, trains: 0 },
  ];
  for (const { rows, width, offset, size, trains } of cases) {
    it(`normalises ${rows} rows of ${width} numbers of ${size} about ${offset}, ${trains ? "" : "not "}learning`, async () => {
      const random = seeded(rows);
      const quads = Math.ceil(width / 4);
      const stride = 4 * quads;
      const isColumn = (i: number) => i % stride < width;
      const x = Float32Array.from(
        { length: rows * stride },
        (_, i) => isColumn(i) ? offset + size * (2 * random() - 1) : 0,
      );
      // gamma, beta, running mean and running variance
      const before = [1.5, 0.25, 0.5, 2].map((value, part) =>
        Float32Array.from(
          { length: stride },
          (_, i) => isColumn(i) ? value + (part < 2 ? 0.1 * i : 0) : 0,
        )
      );
      const { outputs } = await runKernel(gpu(), {
        spec: netBatchNorm,
        constants: { LANES: 16 },
        buffers: {
          params: Uint32Array.of(
            ...[rows, width, rows, 4 * quads, 0, trains, bitsOf(EPSILON), bitsOf(MOMENTUM)],
          ),
          ...{ x, stats: 32 * quads, y: x.byteLength },
          parameters: Float32Array.from(before.flatMap((part) => [...part])),
        },
        workgroups: [quads, 1],
        outputs: ["parameters", "y"],
      });
      const [gamma, beta, mean, variance] = before as [Float32Array, ...Float32Array[]];
      // f32 of the values themselves, and of sums of their squares
      const tolerance = 4e-7 * (Math.abs(offset) + size);
      for (let column = 0; column < stride; column++) {
        const values = Array.from({ length: rows }, (_, row) => x[row * stride + column]!);
        const own = values.reduce((sum, value) => sum + value, 0) / rows;
        const squares = values.reduce((sum, value) => sum + (value - own) ** 2, 0);
        const [center, spread] = trains
          ? [own, squares / rows]
          : [mean![column]!, variance![column]!];
        const moved = trains && column < width
          ? [
            mean![column]! + MOMENTUM * (own - mean![column]!),
            variance![column]! + MOMENTUM * (squares / (rows - 1) - variance![column]!),
          ]
          : [mean![column]!, variance![column]!];
        [2, 3].forEach((part, i) => {
          const found = outputs.parameters![part * stride + column]!;
          expect(Math.abs(found - moved[i]!)).toBeLessThanOrEqual(
            tolerance + 2e-6 * Math.abs(moved[i]!),
          );
        });
        const inverse = 1 / Math.sqrt(spread + EPSILON);
        values.forEach((value, row) => {
          const wanted = column < width
            ? (value - center) * inverse * gamma[column]! + beta![column]!
            : 0;
          const off = Math.abs(outputs.y![row * stride + column]! - wanted);
          expect(off).toBeLessThanOrEqual(2e-5 + 3 * tolerance * inverse);
        });
      }
      for (const [part, kept] of before.slice(0, 2).entries()) {
        const found = outputs.parameters!.subarray(part * stride, (part + 1) * stride);
        expect([...found]).toEqual([...kept]);
      }
    });
  }
});
