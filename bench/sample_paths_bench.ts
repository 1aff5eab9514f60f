import * as kernel from "../src/kernels/sample_paths.ts";
import { Random } from "../src/math/random.ts";
import { fromWide, toWideRow } from "../src/math/wide.ts";
import { drawOf } from "../test/reference/sample_paths.ts";
import { asWide } from "../test/support/wide_numbers.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

const SEED = 7;

/** One state, which is entered from so many bins; all samples are drawn side by side. */
export const samplePathsBench: Bench = {
  name: "sample_paths",
  cases: () =>
    [[992, 361, 32, 1], [992, 361, 32, 64], [10_650, 361, 4, 16]].map(
      ([bins, ways, rows, samples]) => {
        const random = new Random(1);
        const bits = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]!;
        const entries = new Uint32Array(2 * bins! * ways!);
        for (let entry = 0; entry < bins! * ways!; entry++) {
          const target = Math.floor(entry / ways!);
          entries.set([(target + entry % ways!) % bins!, bits(1 / ways!)], 2 * entry);
        }
        const filtered = toWideRow(
          Float64Array.from({ length: rows! * bins! }, () => random.uniform() / bins!),
        );
        const shares = { samples: samples!, stride: bins!, seed: SEED, tileStart: 0, bins: bins! };
        return {
          spec: kernel.samplePaths,
          constants: kernel.samplePathsConstants(1),
          shape: `${samples} paths of ${rows} rows x ${bins} bins, ${ways} ways into each`,
          rows: rows!,
          flops: 2 * rows! * samples! * (bins! + ways!),
          bytes: 4 * rows! * samples! * (2 * bins! + 2 * ways!),
          buffers: {
            params: kernel.samplePathsParams(0, rows!, shares),
            tables: Uint32Array.from([
              ...[0, bins!, 0],
              ...Array.from({ length: bins! }, (_, bin) => bin),
              ...Array.from({ length: bins! + 1 }, (_, target) => target * ways!),
            ]),
            entries,
            filtered,
            weights: 4 * samples! * bins!,
            ahead: new Uint32Array(samples!).fill(bins!),
            drawn: 4 * rows! * samples!,
          },
          workgroups: [samples!],
          outputs: ["drawn"],
          // the newest row of all samples: nothing is ahead of it
          check({ drawn }) {
            const last = rows! - 1;
            const own = Array.from(filtered.subarray(last * bins!, rows! * bins!), fromWide);
            const total = own.reduce((sum, value) => sum + value);
            for (let sample = 0; sample < samples!; sample++) {
              const bin = asWide(drawn!)[last * samples! + sample]!;
              const upTo = own.slice(0, bin + 1).reduce((sum, value) => sum + value) / total;
              const off = Math.abs(upTo - own[bin]! / total / 2 - drawOf(last, sample, SEED));
              checkWithin("sample_paths", off, own[bin]! / total / 2 + 1e-5);
            }
          },
        };
      },
    ),
};
