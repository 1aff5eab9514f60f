/**
 * Nets of a few layers, many of them side by side: a net is declared once, layer by layer, and gives the
 * buffers it needs and the kernels of its forward and backward pass in their order, for a `LoopStep`.
 *
 * Every value is `[nets, rows | samples, width]`; nothing of one net depends on another. Rows of a batch are
 * those of its samples, one after the other (ragged): nothing is padded. All sums are made in f32 in an order
 * that the declaration fixes, so that tiles, budgets and what else the device does change no bit.
 *
 * @example A classifier of features
 * ```ts
 * const net = new Net({ nets: 16, samples: 32, seeds });
 * const features = net.input("features", { axis: "samples", width: 512 });
 * const hidden = net.linear(features, { name: "fc1", to: 128, activation: "relu", dropout: 0.1 });
 * net.binaryCrossEntropy(net.linear(hidden, { name: "fc2", to: 1 }));
 * const loop = [...net.forward(batchOf), ...net.backward(batchOf), ...adam.step(batchOf)];
 * ```
 *
 * @module
 */

import type { LoopKernel, SharedBuffer } from "../stream/pass.ts";
import type { Batch, BatchOf, WholeBatch } from "./batch.ts";
import { wholeBatch } from "./batch.ts";
import { storeKernel } from "./elements.ts";
import type { Gradients, Layer, LayerKernel } from "./layer.ts";
import { LayeredNet } from "./layered_net.ts";
import type { RegulariseOptions } from "./loss.ts";
import { classEntropy, crossEntropy, LABELS, PROGRESS_WORDS, regularise, WEIGHTS } from "./loss.ts";
import type { Penalty } from "./penalty.ts";
import { CLASS_LOSS_PARTS, slopePenalty } from "./penalty.ts";
import type { Value } from "./value.ts";
import { gradientOf } from "./value.ts";

export type { NetOptions, TileInput } from "./declared_net.ts";
export type {
  AttendOptions,
  BatchNormOptions,
  EmbedOptions,
  LinearOptions,
  NormOptions,
} from "./layered_net.ts";

export interface ClassEntropyOptions {
  /** By class. */
  weights: ArrayLike<number>;
  /** Upload `[tile rows | samples, 2]` u32: the class of each, and of what it is mixed with. */
  classes: string;
  /** Whether {@link Batch.share} counts for the second class, too. Default true. */
  mixes?: boolean;
  /** Focal: rows count by (1 - p)^2 of their class, and the mean is over rows, not over weights. Default false. */
  focal?: boolean;
  /** Times the mean squared slope of the sum of logits by a value: it is part of the loss where slopes are asked for. */
  penalty?: { of: Value; weight: number };
}

/** Losses that a tile gives, a buffer to be downloaded: `[slots, nets, 2]` f32, cross-entropy and penalty (without weight). */
export interface ClassLosses {
  name: string;
  slotBytes: number;
}

/** A gradient that others have made before a backward pass. */
export interface MadeGradient {
  value: Value;
  /** Whether it is 0 in sum over rows, whatever the numbers. Default false. */
  sumsToZero?: boolean;
}

/** Layers that follow each other, and their buffers. */
export interface Section {
  layers: readonly Layer[];
  buffers: readonly string[];
}

interface Remade {
  layers: readonly Layer[];
  /** The layer after whose backward pass they are made. */
  after: Layer;
}

export class Net extends LayeredNet {
  readonly #losses: { logits: Value; kernel: LayerKernel }[] = [];
  readonly #regularisers: LayerKernel[] = [];
  readonly #penalties: Penalty[] = [];
  /** Buffers that lie in the memory of others. */
  readonly #within = new Map<string, string>();
  #remade: Remade | undefined;

  /** Layers and buffers that `declare` adds, for {@link remake}. */
  section<Made>(declare: () => Made): { made: Made; section: Section } {
    const [layers, buffers] = [this.layers.length, this.buffers.size];
    const made = declare();
    return {
      made,
      section: {
        layers: this.layers.slice(layers),
        buffers: [...this.buffers.keys()].slice(buffers),
      },
    };
  }

  /**
   * Has values of a section lie in the memory of a later one, and makes them again once that has gone backward: the same bits.
   * What the section begins with has to be outside of both.
   *
   * @returns Bytes that are saved.
   */
  remake(section: Section, later: Section): number {
    const sizes = (names: readonly string[]) =>
      names.map((name) => ({ name, bytes: this.buffers.get(name)! }))
        .sort((a, b) => b.bytes - a.bytes);
    const [own, others] = [sizes(section.buffers), sizes(later.buffers)];
    let saved = 0;
    for (let i = 0; i < Math.min(own.length, others.length); i++) {
      const [smaller, larger] = own[i]!.bytes <= others[i]!.bytes
        ? [own[i]!, others[i]!]
        : [others[i]!, own[i]!];
      this.#within.set(smaller.name, larger.name);
      saved += smaller.bytes;
    }
    this.#remade = { layers: section.layers, after: later.layers[0]! };
    return saved;
  }

