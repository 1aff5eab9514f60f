import { netLinear, netLinearInputs, netLinearWeights } from "../src/kernels/net_linear.ts";
import { Random } from "../src/math/random.ts";
import { Net } from "../src/net/net.ts";
import type { Value } from "../src/net/value.ts";
import type { Tile } from "../src/stream/pass.ts";
import type { Bench, BenchCase } from "./harness.ts";
import { checkWithin } from "./harness.ts";

const TILE: Tile = { start: 0, end: 1, firstLane: 0, lanes: 1 };

/** What a linear layer does in the middle of a net, forward and backward, and at its beginning, of normalised inputs. */
function productCases(nets: number, rows: number, from: number, to: number): BenchCase[] {
  const random = new Random(1);
  const numbers = (length: number) => Float32Array.from({ length }, () => random.uniform() - 0.5);
  const make = (first: (net: Net, x: Value) => Value) => {
    const net = new Net({ nets, samples: rows });
    const before = first(net, net.input("x", { axis: "samples", width: from }));
    const y = net.linear(before, { name: "y", to });
    net.binaryCrossEntropy(net.linear(y, { name: "z", to: 1 }));
    return net;
  };
  const plain = make((net, x) => net.linear(x, { name: "x1", to: from }));
  const normed = make((net, x) => net.layerNorm(x, { name: "n" }));
  const batchOf = () => ({ firstSample: 0, samples: rows });
  const inner = numbers(nets * rows * from);
  const slopes = numbers(nets * rows * to);

  const found = (net: Net, name: string, last: number): BenchCase => {
    const parameters = numbers(nets * net.stride);
    const weight = net.parameters.find((own) => own.name === "y.weight")!;
    const steps = [...net.forward(batchOf), ...net.backward(batchOf)];
    const step = steps.filter(({ kernel }) => kernel.name === name).at(last)!;
    const isNormed = step.constants.NORMED === 1;
    const sizes = new Map(net.sharedBuffers(() => parameters).map((own) => [own.name, own.bytes]));
    const named: Record<string, Float32Array> = {
      "net parameters": parameters,
      "net n stats": Float32Array.from({ length: 2 * rows }, (_, i) => i % 2),
      x: inner.subarray(0, rows * from),
      "net x1": inner,
      "net y gradient": slopes,
    };
    const workgroups = step.workgroups(TILE, 0);
    // sums of slices of the inputs, or what is finished
    const slices = name === netLinear.name ? workgroups[2]! : 1;
    const written = slices > 1
      ? "z"
      : ["y", "x_gradient", "partials"].find((own) => own in step.kernel.bindings)!;
    const x = isNormed ? named.x! : inner;
    const netRows = isNormed ? 0 : 1;
    return {
      spec: step.kernel,
      constants: step.constants,
      shape: `${isNormed ? "normalised " : ""}${rows} x ${from} to ${to}, ${nets} nets`,
      rows,
      flops: 2 * nets * rows * from * to,
      bytes: 4 * (x.length + slopes.length + nets * from * to),
      buffers: {
        params: step.params(TILE, 0),
        ...Object.fromEntries(
          Object.keys(step.kernel.bindings).filter((own) => own !== "params").map((own) => {
            const buffer = step.buffers![own]!;
            return [own, named[buffer] ?? sizes.get(buffer)!];
          }),
        ),
      },
      workgroups,
      outputs: [written],
      check(outputs) {
        const net0 = nets - 1;
        const own = net0 * net.stride + weight.offset;
        const norm = net.parameters[0]!;
        // means are 0 and deviations 1 in stats
        const xAt = (row: number, i: number) => x[(netRows * net0 * rows + row) * from + i]!;
        const got = outputs[written]!;
        for (const [a, b] of [[0, 0], [1, 2], [5, 3]] as const) {
          let wanted = 0;
          if (name === netLinear.name) {
            for (let i = 0; i < from; i++) {
              const gamma = parameters[net0 * net.stride + norm.offset + i]!;
              const beta = parameters[net0 * net.stride + norm.offset + from + i]!;
              const value = isNormed ? xAt(a, i) * gamma + beta : xAt(a, i);
              wanted += value * parameters[own + b * from + i]!;
            }
            if (slices === 1) wanted += parameters[own + to * from + b]!;
            let sum = 0;
            for (let slice = 0; slice < slices; slice++) {
              sum += got[((slice * nets + net0) * rows + a) * to + b]!;
            }
            checkWithin(name, Math.abs(sum - wanted), 1e-4);
          } else if (name === netLinearInputs.name) {
            for (let o = 0; o < to; o++) {
              wanted += slopes[(net0 * rows + a) * to + o]! * parameters[own + o * from + b]!;
            }
            checkWithin(name, Math.abs(got[(net0 * rows + a) * from + b]! - wanted), 1e-4);
          } else {
            for (let row = 0; row < rows; row++) {
              wanted += slopes[(net0 * rows + row) * to + a]! * xAt(row, b);
            }
            const direct = step.buffers!.partials === net.names.gradient;
            let sum = 0;
            if (direct) sum = got[own + a * from + b]!;
            else {
              const length = to * from + to;
              for (let at = net0 * length; at < got.length; at += nets * length) {
                sum += got[at + a * from + b]!;
              }
            }
            checkWithin(name, Math.abs(sum - wanted), 1e-3);
          }
        }
      },
    };
  };
  return [
    found(plain, netLinear.name, 1),
    found(normed, netLinear.name, 0),
    found(plain, netLinearInputs.name, 1),
    found(plain, netLinearWeights.name, 1),
    found(normed, netLinearWeights.name, -1),
  ];
}

/** By form: x W^T, dy W and dy^T x. */
export const netProductBenches: readonly Bench[] = [netLinear, netLinearInputs, netLinearWeights]
  .map(({ name }) => ({
    name,
    cases: (scale = 1) =>
      [
        ...productCases(2, 1024 * scale, 512, 128),
        // a batch of few samples, many nets
        ...productCases(16, 32, 512 * scale, 128),
      ].filter(({ spec }) => spec.name === name),
  }));
