import { describe, expect, it } from "vitest";
import { netClassEntropy, netCrossEntropy } from "../../src/kernels/net_training.ts";
import { sigmoid, softplus } from "../reference/net_layers.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();
const bitsOf = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]!;

/** Logits as they may become: near 0, of some size, and far beyond what e^x holds. */
const unkind = (random: () => number) =>
  [1e-20, 1, 30, 1e4][Math.floor(4 * random())]! *
  (2 * random() - 1);

describe("net_cross_entropy", () => {
  for (const rows of [1, 64, 65, 130]) {
    it(`takes the loss of ${rows} logits of any size, some of which weigh nothing`, async () => {
      const random = seeded(rows);
      const logits = Float32Array.from({ length: rows }, () => unkind(random));
      const labels = Float32Array.from({ length: rows }, () => random() < 0.3 ? 1 : 0);
      const weights = Float32Array.from({ length: rows }, (_, i) => i % 3 === 1 ? 0 : 1 + i % 2);
      const { outputs } = await runKernel(gpu(), {
        spec: netCrossEntropy,
        constants: { LANES: 64 },
        buffers: {
          params: Uint32Array.of(rows, rows, 0, 1, 0, 0, 1, 0, 1, 1, bitsOf(0.5), 0),
          logits: Float32Array.from({ length: 4 * rows }, (_, i) => i % 4 ? 7 : logits[i / 4]!),
          ...{ labels, weights, gradient: new Float32Array(4 * rows).fill(3), losses: 24 },
          progress: Uint32Array.of(bitsOf(2), bitsOf(3), 0, 0, 0, 0, 0, 0),
        },
        workgroups: [1],
        outputs: ["gradient", "losses", "progress"],
      });
      let [loss, weight] = [0, 0];
      logits.forEach((z, i) => {
        loss += weights[i]! * (labels[i] ? softplus(-z) : softplus(z));
        weight += weights[i]!;
      });
      expect(Math.abs(outputs.losses![3]! - loss)).toBeLessThan(2e-6 * (1 + loss));
      expect([outputs.losses![4], outputs.losses![5]]).toEqual([weight, 0]);
      // added to what was there
      expect(Math.abs(outputs.progress![0]! - loss - 2)).toBeLessThan(2e-6 * (3 + loss));
      expect(outputs.progress![1]).toBe(weight + 3);
      logits.forEach((z, i) => {
        const slope = labels[i] ? -sigmoid(-z) : sigmoid(z);
        const wanted = 0.5 * weights[i]! * slope / weight;
        expect(Math.abs(outputs.gradient![4 * i]! - wanted)).toBeLessThan(1e-6);
        expect([...outputs.gradient!.subarray(4 * i + 1, 4 * i + 4)]).toEqual([0, 0, 0]);
      });
    });
  }
});

describe("net_class_entropy", () => {
  for (const [rows, classes] of [[1, 1], [3, 5], [65, 9]] as const) {
    for (const focal of [0, 1]) {
      it(`takes the loss of ${rows} rows of ${classes} classes, focal ${focal}`, async () => {
        const random = seeded(rows + focal);
        const stride = 4 * Math.ceil(classes / 4);
        const logits = Float32Array.from(
          { length: rows * stride },
          (_, i) => i % stride < classes ? unkind(random) : 99,
        );
        const drawn = () => Math.floor(classes * random());
        const chosen = Array.from({ length: rows }, () => [drawn(), drawn()] as const);
        // classes that no training cell has weigh nothing
        const weights = Float32Array.from({ length: classes }, (_, i) => i === 2 ? 0 : 1 + i);
        const [own, other, scale] = [0.75, 0.25, -2];
        const { outputs } = await runKernel(gpu(), {
          spec: netClassEntropy,
          constants: { LANES: 64, FOCAL: focal },
          buffers: {
            params: Uint32Array.of(
              ...[rows, rows, classes, stride, 1, 1],
              ...[bitsOf(own), bitsOf(other), bitsOf(scale), 0, 0, 0],
            ),
            ...{ logits, gradient: logits.byteLength, losses: 16 },
            classes: Uint32Array.of(0, 0, ...chosen.flat()),
            class_weights: weights,
          },
          workgroups: [1],
          outputs: ["gradient", "losses"],
        });
        const wanted = new Float64Array(logits.length);
        let loss = 0;
        for (const [which, part] of [[0, own], [1, other]] as const) {
          const all = chosen.reduce((sum, row) => sum + weights[row[which]]!, 0);
          const divisor = focal ? rows : all;
          chosen.forEach((row, i) => {
            const z = [...logits.subarray(i * stride, i * stride + classes)];
            const most = Math.max(...z);
            const logSum = most + Math.log(z.reduce((sum, one) => sum + Math.exp(one - most), 0));
            const lost = logSum - z[row[which]]!;
            const rest = -Math.expm1(-lost);
            const share = divisor > 0 ? part * weights[row[which]]! / divisor : 0;
            loss += share * (focal ? rest * rest * lost : lost);
            const slope = focal ? rest * rest + 2 * rest * (1 - rest) * lost : 1;
            z.forEach((one, k) =>
              wanted[i * stride + k]! += scale * share * slope *
                (Math.exp(one - logSum) - Number(k === row[which]))
            );
          });
        }
        expect(Math.abs(outputs.losses![2]! - loss)).toBeLessThan(3e-6 * (1 + loss));
        wanted.forEach((value, i) =>
          expect(Math.abs(outputs.gradient![i]! - value)).toBeLessThan(2e-6)
        );
      });
    }
  }
});
