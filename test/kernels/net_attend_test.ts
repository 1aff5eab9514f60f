import { describe, expect, it } from "vitest";
import { netAttend, netAttendWeights } from "../../src/kernels/net_attend.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();
const bitsOf = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]!;

describe("net_attend_weights and net_attend", () => {
  const cases = [
    { lengths: [1], heads: 1, headWidth: 1, size: 1 },
    { lengths: [0, 65, 3, 2, 130], heads: 3, headWidth: 2, size: 5 },
    // scores whose powers f32 does not hold, far from 0
    { lengths: [64, 7], heads: 2, headWidth: 5, size: 1e4 },
  ];
  for (const { lengths, heads, headWidth, size } of cases) {
    it(`weigh samples of ${lengths.join(", ")} rows by ${heads} heads, scores of ${size}`, async () => {
      const random = seeded(heads);
      const [samples, temperature] = [lengths.length, 2];
      const rows = lengths.reduce((sum, length) => sum + length, 0);
      const starts = [0];
      for (const length of lengths) starts.push(starts.at(-1)! + length);
      const stride = 4 * Math.ceil(heads / 4);
      const width4 = Math.ceil(heads * headWidth / 4);
      const scores = Float32Array.from(
        { length: rows * stride },
        () => size * (random() - 0.5) - size,
      );
      const isLost = (row: number) => row >= starts[3]! && row < starts[4]!;
      const detected = Uint32Array.from(
        { length: rows },
        (_, row) => rows === 1 || !isLost(row) && random() < 0.8 ? 1 : 0,
      );
      // rows that do not count may hold anything
      const values = Float32Array.from(
        { length: 4 * rows * width4 },
        (_, i) => detected[Math.floor(i / 4 / width4)] ? 2 * random() - 1 : 3e38,
      );
      const { outputs: { weights } } = await runKernel(gpu(), {
        spec: netAttendWeights,
        constants: { LANES: 64 },
        buffers: {
          params: Uint32Array.of(0, 0, 0, bitsOf(1 / temperature), stride, rows, samples, 0),
          ...{ starts: Uint32Array.from(starts), detected, scores, windows: 8 },
          weights: new Float32Array(rows * stride).fill(5),
        },
        workgroups: [samples, heads, 1],
        outputs: ["weights"],
      });
      const { outputs: { y } } = await runKernel(gpu(), {
        spec: netAttend,
        constants: {},
        buffers: {
          params: Uint32Array.of(
            ...[0, 0, width4, heads, headWidth, stride, rows, samples],
            ...[0, 0, width4, 0],
          ),
          ...{ starts: Uint32Array.from(starts), weights: weights!, values },
          y: 16 * samples * width4,
        },
        workgroups: [Math.ceil(width4 / 64), samples, 1],
        outputs: ["y"],
      });
      lengths.forEach((length, sample) => {
        const own = Array.from({ length }, (_, i) => starts[sample]! + i);
        const counted = own.filter((row) => detected[row] === 1);
        for (let head = 0; head < heads; head++) {
          const scoreOf = (row: number) => scores[row * stride + head]! / temperature;
          const top = Math.max(...counted.map(scoreOf));
          const sum = counted.reduce((all, row) => all + Math.exp(scoreOf(row) - top), 0);
          const weightOf = (row: number) =>
            detected[row] === 1 ? Math.exp(scoreOf(row) - top) / sum : 0;
          // a difference of scores is off by a rounding of them
          const tolerance = 2e-6 + 1e-6 * (size > 10 ? size / 100 : 1);
          for (const row of own) {
            expect(Math.abs(weights![row * stride + head]! - weightOf(row))).toBeLessThan(
              tolerance,
            );
          }
          for (let i = 0; i < headWidth; i++) {
            const column = head * headWidth + i;
            const wanted = counted.reduce(
              (all, row) => all + weightOf(row) * values[4 * row * width4 + column]!,
              0,
            );
            const found = y![4 * sample * width4 + column]!;
            expect(Math.abs(found - wanted)).toBeLessThan(10 * tolerance);
          }
        }
      });
    });
  }
});
