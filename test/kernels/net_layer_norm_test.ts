import { describe, expect, it } from "vitest";
import { netLayerNorm, netRowStats } from "../../src/kernels/net_layer_norm.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import { quick } from "../support/tier.ts";

const gpu = useGpu();

/** Mean and 1 / deviation of rows, in f64. */
function statsOf(values: Float32Array, width: number): [mean: number, inverse: number][] {
  return Array.from({ length: values.length / width }, (_, row) => {
    const own = values.subarray(row * width, (row + 1) * width);
    const mean = own.reduce((sum, value) => sum + value, 0) / width;
    const squares = own.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    return [mean, 1 / Math.sqrt(squares / width + 1e-5)];
  });
}

/** Rows of quads, 0 past the last column. */
function padded(values: Float32Array, width: number): Float32Array {
  const stride = 4 * Math.ceil(width / 4);
  return Float32Array.from(
    { length: values.length / width * stride },
    (_, i) => i % stride < width ? values[Math.floor(i / stride) * width + i % stride]! : 0,
  );
}

describe("net_row_stats and net_layer_norm", () => {
  // the largest value that probes take is 1e15
  const cases = [
    { rows: 1, width: 1, offset: 3, size: 0 },
    { rows: 3, width: 5, offset: 0, size: 1e-6 },
    { rows: 65, width: 7, offset: 1000, size: 1 },
    { rows: 2, width: 257, offset: 0, size: 9e14 },
    { rows: 5, width: 1030, offset: -40, size: 0 },
  ];
  for (const { rows, width, offset, size } of cases) {
    for (const lanes of quick ? [16] : [1, 16, 64]) {
      it(`normalise ${rows} rows of ${width} numbers of ${size} about ${offset}, by ${lanes} threads`, async () => {
        const random = seeded(rows + lanes);
        const values = Float32Array.from(
          { length: rows * width },
          () => offset + size * (2 * random() - 1),
        );
        const quads = Math.ceil(width / 4);
        const x = padded(values, width);
        const { outputs: { stats } } = await runKernel(gpu(), {
          spec: netRowStats,
          constants: { LANES: lanes },
          buffers: {
            params: Uint32Array.of(rows, width, 0, 0, quads, rows, 0, 0),
            x,
            stats: 8 * rows,
          },
          workgroups: [Math.ceil(rows * lanes / 64), 1],
          outputs: ["stats"],
        });
        const wanted = statsOf(values, width);
        // f32 of the values themselves, and of sums of their squares
        const tolerance = 4e-7 * (Math.abs(offset) + size);
        wanted.forEach(([mean, inverse], row) => {
          expect(Math.abs(stats![2 * row]! - mean)).toBeLessThanOrEqual(tolerance);
          expect(Math.abs(stats![2 * row + 1]! / inverse - 1)).toBeLessThan(1e-5);
        });
        const { outputs: { y } } = await runKernel(gpu(), {
          spec: netLayerNorm,
          constants: { AFFINE: 0 },
          buffers: {
            ...{ params: Uint32Array.of(rows, quads, rows, 1, 0, width, 0, 0), x, stats: stats! },
            ...{ parameters: new Float32Array(4), y: x.byteLength },
          },
          workgroups: [Math.ceil(rows * quads / 64), 1],
          outputs: ["y"],
        });
        const whole = padded(
          values.map((value, i) => {
            const [mean, inverse] = wanted[Math.floor(i / width)]!;
            return (value - mean) * inverse;
          }),
          width,
        );
        // at most so many deviations from the mean, each off by what the mean is
        const most = 2e-5 + tolerance * Math.max(...wanted.map(([, inverse]) => inverse));
        whole.forEach((value, i) => expect(Math.abs(y![i]! - value)).toBeLessThanOrEqual(most));
      });
    }
  }
});
