/**
 * Profiles that a trained model predicts of conditions that it has not seen, from control cells that it has.
 *
 * @module
 */

import type { CellMatrix } from "../array/anndata/matrix.ts";
import type { Gpu } from "../gpu/device.ts";
import type { OptionsOf } from "../options.ts";
import { custom, declare, oneOf, signal, told } from "../options.ts";
import { philox, Random } from "../math/random.ts";
import { isControlCell } from "./asked_cells.ts";
import { repeatedCells } from "./cell_reader.ts";
import type { CellTable } from "./cell_table.ts";
import { contextsOf, SPLITS, strataOf, stratumLabels } from "./cell_table.ts";
import { cellFacts } from "./cell_uploads.ts";
import type { Predictor } from "./evaluation.ts";
import { isControl } from "./baselines.ts";
import type { Points } from "./cell_distributions.ts";
import { drawCount } from "./cell_distributions.ts";
import type { CellSpace } from "./cell_space.ts";
import { chosenOf, PlacedCells } from "./cell_space.ts";
import type { Moments } from "./group_sums.ts";
import { GroupSums } from "./group_sums.ts";
import { CpaModel } from "./model.ts";
import type { Learned } from "./model_facts.ts";
import { checkKnown, planPrediction } from "./prediction.ts";

/** As likelihoods limit ln dispersion. */
const MOST_LOG = 60;

export const predictorOptions = declare("predict profiles", {
  split: oneOf(["valid", "ood"], { default: "ood", says: "cells whose conditions are predicted" }),
  placed: custom(
    "samples of cells, as sumCells() gives",
    (value): value is PlacedCells => value instanceof PlacedCells,
    {
      otherwise: "profiles alone",
      flag: false,
      stored: false,
      says: "counts of some cells are drawn, too, in the space of these samples (nb)",
    },
  ),
  signal,
  onProgress: told<(progress: { done: number; conditions: number }) => void>(
    "told how far it is",
  ),
});

/**
 * Predicts every perturbed condition of the split in every context that has cells of it, from the training cells there that
 * are control, each of which is read once. Expected counts are summed up as they come: memory does not depend on the number of cells.
 *
 * @throws {RangeError} If a model is of numbers that are no counts, which have no profiles.
 */
export async function predictProfiles(
  gpu: Gpu,
  learned: Learned,
  matrix: CellMatrix,
  table: CellTable,
  options: OptionsOf<typeof predictorOptions>,
): Promise<Predictor> {
  const { split, placed, signal, onProgress } = predictorOptions.check(options);
  checkKnown(learned.facts, table);
  if (learned.facts.shape.head === "gauss") {
    throw new RangeError(
      'Cannot predict profiles: the model is of "gauss", profiles are of counts (nb, zinb)',
    );
  }
  const { ids, strata } = strataOf(table);
  const contexts = contextsOf({ ids, strata });
  const controls = new Map<number, number[]>();
  const wanted = new Set<number>();
  ids.forEach((stratum, cell) => {
    const own = table.splits[cell]!;
    const context = contexts[stratum]!;
    if (own === 0 && isControlCell(table, cell)) {
      const known = controls.get(context);
      if (known) known.push(cell);
      else controls.set(context, [cell]);
    } else if (own === SPLITS.indexOf(split) && !isControl(table, strata[stratum]!.condition)) {
      wanted.add(stratum);
    }
  });
  const strange = (condition: number) =>
    table.conditions[condition]!.perturbations.map((id) => table.perturbations[id]!)
      .filter((name) => learned.facts.unlearned?.perturbations.includes(name));
  for (const stratum of wanted) {
    if (strange(strata[stratum]!.condition).length > 0) wanted.delete(stratum);
  }
  const facts = cellFacts(table);
  const draws = placed && learned.facts.shape.head === "nb"
    ? new DrawnCells(placed.space, dispersionsOf(learned), contexts.length)
    : undefined;
  const expected = new Map<string, { sums: GroupSums; group: number }>();
  for (const [context, strataOfContext] of byContext(wanted, contexts)) {
    const cells = Uint32Array.from(controls.get(context) ?? []);
    if (cells.length === 0) continue;
    const conditions = strataOfContext.map((stratum) => strata[stratum]!.condition);
    const givens = conditions.map((condition) => {
      const { perturbations, doses } = table.conditions[condition]!;
      return perturbations.map((id, slot) => ({ id, dose: doses[slot]! }));
    });
    let sums = new GroupSums(table.genes);
    let drawn = draws?.begin(context, conditions, cells);
    const done = expected.size;
    await planPrediction(gpu, learned, matrix, table, {}, {
      ...{ name: "profiles of perturbed cells", latents: [], means: "counterfactual" },
      ...{ cells, asked: givens, givens, facts },
      taker: {
        begin: () => {
          sums = new GroupSums(table.genes);
          drawn = draws?.begin(context, conditions, cells);
        },
        take: (start, rows) => {
          const end = start + rows.length / table.genes;
          const own = repeatedCells(start, end, { cells: cells.length, repeats: givens.length });
          sums.addDense(rows, own.map(({ repeat }) => repeat));
          own.forEach(({ place, repeat }, i) =>
            drawn?.(place, repeat, rows.subarray(i * table.genes, (i + 1) * table.genes))
          );
        },
      },
    }).run({
      ...signal && { signal },
      onProgress: ({ fraction }) =>
        onProgress?.({
          done: done + Math.floor(fraction * givens.length),
          conditions: wanted.size,
        }),
    });
    conditions.forEach((condition, group) =>
      expected.set(`${condition} ${context}`, { sums, group })
    );
  }
  const of = (condition: number, context: number) => expected.get(`${condition} ${context}`);
  const labels = stratumLabels(table, { ids, strata });
  return {
    name: "the model",
    label: (condition, context) =>
      condition < table.conditions.length ? labels(condition, context) : undefined,
    missing: (condition) => {
      const names = strange(condition);
      return names.length > 0 ? `no training cell had ${names.join(", ")}` : undefined;
    },
    profile: (condition, context) => {
      const own = of(condition, context);
      return own?.sums.pseudobulk(own.group);
    },
    points: (condition, context) => draws?.points(condition, context),
    drawnMoments: (condition, context) => draws?.moments(condition, context),
    moments: (condition, context) => {
      const own = of(condition, context);
      return own?.sums.logMoments(own.group);
    },
  };
}

