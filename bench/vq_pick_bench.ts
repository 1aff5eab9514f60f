import * as assign from "../src/kernels/vq_assign.ts";
import * as pick from "../src/kernels/vq_pick.ts";
import { toPanels } from "../src/math/panels.ts";
import { Random } from "../src/math/random.ts";
import { vqPick } from "../test/reference/vq_pick.ts";
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
        spec: pick.vqPick,
        constants: pick.vqPickConstants(features, codes),
        shape: `${codes} codes x ${features} features, ${rows} rows`,
        rows,
        flops: 3 * rows * features,
        bytes: points.byteLength + candidates.byteLength + 12 * rows,
        buffers: {
          params: assign.vqAssignParams(rows, 0, rows, 0),
          points: toPanels(points, features),
          codebooks,
          candidates,
          ids: 4 * rows,
          nearness: 8 * rows,
        },
        workgroups: pick.vqPickWorkgroups(rows, 1),
        outputs: ["ids", "nearness"],
        check({ ids, nearness }) {
          const got = new Uint32Array(ids!.buffer);
          const twin = vqPick(candidates, points, book, features);
          for (let row = 0; row < rows; row++) {
            checkWithin("vq_pick's code", Math.abs(got[row]! - twin.ids[row]!), 0);
            const off = Math.abs(nearness![2 * row]! - twin.distances[row]!);
            checkWithin("vq_pick's distance", off, 1e-3);
            const margin = Math.abs(nearness![2 * row + 1]! - twin.margins[row]!);
            checkWithin("vq_pick's margin", margin, 1e-6);
          }
        },
      };
    }),
};
