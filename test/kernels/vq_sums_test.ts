import { describe, expect, it } from "vitest";
import { packCodebooks } from "../../src/kernels/vq_assign.ts";
import * as kernel from "../../src/kernels/vq_sums.ts";
import { toPanels, toTwoParts } from "../../src/math/panels.ts";
import { vqSums } from "../reference/vq_sums.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

describe("vq_sums", () => {
  for (
    const [rows, codes, features] of [[1, 1, 1], [256, 3, 2], [257, 5, 65], [700, 2, 130]] as const
  ) {
    it(`adds ${rows} rows of ${features} features to ${codes} codes`, async () => {
      const random = seeded(rows + codes * features);
      const points = Float32Array.from({ length: rows * features }, () => 2 * random() - 1);
      const book = Float32Array.from({ length: codes * features }, () => random() / 4);
      const ids = Uint32Array.from({ length: rows }, () => Math.floor(codes * random()));
      const shape = { features, codes, tileRows: rows };
      const { outputs } = await runKernel(gpu(), {
        spec: kernel.vqSums,
        constants: kernel.vqSumsConstants(shape),
        buffers: {
          params: kernel.vqSumsParams(0, rows, 0, 0),
          points: toPanels(points, features),
          codebooks: packCodebooks([book], features).codebooks,
          ids,
          sums: kernel.sumBytes(shape, 1),
        },
        workgroups: kernel.vqSumsWorkgroups(rows, shape, 1),
        outputs: ["sums"],
      });
      const blockRows = kernel.sumBlockRows(codes);
      for (const [block, twin] of vqSums(points, book, ids, { features, blockRows }).entries()) {
        const own = outputs.sums!.subarray(block * twin.length, (block + 1) * twin.length);
        // at most 256 numbers below 2, one after the other in f32
        twin.forEach((sum, i) => expect(Math.abs(own[i]! - sum)).toBeLessThan(2e-5));
      }
    });
  }

  it("sums what is left of rows that f32 does not tell from their code", async () => {
    const [rows, codes, features] = [300, 3, 5];
    const random = seeded(2);
    const near = (count: number) =>
      Float64Array.from({ length: count * features }, () => 10 + 1e-9 * random());
    const points = near(rows);
    const book = near(codes).map(Math.fround);
    const ids = Uint32Array.from({ length: rows }, (_, row) => row % codes);
    const shape = { features, codes, tileRows: rows, parts: 2 };
    const { outputs } = await runKernel(gpu(), {
      spec: kernel.vqSums,
      constants: kernel.vqSumsConstants(shape),
      buffers: {
        params: kernel.vqSumsParams(0, rows, 0, 0),
        points: toTwoParts(points, features),
        codebooks: packCodebooks([book], features).codebooks,
        ids,
        sums: kernel.sumBytes(shape, 1),
      },
      workgroups: kernel.vqSumsWorkgroups(rows, shape, 1),
      outputs: ["sums"],
    });
    const blockRows = kernel.sumBlockRows(codes);
    const [twin] = vqSums(points, book, ids, { features, blockRows });
    twin!.forEach((sum, i) => expect(Math.abs(outputs.sums![i]! / sum - 1)).toBeLessThan(1e-5));
  });

  it("goes on in a block that an earlier dispatch began", async () => {
    const [rows, codes, features] = [600, 4, 3];
    const random = seeded(7);
    const points = Float32Array.from({ length: rows * features }, random);
    const book = Float32Array.from({ length: codes * features }, random);
    const ids = Uint32Array.from({ length: rows }, () => Math.floor(codes * random()));
    const shape = { features, codes, tileRows: rows };
    const sums = async (from: number, to: number, before: Float32Array | number) =>
      (await runKernel(gpu(), {
        spec: kernel.vqSums,
        constants: kernel.vqSumsConstants(shape),
        buffers: {
          params: kernel.vqSumsParams(from, to, 0, 0),
          points: toPanels(points, features),
          codebooks: packCodebooks([book], features).codebooks,
          ids,
          sums: before,
        },
        workgroups: kernel.vqSumsWorkgroups(to - from, shape, 1),
        outputs: ["sums"],
      })).outputs.sums!;
    const whole = await sums(0, rows, kernel.sumBytes(shape, 1));
    const parts = await sums(301, rows, await sums(0, 301, kernel.sumBytes(shape, 1)));
    expect(parts).toEqual(whole);
  });

  it("goes on in a block that an earlier tile began, and begins those that begin in its own", async () => {
    const [rows, codes, features, cut] = [600, 4, 3, 320];
    const random = seeded(7);
    const points = Float32Array.from({ length: rows * features }, random);
    const book = Float32Array.from({ length: codes * features }, random);
    const ids = Uint32Array.from({ length: rows }, () => Math.floor(codes * random()));
    const shape = { features, codes, tileRows: cut };
    const blockRows = kernel.sumBlockRows(codes);
    // the second tile begins within a block
    expect(cut % blockRows).not.toBe(0);
    const sums = async (from: number, to: number, before: Float32Array | number) =>
      (await runKernel(gpu(), {
        spec: kernel.vqSums,
        constants: kernel.vqSumsConstants(shape),
        buffers: {
          params: kernel.vqSumsParams(0, to - from, 0, from),
          points: toPanels(points.subarray(from * features, to * features), features),
          codebooks: packCodebooks([book], features).codebooks,
          ids: ids.slice(from, to),
          sums: before,
        },
        workgroups: kernel.vqSumsWorkgroups(to - from, shape, 1),
        outputs: ["sums"],
      })).outputs.sums!;
    const twins = vqSums(points, book, ids, { features, blockRows });
    const length = codes * features;
    // what was there before means nothing
    const first = await sums(0, cut, new Float32Array(kernel.sumBytes(shape, 1) / 4).fill(1e6));
    const second = await sums(cut, rows, first);
    twins.forEach((twin, block) => {
      const at = block % kernel.sumRing(shape) * length;
      const ended = (block + 1) * blockRows <= cut ? first : second;
      twin.forEach((sum, i) => expect(Math.abs(ended[at + i]! - sum)).toBeLessThan(2e-5));
    });
  });
});
