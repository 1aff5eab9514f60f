/** A perturbation model on the device, with a batch of cells, its parameters and its optimizers. */

import type { Gpu } from "../../src/gpu/device.ts";
import { cellUploads } from "../../src/cpa/cell_uploads.ts";
import { packCounts, packNumbers } from "../../src/cpa/counts.ts";
import { CELL_LOSSES, CELLS } from "../../src/cpa/gene_kernels.ts";
import { CpaModel } from "../../src/cpa/model.ts";
import { CELL_DIVERGENCES } from "../../src/cpa/model_layers.ts";
import type { CellTurn } from "../../src/cpa/turns.ts";
import type { ModelShape } from "../../src/cpa/model_shape.ts";
import { cpaOptimizers } from "../../src/cpa/optimizers.ts";
import type { CellBatch, State, TwinOptions } from "../reference/cpa_model.ts";
import { openNet } from "./run_net.ts";

export interface RunOptions extends Pick<TwinOptions, "classWeights" | "unmixedCovariates"> {
  penalty: number;
  coupling: number;
  latents?: boolean;
  /** Cells whose genes are on the device at a time, and whether layers are made again for gradients. */
  partCells?: number;
  checkpointing?: boolean;
  /** Whether products of cells leave zeros out. Default true. */
  sparse?: boolean;
  /** Largest norm of a gradient. */
  mostNorm?: number;
  focal?: boolean;
  /** Cells of the tile before the batch. */
  before?: number;
  seed?: number;
}

/** @param batches The first is what the model is opened with; all have as many cells. */
export async function openCpa(
  gpu: Gpu,
  shape: ModelShape,
  state: State,
  batch: CellBatch,
  options: RunOptions,
) {
  const { before = 0, coupling, penalty } = options;
  const cells = batch.partners.length;
  const slots = batch.ids.length / cells;
  const first = packed(shape, batch, before);
  const model = new CpaModel(shape, {
    ...{ cells: cells + 1, slots, form: first.form, seed: options.seed ?? 5 },
    adversary: {
      ...{ weights: options.classWeights, penalty },
      mixesCovariates: !options.unmixedCovariates,
      focal: options.focal ?? false,
    },
    latents: options.latents ?? false,
    checkpointing: options.checkpointing ?? false,
    sparse: options.sparse ?? true,
    ...options.partCells !== undefined && { partCells: options.partCells },
  });
  const optimizers = cpaOptimizers(model, undefined, options.mostNorm);
  const uploadsOf = (own: CellBatch) => {
    const { starts, entries } = packed(shape, own, before);
    const rows = before + cells;
    const place = (i: number) => Math.max(0, i - before);
    const shifted = Array.from(
      { length: rows },
      (_, i) => i < before ? i : before + own.partners[place(i)]!,
    );
    return {
      [CELLS.starts]: starts,
      [CELLS.entries]: entries,
      ...cellUploads(
        shape,
        {
          slots,
          ids: Uint32Array.from(own.ids),
          doses: own.doses,
          combinations: own.combinations,
          covariates: shape.covariates.map(({ name }) => own.covariates[name]!),
        },
        {
          cells: Array.from({ length: rows }, (_, i) => place(i)),
          partners: Uint32Array.from(shifted),
          shares: Array(rows).fill(own.lambda),
        },
        true,
      ),
    };
  };
  const values = (net: CpaModel["body"]) =>
    net.pack(net.parameters.flatMap(({ name }) => Array.from(state.get(name)!.data)));
  const open = await openNet(
    gpu,
    [
      ...model.nets.flatMap((net) => net.sharedBuffers(() => values(net))),
      ...optimizers.buffers,
      ...model.sharedBuffers(),
    ],
    {
      ...uploadsOf(batch),
      ...Object.fromEntries(
        model.tileOutputs.map(({ name, bytes }) => [name, bytes * (before + cells)]),
      ),
      ...Object.fromEntries(model.classLosses.map(({ name, slotBytes }) => [name, slotBytes])),
    },
  );
  let share = batch.lambda;
  const turn = (own: Partial<CellTurn>) => () => ({
    ...{ firstSample: before, samples: cells, slot: 0, share, coupling },
    ...own,
  });
  return {
    ...{ model, open, turn, optimizers },
    take(own: CellBatch) {
      share = own.lambda;
      for (const [name, contents] of Object.entries(uploadsOf(own))) open.write(name, contents);
    },
    /** Of all nets, by name. */
    async named(which: "parameters" | "gradient"): Promise<Map<string, Float32Array>> {
      const found = new Map<string, Float32Array>();
      for (const net of model.nets) {
        const plain = net.unpack((await open.read(net.names[which])).subarray(0, net.stride));
        let at = 0;
        for (const { name, shape } of net.parameters) {
          const count = shape.reduce((product, size) => product * size, 1);
          found.set(name, plain.subarray(at, at + count));
          at += count;
        }
      }
      return found;
    },
    /** A value of the batch, without padding. */
    async value({ name, width }: { name: string; width: number }): Promise<Float32Array> {
      const stride = 4 * Math.ceil(width / 4);
      const read = await open.read(name);
      return Float32Array.from(
        { length: cells * width },
        (_, i) => read[Math.floor(i / width) * stride + i % width]!,
      );
    },
    async losses() {
      const perCell = (await open.read(CELL_LOSSES)).subarray(before, before + cells);
      const divergences = model.shape.variational
        ? (await open.read(CELL_DIVERGENCES)).subarray(before, before + cells)
        : new Float32Array();
      const classes = [];
      for (const { name } of model.classLosses) classes.push(await open.read(name));
      return {
        recon: perCell.reduce((sum, loss) => sum + loss, 0) / cells,
        divergence: divergences.reduce((sum, own) => sum + own, 0) / cells,
        entropy: classes.reduce((sum, own) => sum + own[0]!, 0),
        penalty: classes.reduce((sum, own) => sum + own[1]!, 0),
      };
    },
  };
}

/** The batch's cells, after some that are of no batch. */
function packed({ genes, head }: ModelShape, { x, partners }: CellBatch, before: number) {
  const cells = before + partners.length;
  const starts = new Float64Array(cells + 1);
  const indices: number[] = [];
  const values: number[] = [];
  for (let cell = 0; cell < cells; cell++) {
    const own = Math.max(0, cell - before);
    for (let gene = 0; gene < genes; gene++) {
      const value = x[own * genes + gene]!;
      if (value === 0) continue;
      indices.push(gene);
      values.push(value);
    }
    starts[cell + 1] = indices.length;
  }
  const rows = {
    start: 0,
    end: cells,
    wholeBelow: Infinity,
    starts: Uint32Array.from(starts),
    genes: Uint32Array.from(indices),
    values: Float64Array.from(values),
  };
  const isWhole = values.every((value) => Number.isInteger(value) && value >= 0);
  return head === "gauss" || !isWhole ? packNumbers(rows) : packCounts(rows, genes);
}
