/** Perturbed cells whose counts come of a few factors: set up, and held as training wants them. */

import type { CellMatrix } from "../../src/array/anndata/matrix.ts";
import type { CellTable } from "../../src/cpa/cell_table.ts";
import type { SetupOptions } from "../../src/cpa/setup_options.ts";
import { HeldCells } from "../../src/cpa/held_cells.ts";
import { Random } from "../../src/math/random.ts";
import { categoriesOf, csr, putAnnData } from "./anndata_store.ts";

export interface MadeCells {
  matrix: CellMatrix;
  table: CellTable;
  /** [cells, genes]. */
  counts: Uint32Array;
  held(): Promise<HeldCells>;
}

/** Control, A and B, and A+B which no model is to see; two cell types and two plates. */
export function madeCells(cells = 90, genes = 24, seed = 3): MadeCells {
  const random = new Random(seed);
  const base = Array.from({ length: genes }, () => 1 + 6 * random.uniform());
  const effects = [0, 1].map(() => base.map(() => 1.5 * (random.uniform() - 0.5)));
  const types = [0, 1].map(() => base.map(() => 0.8 * (random.uniform() - 0.5)));
  const conditions = [
    { perturbations: [1], doses: [1], combination: 0 },
    { perturbations: [2], doses: [1], combination: 1 },
    { perturbations: [3], doses: [1], combination: 2 },
    { perturbations: [2, 3], doses: [1, 1], combination: 3 },
  ];
  const conditionIds = Uint32Array.from({ length: cells }, (_, cell) => cell % 4);
  const codes = Array.from(
    { length: 2 },
    (_, i) => Uint16Array.from({ length: cells }, (_, cell) => (cell >> (2 + i)) % 2),
  );
  const counts = new Uint32Array(cells * genes);
  for (let cell = 0; cell < cells; cell++) {
    const { perturbations } = conditions[conditionIds[cell]!]!;
    for (let gene = 0; gene < genes; gene++) {
      const change = perturbations.reduce(
        (sum, id) => sum + (id > 1 ? effects[id - 2]![gene]! : 0),
        types[codes[0]![cell]!]![gene]!,
      );
      counts[cell * genes + gene] = random.poisson(base[gene]! * Math.exp(change) / 2);
    }
  }
  const table: CellTable = {
    ...{ cells, genes, separator: "+", conditions, conditionIds, notes: [] },
    perturbations: ["", "ctrl", "A", "B"],
    combinations: conditions.map(({ perturbations }) => perturbations),
    covariates: [
      { name: "cell", levels: ["x", "y"], codes: codes[0]!, isBatch: false },
      { name: "plate", levels: ["p", "q"], codes: codes[1]!, isBatch: true },
    ],
    splits: Uint8Array.from(
      conditionIds,
      (condition, cell) => condition === 3 ? 2 : cell % 5 === 0 ? 1 : 0,
    ),
  };
  const matrix: CellMatrix = {
    ...{ path: "made", shape: [cells, genes], layout: "csr", chunkRows: 7 },
    rows: (start, end) => {
      const starts = new Uint32Array(end - start + 1);
      const [indices, values]: [number[], number[]] = [[], []];
      for (let cell = start; cell < end; cell++) {
        for (let gene = 0; gene < genes; gene++) {
          const count = counts[cell * genes + gene]!;
          if (count === 0) continue;
          indices.push(gene);
          values.push(count);
        }
        starts[cell - start + 1] = indices.length;
      }
      return Promise.resolve({
        ...{ start, end, starts, wholeBelow: Infinity },
        genes: Uint32Array.from(indices),
        values: Float64Array.from(values),
      });
    },
  };
  return {
    ...{ matrix, table, counts },
    held: () => HeldCells.read(matrix, { counts: true, mostBytes: 2 ** 24 }),
  };
}

/** How cells of {@link putCells} are set up. */
export const MADE_SETUP: SetupOptions = {
  ...{ perturbationKey: "given", dosageKey: "dose", controlGroup: "ctrl" },
  ...{ categoricalCovariates: ["cell"], batchKey: "plate", split: { key: "split" } },
};

/** The same cells as AnnData, in memory or at a place. */
export async function putCells(
  name: string,
  made: MadeCells,
  geneName = "var",
): Promise<string> {
  const { table, counts } = made;
  const { cells, genes, conditions, conditionIds, covariates, splits } = table;
  const named = (label: (cell: number) => string) =>
    categoriesOf(Array.from({ length: cells }, (_, cell) => label(cell)));
  const condition = (cell: number) => conditions[conditionIds[cell]!]!;
  return await putAnnData(name, {
    geneName,
    x: csr(
      Array.from({ length: cells }, (_, cell) => [
        ...counts.subarray(cell * genes, (cell + 1) * genes),
      ]),
    ),
    obs: {
      given: named((cell) =>
        condition(cell).perturbations.map((id) => table.perturbations[id]).join("+")
      ),
      dose: named((cell) => condition(cell).doses.join("+")),
      ...Object.fromEntries(covariates.map(({ name, levels, codes }) => [
        name,
        named((cell) => levels[codes[cell]!]!),
      ])),
      split: named((cell) => ["train", "test", "ood"][splits[cell]!]!),
      score: Float64Array.from({ length: cells }, (_, cell) => cell / 3),
    },
  });
}
