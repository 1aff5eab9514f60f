/**
 * A perturbation model that has learned: what it makes of cells, and what it expects of cells that were given something else.
 *
 * @module
 */

import type { CellMatrix } from "../array/anndata/matrix.ts";
import { displayed } from "../display.ts";
import type { Gpu } from "../gpu/device.ts";
import type { OptionsOf } from "../options.ts";
import type { Stored } from "../stream/output.ts";
import { openStored } from "../stream/places.ts";
import type { Plan } from "../stream/plan.ts";
import type { Measured } from "../stream/task.ts";
import { unmeasured } from "../stream/task.ts";
import { checkLearned, controlCells, everyCell, factsOfGiven, givenOf } from "./asked_cells.ts";
import type { CellTable } from "./cell_table.ts";
import { cellFacts } from "./cell_uploads.ts";
import type { Distance, DoseResponse, Embeddings } from "./embeddings.ts";
import { distancesOf, doseFactors, embeddingsOf } from "./embeddings.ts";
import type { Predictor } from "./evaluation.ts";
import { LATENTS } from "./model.ts";
import type { Learned, ModelFacts } from "./model_facts.ts";
import type { CpaPrediction } from "./prediction.ts";
import { checkKnown, planPrediction } from "./prediction.ts";
import { counterfactualOptions, latentOptions, reconstructOptions } from "./predict_options.ts";
import type { predictorOptions } from "./predictor.ts";
import { predictProfiles } from "./predictor.ts";
import { HISTORY } from "./training_record.ts";
import { unlearnedText } from "./unlearned.ts";

export const MODEL_FORMAT = { kind: "cpa.model", formatVersion: 1 } as const;

export interface TrainedCpa {
  /** As a notebook shows it. */
  toHTML(): string;
}

export class TrainedCpa implements Learned {
  readonly facts: ModelFacts;
  /** By net, one parameter after the other. */
  readonly parameters: Readonly<Record<string, Float32Array>>;
  /** `[epochs]` each: `training_loss`, `adversary_loss`, `penalty`, `validation_loss`. */
  readonly history: Readonly<Record<typeof HISTORY[number], Float64Array>>;
  readonly measured: Measured;

  constructor(
    facts: ModelFacts,
    parameters: Record<string, Float32Array>,
    history: Record<typeof HISTORY[number], Float64Array>,
    measured: Measured,
  ) {
    this.facts = facts;
    this.parameters = parameters;
    this.history = history;
    this.measured = measured;
  }

  /**
   * Plans latents of cells: `basal` as they are encoded, `after` with perturbations and covariates, `corrected` without
   * batches, `noPert` and `noPertCorrected` without perturbations.
   */
  latents(
    gpu: Gpu,
    matrix: CellMatrix,
    table: CellTable,
    options: OptionsOf<typeof latentOptions> = {},
  ): Plan<CpaPrediction> {
    const { which, ...choices } = latentOptions.check(options);
    checkKnown(this.facts, table);
    const names = LATENTS.filter((name) => which.includes(name));
    return planPrediction(gpu, this, matrix, table, choices, {
      ...{ name: "latents of perturbed cells", latents: names, asked: names },
      facts: cellFacts(table),
      cells: everyCell(table),
      uns: { prediction: "latents", ...unlearnedUns(this.facts) },
    });
  }

  /**
   * Plans what the model expects of cells that were given what they were given: no prediction of anything that it has not
   * been shown. Of zinb, means have the extra zeros in them.
   */
  reconstruct(
    gpu: Gpu,
    matrix: CellMatrix,
    table: CellTable,
    options: OptionsOf<typeof reconstructOptions> = {},
  ): Plan<CpaPrediction> {
    const choices = reconstructOptions.check(options);
    checkKnown(this.facts, table);
    return planPrediction(gpu, this, matrix, table, choices, {
      ...{ name: "reconstruct perturbed cells", latents: [], means: "reconstruction" },
      facts: cellFacts(table),
      cells: everyCell(table),
      asked: "reconstruction",
      uns: { prediction: "reconstruction", ...unlearnedUns(this.facts) },
    });
  }

