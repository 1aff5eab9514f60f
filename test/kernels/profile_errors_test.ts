import { describe, expect, it } from "vitest";
import { packGeneLists } from "../../src/cpa/validation_scores.ts";
import { profileErrors } from "../../src/kernels/profile_errors.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

/**
 * Squared errors and squares about the mean, of means and of variances over cells: from the definitions.
 *
 * @param listed Genes that count; where `zeros`, others are 0 on both sides.
 */
function errorsOf(
  truth: readonly (readonly number[])[],
  predicted: readonly (readonly number[])[],
  listed: readonly number[],
  zeros: boolean,
  expectedVariance?: (gene: number) => number,
): number[] {
  const cells = truth.length;
  const moments = (rows: readonly (readonly number[])[], gene: number) => {
    const mean = rows.reduce((sum, row) => sum + row[gene]!, 0) / cells;
    const squares = rows.reduce((sum, row) => sum + (row[gene]! - mean) ** 2, 0);
    return [mean, cells > 1 ? squares / (cells - 1) : 0];
  };
  return [0, 1].flatMap((part) => {
    const none = Array<number>(zeros ? truth[0]!.length - listed.length : 0).fill(0);
    const wanted = [...listed.map((gene) => moments(truth, gene)[part]!), ...none];
    const got = [
      ...listed.map((gene) =>
        part === 1 && expectedVariance
          ? cells > 1 ? expectedVariance(gene) : 0
          : moments(predicted, gene)[part]!
      ),
      ...none,
    ];
    const middle = wanted.reduce((sum, value) => sum + value, 0) / wanted.length;
    return [
      wanted.reduce((sum, value, gene) => sum + (value - got[gene]!) ** 2, 0),
      wanted.reduce((sum, value) => sum + (value - middle) ** 2, 0),
    ];
  });
}

describe("profile_errors", () => {
  for (
    const [genes, sizes, gauss, lists] of [
      [1, [1, 2], false, "all"],
      [65, [3, 1, 7], false, "left out"],
      [130, [2, 70], false, "zeros"],
      [67, [4, 1, 3], true, "all"],
      [33, [4, 2], true, "left out"],
    ] as const
  ) {
    const words = [gauss ? ", numbers" : "", lists === "all" ? "" : `, other genes ${lists}`];
    it(`is of ${genes} genes and categories of ${sizes.join(", ")} cells${words.join("")}`, async () => {
      const random = seeded(genes);
      const rows = sizes.reduce<number>((sum, size) => sum + size, 0);
      const stride = 4 * Math.ceil(genes / 4);
      const padded = (of: () => number) =>
        Float32Array.from({ length: rows * stride }, (_, i) => i % stride < genes ? of() : 0);
      const counts = padded(() => gauss ? random() - 0.5 : Math.floor(30 * random() ** 3));
      const means = padded(() => gauss ? random() - 0.5 : 20 * random());
      const raw = padded(() => random() - 2);
      // two cells of the tile come before the batch
      const categories = new Uint32Array(4 * (rows + 2)).fill(9, 0, 8);
      const all = Array.from({ length: genes }, (_, gene) => gene);
      // of the first category, and of the others
      const listed = [
        all,
        lists === "all" ? all : all.filter((gene) => gene % 7 === 2 || gene > 31),
      ];
      const bits = packGeneLists({
        genes,
        rows: Uint8Array.from(listed.flatMap((own) => all.map((gene) => +own.includes(gene)))),
      });
      let first = 0;
      sizes.forEach((size, i) => {
        categories.set([first, size, Math.min(i, 1)], 8 + 4 * i);
        first += size;
      });
      const { outputs } = await runKernel(gpu(), {
        spec: profileErrors,
        constants: { LANES: 64, GAUSS: gauss ? 1 : 0, ZEROS: Number(lists === "zeros") },
        buffers: {
          params: Uint32Array.of(rows, 2, genes, 0),
          ...{ counts, means, raw_variances: raw, lists: bits, categories },
          errors: 16 * (rows + 2),
        },
        workgroups: [rows],
        outputs: ["errors"],
      });
      const entered = (values: Float32Array, row: number) =>
        Array.from(
          { length: genes },
          (_, gene) =>
            gauss ? values[row * stride + gene]! : Math.log1p(values[row * stride + gene]!),
        );
      first = 0;
      sizes.forEach((size, i) => {
        const own = Array.from({ length: size }, (_, cell) => first + cell);
        const wanted = errorsOf(
          own.map((row) => entered(counts, row)),
          own.map((row) => entered(means, row)),
          listed[Math.min(i, 1)]!,
          lists === "zeros",
          gauss
            ? (gene) =>
              own.reduce((sum, row) => sum + Math.exp(raw[row * stride + gene]!) + 1e-4, 0) / size
            : undefined,
        );
        wanted.forEach((value, part) => {
          const got = outputs.errors![4 * (2 + i) + part]!;
          expect(Math.abs(got - value)).toBeLessThan(1e-5 * Math.max(1e-3, value));
        });
        first += size;
      });
      // what is no category is left at 0
      for (let i = sizes.length; i < rows; i++) {
        expect([...outputs.errors!.subarray(4 * (2 + i), 4 * (3 + i))]).toEqual([0, 0, 0, 0]);
      }
    });
  }
});
