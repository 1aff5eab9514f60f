import { describe, expect, it } from "vitest";
import {
  dispersionGradient,
  likelihoodGradient,
  softmaxMeans,
} from "../../src/kernels/likelihood_gradient.ts";
import * as twin from "../reference/likelihood_gradient.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();
const bitsOf = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]!;

/** Rows with their padding, which holds what must not be taken. */
function padded(values: ArrayLike<number>, genes: number, filler = 9): Float32Array {
  const stride = 4 * Math.ceil(genes / 4);
  const rows = values.length / genes;
  return Float32Array.from({ length: rows * stride }, (_, i) => {
    const gene = i % stride;
    return gene < genes ? values[Math.floor(i / stride) * genes + gene]! : filler;
  });
}

function withoutPadding(values: Float32Array, genes: number): { own: number[]; rest: number[] } {
  const stride = 4 * Math.ceil(genes / 4);
  const all = Array.from(values, (value, i) => ({ value, isGene: i % stride < genes }));
  return {
    own: all.filter(({ isGene }) => isGene).map(({ value }) => value),
    rest: all.filter(({ isGene }) => !isGene).map(({ value }) => value),
  };
}

/** One gene, as many as threads, and one more; logits that are alike, far apart, and far from 0. */
const CASES = [
  { genes: 1, libraries: [7], spread: 1, offset: 0 },
  { genes: 5, libraries: [0, 3, 1e7], spread: 40, offset: 0 },
  { genes: 64, libraries: [100, 2], spread: 300, offset: -1e4 },
  { genes: 257, libraries: [1, 65_535, 12], spread: 0, offset: 80 },
] as const;

describe("softmax_means", () => {
  for (const { genes, libraries, spread, offset } of CASES) {
    for (const zeros of [0, 1]) {
      it(`shares libraries among ${genes} genes, logits ${spread} apart, zeros ${zeros}`, async () => {
        const random = seeded(genes + zeros);
        const length = genes * libraries.length;
        const logits = Float32Array.from({ length }, () => offset + spread * random());
        const zeroLogits = Float32Array.from({ length }, () => 20 * (random() - 0.5));
        const { outputs } = await runKernel(gpu(), {
          spec: softmaxMeans,
          constants: { LANES: 64, ZEROS: zeros },
          buffers: {
            params: Uint32Array.of(libraries.length, genes, 0, 0),
            libraries: Float32Array.from(libraries),
            zero_logits: padded(zeroLogits, genes),
            values: padded(logits, genes),
          },
          workgroups: [libraries.length],
          outputs: ["values"],
        });
        const wanted = twin.softmaxMeans(logits, genes, libraries, zeros ? zeroLogits : undefined);
        const { own, rest } = withoutPadding(outputs.values!, genes);
        own.forEach((value, at) => {
          // a difference of logits is off by a rounding of itself; shares below e^-80 are that
          const least = Math.exp(-80) * libraries[Math.floor(at / genes)]!;
          const tolerance = (5e-6 + 2e-7 * spread) * wanted[at]! + 1.1 * least;
          expect(Math.abs(value - wanted[at]!)).toBeLessThanOrEqual(tolerance);
        });
        expect(rest.every((value) => value === 0)).toBe(true);
      });
    }
  }
});

describe("likelihood_gradient", () => {
  for (const { genes, libraries } of CASES) {
    for (const softmax of [0, 1]) {
      it(`makes the loss and its gradient of ${genes} genes, softmax ${softmax}`, async () => {
        const random = seeded(3 * genes + softmax);
        const rows = libraries.length;
        const some = (size: number) =>
          Float32Array.from({ length: rows * genes }, () => size * (random() - 0.5));
        const [likelihoods, slopes, others] = [some(1e3), some(100), some(5)];
        const logits = some(6);
        const means = Float32Array.from(twin.softmaxMeans(logits, genes, libraries));
        const scale = 1 / 3;
        const { outputs } = await runKernel(gpu(), {
          spec: likelihoodGradient,
          constants: { LANES: 64, SOFTMAX: softmax, OTHERS: 1 },
          buffers: {
            params: Uint32Array.of(rows, genes, 2, bitsOf(scale)),
            log_likelihoods: padded(likelihoods, genes),
            means: padded(means, genes),
            libraries: Float32Array.from(libraries),
            slopes: padded(slopes, genes),
            others: padded(others, genes),
            losses: new Float32Array(2 + rows).fill(-5),
          },
          workgroups: [rows],
          outputs: ["slopes", "others", "losses"],
        });
        const none = libraries.map(() => 0);
        const wanted = twin
          .slopesByLogits(slopes, genes, means, softmax ? libraries : none, scale);
        const found = withoutPadding(outputs.slopes!, genes);
        // sums of so many slopes up to 50
        const tolerance = 50 * 4e-7 * Math.sqrt(genes) + 1e-5;
        found.own.forEach((value, at) =>
          expect(Math.abs(value - wanted[at]!)).toBeLessThan(tolerance)
        );
        const beside = withoutPadding(outputs.others!, genes);
        beside.own.forEach((value, at) => expect(value).toBeCloseTo(-scale * others[at]!, 6));
        expect([...found.rest, ...beside.rest].every((value) => value === 0)).toBe(true);
        expect([...outputs.losses!.subarray(0, 2)]).toEqual([-5, -5]);
        libraries.forEach((_, row) => {
          const sum = likelihoods.subarray(row * genes, (row + 1) * genes)
            .reduce((all, own) => all + own, 0);
          expect(Math.abs(outputs.losses![2 + row]! + sum)).toBeLessThan(1e-4 * genes);
        });
      });
    }
  }
});

describe("dispersion_gradient", () => {
  for (const [rows, quads, adds] of [[1, 1, 0], [7, 65, 1], [300, 3, 0]] as const) {
    it(`adds ${rows} rows of ${quads} quads${adds ? " to what is there" : ""}`, async () => {
      const random = seeded(rows);
      const slopes = Float32Array.from({ length: 4 * rows * quads }, () => 200 * (random() - 0.5));
      const before = Float32Array.from({ length: 4 * quads + 4 }, () => random());
      const { outputs } = await runKernel(gpu(), {
        spec: dispersionGradient,
        constants: {},
        buffers: {
          params: Uint32Array.of(rows, quads, bitsOf(0.25), adds),
          slopes,
          gradient: before,
        },
        workgroups: [Math.ceil(quads / 64)],
        outputs: ["gradient"],
      });
      for (let i = 0; i < 4 * quads; i++) {
        let sum = 0;
        for (let row = 0; row < rows; row++) sum += slopes[4 * row * quads + i]!;
        const wanted = -0.25 * sum + adds * before[i]!;
        expect(Math.abs(outputs.gradient![i]! - wanted)).toBeLessThan(1e-5 * rows);
      }
      // what lies behind is of other parameters
      expect([...outputs.gradient!.subarray(4 * quads)]).toEqual([...before.subarray(4 * quads)]);
    });
  }
});
