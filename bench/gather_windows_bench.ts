import * as gather from "../src/kernels/gather_windows.ts";
import { encodeFloat16 } from "../src/math/half.ts";
import { Random } from "../src/math/random.ts";
import { gatherWindows, widen } from "../test/reference/gather_windows.ts";
import { largestDifference } from "../test/support/hmm_problem.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

const [ROWS, FEATURES, SIZE, WINDOWS] = [20_000, 287, 30, 256];

export const gatherWindowsBench: Bench = {
  name: "gather_windows",
  cases: () =>
    (["float32", "widened", "float16"] as const).map((format) => {
      const random = new Random(1);
      const floats = Float32Array.from({ length: ROWS * FEATURES }, () => random.uniform());
      const table = format === "float32" ? floats : encodeFloat16(floats);
      const entries = Array.from(
        { length: WINDOWS },
        (_, slot) => [random.integer(ROWS - SIZE + 1), slot] as const,
      );
      const elements = WINDOWS * SIZE * FEATURES;
      const words = SIZE * FEATURES / (format === "float16" ? 2 : 1);
      return {
        spec: gather.gatherWindows,
        constants: gather.gatherWindowsConstants(format),
        shape: `${WINDOWS} x ${SIZE} x ${FEATURES}, ${format}`,
        rows: WINDOWS,
        flops: 0,
        bytes: elements * { float32: 8, widened: 6, float16: 4 }[format],
        buffers: {
          params: gather.gatherWindowsParams(0, words),
          window_table: Uint32Array.from(entries.flatMap(([row, slot]) => [row * FEATURES, slot])),
          frame_table: table,
          batch: 4 * words * WINDOWS,
        },
        workgroups: gather.gatherWindowsWorkgroups(WINDOWS, words),
        outputs: ["batch"],
        check({ batch }) {
          const twin = gatherWindows(table, FEATURES, SIZE, entries);
          const [got, wanted] = format === "float16"
            ? [new Uint16Array(batch!.buffer), twin]
            : [batch!, twin instanceof Uint16Array ? widen(twin) : twin];
          checkWithin("gather_windows", largestDifference(got, wanted), 0);
        },
      };
    }),
};