/** Counts that are drawn of what a model expects of some control cells, condition by condition. */
class DrawnCells {
  readonly #placed: PlacedCells;
  readonly #dispersions: Float64Array;
  readonly #contexts: number;
  readonly #sums = new Map<number, GroupSums>();

  constructor(space: CellSpace, dispersions: Float64Array, contexts: number) {
    this.#placed = new PlacedCells(space);
    this.#dispersions = dispersions;
    this.#contexts = contexts;
  }

  /** What takes expected counts of a place among control cells, given one of the conditions; what was drawn before is forgotten. */
  begin(context: number, conditions: readonly number[], cells: Uint32Array) {
    const { space } = this.#placed;
    const chosen = new Set(chosenOf(cells, space.cells, space.seed));
    for (const condition of conditions) this.#placed.forget(this.#group(condition, context));
    const sums = new GroupSums(this.#dispersions.length);
    for (const condition of conditions) this.#sums.set(this.#group(condition, context), sums);
    return (place: number, repeat: number, means: Float32Array) => {
      const cell = cells[place]!;
      if (!chosen.has(cell)) return;
      const group = this.#group(conditions[repeat]!, context);
      // whatever else is drawn, and in whatever order
      const [stream] = philox([cell, group, 0, 0], [space.seed, 37]);
      const random = new Random(space.seed, stream);
      const [genes, counts]: [number[], number[]] = [[], []];
      means.forEach((mean, gene) => {
        const count = drawCount(mean, this.#dispersions[gene]!, random);
        if (count === 0) return;
        genes.push(gene);
        counts.push(count);
      });
      this.#placed.add(group, genes, counts);
      sums.addCell(group, Uint32Array.from(genes), Float64Array.from(counts));
    };
  }

  points(condition: number, context: number): Points | undefined {
    return this.#placed.points(this.#group(condition, context));
  }

  moments(condition: number, context: number): Moments | undefined {
    const group = this.#group(condition, context);
    return this.#sums.get(group)?.shareMoments(group);
  }

  #group(condition: number, context: number): number {
    return condition * this.#contexts + context;
  }
}

/** [genes], of negative binomials. */
function dispersionsOf({ facts: { shape, slots }, parameters }: Learned): Float64Array {
  const { head } = new CpaModel(shape, { cells: 1, slots, form: "wide", seed: 0 });
  let at = 0;
  for (const { name, shape: own } of head.parameters) {
    const length = own.reduce((product, size) => product * size, 1);
    if (name === "dispersions") {
      return Float64Array.from(
        parameters.head!.subarray(at, at + length),
        (log) => Math.exp(Math.min(MOST_LOG, Math.max(-MOST_LOG, log))),
      );
    }
    at += length;
  }
  throw new Error("a head of counts has dispersions");
}

function byContext(strata: Iterable<number>, contexts: ArrayLike<number>): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const stratum of strata) {
    const context = contexts[stratum]!;
    found.set(context, [...found.get(context) ?? [], stratum]);
  }
  return found;
}
