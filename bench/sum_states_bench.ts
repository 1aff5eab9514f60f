import * as sums from "../src/kernels/sum_states.ts";
import { Random } from "../src/math/random.ts";
import { sumStates } from "../test/reference/sum_states.ts";
import { largestDifference } from "../test/support/hmm_problem.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

export const sumStatesBench: Bench = {
  name: "sum_states",
  cases: (scale = 1) =>
    [[1000, 992], [200, 5325]].map(([some, bins]) => {
      const rows = some! * scale;
      const starts = [0, bins!, 2 * bins!];
      const random = new Random(1);
      const packed = Float32Array.from(
        { length: rows * 2 * bins! },
        () => random.uniform() / bins!,
      );
      return {
        spec: sums.sumStates,
        constants: sums.sumStatesConstants(2),
        shape: `2 states of ${bins} bins x ${rows} rows`,
        rows,
        flops: packed.length,
        bytes: packed.byteLength,
        buffers: {
          params: sums.sumStatesParams(0, rows, 2 * bins!),
          state_starts: Uint32Array.from(starts),
          packed,
          state_shares: 8 * rows,
        },
        workgroups: sums.sumStatesWorkgroups(rows),
        outputs: ["state_shares"],
        check({ state_shares: got }) {
          checkWithin("sum_states", largestDifference(got!, sumStates(packed, starts)), 1e-6);
        },
      };
    }),
};
