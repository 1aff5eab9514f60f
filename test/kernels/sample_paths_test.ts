import { describe, expect, it } from "vitest";
import {
  samplePaths,
  samplePathsConstants,
  samplePathsParams,
} from "../../src/kernels/sample_paths.ts";
import { fromWide } from "../../src/math/wide.ts";
import { drawOf, sharesOf } from "../reference/sample_paths.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import { asWide, randomWide } from "../support/wide_numbers.ts";

const gpu = useGpu();
const bits = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]!;

describe("sample_paths", () => {
  for (const [bins, rows] of [[2, 1], [65, 5], [130, 7]] as const) {
    it(`draws the bins of ${rows} rows of ${bins} that its random numbers fall on`, async () => {
      const random = seeded(bins);
      const [samples, seed, tileStart] = [9, 77, 1000];
      const stride = bins + 2;
      const places = Uint32Array.from(
        { length: bins },
        (_, bin) => bin % 2 === 0 ? bin + 1 : bin - 1,
      );
      const starts = [0, bins - 1, bins];
      const stateOf = (bin: number) => bin < bins - 1 ? 0 : 1;
      const alike = [0, 0.25, 0.5 / (bins - 1), 0.5].map(Math.fround);
      const matrix = Array.from({ length: bins }, (_, i) =>
        Array.from({ length: bins }, (_, j) => {
          const pair = 2 * stateOf(i) + stateOf(j);
          if (pair > 0) return alike[pair]!;
          return i === j || random() < 0.3 ? Math.fround(random()) : 0;
        }));
      const entryStarts = [0];
      const entries: number[] = [];
      for (let j = 0; j < bins; j++) {
        for (let i = 0; i < bins - 1 && j < bins - 1; i++) {
          if (matrix[i]![j]! > 0) entries.push(i, bits(matrix[i]![j]!));
        }
        entryStarts.push(entries.length / 2);
      }
      const filtered = new Uint32Array(rows * stride);
      const values = Array.from({ length: rows }, (_, row) => {
        const own = randomWide(bins, random, { depth: 9, zeros: 0.2 });
        own[bins - 1] ||= own.find((value) => value > 0) ?? 0x71800000;
        own.forEach((value, bin) => filtered[row * stride + places[bin]!] = value);
        return Array.from(own, fromWide);
      });
      const { outputs } = await runKernel(gpu(), {
        spec: samplePaths,
        constants: samplePathsConstants(2),
        buffers: {
          params: samplePathsParams(0, rows, { samples, stride, seed, tileStart, bins }),
          tables: Uint32Array.from([...starts, ...alike.map(bits), ...places, ...entryStarts]),
          entries: Uint32Array.from(entries.length > 0 ? entries : [0, 0]),
          filtered,
          weights: 4 * samples * bins,
          ahead: new Uint32Array(samples).fill(bins),
          drawn: 4 * rows * samples,
        },
        workgroups: [samples],
        outputs: ["drawn", "ahead"],
      });
      const drawn = asWide(outputs.drawn!);
      for (let sample = 0; sample < samples; sample++) {
        let next: number | undefined;
        for (let row = rows - 1; row >= 0; row--) {
          const bin = drawn[row * samples + sample]!;
          const shares = sharesOf(values[row]!, matrix, next);
          const draw = drawOf(tileStart + row, sample, seed);
          // f32 sums may end a little sooner or later
          expect(shares[bin]! + 1e-5).toBeGreaterThan(draw);
          expect((shares[bin - 1] ?? 0) - 1e-5).toBeLessThan(draw);
          expect(shares[bin]!).toBeGreaterThan(shares[bin - 1] ?? 0);
          next = bin;
        }
        expect(asWide(outputs.ahead!)[sample]).toBe(next);
      }
    });
  }
});
