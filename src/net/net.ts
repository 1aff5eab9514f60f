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
import type { Activation, Ending } from "./activation.ts";
import { attendLayer, DETECTED, sampleMaxLayer, STARTS } from "./attend.ts";
import type { Batch, BatchOf, WholeBatch } from "./batch.ts";
import { wholeBatch } from "./batch.ts";
import { batchNormLayer } from "./batch_norm.ts";
import { addColumnsLayer, addLayer, gateLayer, storeKernel } from "./elements.ts";
import { embedLayer, ENTRIES, entryBytes } from "./embed.ts";
import type { Frame, Gradients, Layer, LayerKernel } from "./layer.ts";
import { layerNormLayer, rowStats, statsBytes } from "./layer_norm.ts";
import { linearLayer } from "./linear.ts";
import type { RegulariseOptions } from "./loss.ts";
import {
  classEntropy,
  crossEntropy,
  LABELS,
  LOSS_PARTS,
  PROGRESS_WORDS,
  regularise,
  WEIGHTS,
} from "./loss.ts";
import type { Penalty } from "./penalty.ts";
import { CLASS_LOSS_PARTS, slopePenalty } from "./penalty.ts";
import type { Axis, Parameter, Value } from "./value.ts";
import {
  gradientOf,
  packParameters,
  parametersStride,
  rowStride,
  unpackParameters,
} from "./value.ts";

export interface NetOptions {
  /** Nets side by side. */
  nets: number;
  /**
   * Most rows of a batch; left out where there are samples alone. Decides, as `samples` does, how sums are cut:
   * never take them from a budget.
   */
  rows?: number;
  /** Most samples of a batch. */
  samples: number;
  /** Of dropout, by net, u32: a net with a seed is the same whatever is beside it. */
  seeds?: readonly number[];
  /** What the names of its buffers begin with. Default `net`. */
  name?: string;
}

export interface LinearOptions {
  /** Of its parameters: `<name>.weight` `[to, from]` and `<name>.bias` `[to]`. */
  name: string;
  to: number;
  /** Default true. */
  bias?: boolean;
  /** The weight's whole name, where it is another. */
  weightName?: string;
  /** Default `none`. */
  activation?: Activation;
  /** Probability with which an element is dropped after the activation; the others grow by 1 / (1 - p). Default 0. */
  dropout?: number;
  /** Of the optimizer's settings. Default 0. */
  group?: number;
}

/** What may follow a norm. */
export interface NormOptions {
  name: string;
  /** Default `none`. */
  activation?: "none" | "relu";
  /** As of {@link LinearOptions}. */
  dropout?: number;
  group?: number;
}

export interface BatchNormOptions extends NormOptions {
  /** Of running statistics, which no optimizer is to move: their rate has to be 0. */
  statisticsGroup: number;
  epsilon: number;
  /** By which running statistics move. */
  momentum: number;
}

export interface EmbedOptions {
  name: string;
  /** Tables by name, one after the other; rows of the first have doses. */
  tables: readonly { name: string; rows: number }[];
  /** Name and group of beta and bias of sigmoid(beta dose + bias) - sigmoid(bias); doses are factors without. */
  doser?: { name: string; group: number };
  /** Of a row. */
  entries: number;
  /** A bit for each kind of entry that counts: see `KIND_BITS`. */
  kinds: number;
}

export interface ClassEntropyOptions {
  /** By class. */
  weights: ArrayLike<number>;
  /** Upload `[tile rows | samples, 2]` u32: the class of each, and of what it is mixed with. */
  classes: string;
  /** Whether {@link Batch.share} counts for the second class, too. Default true. */
  mixes?: boolean;
  /** Times the mean squared slope of the sum of logits by a value: it is part of the loss where slopes are asked for. */
  penalty?: { of: Value; weight: number };
}

/** Losses that a tile gives, a buffer to be downloaded: `[slots, nets, 2]` f32, cross-entropy and penalty (without weight). */
export interface ClassLosses {
  name: string;
  slotBytes: number;
}

export interface AttendOptions {
  /** What scores are divided by. Default 1. */
  temperature?: number;
  /**
   * Rows of a window: the softmax is taken in every window, and the window whose result is largest counts, head
   * by head. Windows begin at rows 0 to longest - window of every sample, and those without a detected row are
   * left out; where no sample of the batch is longer than a window, it is the whole sample. Needs values of
   * one column a head, and {@link Batch.longest}.
   */
  window?: number;
}

