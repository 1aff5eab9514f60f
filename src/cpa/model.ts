/**
 * The perturbation model as kernels: an encoder of counts, embeddings of perturbations and covariates, a decoder, a likelihood, and
 * classifiers that are to find nothing in what the encoder gives.
 *
 * Three nets lie side by side, each with parameters and an optimizer of its own: `body` (encoder, embeddings, layers of the decoder),
 * `head` (from the decoder's last layer to every gene) and `adversary`. They take each other's values.
 *
 * What is as wide as genes may be made of some cells at a time. All else, norms over batches among it, is of the whole batch, so that parts
 * make no other gradient than it does.
 *
 * @module
 */

import { KIND_BITS } from "../net/embed.ts";
import type { ClassLosses, TileInput } from "../net/net.ts";
import { Net } from "../net/net.ts";
import type { Parts } from "../net/parts.ts";
import type { Value } from "../net/value.ts";
import type { LoopKernel, SharedBuffer } from "../stream/pass.ts";
import type { EntryForm } from "./counts.ts";
import { CELL_LOSSES, CELLS } from "./gene_kernels.ts";
import { GeneLayers } from "./gene_layers.ts";
import type { AdversaryOptions } from "./model_layers.ts";
import { adversaryNet, CELL_DIVERGENCES, embedded, encoderLayers, stack } from "./model_layers.ts";
import type { ModelShape } from "./model_shape.ts";
import type { TurnOf } from "./turns.ts";
import { passing } from "./turns.ts";

export interface ModelOptions {
  /** Most cells of a batch. */
  cells: number;
  /** Most cells whose genes are on the device at a time. Default: all of a batch. */
  partCells?: number;
  /** Whether layers of the encoder are made again for the gradient, in memory of the decoder's. Default false. */
  checkpointing?: boolean;
  /** Perturbations that a cell has at most. */
  slots: number;
  form: EntryForm;
  /** Whether cells are mostly 0: products of the first layer then leave zeros out, and are made in another order. Default false. */
  sparse?: boolean;
  /** Of dropout, and of what variational latents are drawn by. */
  seed: number;
  /** Prediction has none. */
  adversary?: AdversaryOptions;
  /** Whether latents without perturbations and without batches are made. */
  latents?: boolean;
}

export const LATENTS = ["basal", "after", "corrected", "noPert", "noPertCorrected"] as const;
export type LatentName = typeof LATENTS[number];

export class CpaModel {
  readonly shape: ModelShape;
  readonly body: Net;
  readonly adversary: Net | undefined;
  readonly latents: Record<string, Value>;
  readonly classLosses: readonly ClassLosses[];
  /** Bytes of the device's memory that making values again saves. */
  readonly savedBytes: number;
  readonly #genes: GeneLayers;

