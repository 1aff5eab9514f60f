/**
 * Sums of cells by what a prediction is learned from and compared with: training cells, and the truth in halves.
 *
 * @module
 */

import type { CellMatrix } from "../array/anndata/matrix.ts";
import { cellsAtOnce } from "../array/anndata/matrix.ts";
import { philox } from "../math/random.ts";
import type { OptionsOf } from "../options.ts";
import { declare, oneOf, whole } from "../options.ts";
import { isControl } from "./baselines.ts";
import type { CellTable, Strata } from "./cell_table.ts";
import { checkMatrix, contextsOf, SPLITS, strataOf } from "./cell_table.ts";
import { placedCells, sampleOf } from "./cell_samples.ts";
import type { PlacedCells } from "./cell_space.ts";
import { checkCounts } from "./counts.ts";
import { GroupSums } from "./group_sums.ts";
import type { Profile, Seen } from "./profile_metrics.ts";

export const evaluationOptions = declare("evaluate predictions", {
  split: oneOf(["valid", "ood"], { default: "ood", says: "cells that are the truth" }),
  topGenes: whole({ default: 20, from: 2, says: "genes that differ most from control" }),
  expressedGenes: whole({
    default: 1000,
    from: 1,
    says: "genes expressed most in control, over which distances are taken",
  }),
  bootstraps: whole({ default: 1000, from: 100, says: "draws of conditions for intervals" }),
  sampledCells: whole({
    default: 500,
    from: 0,
    to: 10_000,
    says:
      "cells of a condition, and of control, of which distances between cells are taken; 0 for none",
  }),
  seed: whole({ default: 0, from: 0, to: 2 ** 32 - 1, says: "of halves, samples and draws" }),
});

export type EvaluationOptions = OptionsOf<typeof evaluationOptions>;

export const [TRAINING, FIRST_HALF, SECOND_HALF, ROLES] = [0, 1, 2, 3] as const;

/** Parts of the cells of a condition, each left out once; halves are those of even and of odd number. */
const CELL_BLOCKS = 20;

/** Sums of training cells, and of the truth in halves, by condition and context. */
export interface EvaluationSums {
  table: CellTable;
  strata: Strata;
  /** Context of every stratum. */
  contextOf: Uint32Array;
  sums: GroupSums;
  /** Of the truth: parts that are left out for intervals over its cells. */
  blocks: GroupSums;
  /** Samples of the truth and of control; absent where none were wanted. */
  placed?: PlacedCells;
  split: "valid" | "ood";
}

/** Reads all cells once, and up to 300 that are learned from before. A cell is in the half that the seed puts it in. */
export async function sumCells(
  matrix: CellMatrix,
  table: CellTable,
  options: EvaluationOptions = {},
): Promise<EvaluationSums> {
  const { split, seed, sampledCells } = evaluationOptions.check(options);
  const action = "evaluate predictions";
  checkMatrix(table, matrix.path, action);
  if (matrix.shape[0] !== table.cells || matrix.shape[1] !== table.genes) {
    throw new RangeError(
      `Cannot ${action}: counts are of ${
        matrix.shape.join(" x ")
      }, wanted ${table.cells} cells x ${table.genes} genes`,
    );
  }
  const strata = strataOf(table);
  const contextOf = contextsOf(strata);
  const sums = new GroupSums(table.genes);
  const blocks = new GroupSums(table.genes, { onlyCounts: true });
  const blockOf = (cell: number) => philox([cell, 0, 0, 0], [seed, 23])[0] % CELL_BLOCKS;
  const wanted = SPLITS.indexOf(split);
  const roleOf = (cell: number) => {
    const own = table.splits[cell]!;
    if (own === wanted) return FIRST_HALF + blockOf(cell) % 2;
    return own === 0 ? TRAINING : -1;
  };
  const step = cellsAtOnce(matrix, 1024);
  const groupOf = (cell: number) => ROLES * strata.ids[cell]! + roleOf(cell);
  const placed = sampledCells === 0
    ? undefined
    : await placedCells(matrix, table, step, { cells: sampledCells, seed });
  const sampled = placed &&
    sampleOf(
      table,
      { strata, contextOf, isTraining: (cell) => roleOf(cell) === TRAINING, roleOf },
      placed.space,
    );
  for (let start = 0; start < table.cells; start += step) {
    const rows = await matrix.rows(start, Math.min(table.cells, start + step));
    checkCounts(rows);
    sums.add(rows, (cell) => roleOf(cell) < 0 ? -1 : groupOf(cell));
    for (let cell = start; sampled && cell < rows.end; cell++) {
      if (!sampled.has(cell)) continue;
      const [first, last] = [rows.starts[cell - start]!, rows.starts[cell - start + 1]!];
      placed!.add(
        groupOf(cell),
        rows.genes.subarray(first, last),
        rows.values.subarray(first, last),
      );
    }
    blocks.add(
      rows,
      (cell) => roleOf(cell) < FIRST_HALF ? -1 : CELL_BLOCKS * strata.ids[cell]! + blockOf(cell),
    );
  }
  return { table, strata, contextOf, sums, blocks, split, ...placed && { placed } };
}

export function groupsOf(stratum: number, ...roles: number[]): number[] {
  return roles.map((role) => ROLES * stratum + role);
}

export function seenOf({ table, strata, contextOf, sums }: EvaluationSums): Seen {
  const profiles = new Map<string, Profile>();
  const controls = new Map<number, number[]>();
  const [conditions, contexts] = [new Set<number>(), new Set<number>()];
  strata.strata.forEach(({ condition }, stratum) => {
    const context = contextOf[stratum]!;
    const group = ROLES * stratum + TRAINING;
    if (sums.cells(group) === 0) return;
    contexts.add(context);
    if (isControl(table, condition)) {
      // control may have several doses
      controls.set(context, [...controls.get(context) ?? [], group]);
      return;
    }
    const profile = sums.pseudobulk(group);
    if (!profile) return;
    conditions.add(condition);
    profiles.set(`${condition} ${context}`, profile);
  });
  const ascending = (set: Set<number>) => [...set].sort((a, b) => a - b);
  const controlProfiles = new Map(
    [...controls].map(([context, groups]) => [context, sums.pseudobulk(...groups)]),
  );
  return {
    conditions: ascending(conditions),
    contexts: ascending(contexts),
    control: (context) => controlProfiles.get(context),
    mean: (condition, context) => profiles.get(`${condition} ${context}`),
  };
}

/** Parts of the cells of a stratum; none where they are few, which say little. */
export function partsOf(blocks: GroupSums, stratum: number): number[] {
  const parts = Array.from({ length: CELL_BLOCKS }, (_, block) => CELL_BLOCKS * stratum + block)
    .filter((part) => blocks.cells(part) > 0);
  return parts.length < CELL_BLOCKS / 2 ? [] : parts;
}

/** Profiles of cells, each without one of their parts. */
export function reducedTruths(blocks: GroupSums, parts: readonly number[]): Profile[] {
  return parts.map((part) => blocks.pseudobulk(...parts.filter((other) => other !== part)))
    .filter((profile) => profile !== undefined);
}
