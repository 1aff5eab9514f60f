/**
 * Layers that are as wide as genes, of some cells of a batch at a time: the first of the encoder, by the net `entry` whose parameters are
 * those of `body`, and all of `head`. Between them lie values of whole batches.
 *
 * @module
 */

import { Net } from "../net/net.ts";
import type { Parts } from "../net/parts.ts";
import { copyRows, cutParts } from "../net/parts.ts";
import { listsOf } from "../net/sparse_linear.ts";
import type { Value } from "../net/value.ts";
import { gradientOf, rowStride } from "../net/value.ts";
import type { LoopKernel, SharedBuffer } from "../stream/pass.ts";
import type { EntryForm } from "./counts.ts";
import { GeneKernels } from "./gene_kernels.ts";
import type { PartAndWhole } from "./model_layers.ts";
import { headLayers } from "./model_layers.ts";
import type { ModelShape } from "./model_shape.ts";
import type { TurnOf } from "./turns.ts";
import { improves, passingPart, whenever } from "./turns.ts";

export interface GeneSizes {
  /** Most cells of a batch, and of a part of one. */
  cells: number;
  partCells: number;
  form: EntryForm;
  /** Whether cells are made dense again for the gradient; of several parts they always are. */
  again: boolean;
  /** Whether cells are mostly 0. */
  sparse: boolean;
}

/** Kernels are there for every part. */
export const MOST_PARTS = 64;

export class GeneLayers {
  readonly parts: Parts;
  readonly entry: Net;
  readonly head: Net;
  /** What the decoder gives: logits, then means in their place; and logits of zeros, or variances. */
  means!: Value;
  others: Value | undefined;
  readonly #shape: ModelShape;
  readonly #sizes: GeneSizes;
  #first!: PartAndWhole;
  #last!: PartAndWhole;
  #genes!: GeneKernels;

  constructor(shape: ModelShape, body: Net, sizes: GeneSizes) {
    this.#shape = shape;
    this.#sizes = sizes;
    this.parts = cutParts(sizes.cells, sizes.partCells);
    if (this.parts.count > MOST_PARTS) {
      throw new RangeError(
        `Cannot cut a batch of ${sizes.cells} cells into parts of ${sizes.partCells}: these are ` +
          `${this.parts.count}, at most ${MOST_PARTS} are possible`,
      );
    }
    const ofPart = { nets: 1, samples: this.parts.rows };
    this.entry = new Net({ ...ofPart, name: "entry", of: body });
    this.head = new Net({ ...ofPart, name: "head" });
  }

  /**
   * Adds the layers of `head`.
   *
   * @param first What the first layer of the encoder makes.
   * @param hidden What the last layer of the decoder takes.
   */
  add(first: PartAndWhole, hidden: Value): void {
    this.#first = first;
    const part = this.head.taken("hidden", { axis: "samples", width: hidden.width });
    this.#last = { part, whole: hidden };
    const given = headLayers(this.head, part, this.#shape);
    [this.means, this.others] = [given.means, given.others];
    const { form, sparse } = this.#sizes;
    if (sparse) {
      // what is not 0 is listed while there are no means, and when their gradient has been used
      const { indices, values } = listsOf(first.part);
      this.entry.place(indices, this.means.name);
      this.entry.place(values, gradientOf(this.means));
    }
    this.#genes = new GeneKernels({ shape: this.#shape, form, head: this.head, ...given });
  }

  /** Bytes of the device's memory that making cells dense again saves. */
  get savedBytes(): number {
    return this.#mixesAgain ? 4 * this.parts.rows * rowStride(this.#shape.genes) : 0;
  }

  /** Beside those of `head`. */
  sharedBuffers(): SharedBuffer[] {
    return [
      ...this.#genes.sharedBuffers(this.parts.rows, this.#mixesAgain),
      ...this.entry.valueBuffers(),
    ];
  }

  /** From cells to what the first layer makes of them. */
  enter(turnOf: TurnOf): LoopKernel[] {
    return this.#eachPart(turnOf, (start) => [
      ...this.#mix(turnOf, start),
      ...this.entry.forward(this.#partOf(turnOf, start)),
      ...this.#copy(turnOf, start, this.#first, "to whole"),
    ]);
  }

  /** What counts are expected to be, of a part that begins at a cell of the batch. */
  decode(turnOf: TurnOf, { zeros = false, start = 0 } = {}): LoopKernel[] {
    const batchOf = this.#partOf(turnOf, start);
    return [
      ...this.#copy(turnOf, start, this.#last, "to part"),
      ...this.head.forward(batchOf),
      ...this.head.loop(this.#genes.expect(zeros), batchOf),
    ];
  }

  /**
   * What is expected, the loss of every cell, and derivatives by what `head` takes in turns that improve.
   *
   * @param beside Kernels that want what is expected of a part.
   */
  judge(turnOf: TurnOf, beside: LoopKernel[] = []): LoopKernel[] {
    const from = [this.means, ...this.others ? [this.others] : []].map((value) => ({ value }));
    return this.#eachPart(turnOf, (start) => {
      const batchOf = this.#partOf(turnOf, start);
      return [
        ...this.parts.count > 1 ? this.#mix(turnOf, start) : [],
        ...this.decode(turnOf, { start }),
        ...this.head.loop(this.#genes.judge(), batchOf),
        ...whenever(
          [
            ...this.head.backward(batchOf, { from }),
            ...this.#copy(turnOf, start, gradientsOf(this.#last), "to whole"),
          ],
          turnOf,
          improves,
        ),
        ...beside,
      ];
    });
  }

  /** The gradient of the first layer, from that of what it makes. */
  improveEntry(turnOf: TurnOf): LoopKernel[] {
    const from = [{ value: this.#first.part, sumsToZero: this.#shape.encoder.batchNorm }];
    return this.#eachPart(turnOf, (start) => [
      ...this.#mixesAgain ? this.#mix(turnOf, start) : [],
      ...this.#copy(turnOf, start, gradientsOf(this.#first), "to part"),
      ...this.entry.backward(this.#partOf(turnOf, start), { from }),
    ]);
  }

  get #mixesAgain(): boolean {
    return this.parts.count > 1 || this.#sizes.again;
  }

  #eachPart(turnOf: TurnOf, kernelsOf: (start: number) => LoopKernel[]): LoopKernel[] {
    return Array.from({ length: this.parts.count }, (_, i) => i * this.parts.rows)
      // batches smaller than others have fewer parts
      .flatMap((start) => whenever(kernelsOf(start), turnOf, ({ samples }) => samples > start));
  }

  #partOf(turnOf: TurnOf, start: number) {
    return passingPart(turnOf, start, this.parts.rows);
  }

  #mix(turnOf: TurnOf, start: number): LoopKernel[] {
    return this.entry.loop([this.#genes.mix()], this.#partOf(turnOf, start));
  }

  #copy(
    turnOf: TurnOf,
    start: number,
    { part, whole }: PartAndWhole,
    direction: "to part" | "to whole",
  ): LoopKernel[] {
    const own = { part: part.name, whole: whole.name, width: part.width };
    return this.entry.loop([copyRows(own, direction)], this.#partOf(turnOf, start));
  }
}

const gradientsOf = ({ part, whole }: PartAndWhole): PartAndWhole => ({
  part: { ...part, name: gradientOf(part) },
  whole: { ...whole, name: gradientOf(whole) },
});
