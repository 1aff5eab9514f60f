import * as assign from "../src/kernels/vq_assign.ts";
import { toPanels } from "../src/math/panels.ts";
import { Random } from "../src/math/random.ts";
import { squaredDistance } from "../test/reference/vq_assign.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

export const vqPickBench: Bench = {
  name: "vq_pick",
  cases: (scale = 1) =>
    [[16384, 64, 512], [16384, 256, 8]].map((shape) => {
      const [some, codes, features] = shape as [number, number, number];
      const rows = some * scale;
      const random = new Random(1);
      const points = Float32Array.from({ length: rows * features }, () => random.uniform() - 0.5);
      const book = Float32Array.from({ length: codes * features }, () => random.uniform() - 0.5);
      const { codebooks } = assign.packCodebooks([book], features);
      const splits = assign.codeSplits(codes);
      const candidates = new Float32Array(4 * splits * rows);
      for (let i = 0; i < splits * rows; i++) {
        const score = random.uniform();
        candidates.set([score, score + 1, random.integer(codes), 0], 4 * i);
      }
      return {
        spec: assign.vqPick,
        constants: assign.vqPickConstants(features, codes, rows),
        shape: `${codes} codes x ${features} features, ${rows} rows`,
        rows,
        flops: 3 * rows * features,
        bytes: points.byteLength + candidates.byteLength + 12 * rows,
        buffers: {
          params: assign.vqAssignParams(0, rows, 0),
          points: toPanels(points, features),
          codebooks,
          candidates,
          ids: 4 * rows,
          nearness: 8 * rows,
        },
        workgroups: assign.vqPickWorkgroups(rows, 1),
        outputs: ["ids", "nearness"],
        check({ ids, nearness }) {
          const got = new Uint32Array(ids!.buffer);
          for (let row = 0; row < rows; row += 101) {
            let best = row;
            for (let split = 1; split < splits; split++) {
              if (candidates[4 * (split * rows + row)]! < candidates[4 * best]!) {
                best = split * rows + row;
              }
            }
            const code = candidates[4 * best + 2]!;
            checkWithin("vq_pick's code", Math.abs(got[row]! - code), 0);
            const distance = squaredDistance(points, row, book, code, features);
            checkWithin("vq_pick's distance", Math.abs(nearness![2 * row]! - distance), 1e-3);
          }
        },
      };
    }),
};
