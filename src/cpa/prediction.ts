/**
 * Plans what a trained model says of cells, whatever is asked of it.
 *
 * @module
 */

import { annDataSpec } from "../array/anndata/write.ts";
import type { CellMatrix } from "../array/anndata/matrix.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import { ofType } from "../chunked_array.ts";
import type { Gpu } from "../gpu/device.ts";
import type { OutputSpec } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import { Plan } from "../stream/plan.ts";
import type { Measured } from "../stream/task.ts";
import type { ZarrArraySpec } from "../zarr/metadata.ts";
import { annDataResult, SOURCE_ROW } from "./anndata_result.ts";
import type { Given } from "./asked_cells.ts";
import type { CellTable } from "./cell_table.ts";
import { checkMatrix } from "./cell_table.ts";
import type { CellFacts } from "./cell_uploads.ts";
import { Draws } from "./draws.ts";
import type { LatentName } from "./model.ts";
import { CpaModel } from "./model.ts";
import type { Learned, ModelFacts } from "./model_facts.ts";
import type { PredictChoices } from "./predict_options.ts";
import { reconstructOptions } from "./predict_options.ts";
import type { RowTaker } from "./predict_task.ts";
import {
  CpaPredictTask,
  LATENT_ARRAYS,
  MOST_TILE_ROWS,
  TURN_CELLS,
  varianceOf,
} from "./predict_task.ts";

/** What a model says of cells: arrays by name, of cells that `cells` names. */
export interface CpaPrediction extends Measured {
  /** `[cells]`, rows of the matrix. */
  cells: Uint32Array;
  /**
   * f32: `latent_basal` and others [cells, latent], `reconstruction` or `counterfactual` [cells, genes]; of variational models
   * `reconstruction_variance` or `counterfactual_variance`, too, over draws.
   */
  arrays: Record<string, ChunkedArray<Float32Array>>;
}

export interface Asked {
  name: string;
  latents: readonly LatentName[];
  /** Name of the array of expected counts, if they are wanted. */
  means?: string;
  facts: CellFacts;
  /** What all of the cells are given, one after the other: for a taker alone. */
  givens?: readonly (readonly Given[])[];
  /** Ascending. */
  cells: Uint32Array;
  /** What decides the result beside the cells and what they were given. */
  asked: unknown;
  /** Of AnnData that is written: what is said of it. */
  uns?: Record<string, string>;
  /** And what is said of every cell. */
  obs?: Record<string, string>;
  /** Takes rows, of which none are kept then. */
  taker?: RowTaker;
}

/** @throws {RangeError} If cells are numbered otherwise than the model's, or of other genes. */
export function checkKnown(facts: ModelFacts, table: CellTable): void {
  const { perturbations, covariates, shape, genesDigest } = facts;
  const same = (a: readonly string[], b: readonly string[]) =>
    a.length === b.length && a.every((name, i) => name === b[i]);
  if (table.genes !== shape.genes) {
    throw new RangeError(
      `Cannot predict: cells have ${table.genes} genes, the model has ${shape.genes}`,
    );
  }
  const [own, known] = [table.genesDigest, genesDigest];
  if (own !== undefined && known !== undefined && own !== known) {
    throw new RangeError(
      "Cannot predict: the genes have other names than the model's, or another order",
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
}

/** With chunks that end where tiles do: a run that was killed goes on at the last of these that is stored. */
function aligned(spec: ZarrArraySpec): ZarrArraySpec {
  const [rows, ...columns] = spec.chunkShape;
  // what a tile holds is one chunk
  if (rows === spec.shape[0] && rows! <= MOST_TILE_ROWS) return spec;
  const whole = Math.min(MOST_TILE_ROWS, 2 ** Math.floor(Math.log2(rows!)));
  return { ...spec, chunkShape: [whole, ...columns] };
}

export function planPrediction(
  gpu: Gpu,
  { facts: { shape }, parameters }: Learned,
  matrix: CellMatrix,
  table: CellTable,
  { out, overwrite, annData, nSamples, compat = false, ...choices }: PredictChoices,
  asked: Asked,
): Plan<CpaPrediction> {
  if (matrix.shape[0] !== table.cells || matrix.shape[1] !== shape.genes) {
    throw new RangeError(
      `Cannot predict: counts are of ${
        matrix.shape.join(" x ")
      }, wanted ${table.cells} cells x ${shape.genes} genes`,
    );
  }
  checkMatrix(table, matrix.path, "predict");
  if (annData && out === undefined) {
    throw new RangeError("Cannot predict: there is annData and no out, wanted a place to write to");
  }
  const { facts, cells, latents, means, taker, givens } = asked;
  const model = new CpaModel(shape, {
    ...{ cells: TURN_CELLS, slots: facts.slots, seed: 0 },
    form: shape.head === "gauss" ? "float" : "wide",
    sparse: matrix.layout !== "dense",
    latents: latents.some((name) => name !== "basal" && name !== "after"),
  });
  const draws = shape.variational && means
    ? new Draws(model, TURN_CELLS, nSamples ?? reconstructOptions.check({}).nSamples)
    : undefined;
  const expected = means ? [means, ...draws ? [varianceOf(means)] : []] : [];
  const names = [...latents.map((name) => LATENT_ARRAYS[name]), ...expected];
  const tables = annData && annDataResult(annData, table, cells, asked);
  const arrays = names.map((name) => {
    const isMeans = expected.includes(name);
    const [columns, dim] = isMeans ? [shape.genes, "gene"] : [shape.latent, "latent"];
    const path = annData ? `${isMeans ? "layers" : "obsm"}/${name}` : name;
    const spec = annData
      ? annDataSpec({ path, dtype: "float32", columns }, cells.length)
      : variable(path, "float32", [cells.length, columns], ["cell", dim]);
    return { name, spec: aligned(spec) };
  });
  const cellsPath = tables ? `obs/${SOURCE_ROW}` : "cells";
  const output: OutputSpec = {
    ...{ kind: "cpa.prediction", formatVersion: 1, place: out, overwrite },
    adapter: gpu.adapter.name,
    attributes: { arrays: [...arrays.map(({ spec }) => spec.name), cellsPath] },
    streamed: taker ? [] : arrays.map(({ spec }) => spec),
    whole: tables ? [] : [variable(cellsPath, "uint32", [cells.length], ["cell"])],
    ...tables && { zarrFormat: 2, companion: tables.companion },
  };
  const task = new CpaPredictTask<CpaPrediction>({
    ...{ name: asked.name, model, matrix, parameters, latents, means, cells, facts, output },
    ...{ taker, tables, draws, compat, givens },
    pathOf: (name) => arrays.find((own) => own.name === name)!.spec.name,
    identity: {
      facts: [
        ...[asked.name, asked.asked, shape, facts.slots, ...tables ? ["AnnData"] : []],
        ...[draws ? [draws.count] : [], compat ? ["compat"] : []].flat(),
      ],
      arrays: [
        parameters.body!,
        parameters.head!,
        cells,
        facts.ids,
        Float64Array.from(facts.doses),
        ...facts.covariates.map((codes) => Uint32Array.from(codes)),
      ],
    },
    result: async (stored, measured) => ({
      ...measured,
      cells: Uint32Array.from(
        await stored.read(cellsPath) as Int32Array,
      ),
      arrays: taker ? {} : Object.fromEntries(
        await Promise.all(
          arrays.map(async ({ name, spec }) =>
            [name, ofType(await stored.open(spec.name), "float32")] as const
          ),
        ),
      ),
    }),
  });
  return new Plan(gpu, task, choices);
}