  /**
   * Plans what the model expects of control cells had they been given something: perturbations at their doses in place of
   * control, everything else as it is.
   *
   * @throws {RangeError} If the model does not know a perturbation, no control cell has the levels that are asked for, or no
   * training cell had a perturbation or a level.
   */
  counterfactual(
    gpu: Gpu,
    matrix: CellMatrix,
    table: CellTable,
    options: OptionsOf<typeof counterfactualOptions>,
  ): Plan<CpaPrediction> {
    const { perturbations, doses, covariates = {}, ...choices } = counterfactualOptions
      .check(options);
    const given = givenOf(perturbations, doses, this.facts.perturbations);
    checkKnown(this.facts, table);
    const cells = controlCells(table, covariates);
    checkLearned(this.facts, table, given, cells);
    const names = given.map(({ id }) => this.facts.perturbations[id]!);
    return planPrediction(gpu, this, matrix, table, choices, {
      ...{ name: "counterfactual cells", latents: [], means: "counterfactual" },
      facts: factsOfGiven(cellFacts(table), cells, given),
      cells,
      asked: [given, covariates],
      uns: { prediction: "counterfactual" },
      obs: {
        given_perturbations: names.join(table.separator),
        given_doses: given.map(({ dose }) => dose).join(table.separator),
      },
    });
  }

  /** What was learned of perturbations, control among them, and of levels of covariates; what no training cell had is left out. */
  embeddings(): Embeddings {
    return embeddingsOf(this);
  }

  /** What doses make of the embedding of a perturbation. */
  doseResponse(perturbation: string, doses: ArrayLike<number>): DoseResponse {
    const [given] = givenOf([perturbation], undefined, this.facts.perturbations);
    if (this.facts.unlearned?.perturbations.includes(perturbation)) {
      throw new RangeError(`Cannot tell a dose response: no training cell had "${perturbation}"`);
    }
    const factors = doseFactors(this, given!.id, doses);
    return { perturbation, doses: Float64Array.from(doses), factors };
  }

  /**
   * How far every perturbed condition of a table is from those that it was trained on: the farther, the less is known. Conditions
   * with what no training cell had are left out: nothing is known.
   */
  uncertainty(table: CellTable): Distance[] {
    checkKnown(this.facts, table);
    return distancesOf(this, table);
  }

  /** Predicts profiles for `cpa.evaluate()`, from training cells that are control. */
  async predictor(
    gpu: Gpu,
    matrix: CellMatrix,
    table: CellTable,
    options: OptionsOf<typeof predictorOptions> = {},
  ): Promise<Predictor> {
    return await predictProfiles(gpu, this, matrix, table, options);
  }
}

displayed(TrainedCpa.prototype, ({ facts }) => ({
  title: "a model of perturbations",
  facts: [
    // the first stands for none
    ["perturbations", facts.perturbations.filter((name) => name !== "").join(", ")],
    ["covariates", facts.covariates.map(({ name }) => name).join(", ") || "none"],
    ["epochs", `${facts.epochsRun}, of which ${facts.bestEpoch} is kept`],
  ],
}));

/** What is said of latents and reconstructions, which go on with embeddings that were never learned. */
function unlearnedUns({ unlearned }: ModelFacts): Record<string, string> {
  return unlearned ? { not_learned: unlearnedText(unlearned) } : {};
}

/** Attributes of a stored model. */
export function storedFacts(facts: Omit<ModelFacts, "epochsRun" | "bestEpoch">) {
  return { model: facts };
}

export async function readTrained(stored: Stored, measured: Measured): Promise<TrainedCpa> {
  const { model, epochs_run, best_epoch } = stored.attributes as {
    model: Omit<ModelFacts, "epochsRun" | "bestEpoch">;
    epochs_run: number;
    best_epoch: number;
  };
  const read = async (names: readonly string[]) =>
    Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await stored.read(name)] as const)),
    );
  return new TrainedCpa(
    { ...model, epochsRun: epochs_run, bestEpoch: best_epoch },
    await read(["body", "head", "adversary"]) as Record<string, Float32Array>,
    await read(HISTORY) as Record<typeof HISTORY[number], Float64Array>,
    measured,
  );
}

/** Opens a model that was trained to a place. */
export async function openTrained(place: string): Promise<TrainedCpa> {
  return await readTrained(await openStored(place, MODEL_FORMAT), unmeasured());
}
