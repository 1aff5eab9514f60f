import * as marks from "../src/kernels/mark_intensity.ts";
import { Random } from "../src/math/random.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

const CHECKED_SPIKES = 3;

export const markIntensityBench: Bench = {
  name: "mark_intensity",
  cases: () =>
    [[64, 4, 4096, 992], [64, 8, 1000, 992]].map(([spikes, features, encoding, bins]) => {
      const random = new Random(1);
      const cells = bins! / 4;
      const entry = marks.markEntry(features!);
      const values = (length: number) => Float32Array.from({ length }, () => 2 * random.uniform());
      const own = values(spikes! * features!);
      const table = values(encoding! * entry);
      const places = values(12 * cells);
      return {
        spec: marks.markIntensity,
        constants: marks.markIntensityConstants(features!, cells),
        shape:
          `${spikes} spikes x ${encoding} encoding spikes of ${features} features x ${bins} bins`,
        rows: spikes!,
        // squared distances twice, and an exponential of some 20 operations
        flops: spikes! * encoding! * (3 * features! + bins! * 34),
        bytes: 4 * (spikes! * bins! + table.length),
        buffers: {
          params: marks.markIntensityParams(0, spikes!, {
            ...{ isFirst: true, isLast: true },
            ...{ floor: -100, constant: 0, firstCell: 0, endCell: cells },
          }),
          electrodes: new Uint32Array(spikes!),
          features: own,
          electrode_starts: Uint32Array.of(0, encoding!),
          encoding: table,
          places,
          intensity: 4 * bins! * spikes!,
        },
        workgroups: marks.markIntensityWorkgroups(spikes!, cells),
        outputs: ["intensity"],
        check({ intensity }) {
          let worst = 0;
          for (let spike = 0; spike < CHECKED_SPIKES; spike++) {
            for (let bin = 0; bin < bins!; bin++) {
              const place = (part: number) => places[12 * (bin >> 2) + 4 * part + (bin & 3)]!;
              let sum = 0;
              for (let other = 0; other < encoding!; other++) {
                const part = (i: number) => table[other * entry + i]!;
                let log = part(features! + 2);
                for (let i = 0; i < features!; i++) {
                  log -= (own[spike * features! + i]! - part(i)) ** 2;
                }
                for (let d = 0; d < 2; d++) log -= (place(d) - part(features! + d)) ** 2;
                sum += Math.exp(log);
              }
              const got = intensity![spike * bins! + bin]!;
              worst = Math.max(worst, Math.abs(got - (Math.log(sum) - place(2))));
            }
          }
          checkWithin("mark_intensity", worst, 1e-5);
        },
      };
    }),
};