/** A gradient that others have made before a backward pass. */
export interface MadeGradient {
  value: Value;
  /** Whether it is 0 in sum over rows, whatever the numbers. Default false. */
  sumsToZero?: boolean;
}

/** A buffer of a tile that whoever runs the net uploads. */
export interface TileInput {
  name: string;
  axis: Axis;
  /** Bytes of a row or sample of the tile; `starts` has an element more than there are samples. */
  bytes: number;
  dtype: "float32" | "uint32";
}

export class Net {
  readonly nets: number;
  /** What the names of its buffers begin with. */
  readonly name: string;
  /** In the order of their declaration. */
  readonly parameters: Parameter[] = [];
  /** What has to be uploaded with every tile. */
  readonly tileInputs: TileInput[] = [];
  /**
   * Losses that a tile gives, a buffer to be downloaded: `[slots, nets, 3]` f32, the weighted sum, the sum of
   * weights, and what regularising adds (after the backward pass).
   */
  readonly losses: { name: string; slotBytes: number };
  readonly #capacity: Record<Axis, number>;
  readonly #seeds: readonly number[] | undefined;
  readonly #layers: Layer[] = [];
  readonly #buffers = new Map<string, number>();
  readonly #frame: Frame;
  readonly #taken = new Set<string>();
  readonly #regularisers: LayerKernel[] = [];
  #stride = 0;
  readonly #losses: { logits: Value; kernel: LayerKernel }[] = [];
  readonly #filled = new Map<string, Float32Array>();
  readonly #penalties: Penalty[] = [];