  /** Has a buffer lie in the memory of another, of whatever net, that is used at other times. */
  place(buffer: string, within: string): void {
    this.#within.set(buffer, within);
  }

  /**
   * The loss, of logits of one column: for every net the weighted mean over the batch of -y log p - (1 - y)
   * log(1 - p). Wants uploads `labels` and `weights`, f32, each `[tile rows | samples]` or, not shared,
   * `[tile rows | samples, nets]`. A net whose weights are all 0 has loss 0 and no gradient.
   */
  binaryCrossEntropy(
    logits: Value,
    { sharedLabels = true, sharedWeights = true }: {
      sharedLabels?: boolean;
      sharedWeights?: boolean;
    } = {},
  ): void {
    this.computed("take the loss", logits);
    if (this.#losses.length > 0) throw new TypeError("Cannot take the loss: the net has one");
    if (logits.width !== 1) {
      throw new RangeError(`Cannot take the loss: logits have ${logits.width} columns, wanted 1`);
    }
    const shared = { labels: sharedLabels, weights: sharedWeights };
    for (const [name, isShared] of [[LABELS, sharedLabels], [WEIGHTS, sharedWeights]] as const) {
      const bytes = 4 * (isShared ? 1 : this.nets);
      this.upload({ name, axis: logits.axis, bytes, dtype: "float32" });
    }
    const gradient = gradientOf(logits);
    this.#losses.push({ logits, kernel: crossEntropy(this.frame, logits, gradient, shared) });
  }

  /**
   * A loss, of logits of a column for each class: the mean of -log softmax over the batch, weighted by class. Rows may be mixed
   * in pairs: see {@link Batch.share}.
   */
  classEntropy(logits: Value, options: ClassEntropyOptions): ClassLosses {
    const { weights, classes, mixes = true, focal = false, penalty } = options;
    this.computed("take the loss", logits);
    if (weights.length !== logits.width) {
      throw new RangeError(
        `Cannot take the loss: there are ${weights.length} weights for ${logits.width} classes`,
      );
    }
    this.upload({ name: classes, axis: logits.axis, bytes: 8, dtype: "uint32" });
    const losses = { name: `${logits.name} losses`, slotBytes: 4 * this.nets * CLASS_LOSS_PARTS };
    const gradient = gradientOf(logits);
    const parts = { logits, gradient, classes, weights, losses: losses.name, mixes, focal };
    this.#losses.push({ logits, kernel: classEntropy(this.frame, parts) });
    if (penalty) {
      const { of: x, weight } = penalty;
      const own = { x, logits, weight, losses: losses.name };
      this.#penalties.push(slopePenalty(this.frame, this.layers, own));
    }
    return losses;
  }

  /** Adds to the loss for the sake of a matrix; not to the losses by which states are judged. */
  regularise(parameter: string, options: RegulariseOptions): void {
    this.#regularisers.push(regularise(this.frame, this.parameterOf(parameter), options));
  }

  /**
   * Buffers for all tiles: parameters (kept), progress (kept), gradient, values of a batch.
   *
   * @param parameters `[nets, stride]` to begin with: see {@link Net.pack}.
   */
  sharedBuffers(parameters: () => Float32Array<ArrayBuffer>): SharedBuffer[] {
    const { nets, names } = this;
    const storage = { kind: "storage" } as const;
    const scratch = { ...storage, scratch: true } as const;
    const bytes = 4 * nets * this.stride;
    return [
      {
        ...{ name: names.parameters, bytes, kept: true, ...storage },
        data: () => {
          const values = parameters();
          if (values.length !== nets * this.stride) {
            throw new RangeError(
              `Cannot begin with ${values.length} parameters, wanted ${nets * this.stride}`,
            );
          }
          return values;
        },
      },
      { name: names.progress, bytes: 4 * nets * PROGRESS_WORDS, kept: true, ...storage },
      { name: names.gradient, bytes, ...scratch },
      {
        ...{ name: names.seeds, bytes: 4 * nets, ...storage },
        data: Uint32Array.from({ length: nets }, (_, net) => this.seeds?.[net] ?? 0),
      },
      ...this.valueBuffers(),
    ];
  }

  /** Those of values and of what layers need besides: all that a net {@link NetOptions.of} another has of its own. */
  valueBuffers(): SharedBuffer[] {
    const { names } = this;
    const storage = { kind: "storage" } as const;
    const scratch = { ...storage, scratch: true } as const;
    return [
      { name: names.unused, bytes: 16, ...scratch },
      { name: names.spare, bytes: 16, ...scratch },
      ...[...this.filled].map(([name, data]) => ({
        ...{ name, bytes: data.byteLength, data },
        ...storage,
      })),
      ...[...this.buffers].map(([name, size]): SharedBuffer => {
        const within = this.#within.get(name);
        return { name, bytes: size, ...scratch, ...within !== undefined && { within } };
      }),
    ];
  }

  /** Kernels that make all values, and the losses where labels are known. */
  forward(batchOf: BatchOf, { loss = true } = {}): LoopKernel[] {
    const steps = this.layers.flatMap((layer) => layer.forward());
    if (loss) steps.push(...this.#losses.map(({ kernel }) => kernel));
    return this.loop(steps, batchOf);
  }

  /**
   * Kernels that make the gradient, after those of forward.
   *
   * @param options `from`: values whose gradients others have made, where there is no loss or beside it, and whether those are 0
   * in sum over rows by rule. `slopes`: whether penalties of slopes are part of the loss.
   */
  backward(
    batchOf: BatchOf,
    { from = [], slopes = false }: { from?: readonly MadeGradient[]; slopes?: boolean } = {},
  ): LoopKernel[] {
    const losses = this.#losses.map(({ logits }): MadeGradient => ({ value: logits }));
    const begun = [...losses, ...from];
    if (begun.length === 0) throw new TypeError("Cannot go backward: the net has no loss");
    // by value, whether its gradient so far is 0 in sum over rows
    const written = new Map(
      begun.map(({ value: { name }, sumsToZero = false }) => [name, sumsToZero]),
    );
    const penalties = slopes ? this.#penalties : [];
    const gradients: Gradients = {
      into: ({ name }, sumsToZero = false) => {
        const before = written.get(name);
        written.set(name, sumsToZero && before !== false);
        return { buffer: gradientOf({ name }), adds: Number(before !== undefined) };
      },
      of: gradientOf,
      sumsToZero: ({ name }) => written.get(name)!,
      second: ({ name }) =>
        penalties.map(({ buffers }) => buffers.get(name)).find((own) => own !== undefined),
    };
    const again: BatchOf = (tile, row) => ({ ...batchOf(tile, row), again: true });
    const remade = this.#remade;
    const steps = this.layers.toReversed().flatMap((layer) => {
      // others do not lead to the loss
      if (!written.has(layer.output.name)) return [];
      const own = this.loop(layer.backward(gradients), batchOf);
      if (layer !== remade?.after) return own;
      return [...own, ...this.loop(remade.layers.flatMap((each) => each.forward()), again)];
    });
    return [
      ...this.loop(penalties.flatMap(({ kernels }) => kernels), batchOf),
      ...steps,
      ...this.loop(this.#regularisers, batchOf),
    ];
  }

  /** Stores a value in a buffer of the tile: `[tile rows | samples, nets, width]` f32, not padded. */
  store(value: Value, buffer: string, batchOf: BatchOf): LoopKernel[] {
    this.computed("store", value);
    return this.loop([storeKernel(this.frame, value, buffer)], batchOf);
  }

  /** Kernels of layers as a `LoopStep` takes them. */
  loop(kernels: readonly LayerKernel[], batchOf: BatchOf): LoopKernel[] {
    return kernels.map(({ kernel, constants = {}, buffers, params, workgroups }) => ({
      ...{ kernel, constants, buffers },
      params: (tile, row, repeat) => params(this.#check(batchOf(tile, row, repeat))),
      workgroups: (tile, row, repeat) => workgroups(wholeBatch(batchOf(tile, row, repeat))),
    }));
  }

  #check(given: Batch): WholeBatch {
    if (this.capacity.rows > 0 && (given.firstRow === undefined || given.rows === undefined)) {
      throw new TypeError("Cannot run a batch: it does not say which rows of the tile are its own");
    }
    const batch = wholeBatch(given);
    for (const axis of ["rows", "samples"] as const) {
      if (batch[axis] > this.capacity[axis]) {
        throw new RangeError(
          `Cannot run a batch of ${batch[axis]} ${axis}: the net takes at most ${
            this.capacity[axis]
          }`,
        );
      }
    }
    return batch;
  }
}
