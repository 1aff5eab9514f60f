/**
 * What a model has learned of perturbations and covariates themselves: embeddings, how they grow with doses, and how far
 * what is asked is from what was seen. No cell is read.
 *
 * @module
 */

import type { CellTable } from "./cell_table.ts";
import { conditionLabel, CONTROL, strataOf } from "./cell_table.ts";
import { CpaModel } from "./model.ts";
import type { Learned } from "./model_facts.ts";

/** By name, `[latent]` each. Those of perturbations are at a factor of 1, whatever the dose. */
export interface Embeddings {
  perturbations: Readonly<Record<string, Float64Array>>;
  /** By covariate, then by level. */
  covariates: Readonly<Record<string, Readonly<Record<string, Float64Array>>>>;
}

/** What an embedding is multiplied by, dose for dose. */
export interface DoseResponse {
  perturbation: string;
  doses: Float64Array;
  factors: Float64Array;
}

/** How far the latents of a condition in a context are from those that a model was trained on. */
export interface Distance {
  condition: string;
  /** Levels of the covariates that are no batches. */
  context: string;
  /** 1 - cosine, and Euclidean, to the nearest, which may differ. */
  cosine: number;
  euclidean: number;
  nearest: string;
}

/** Cells that a training condition needs so that it counts, as the original has it. */
const LEAST_CELLS = 31;

export function embeddingsOf(learned: Learned): Embeddings {
  const { facts: { shape, perturbations, covariates, unlearned } } = learned;
  const parameter = parametersOf(learned);
  const rows = (name: string, labels: readonly string[], strange: readonly string[], first = 0) => {
    const values = parameter(name)!;
    return Object.fromEntries(labels.flatMap((label, i) => {
      if (strange.includes(label)) return [];
      const at = (first + i) * shape.latent;
      return [[label, Float64Array.from(values.subarray(at, at + shape.latent))]];
    }));
  };
  const strangeLevels = (covariate: string) =>
    unlearned?.covariates.find(({ name }) => name === covariate)?.levels ?? [];
  const names = perturbations.slice(CONTROL);
  return {
    perturbations: rows("perturbations", names, unlearned?.perturbations ?? [], CONTROL),
    covariates: Object.fromEntries(
      covariates.map(({ name, levels }) => [
        name,
        rows(`covariate ${name}`, levels, strangeLevels(name)),
      ]),
    ),
  };
}

/** @param id Of the perturbation. */
export function doseFactors(learned: Learned, id: number, doses: ArrayLike<number>): Float64Array {
  const { doser } = learned.facts.shape;
  if (doser === "linear") return Float64Array.from(doses);
  const parameter = parametersOf(learned);
  const [beta, bias] = ["doser.beta", "doser.bias"].map((name) => parameter(name)![id]!);
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
  return Float64Array.from(doses, (dose) => {
    const own = doser === "logsigmoid" ? Math.log1p(dose) : dose;
    return sigmoid(beta! * own + bias!) - sigmoid(bias!);
  });
}

/**
 * Distances of every perturbed condition in every context of a table from the nearest condition in a context that has
 * more than 30 training cells.
 */
export function distancesOf(learned: Learned, table: CellTable): Distance[] {
  const { perturbations, covariates } = embeddingsOf(learned);
  const { ids, strata } = strataOf(table);
  const training = new Float64Array(strata.length);
  ids.forEach((stratum, cell) => training[stratum]! += table.splits[cell] === 0 ? 1 : 0);
  const own = table.covariates.filter(({ isBatch }) => !isBatch);
  const points = strata.flatMap(({ condition, levels }, stratum) => {
    const point = new Float64Array(learned.facts.shape.latent);
    const add = (values: Float64Array, factor = 1) =>
      values.forEach((value, i) => point[i]! += factor * value);
    const { perturbations: given, doses } = table.conditions[condition]!;
    const names = own.map(({ levels: all }, i) => all[levels[i]!]!);
    const isLearned = given.every((id) => table.perturbations[id]! in perturbations) &&
      own.every(({ name }, i) => names[i]! in covariates[name]!);
    if (!isLearned) return [];
    given.forEach((id, slot) =>
      add(
        perturbations[table.perturbations[id]!]!,
        doseFactors(learned, id, [doses[slot]!])[0]!,
      )
    );
    own.forEach(({ name }, i) => {
      add(covariates[name]![names[i]!]!);
    });
    const label = conditionLabel(table, condition);
    return [{
      point,
      condition: label,
      context: names.join(", "),
      isControl: given[0] === CONTROL,
      isSeen: training[stratum]! >= LEAST_CELLS,
    }];
  });
  const seen = points.filter(({ isSeen }) => isSeen);
  return points.flatMap(({ point, condition, context, isControl }) => {
    if (isControl) return [];
    let [cosine, euclidean, nearest] = [Infinity, Infinity, ""];
    for (const other of seen) {
      cosine = Math.min(cosine, 1 - cosineOf(point, other.point));
      const own = Math.hypot(...point.map((value, i) => value - other.point[i]!));
      if (own >= euclidean) continue;
      euclidean = own;
      nearest = [other.condition, other.context].filter((part) => part !== "").join(", ");
    }
    return seen.length === 0 ? [] : [{ condition, context, cosine, euclidean, nearest }];
  });
}

function cosineOf(a: Float64Array, b: Float64Array): number {
  let [aa, bb, ab] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    aa += a[i]! * a[i]!;
    bb += b[i]! * b[i]!;
    ab += a[i]! * b[i]!;
  }
  // nothing points where nothing else does: at a dose of 0 there is nothing
  return aa * bb > 0 ? ab / Math.sqrt(aa * bb) : 0;
}

/** Parameters of encoder, embeddings and decoder by their names. */
function parametersOf({ facts: { shape, slots }, parameters }: Learned) {
  const model = new CpaModel(shape, { cells: 1, slots, form: "wide", seed: 0 });
  const found = new Map<string, Float32Array>();
  let at = 0;
  for (const { name, shape: own } of model.body.parameters) {
    const length = own.reduce((product, size) => product * size, 1);
    found.set(name, parameters.body!.subarray(at, at + length));
    at += length;
  }
  return (name: string) => found.get(name);
}
