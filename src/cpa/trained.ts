/**
 * A perturbation model that has learned: what it makes of cells, and what it expects of cells that were given something else.
 *
 * @module
 */

import type { CellMatrix } from "../array/anndata/matrix.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import type { Gpu } from "../gpu/device.ts";
import { wantedNames } from "../math/format.ts";
import type { OptionsOf } from "../options.ts";
import { custom, declare, list, number, oneOf, text } from "../options.ts";
import { outputChoices, planChoices } from "../stream/choices.ts";
import type { Stored } from "../stream/output.ts";
import { openStored } from "../stream/places.ts";
import { Plan } from "../stream/plan.ts";
import type { Measured } from "../stream/task.ts";
import { unmeasured } from "../stream/task.ts";
import type { CellTable } from "./cell_table.ts";
import { CONTROL } from "./cell_table.ts";
import type { CellFacts } from "./cell_uploads.ts";
import { cellFacts } from "./cell_uploads.ts";
import type { LatentName } from "./model.ts";
import { CpaModel, LATENTS } from "./model.ts";
import type { ModelShape } from "./model_shape.ts";
import { CpaPredictTask, LATENT_ARRAYS, TURN_CELLS } from "./predict_task.ts";
import { HISTORY } from "./training_task.ts";

export const MODEL_FORMAT = { kind: "cpa.model", formatVersion: 1 } as const;

const predictChoices = { ...planChoices, ...outputChoices };

export const latentOptions = declare("make latents", {
  ...predictChoices,
  which: list(oneOf(LATENTS, { says: "a latent" }), {
    default: ["basal", "after"],
    says: "which latents: basal, after, corrected, noPert, noPertCorrected",
  }, 1),
});

export const reconstructOptions = declare("reconstruct cells", predictChoices);

const isLevels = (value: unknown): value is Record<string, string> =>
  typeof value === "object" && value !== null &&
  Object.values(value).every((level) => typeof level === "string");

export const counterfactualOptions = declare("make counterfactuals", {
  ...predictChoices,
  perturbations: list(text({}), {
    required: true,
    says: "what control cells are to be given",
  }, 1),
  doses: list(number({ from: 0, to: 1e9, says: "a dose" }), {
    otherwise: "all doses are 1",
    says: "of each perturbation",
  }),
  covariates: custom("levels by covariate", isLevels, {
    otherwise: "all control cells",
    says: "levels of covariates that the control cells have",
  }),
});

/** What a model says of cells: arrays by name, of cells that `cells` names. */
export interface CpaPrediction extends Measured {
  /** `[cells]`, rows of the matrix. */
  cells: Uint32Array;
  /** f32: `latent_basal` and others [cells, latent], `reconstruction` or `counterfactual` [cells, genes]. */
  arrays: Record<string, ChunkedArray>;
}

/** What a model knows beside its parameters. */
export interface ModelFacts {
  shape: ModelShape;
  slots: number;
  perturbations: readonly string[];
  covariates: readonly { name: string; levels: readonly string[] }[];
  epochsRun: number;
  bestEpoch: number;
}