  constructor(shape: ModelShape, options: ModelOptions) {
    const { cells, partCells = cells, seed, slots, form, checkpointing = false } = options;
    const { sparse = false } = options;
    this.shape = shape;
    // what is dropped of one net is not what is dropped of the other
    this.body = new Net({ nets: 1, samples: cells, name: "body", seeds: [seed] });
    const sizes = { cells, partCells, form, again: checkpointing, sparse };
    this.#genes = new GeneLayers(shape, this.body, sizes);
    const { first, inner, basal } = encoderLayers(this.body, this.#genes.entry, shape, sparse);
    // a cell's own, and its partner's
    const entries = 2 * (slots + shape.covariates.length);
    const sum = (name: string, kinds: number) =>
      embedded(this.body, basal, shape, { name, kinds, entries });
    const { perturbation, covariate, batch } = KIND_BITS;
    const after = sum("z", perturbation | covariate | batch);
    const { made: hidden, section } = this.body.section(() =>
      stack(this.body, "decoder", after, shape.decoder)
    );
    this.latents = { basal, after };
    if (options.latents) {
      this.latents.corrected = sum("z corrected", perturbation | covariate);
      this.latents.noPert = sum("z without perturbation", covariate | batch);
      this.latents.noPertCorrected = sum("z without perturbation, corrected", covariate);
    }
    this.#genes.add(first, hidden);
    const remade = checkpointing ? this.body.remake(inner, section) : 0;
    this.savedBytes = remade + this.#genes.savedBytes;
    this.#hidden = hidden;
    const made = options.adversary &&
      adversaryNet(basal, shape, cells, (seed ^ 0x9e3779b9) >>> 0, options.adversary);
    this.adversary = made?.net;
    this.classLosses = made?.classLosses ?? [];
  }

  readonly #hidden: Value;

  get head(): Net {
    return this.#genes.head;
  }

  /** How batches are cut, where there are genes. */
  get parts(): Parts {
    return this.#genes.parts;
  }

  /** What the decoder gives: logits, then means in their place; and logits of zeros, or variances. */
  get means(): Value {
    return this.#genes.means;
  }

  get others(): Value | undefined {
    return this.#genes.others;
  }

  get nets(): Net[] {
    return [this.body, this.head, ...this.adversary ? [this.adversary] : []];
  }

  /** What is uploaded with a tile, beside entries of cells: bytes a cell. */
  get tileInputs(): TileInput[] {
    const word = (name: string): TileInput => ({
      ...{ name, axis: "samples", bytes: 4, dtype: "uint32" },
    });
    return [
      word(CELLS.starts),
      word(CELLS.partners),
      ...this.nets.flatMap(({ tileInputs }) => tileInputs),
    ];
  }

  /** What is given of a cell: bytes a cell. Losses come of {@link judge} alone. */
  get tileOutputs(): { name: string; bytes: number }[] {
    return [CELL_LOSSES, ...this.shape.variational ? [CELL_DIVERGENCES] : []]
      .map((name) => ({ name, bytes: 4 }));
  }

  /** Of a batch, beside what the nets have. */
  sharedBuffers(): SharedBuffer[] {
    return this.#genes.sharedBuffers();
  }

  /** From cells to latents, and on to the last layer of the decoder but one. */
  encode(turnOf: TurnOf): LoopKernel[] {
    return [...this.#genes.enter(turnOf), ...this.body.forward(passing(turnOf))];
  }

  /** The same of cells that are encoded, whose latents are drawn again. Not while anything is dropped. */
  redraw(turnOf: TurnOf): LoopKernel[] {
    return this.body.forward(passing(turnOf));
  }

  /** What counts are expected to be, of batches of one part. */
  decode(turnOf: TurnOf, { zeros = false } = {}): LoopKernel[] {
    return this.#genes.decode(turnOf, { zeros });
  }

  /**
   * What is expected, the loss of every cell, and, in turns that improve, derivatives by what the decoder's last layer takes.
   *
   * @param beside Kernels that want what is expected.
   */
  judge(turnOf: TurnOf, beside: LoopKernel[] = []): LoopKernel[] {
    return this.#genes.judge(turnOf, beside);
  }

  /** The gradient of encoder, embeddings and decoder, after {@link judge}. */
  improve(turnOf: TurnOf): LoopKernel[] {
    const batchOf = passing(turnOf);
    const { widths, batchNorm } = this.shape.adversary;
    // where classifiers begin with a batch norm
    const sumsToZero = batchNorm && widths.length > 0;
    const adversary = this.#adversary();
    const against: typeof batchOf = (tile, row) => ({
      ...batchOf(tile, row),
      scale: -(turnOf(tile, row).coupling ?? 0),
    });
    return [
      ...adversary.forward(against),
      ...adversary.backward(against),
      ...this.body.backward(batchOf, {
        from: [{ value: this.#hidden }, { value: this.latents.basal!, sumsToZero }],
      }),
      ...this.#genes.improveEntry(turnOf),
    ];
  }

  /** The gradient of the classifiers, of cells that are encoded. */
  oppose(turnOf: TurnOf): LoopKernel[] {
    const batchOf = passing(turnOf);
    const adversary = this.#adversary();
    return [...adversary.forward(batchOf), ...adversary.backward(batchOf, { slopes: true })];
  }

  #adversary(): Net {
    if (!this.adversary) throw new TypeError("Cannot train: the model has no adversary");
    return this.adversary;
  }
}
