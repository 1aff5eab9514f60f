/** A trained model of perturbations in f64: its parameters by name, and its twin of some cells. */

import type { CellTable } from "../../src/cpa/cell_table.ts";
import type { ModelFacts } from "../../src/cpa/model_facts.ts";
import type { TrainedCpa } from "../../src/cpa/trained.ts";
import type { CellBatch, State, TwinOptions } from "../reference/cpa_model.ts";
import { CpaTwin } from "../reference/cpa_model.ts";
import { constant } from "../reference/differentiate.ts";
import { stateSizes } from "./small_cells.ts";

/** Parameters by name, as the twin has them. */
export function stateOf({ facts, parameters }: TrainedCpa): State {
  const all = Object.entries(namesOf(facts)).flatMap(([net, sizes]) => {
    let at = 0;
    return sizes.map(([name, rows, columns]) => {
      const own = parameters[net]!.subarray(at, at += rows * columns);
      return [name, constant(rows, columns, own)] as const;
    });
  });
  return new Map(all);
}

/** Parameters of each net in their order. */
function namesOf({ shape }: ModelFacts) {
  const all = stateSizes(shape);
  const isHead = (name: string) =>
    name === "dispersions" || /^decoder\.(mean|zeros|variance)/.test(name);
  const isAdversary = (name: string) => name.startsWith("adversary ");
  const body = all.filter(([name]) => !isHead(name) && !isAdversary(name));
  const isDecoder = ([name]: typeof all[number]) => name.startsWith("decoder.");
  return {
    body: [...body.filter((own) => !isDecoder(own)), ...body.filter(isDecoder)],
    head: all.filter(([name]) => isHead(name)),
    adversary: all.filter(([name]) => isAdversary(name)),
  };
}

export interface TwinCells {
  /** Perturbations and doses of a cell, up to two; what it was given when not given. */
  given?: (cell: number) => { id: number; dose: number }[];
  options?: Partial<TwinOptions>;
}

/** What a model says of cells by running statistics: latents, means (of zinb without extra zeros) and zero logits. */
export function trainedTwin(
  trained: TrainedCpa,
  table: CellTable,
  counts: ArrayLike<number>,
  cells: Uint32Array,
  { given, options = {} }: TwinCells = {},
) {
  const slots = 2;
  const ids = new Uint32Array(slots * cells.length);
  const doses = new Float32Array(slots * cells.length);
  cells.forEach((cell, i) => {
    const { perturbations, doses: own } = table.conditions[table.conditionIds[cell]!]!;
    const treatment = given?.(cell) ?? perturbations.map((id, slot) => ({ id, dose: own[slot]! }));
    treatment.forEach(({ id, dose }, slot) => {
      ids[i * slots + slot] = id;
      doses[i * slots + slot] = dose;
    });
  });
  const { genes } = table;
  const batch: CellBatch = {
    x: Array.from(cells).flatMap((cell) =>
      Array.from({ length: genes }, (_, gene) => counts[cell * genes + gene]!)
    ),
    ...{ ids, doses, lambda: 1, partners: cells.map((_, i) => i), combinations: cells },
    covariates: Object.fromEntries(
      table.covariates.map((
        { name, codes },
      ) => [name, Array.from(cells, (cell) => codes[cell]!)]),
    ),
  };
  const { zeros, means, zBasal, z, zCorrected, zNoPert, zNoPertCorrected } = new CpaTwin(
    trained.facts.shape,
    stateOf(trained),
    batch,
    { train: false, classWeights: {}, ...options },
  ).forward();
  return {
    means: means.data,
    zeros: zeros?.data,
    zBasal: zBasal.data,
    z: z.data,
    zCorrected: zCorrected.data,
    zNoPert: zNoPert.data,
    zNoPertCorrected: zNoPertCorrected.data,
  };
}