  constructor({ nets, rows = 0, samples, seeds, name = "net" }: NetOptions) {
    for (
      const [what, size, least] of [["nets", nets, 1], ["rows", rows, 0], [
        "samples",
        samples,
        1,
      ]] as const
    ) {
      if (!Number.isInteger(size) || size < least) {
        throw new RangeError(
          `Cannot make a net: ${what} is ${size}, wanted a whole number from ${least}`,
        );
      }
    }
    // the dimensions of a dispatch
    for (const [what, size] of [["nets", nets], ["samples", rows > 0 ? samples : 0]] as const) {
      if (size > 65535) {
        throw new RangeError(`Cannot make a net: ${size} ${what}, at most 65535 are possible`);
      }
    }
    if (seeds && seeds.length !== nets) {
      throw new RangeError(`Cannot make a net: ${seeds.length} seeds for ${nets} nets`);
    }
    this.nets = nets;
    this.name = name;
    this.#capacity = { rows, samples };
    this.#seeds = seeds;
    const own = (part: string) => `${name} ${part}`;
    this.losses = { name: own("losses"), slotBytes: 4 * nets * LOSS_PARTS };
    this.#frame = {
      nets,
      capacity: (axis) => this.#capacity[axis],
      parameterQuads: () => this.#stride / 4,
      parameter: (wanted) => this.#parameter(wanted),
      scratch: (part, bytes) => {
        // parts of values have the value's name already
        const whole = part.startsWith(own("")) ? part : own(part);
        this.#buffers.set(whole, bytes);
        return whole;
      },
      filled: (part, contents) => {
        this.#filled.set(part, contents);
        return part;
      },
      names: {
        parameters: own("parameters"),
        gradient: own("gradient"),
        seeds: own("seeds"),
        progress: own("progress"),
        losses: own("losses"),
        unused: own("unused"),
        spare: own("spare"),
      },
    };
  }

  /** Elements of one net in buffers of parameters, gradients and moments: those of net k begin at k times this. */
  get stride(): number {
    return this.#stride;
  }

  /** Names of its buffers: parameters, gradient, progress and others. */
  get names(): Frame["names"] {
    return this.#frame.names;
  }

  /**
   * Values that are uploaded with the tile, in a buffer of that name: `[tile rows | samples, width]` where all
   * nets share them, or `[tile rows | samples, nets, width]`; rows are padded with 0 to `rowStride(width)`.
   */
  input(
    name: string,
    { axis, width, shared = true }: { axis: Axis; width: number; shared?: boolean },
  ): Value {
    this.#claim(name, "an input");
    if (!Number.isInteger(width) || width < 1) {
      throw new RangeError(
        `Cannot add the input "${name}": its width is ${width}, wanted 1 or more`,
      );
    }
    if (this.#capacity[axis] === 0) {
      throw new RangeError(`Cannot add the input "${name}": the net has no ${axis}`);
    }
    const bytes = 4 * rowStride(width) * (shared ? 1 : this.nets);
    this.#upload({ name, axis, bytes, dtype: "float32" });
    if (axis === "rows") {
      this.#upload({ name: STARTS, axis: "samples", bytes: 4, dtype: "uint32" });
      this.#upload({ name: DETECTED, axis: "rows", bytes: 4, dtype: "uint32" });
    }
    return { name, axis, width, isInput: true, shared };
  }

  /** x W^T + b, an activation, dropout. */
  linear(x: Value, options: LinearOptions): Value {
    const { name, to, bias = true, activation = "none", dropout = 0, group = 0 } = options;
    if (!Number.isInteger(to) || to < 1) {
      throw new RangeError(`Cannot add "${name}": it has ${to} outputs, wanted 1 or more`);
    }
    this.#checkDropout(name, dropout);
    const output = this.#value(name, x.axis, to);
    const weightName = options.weightName ?? `${name}.weight`;
    const weight = this.#declare(weightName, [to, x.width], group);
    const parts = { x, weight, activation, dropout, index: this.#layers.length };
    const biases = bias ? this.#declare(`${name}.bias`, [to], group) : undefined;
    const norm = x.normed && {
      gamma: this.#parameter(`${x.normed.name}.weight`),
      stats: this.#norm(x.normed.name, name),
    };
    return this.#add(linearLayer(this.#frame, output, { ...parts, bias: biases, norm }));
  }

  /**
   * Normalises every row to mean 0 and variance 1 (population, eps 1e-5), times `<name>.weight`, plus `<name>.bias`. Of
   * an input it takes no memory, and one {@link Net.linear} alone can take it.
   */
  layerNorm(x: Value, options: NormOptions & { affine?: boolean }): Value {
    const { name, group = 0, affine = true } = options;
    const ending = this.#ending(options);
    if (affine) {
      this.#declare(`${name}.weight`, [x.width], group);
      this.#declare(`${name}.bias`, [x.width], group);
    }
    const gamma = affine ? this.#parameter(`${name}.weight`) : undefined;
    if (x.isInput) {
      if (!affine || ending.activation !== "none" || ending.dropout > 0) {
        throw new TypeError(`Cannot add "${name}": the norm of an input is plain and has weights`);
      }
      const stats = this.#frame.scratch(`${name} stats`, statsBytes(this.#frame, x));
      const own: Value = { ...x, name: `${this.name} ${name}`, normed: { input: x, name } };
      this.#layers.push({
        output: own,
        forward: () => [rowStats(this.#frame, x, stats)],
        // its linear layer makes it
        backward: () => [],
      });
      return own;
    }
    const output = this.#value(name, x.axis, x.width);
    return this.#add(layerNormLayer(this.#frame, output, x, gamma, ending));
  }

  /**
   * Normalises every column to mean 0 and variance 1 over the rows of a batch that learns, by running statistics otherwise; times
   * `<name>.weight`, plus `<name>.bias`. Running statistics are parameters, too: `<name>.running_mean` and
   * `<name>.running_var`, the unbiased one.
   */
  batchNorm(x: Value, options: BatchNormOptions): Value {
    const { name, group = 0, statisticsGroup, epsilon, momentum } = options;
    this.#computed("normalise columns", x);
    const ending = this.#ending(options);
    const gamma = this.#declare(`${name}.weight`, [x.width], group);
    this.#declare(`${name}.bias`, [x.width], group);
    for (const part of ["running_mean", "running_var"]) {
      this.#declare(`${name}.${part}`, [x.width], statisticsGroup);
    }
    const output = this.#value(name, x.axis, x.width);
    const parts = { ...ending, gamma, epsilon, momentum };
    return this.#add(batchNormLayer(this.#frame, output, x, parts));
  }

  /** x and embeddings, row by row: see {@link EmbedOptions}. Wants the upload `embeddings`. One net alone. */
  embed(x: Value, options: EmbedOptions): Value {
    const { name, tables, doser, entries, kinds } = options;
    this.#computed("embed", x);
    if (this.nets > 1) throw new TypeError(`Cannot embed in ${this.nets} nets: wanted 1`);
    if (tables.length === 0) throw new TypeError("Cannot embed: there are no tables");
    // several sums are made of the same tables
    const declared = (own: string, shape: number[], group: number) =>
      this.#taken.has(`parameter ${own}`) ? this.#parameter(own) : this.#declare(own, shape, group);
    const [table] = tables.map((own) => declared(own.name, [own.rows, x.width], 0));
    const dosed = tables[0]!.rows;
    const dosers = doser && {
      beta: declared(`${doser.name}.beta`, [dosed], doser.group),
      bias: declared(`${doser.name}.bias`, [dosed], doser.group),
    };
    this.#upload({ name: ENTRIES, axis: x.axis, bytes: entryBytes(entries), dtype: "uint32" });
    const tableRows = tables.reduce((sum, { rows }) => sum + rows, 0);
    const output = this.#value(name, x.axis, x.width);
    const parts = { x, table: table!, tableRows, dosed, doser: dosers, entries, kinds };
    return this.#add(embedLayer(this.#frame, output, parts));
  }

  /** What others compute into a buffer of that name, `[nets, rows | samples, width]` padded as values are; it has no gradient. */
  given(name: string, { axis, width }: { axis: Axis; width: number }): Value {
    this.#claim(name, "a value");
    return { name, axis, width, isInput: false, shared: false, isFixed: true };
  }

  /** values * softplus(gates), element by element. */
  gate(values: Value, gates: Value): Value {
    this.#alike("gate", values, gates);
    if (values === gates) throw new TypeError("Cannot gate values by themselves");
    const output = this.#value(`gate ${this.#layers.length}`, values.axis, values.width);
    return this.#add(gateLayer(this.#frame, output, values, gates));
  }

  /** a + b, element by element. */
  add(a: Value, b: Value): Value {
    this.#alike("add", a, b);
    const output = this.#value(`sum ${this.#layers.length}`, a.axis, a.width);
    return this.#add(addLayer(this.#frame, output, a, b));
  }

  /** The sum of the columns and a number that is trained, `<name>` `[1]`. */
  addColumns(x: Value, { name, group = 0 }: { name: string; group?: number }): Value {
    this.#computed("add columns", x);
    const output = this.#value(name, x.axis, 1);
    const bias = this.#declare(name, [1], group);
    return this.#add(addColumnsLayer(this.#frame, output, x, bias));
  }

  /**
   * For every sample: sums of values over its detected rows, weighted by a softmax of the scores. Scores have
   * a column a head, and the columns of values are cut into as many equal runs. A sample without detected
   * rows gives 0.
   */
  attend(scores: Value, values: Value, { temperature = 1, window }: AttendOptions = {}): Value {
    this.#computed("attend", scores);
    if (values.normed) throw new TypeError("Cannot attend: the values are a normalised input");
    if (scores.axis !== "rows" || values.axis !== "rows") {
      throw new TypeError("Cannot attend: scores and values have to be of rows");
    }
    if (values.width % scores.width !== 0) {
      throw new RangeError(
        `Cannot attend: values have ${values.width} columns, wanted a multiple of the ${scores.width} heads`,
      );
    }
    if (!(temperature > 0)) {
      throw new RangeError(`Cannot attend: the temperature is ${temperature}, wanted above 0`);
    }
    if (window !== undefined) {
      this.#computed("attend in windows", values);
      if (!Number.isInteger(window) || window < 1) {
        throw new RangeError(`Cannot attend: the window is ${window} rows, wanted 1 or more`);
      }
      if (values.width !== scores.width) {
        throw new RangeError(
          `Cannot attend in windows: values have ${values.width} columns, wanted one for each of ${scores.width} heads`,
        );
      }
    }
    const output = this.#value(`attention ${this.#layers.length}`, "samples", values.width);
    return this.#add(attendLayer(this.#frame, output, { scores, values, temperature, window }));
  }

  /**
   * The largest of every column over the detected rows of each sample, the first of equal ones; 0 where there is
   * none, which has no gradient. `bipolar` appends the largest of -x, which is -min x: twice the width.
   */
  sampleMax(x: Value, { bipolar = false }: { bipolar?: boolean } = {}): Value {
    this.#computed("take the largest rows", x);
    if (x.axis !== "rows") throw new TypeError("Cannot take the largest rows: they are samples");
    const name = `largest ${this.#layers.length}`;
    const output = this.#value(name, "samples", (bipolar ? 2 : 1) * x.width);
    return this.#add(sampleMaxLayer(this.#frame, output, x, bipolar));
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
    this.#computed("take the loss", logits);
    if (this.#losses.length > 0) throw new TypeError("Cannot take the loss: the net has one");
    if (logits.width !== 1) {
      throw new RangeError(`Cannot take the loss: logits have ${logits.width} columns, wanted 1`);
    }
    const shared = { labels: sharedLabels, weights: sharedWeights };
    for (const [name, isShared] of [[LABELS, sharedLabels], [WEIGHTS, sharedWeights]] as const) {
      const bytes = 4 * (isShared ? 1 : this.nets);
      this.#upload({ name, axis: logits.axis, bytes, dtype: "float32" });
    }
    const gradient = gradientOf(logits);
    this.#losses.push({ logits, kernel: crossEntropy(this.#frame, logits, gradient, shared) });
  }

  /**
   * A loss, of logits of a column for each class: the mean of -log softmax over the batch, weighted by class. Rows may be mixed
   * in pairs: see {@link Batch.share}.
   */
  classEntropy(logits: Value, options: ClassEntropyOptions): ClassLosses {
    const { weights, classes, mixes = true, penalty } = options;
    this.#computed("take the loss", logits);
    if (weights.length !== logits.width) {
      throw new RangeError(
        `Cannot take the loss: there are ${weights.length} weights for ${logits.width} classes`,
      );
    }
    this.#upload({ name: classes, axis: logits.axis, bytes: 8, dtype: "uint32" });
    const losses = { name: `${logits.name} losses`, slotBytes: 4 * this.nets * CLASS_LOSS_PARTS };
    const gradient = gradientOf(logits);
    const parts = { logits, gradient, classes, weights, losses: losses.name, mixes };
    this.#losses.push({ logits, kernel: classEntropy(this.#frame, parts) });
    if (penalty) {
      const { of: x, weight } = penalty;
      const own = { x, logits, weight, losses: losses.name };
      this.#penalties.push(slopePenalty(this.#frame, this.#layers, own));
    }
    return losses;
  }

  /** A parameter that no layer has: its gradient is somebody else's to make. */
  parameter(name: string, shape: readonly number[], group = 0): Parameter {
    return this.#declare(name, shape, group);
  }

  /** Adds to the loss for the sake of a matrix; not to the losses by which states are judged. */
  regularise(parameter: string, options: RegulariseOptions): void {
    this.#regularisers.push(regularise(this.#frame, this.#parameter(parameter), options));
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
    const bytes = 4 * nets * this.#stride;
    return [
      {
        ...{ name: names.parameters, bytes, kept: true, ...storage },
        data: () => {
          const values = parameters();
          if (values.length !== nets * this.#stride) {
            throw new RangeError(
              `Cannot begin with ${values.length} parameters, wanted ${nets * this.#stride}`,
            );
          }
          return values;
        },
      },
      { name: names.progress, bytes: 4 * nets * PROGRESS_WORDS, kept: true, ...storage },
      { name: names.gradient, bytes, ...scratch },
      {
        ...{ name: names.seeds, bytes: 4 * nets, ...storage },
        data: Uint32Array.from({ length: nets }, (_, net) => this.#seeds?.[net] ?? 0),
      },
      { name: names.unused, bytes: 16, ...scratch },
      { name: names.spare, bytes: 16, ...scratch },
      ...[...this.#filled].map(([name, data]) => ({
        ...{ name, bytes: data.byteLength, data },
        ...storage,
      })),
      ...[...this.#buffers].map(([name, size]) => ({ name, bytes: size, ...scratch })),
    ];
  }

  /** Kernels that make all values, and the losses where labels are known. */
  forward(batchOf: BatchOf, { loss = true } = {}): LoopKernel[] {
    const steps = this.#layers.flatMap((layer) => layer.forward());
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
    const steps = this.#layers.toReversed()
      // others do not lead to the loss
      .flatMap((layer) => written.has(layer.output.name) ? layer.backward(gradients) : []);
    return this.loop([
      ...penalties.flatMap(({ kernels }) => kernels),
      ...steps,
      ...this.#regularisers,
    ], batchOf);
  }

  /** Stores a value in a buffer of the tile: `[tile rows | samples, nets, width]` f32, not padded. */
  store(value: Value, buffer: string, batchOf: BatchOf): LoopKernel[] {
    this.#computed("store", value);
    return this.loop([storeKernel(this.#frame, value, buffer)], batchOf);
  }

  /** Kernels of layers as a `LoopStep` takes them. */
  loop(kernels: readonly LayerKernel[], batchOf: BatchOf): LoopKernel[] {
    return kernels.map(({ kernel, constants = {}, buffers, params, workgroups }) => ({
      ...{ kernel, constants, buffers },
      params: (tile, row) => params(this.#check(batchOf(tile, row))),
      workgroups: (tile, row) => workgroups(wholeBatch(batchOf(tile, row))),
    }));
  }

  /** One net's parameters, padded, from values as torch has them, one parameter after the other. */
  pack(values: ArrayLike<number>): Float32Array<ArrayBuffer> {
    return packParameters(this.parameters, values);
  }

  /** The reverse. */
  unpack(padded: ArrayLike<number>): Float32Array<ArrayBuffer> {
    return unpackParameters(this.parameters, padded);
  }

  #check(given: Batch): WholeBatch {
    if (this.#capacity.rows > 0 && (given.firstRow === undefined || given.rows === undefined)) {
      throw new TypeError("Cannot run a batch: it does not say which rows of the tile are its own");
    }
    const batch = wholeBatch(given);
    for (const axis of ["rows", "samples"] as const) {
      if (batch[axis] > this.#capacity[axis]) {
        throw new RangeError(
          `Cannot run a batch of ${batch[axis]} ${axis}: the net takes at most ${
            this.#capacity[axis]
          }`,
        );
      }
    }
    return batch;
  }

  /** Activation and dropout of a layer that is about to be added. */
  #ending({ name, activation = "none", dropout = 0 }: NormOptions): Ending {
    this.#checkDropout(name, dropout);
    return { activation, dropout, index: this.#layers.length };
  }

  #checkDropout(name: string, dropout: number): void {
    if (!(dropout >= 0 && dropout < 1)) {
      throw new RangeError(`Cannot add "${name}": dropout is ${dropout}, wanted from 0 to below 1`);
    }
    if (dropout > 0 && !this.#seeds) {
      throw new TypeError(`Cannot add "${name}": dropout needs the net's seeds`);
    }
  }

  #add(layer: Layer): Value {
    this.#layers.push(layer);
    return layer.output;
  }

  #upload(input: TileInput): void {
    if (!this.tileInputs.some(({ name }) => name === input.name)) this.tileInputs.push(input);
  }

  /** A value with its gradient. */
  #value(name: string, axis: Axis, width: number): Value {
    const whole = `${this.name} ${name}`;
    this.#claim(whole, "a value");
    const bytes = 4 * this.nets * this.#capacity[axis] * rowStride(width);
    const value: Value = { name: whole, axis, width, isInput: false, shared: false };
    this.#buffers.set(whole, bytes);
    this.#buffers.set(gradientOf(value), bytes);
    return value;
  }

  #declare(name: string, shape: readonly number[], group: number): Parameter {
    this.#claim(`parameter ${name}`, "a parameter");
    const parameter = { name, shape, offset: this.#stride, group };
    this.parameters.push(parameter);
    this.#stride = parametersStride(this.parameters);
    return parameter;
  }

  #parameter(name: string): Parameter {
    const found = this.parameters.find((parameter) => parameter.name === name);
    if (!found) throw new TypeError(`Cannot find the parameter "${name}" of a net`);
    return found;
  }

  /** The buffer of a normalised input's means and deviations, for the layer that takes it. */
  #norm(norm: string, layer: string): string {
    const taken = `taken ${norm}`;
    if (this.#taken.has(taken)) {
      throw new TypeError(
        `Cannot add "${layer}": another layer takes the normalised input "${norm}"`,
      );
    }
    this.#taken.add(taken);
    return `${this.name} ${norm} stats`;
  }

  #claim(name: string, what: string): void {
    if (this.#taken.has(name)) {
      throw new TypeError(`Cannot add ${what}: "${name}" is there already`);
    }
    this.#taken.add(name);
  }

  #computed(action: string, { name, isInput }: Value): void {
    if (isInput) {
      throw new TypeError(`Cannot ${action}: "${name}" is an input, wanted what a layer gives`);
    }
  }

  #alike(action: string, a: Value, b: Value): void {
    this.#computed(action, a);
    this.#computed(action, b);
    if (a.axis !== b.axis || a.width !== b.width) {
      throw new RangeError(
        `Cannot ${action}: ${a.width} columns of ${a.axis} and ${b.width} of ${b.axis}, wanted the same`,
      );
    }
  }
}
