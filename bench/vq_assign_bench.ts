import * as assign from "../src/kernels/vq_assign.ts";
import { Random } from "../src/math/random.ts";
import { toPanels } from "../src/math/panels.ts";
import { vqAssign } from "../test/reference/vq_assign.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

const CHECKED_ROWS = 20;

export const vqAssignBench: Bench = {
  name: "vq_assign",
  cases: (scale = 1) =>
    [[16384, 64, 512], [16384, 256, 512], [16384, 256, 8], [4096, 64, 192]].map((shape) => {
      const [some, codes, features] = shape as [number, number, number];
      const rows = some * scale;
      const random = new Random(1);
      const points = Float32Array.from({ length: rows * features }, () => random.uniform() - 0.5);
      const book = Float32Array.from({ length: codes * features }, () => random.uniform() - 0.5);
      const { codebooks, norms } = assign.packCodebooks([book], features);
      const splits = assign.codeSplits(codes);
      return {
        spec: assign.vqAssign,
        constants: assign.vqAssignConstants(features, codes),
        shape: `${codes} codes x ${features} features, ${rows} rows`,
        rows,
        flops: 2 * rows * codes * features,
        bytes: 4 * rows * features + assign.candidateBytes(rows, codes, 1),
        buffers: {
          params: assign.vqAssignParams(rows, 0, rows, 0),
          points: toPanels(points, features),
          codebooks,
          code_norms: norms,
          candidates: assign.candidateBytes(rows, codes, 1),
        },
        workgroups: assign.vqAssignWorkgroups(rows, codes, 1),
        outputs: ["candidates"],
        check({ candidates }) {
          const some = points.subarray(0, CHECKED_ROWS * features);
          const { distances } = vqAssign(some, book, features);
          for (let row = 0; row < CHECKED_ROWS; row++) {
            let norm = 0;
            for (let d = 0; d < features; d++) norm += some[row * features + d]! ** 2;
            let best = Infinity;
            for (let split = 0; split < splits; split++) {
              best = Math.min(best, candidates![4 * (split * rows + row)]!);
            }
            checkWithin("vq_assign", Math.abs(best + norm - distances[row]!), 1e-4);
          }
        },
      };
    }),
};
