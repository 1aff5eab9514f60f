import { describe, expect, it } from "vitest";
import * as marks from "../../src/kernels/mark_intensity.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

// roundings of f32 in squared distances, exp() and log(), of logarithms; relative where they are large
const TOLERANCE = 1e-5;

describe("mark_intensity", () => {
  for (
    const [spikes, features, encoding, bins, spread] of [
      [1, 1, [1], 1, 1],
      [3, 4, [0, 64, 65], 257, 1],
      [5, 12, [130], 5, 3],
      // features so far apart that no product of kernels is a number in f32
      [4, 4, [40, 3], 9, 40],
      [70, 2, [7, 0, 3], 33, 2],
    ] as const
  ) {
    it(`sums ${encoding} encoding spikes of ${features} features, ${spread} wide, for ${bins} bins, at once or in blocks`, async () => {
      const random = seeded(spikes + bins);
      const cells = Math.ceil(bins / 4);
      const values = (length: number) =>
        Float32Array.from({ length }, () => spread * (2 * random() - 1));
      const starts = [0];
      for (const count of encoding) starts.push(starts.at(-1)! + count);
      const entry = marks.markEntry(features);
      const table = values(Math.max(1, starts.at(-1)! * entry));
      const own = values(spikes * features);
      const electrodes = Uint32Array.from(
        { length: spikes },
        () => Math.floor(random() * encoding.length),
      );
      const places = new Float32Array(12 * cells);
      const at = (bin: number, part: number) => 12 * (bin >> 2) + 4 * part + (bin & 3);
      for (let bin = 0; bin < bins; bin++) {
        places[at(bin, 0)] = 3 * random();
        places[at(bin, 1)] = 3 * random();
        places[at(bin, 2)] = bin % 7 === 5 ? marks.NO_TIME : random();
      }
      const constants = { floor: -3000, constant: 0.5 };
      const sumOf = async (
        from: number,
        to: number,
        { before, isFirst = !before, firstCell = 0, endCell = cells }: {
          before?: Float32Array;
          isFirst?: boolean;
          firstCell?: number;
          endCell?: number;
        } = {},
      ) => {
        // of each electrode its spikes from one to another
        const parts = encoding.map((count, unit) =>
          table.subarray(
            entry * (starts[unit]! + Math.min(count, from)),
            entry * (starts[unit]! + Math.min(count, to)),
          )
        );
        const blockStarts = [0];
        for (const part of parts) blockStarts.push(blockStarts.at(-1)! + part.length / entry);
        const block = Float32Array.from(parts.flatMap((part) => [...part]));
        const { outputs } = await runKernel(gpu(), {
          spec: marks.markIntensity,
          constants: marks.markIntensityConstants(features, cells),
          buffers: {
            params: marks.markIntensityParams(0, spikes, {
              ...constants,
              isFirst,
              isLast: to === Infinity,
              ...{ firstCell, endCell },
            }),
            electrodes,
            features: own,
            electrode_starts: Uint32Array.from(blockStarts),
            encoding: block.length > 0 ? block : new Float32Array(1),
            places,
            intensity: before ?? 16 * cells * spikes,
          },
          workgroups: marks.markIntensityWorkgroups(spikes, endCell - firstCell),
          outputs: ["intensity"],
        });
        return outputs.intensity!;
      };
      const inBlocks = await sumOf(40, Infinity, {
        before: await sumOf(3, 40, { before: await sumOf(0, 3) }),
      });
      // cells one half after the other, as those of two environments
      const half = cells >> 1;
      const first = half > 0
        ? await sumOf(0, Infinity, { endCell: half })
        : new Float32Array(4 * cells * spikes);
      const inParts = await sumOf(0, Infinity, { before: first, isFirst: true, firstCell: half });
      for (const intensity of [await sumOf(0, Infinity), inBlocks, inParts]) check(intensity);

      function check(intensity: Float32Array): void {
        for (let spike = 0; spike < spikes; spike++) {
          for (let bin = 0; bin < bins; bin++) {
            const electrode = electrodes[spike]!;
            const terms: number[] = [];
            for (let other = starts[electrode]!; other < starts[electrode + 1]!; other++) {
              const part = (i: number) => table[other * entry + i]!;
              let log = part(features + 2);
              for (let i = 0; i < features; i++) log -= (own[spike * features + i]! - part(i)) ** 2;
              log -= (places[at(bin, 0)]! - part(features)) ** 2;
              terms.push(log - (places[at(bin, 1)]! - part(features + 1)) ** 2);
            }
            const largest = Math.max(...terms);
            const sum = terms.reduce((total, term) => total + Math.exp(term - largest), 0);
            const time = places[at(bin, 2)]!;
            const wanted = terms.length === 0 || time === Math.fround(marks.NO_TIME)
              ? constants.floor
              : Math.max(constants.floor, largest + Math.log(sum) - time + constants.constant);
            const got = intensity[4 * cells * spike + bin]!;
            expect(Math.abs(got - wanted)).toBeLessThan(TOLERANCE * Math.max(1, Math.abs(wanted)));
          }
        }
      }
    });
  }
});
