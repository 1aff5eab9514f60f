import { packCodebooks } from "../src/kernels/vq_assign.ts";
import * as sums from "../src/kernels/vq_sums.ts";
import { toPanels } from "../src/math/panels.ts";
import { Random } from "../src/math/random.ts";
import { vqSums } from "../test/reference/vq_sums.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

export const vqSumsBench: Bench = {
  name: "vq_sums",
  cases: (scale = 1) =>
    [[16384, 64, 512], [16384, 256, 8]].map((numbers) => {
      const [some, codes, features] = numbers as [number, number, number];
      const rows = some * scale;
      const random = new Random(1);
      const points = Float32Array.from({ length: rows * features }, () => random.uniform() - 0.5);
      const book = Float32Array.from({ length: codes * features }, () => random.uniform() - 0.5);
      const ids = Uint32Array.from({ length: rows }, () => random.integer(codes));
      const shape = { features, codes, tileRows: rows };
      return {
        spec: sums.vqSums,
        constants: sums.vqSumsConstants(shape),
        shape: `${codes} codes x ${features} features, ${rows} rows`,
        rows,
        flops: rows * features,
        bytes: 4 * rows * features + sums.sumBytes(shape, 1),
        buffers: {
          params: sums.vqSumsParams(0, rows, 0, 0),
          points: toPanels(points, features),
          codebooks: packCodebooks([book], features).codebooks,
          ids,
          sums: sums.sumBytes(shape, 1),
        },
        workgroups: sums.vqSumsWorkgroups(rows, shape, 1),
        outputs: ["sums"],
        check(outputs) {
          const blockRows = sums.sumBlockRows(codes);
          const [twin] = vqSums(points, book, ids, { features, blockRows });
          twin!.forEach((sum, i) =>
            checkWithin("vq_sums", Math.abs(outputs.sums![i]! - sum), 1e-4)
          );
        },
      };
    }),
};
