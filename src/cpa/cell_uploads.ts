/**
 * What the device is told of cells beside their counts: which embeddings are added up for each, and which classes it has.
 *
 * @module
 */

import { ENTRIES, ENTRY_KINDS, ENTRY_WORDS } from "../net/embed.ts";
import type { CellTable } from "./cell_table.ts";
import { fillSlots, PADDING, slotsOf } from "./cell_table.ts";
import { CELLS } from "./gene_kernels.ts";
import { classesOf } from "./model_layers.ts";
import type { ModelShape } from "./model_shape.ts";
import { classifiersOf } from "./model_shape.ts";

/** Small numbers of all cells. */
export interface CellFacts {
  /** Perturbations of a cell at most. */
  slots: number;
  /** [cells, slots], padded. */
  ids: Uint32Array;
  doses: ArrayLike<number>;
  /** [cells]. */
  combinations: ArrayLike<number>;
  /** By covariate, in the model's order: [cells]. */
  covariates: readonly ArrayLike<number>[];
}

export function cellFacts(table: CellTable): CellFacts {
  const slots = slotsOf(table);
  const cells = Uint32Array.from({ length: table.cells }, (_, cell) => cell);
  return {
    slots,
    ...fillSlots(table, cells, slots),
    combinations: Uint32Array.from(
      table.conditionIds,
      (condition) => table.conditions[condition]!.combination,
    ),
    covariates: table.covariates.map(({ codes }) => codes),
  };
}

/** Cells of a tile: which, with whom each is mixed (a place among them), and its own share. */
export interface MixedCells {
  cells: ArrayLike<number>;
  partners: Uint32Array;
  shares: ArrayLike<number>;
}

/** Uploads of a tile, without counts. */
export function cellUploads(
  shape: ModelShape,
  facts: CellFacts,
  mixed: MixedCells,
  withClasses: boolean,
): Record<string, Uint32Array> {
  const uploads: Record<string, Uint32Array> = {
    [CELLS.partners]: mixed.partners,
    [ENTRIES]: embeddings(shape, facts, mixed),
  };
  if (!withClasses) return uploads;
  for (const { name } of classifiersOf(shape)) {
    const place = shape.covariates.findIndex((own) => name === `covariate ${own.name}`);
    const codes = place < 0 ? facts.combinations : facts.covariates[place]!;
    const both = new Uint32Array(2 * mixed.cells.length);
    for (let i = 0; i < mixed.cells.length; i++) {
      both[2 * i] = codes[mixed.cells[i]!]!;
      both[2 * i + 1] = codes[mixed.cells[mixed.partners[i]!]!]!;
    }
    uploads[classesOf(name)] = both;
  }
  return uploads;
}

function embeddings(shape: ModelShape, facts: CellFacts, mixed: MixedCells): Uint32Array {
  const { slots, ids, doses, covariates } = facts;
  const own = slots + covariates.length;
  const words = new Uint32Array(2 * own * ENTRY_WORDS * mixed.cells.length);
  const numbers = new Float32Array(words.buffer);
  let at = 0;
  const put = (row: number, share: number, dose: number, kind: number) => {
    words[at] = row;
    numbers[at + 1] = share;
    numbers[at + 2] = dose;
    words[at + 3] = kind;
    at += ENTRY_WORDS;
  };
  const putCell = (cell: number, share: number) => {
    for (let slot = cell * slots; slot < (cell + 1) * slots; slot++) {
      const id = ids[slot]!;
      const dose = shape.doser === "logsigmoid" ? Math.log1p(doses[slot]!) : doses[slot]!;
      const counts = share > 0 && id !== PADDING;
      put(id, share, dose, counts ? ENTRY_KINDS.perturbation : ENTRY_KINDS.none);
    }
    let table = shape.perturbations;
    shape.covariates.forEach(({ levels, isBatch }, i) => {
      const [several, only] = isBatch
        ? [ENTRY_KINDS.batch, ENTRY_KINDS.onlyBatch]
        : [ENTRY_KINDS.covariate, ENTRY_KINDS.onlyCovariate];
      const kind = levels > 1 ? several : only;
      put(table + covariates[i]![cell]!, share, 0, share > 0 ? kind : ENTRY_KINDS.none);
      table += levels;
    });
  };
  for (let i = 0; i < mixed.cells.length; i++) {
    const share = mixed.shares[i]!;
    putCell(mixed.cells[i]!, share);
    putCell(mixed.cells[mixed.partners[i]!]!, 1 - share);
  }
  return words;
}
