import { describe, expect, it } from "vitest";
import { Net } from "../../src/net/net.ts";
import { useGpu } from "../support/gpu.ts";
import { openNet } from "../support/run_net.ts";
import { seeded } from "../support/random.ts";

const gpu = useGpu();

/** x W^T + b, and dy^T x with the sums of dy: from the definitions, in f64. */
function productsOf(
  x: Float32Array,
  weights: readonly number[],
  slopes: Float32Array,
  [rows, from, to]: readonly [number, number, number],
) {
  const pad = (width: number) => 4 * Math.ceil(width / 4);
  const y: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let output = 0; output < to; output++) {
      let sum = weights[from * to + output]!;
      for (let i = 0; i < from; i++) sum += x[row * pad(from) + i]! * weights[output * from + i]!;
      y.push(sum);
    }
  }
  const gradient = new Float64Array(from * to + to);
  for (let row = 0; row < rows; row++) {
    for (let output = 0; output < to; output++) {
      const slope = slopes[row * pad(to) + output]!;
      gradient[from * to + output]! += slope;
      for (let i = 0; i < from; i++) {
        gradient[output * from + i]! += slope * x[row * pad(from) + i]!;
      }
    }
  }
  return { y, gradient };
}

describe("a linear layer of what is mostly 0", () => {
  for (
    const [rows, from, to, share] of [
      [1, 1, 1, 1],
      [3, 5, 2, 0.5],
      [70, 130, 33, 0.1],
      [9, 257, 36, 0],
      [65, 300, 64, 0.9],
    ] as const
  ) {
    const sizes = [rows, from, to] as const;
    it(`is made of lists: ${rows} x ${from} to ${to}, ${share} of it not 0`, async () => {
      const random = seeded(from);
      const padded = (width: number, of: () => number) => {
        const stride = 4 * Math.ceil(width / 4);
        return Float32Array.from(
          { length: rows * stride },
          (_, i) => i % stride < width ? of() : 0,
        );
      };
      const net = new Net({ nets: 1, samples: rows + 1 });
      const x = net.given("x", { axis: "samples", width: from });
      const y = net.linear(x, { name: "y", to, sparse: true });
      const weights = Array.from(
        { length: from * to + to },
        () => Math.fround(random() - 0.5),
      );
      const inside = padded(from, () => random() < share ? random() - 0.5 : 0);
      const slopes = padded(to, () => random() - 0.5);
      const open = await openNet(gpu(), net.sharedBuffers(() => net.pack(weights)), { x: inside });
      const batchOf = (adds: boolean) => () => ({ firstSample: 0, samples: rows, adds });
      await open.run(net.forward(batchOf(false), { loss: false }));
      const stride = 4 * Math.ceil(to / 4);
      const made = await open.read(y.name);
      const wanted = productsOf(inside, weights, slopes, sizes);
      const near = (got: number, value: number) =>
        expect(Math.abs(got - value)).toBeLessThan(1e-5 * Math.max(1, Math.abs(value)));
      wanted.y.forEach((value, i) => near(made[Math.floor(i / to) * stride + i % to]!, value));

      open.write(`${y.name} gradient`, slopes);
      for (const [times, sumsToZero] of [[1, false], [2, false], [1, true]] as const) {
        const back = net.backward(batchOf(times === 2), { from: [{ value: y, sumsToZero }] });
        await open.run(back);
        const gradient = net.unpack((await open.read(net.names.gradient)).subarray(0, net.stride));
        wanted.gradient.forEach((value, i) => {
          if (i >= from * to && sumsToZero) expect(gradient[i]).toBe(0);
          else near(gradient[i]!, times * value);
        });
      }
      open.close();
    });
  }

  it("is of one net, and of what others compute", () => {
    const net = new Net({ nets: 1, samples: 3 });
    const x = net.input("x", { axis: "samples", width: 4 });
    expect(() => net.linear(x, { name: "y", to: 2, sparse: true }))
      .toThrow('Cannot make lists of "x": wanted what others compute, of one net');
  });
});
