import {
  ALIKE,
  expectedTransitions,
  expectedTransitionsConstants,
  expectedTransitionsParams,
  expectedTransitionsWorkgroups,
} from "../src/kernels/expected_transitions.ts";
import { Random } from "../src/math/random.ts";
import { fromWide, toWideRow } from "../src/math/wide.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

/** Two states over the same bins: the first moves to so many bins from each, all else goes anywhere. */
export const expectedTransitionsBench: Bench = {
  name: "expected_transitions",
  cases: () =>
    [[992, 361, 16], [10_650, 361, 2]].map(([interior, ways, rows]) => {
      const random = new Random(1);
      const [states, bins] = [2, 2 * interior!];
      const numbers = (length: number) =>
        toWideRow(Float64Array.from({ length }, () => random.uniform() / bins));
      const bits = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]!;
      const head = states + 1 + 2 * states ** 2 + bins;
      const entries = new Uint32Array(2 * interior! * ways!);
      for (let entry = 0; entry < interior! * ways!; entry++) {
        const source = Math.floor(entry / ways!);
        entries.set([(source + entry % ways!) % interior!, bits(1 / ways!)], 2 * entry);
      }
      const filtered = numbers(rows! * bins);
      const ratio = numbers((rows! + 1) * bins);
      return {
        spec: expectedTransitions,
        constants: expectedTransitionsConstants(states),
        shape: `${rows} rows of ${bins} bins, ${ways} ways from each of half of them`,
        rows: rows!,
        flops: 2 * rows! * interior! * ways!,
        bytes: 4 * rows! * (2 * bins + 2 * interior! * ways!),
        buffers: {
          params: expectedTransitionsParams(0, rows!, rows!, bins),
          tables: Uint32Array.from([
            ...[0, interior!, bins],
            ...[0, 1, 2, 3].flatMap((pair) => [pair === 0 ? head : ALIKE, bits(0.5)]),
            ...Array.from({ length: bins }, (_, bin) => bin),
            ...Array.from({ length: interior! + 1 }, (_, source) => source * ways!),
          ]),
          entries,
          filtered,
          ratio,
          shifts: new Int32Array(rows!),
          expected: 4 * rows! * states ** 2,
        },
        workgroups: expectedTransitionsWorkgroups(rows!, states),
        outputs: ["expected"],
        check({ expected }) {
          let sum = 0;
          for (let source = 0; source < interior!; source++) {
            let own = 0;
            for (let way = 0; way < ways!; way++) {
              own += fromWide(ratio[bins + (source + way) % interior!]!);
            }
            sum += fromWide(filtered[source]!) * own / ways! / 2;
          }
          checkWithin("expected_transitions", Math.abs(expected![0]! / sum - 1), 1e-4);
        },
      };
    }),
};