export class TrainedCpa {
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
    const { which, ...own } = latentOptions.check(options);
    const names = LATENTS.filter((name) => which.includes(name));
    return this.#plan(gpu, matrix, table, own, {
      ...{ name: "latents of perturbed cells", latents: names },
      facts: cellFacts(this.#known(table)),
      cells: everyCell(table),
      asked: names,
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
    return this.#plan(gpu, matrix, table, reconstructOptions.check(options), {
      ...{ name: "reconstruct perturbed cells", latents: [], means: "reconstruction" },
      facts: cellFacts(this.#known(table)),
      cells: everyCell(table),
      asked: "reconstruction",
    });
  }

  /**
   * Plans what the model expects of control cells had they been given something: perturbations at their doses in place of
   * control, everything else as it is.
   *
   * @throws {RangeError} If the model does not know a perturbation, or no control cell has the levels that are asked for.
   */
  counterfactual(
    gpu: Gpu,
    matrix: CellMatrix,
    table: CellTable,
    options: OptionsOf<typeof counterfactualOptions>,
  ): Plan<CpaPrediction> {
    const { perturbations, doses, covariates = {}, ...own } = counterfactualOptions.check(options);
    const given = this.#given(perturbations, doses);
    const facts = cellFacts(this.#known(table));
    const slots = Math.max(facts.slots, given.length);
    const cells = this.#controls(table, covariates);
    const ids = new Uint32Array(table.cells * slots);
    const amounts = new Float32Array(table.cells * slots);
    for (const cell of cells) {
      given.forEach(({ id, dose }, slot) => {
        ids[cell * slots + slot] = id;
        amounts[cell * slots + slot] = dose;
      });
    }
    return this.#plan(gpu, matrix, table, own, {
      ...{ name: "counterfactual cells", latents: [], means: "counterfactual" },
      facts: { ...facts, slots, ids, doses: amounts },
      cells,
      asked: [given, covariates],
    });
  }

  #given(names: readonly string[], doses: readonly number[] | undefined) {
    if (doses && doses.length !== names.length) {
      throw new RangeError(
        `Cannot make counterfactuals: there are ${doses.length} doses for ${names.length} perturbations`,
      );
    }
    if (new Set(names).size < names.length) {
      throw new RangeError(
        `Cannot make counterfactuals: ${names.join(", ")} names a perturbation twice`,
      );
    }
    const { perturbations } = this.facts;
    return names.map((name, i) => {
      const id = perturbations.indexOf(name, CONTROL);
      if (id < 0) {
        throw new RangeError(
          `Cannot make counterfactuals: the model was not shown "${name}", ${
            wantedNames(name, perturbations.slice(CONTROL))
          }`,
        );
      }
      return { id, dose: doses?.[i] ?? 1 };
    }).sort((a, b) => a.id - b.id);
  }

  /** Control cells that have these levels. */
  #controls(table: CellTable, wanted: Record<string, string>): Uint32Array {
    const codes = Object.entries(wanted).map(([name, level]) => {
      const covariate = table.covariates.find((own) => own.name === name);
      if (!covariate) {
        const names = table.covariates.map((own) => own.name);
        throw new RangeError(
          `Cannot make counterfactuals: there is no covariate "${name}", ${
            wantedNames(name, names)
          }`,
        );
      }
      const code = covariate.levels.indexOf(level);
      if (code < 0) {
        throw new RangeError(
          `Cannot make counterfactuals: "${name}" has no level "${level}", ${
            wantedNames(level, [...covariate.levels])
          }`,
        );
      }
      return { codes: covariate.codes, code };
    });
    const cells = everyCell(table).filter((cell) =>
      table.conditions[table.conditionIds[cell]!]!.perturbations[0] === CONTROL &&
      codes.every((own) => own.codes[cell] === own.code)
    );
    if (cells.length === 0) {
      const levels = Object.entries(wanted).map(([name, level]) => `${name} ${level}`);
      throw new RangeError(
        `Cannot make counterfactuals: there is no control cell of ${
          levels.join(", ") || "any kind"
        }`,
      );
    }
    return cells;
  }

  /** @throws {RangeError} If cells are numbered otherwise than the model's. */
  #known(table: CellTable): CellTable {
    const { perturbations, covariates, shape } = this.facts;
    const same = (a: readonly string[], b: readonly string[]) =>
      a.length === b.length && a.every((name, i) => name === b[i]);
    if (table.genes !== shape.genes) {
      throw new RangeError(
        `Cannot predict: cells have ${table.genes} genes, the model has ${shape.genes}`,
      );
    }
    const fits = same(table.perturbations, perturbations) &&
      same(table.covariates.map(({ name }) => name), covariates.map(({ name }) => name)) &&
      table.covariates.every(({ levels }, i) => same(levels, covariates[i]!.levels));
    if (!fits) {
      throw new RangeError(
        "Cannot predict: cells are numbered otherwise than the model's, set them up with the model's facts",
      );
    }
    return table;
  }

  #plan(
    gpu: Gpu,
    matrix: CellMatrix,
    table: CellTable,
    { out, overwrite, ...choices }: OptionsOf<typeof reconstructOptions>,
    asked: {
      name: string;
      latents: readonly LatentName[];
      means?: string;
      facts: CellFacts;
      cells: Uint32Array;
      asked: unknown;
    },
  ): Plan<CpaPrediction> {
    const { shape } = this.facts;
    if (matrix.shape[0] !== table.cells || matrix.shape[1] !== shape.genes) {
      throw new RangeError(
        `Cannot predict: counts are of ${
          matrix.shape.join(" x ")
        }, wanted ${table.cells} cells x ${shape.genes} genes`,
      );
    }
    const { facts, cells } = asked;
    const model = new CpaModel(shape, {
      ...{ cells: TURN_CELLS, slots: facts.slots, seed: 0 },
      form: shape.head === "gauss" ? "float" : "wide",
      latents: asked.latents.some((name) => name !== "basal" && name !== "after"),
    });
    const names = [
      ...asked.latents.map((name) => LATENT_ARRAYS[name]),
      ...asked.means ? [asked.means] : [],
    ];
    const task = new CpaPredictTask<CpaPrediction>({
      ...asked,
      ...{ model, matrix, parameters: this.parameters },
      identity: {
        facts: [asked.name, asked.asked, shape, facts.slots],
        arrays: [
          this.parameters.body!,
          this.parameters.head!,
          cells,
          facts.ids,
          Float64Array.from(facts.doses),
          ...facts.covariates.map((codes) => Uint32Array.from(codes)),
        ],
      },
      output: {
        ...{ kind: "cpa.prediction", formatVersion: 1, place: out, overwrite },
        adapter: gpu.adapter.name,
        attributes: { arrays: names },
      },
      result: async (stored, measured) => ({
        ...measured,
        cells: await stored.read("cells") as Uint32Array,
        arrays: Object.fromEntries(
          await Promise.all(names.map(async (name) => [name, await stored.open(name)] as const)),
        ),
      }),
    });
    return new Plan(gpu, task, choices);
  }
}

function everyCell({ cells }: CellTable): Uint32Array {
  return Uint32Array.from({ length: cells }, (_, cell) => cell);
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
