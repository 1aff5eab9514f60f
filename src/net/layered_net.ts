/**
 * Layers that can be added to a net, one after the other.
 *
 * @module
 */

import type { Activation, Ending } from "./activation.ts";
import { LayerEnd } from "./activation.ts";
import { attendLayer, sampleMaxLayer } from "./attend.ts";
import { batchNormLayer } from "./batch_norm.ts";
import { DeclaredNet } from "./declared_net.ts";
import { addColumnsLayer, addLayer, gateLayer } from "./elements.ts";
import { embedLayer, ENTRIES, entryBytes } from "./embed.ts";
import type { Layer } from "./layer.ts";
import { layerNormLayer, rowStats, statsBytes } from "./layer_norm.ts";
import { linearLayer } from "./linear.ts";
import { sampleLayer } from "./sample.ts";
import { sparseLinearLayer } from "./sparse_linear.ts";
import type { Value } from "./value.ts";

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
  /** Of what others compute and is mostly 0, without an activation: products leave zeros out. Default false. */
  sparse?: boolean;
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

export abstract class LayeredNet extends DeclaredNet {
  protected readonly layers: Layer[] = [];
  /** Normalised inputs that a layer takes. */
  readonly #normed = new Set<string>();

  /** x W^T + b, an activation, dropout. */
  linear(x: Value, options: LinearOptions): Value {
    const { name, to, bias = true, activation = "none", dropout = 0, group = 0 } = options;
    if (!Number.isInteger(to) || to < 1) {
      throw new RangeError(`Cannot add "${name}": it has ${to} outputs, wanted 1 or more`);
    }
    this.#checkDropout(name, dropout);
    const output = this.value(name, x.axis, to);
    const weightName = options.weightName ?? `${name}.weight`;
    const { sparse = false } = options;
    const weight = this.declare(weightName, [to, x.width], group, sparse);
    const parts = { x, weight, activation, dropout, index: this.layers.length };
    const biases = bias ? this.declare(`${name}.bias`, [to], group) : undefined;
    if (sparse) {
      return this.#add(sparseLinearLayer(this.frame, output, { x, weight, bias: biases }));
    }
    const norm = x.normed && {
      gamma: this.parameterOf(`${x.normed.name}.weight`),
      stats: this.#norm(x.normed.name, name),
    };
    return this.#add(linearLayer(this.frame, output, { ...parts, bias: biases, norm }));
  }

  /**
   * Normalises every row to mean 0 and variance 1 (population, eps 1e-5), times `<name>.weight`, plus `<name>.bias`. Of
   * an input it takes no memory, and one {@link Net.linear} alone can take it.
   */
  layerNorm(x: Value, options: NormOptions & { affine?: boolean }): Value {
    const { name, group = 0, affine = true } = options;
    const ending = this.#ending(options);
    if (affine) {
      this.declare(`${name}.weight`, [x.width], group);
      this.declare(`${name}.bias`, [x.width], group);
    }
    const gamma = affine ? this.parameterOf(`${name}.weight`) : undefined;
    if (x.isInput) {
      if (!affine || ending.activation !== "none" || ending.dropout > 0) {
        throw new TypeError(`Cannot add "${name}": the norm of an input is plain and has weights`);
      }
      const stats = this.frame.scratch(`${name} stats`, statsBytes(this.frame, x));
      const own: Value = { ...x, name: `${this.name} ${name}`, normed: { input: x, name } };
      this.layers.push({
        output: own,
        forward: () => [rowStats(this.frame, x, stats)],
        // its linear layer makes it
        backward: () => [],
      });
      return own;
    }
    const output = this.value(name, x.axis, x.width);
    return this.#add(layerNormLayer(this.frame, output, x, gamma, ending));
  }

  /**
   * Normalises every column to mean 0 and variance 1 over the rows of a batch that learns, by running statistics otherwise; times
   * `<name>.weight`, plus `<name>.bias`. Running statistics are parameters, too: `<name>.running_mean` and
   * `<name>.running_var`, the unbiased one.
   */
  batchNorm(x: Value, options: BatchNormOptions): Value {
    const { name, group = 0, statisticsGroup, epsilon, momentum } = options;
    this.computed("normalise columns", x);
    const ending = this.#ending(options);
    const gamma = this.declare(`${name}.weight`, [x.width], group);
    this.declare(`${name}.bias`, [x.width], group);
    for (const part of ["running_mean", "running_var"]) {
      this.declare(`${name}.${part}`, [x.width], statisticsGroup);
    }
    const output = this.value(name, x.axis, x.width);
    const parts = { ...ending, gamma, epsilon, momentum };
    return this.#add(batchNormLayer(this.frame, output, x, parts));
  }

  /** x and embeddings, row by row: see {@link EmbedOptions}. Wants the upload `embeddings`. One net alone. */
  embed(x: Value, options: EmbedOptions): Value {
    const { name, tables, doser, entries, kinds } = options;
    this.computed("embed", x);
    if (this.nets > 1) throw new TypeError(`Cannot embed in ${this.nets} nets: wanted 1`);
    if (tables.length === 0) throw new TypeError("Cannot embed: there are no tables");
    // several sums are made of the same tables
    const declared = (own: string, shape: number[], group: number) =>
      this.hasParameter(own) ? this.parameterOf(own) : this.declare(own, shape, group);
    const [table] = tables.map((own) => declared(own.name, [own.rows, x.width], 0));
    const dosed = tables[0]!.rows;
    const dosers = doser && {
      beta: declared(`${doser.name}.beta`, [dosed], doser.group),
      bias: declared(`${doser.name}.bias`, [dosed], doser.group),
    };
    this.upload({ name: ENTRIES, axis: x.axis, bytes: entryBytes(entries), dtype: "uint32" });
    const tableRows = tables.reduce((sum, { rows }) => sum + rows, 0);
    const output = this.value(name, x.axis, x.width);
    const parts = { x, table: table!, tableRows, dosed, doser: dosers, entries, kinds };
    return this.#add(embedLayer(this.frame, output, parts));
  }

  /**
   * Values that are drawn from normal distributions of that mean and variance softplus(spread) + 1e-4, where a batch has a draw: their
   * means where it has none. The loss has {@link Batch.divergence} times how far these are from normal ones. One net alone.
   *
   * @param options `divergences`: a buffer of the tile, `[tile rows | samples]` f32, that gets that by row.
   */
  sample(mean: Value, spread: Value, options: { name: string; divergences: string }): Value {
    const { name, divergences } = options;
    this.alike("draw", mean, spread);
    if (this.nets > 1) throw new TypeError(`Cannot draw in ${this.nets} nets: wanted 1`);
    if (!this.seeds) throw new TypeError(`Cannot draw "${name}": that needs the net's seeds`);
    const index = this.layers.length;
    const output = this.value(name, mean.axis, mean.width);
    return this.#add(sampleLayer(this.frame, output, { mean, spread, divergences, index }));
  }

  /** What a net of parts of the batch makes, put together, and what follows it: see {@link copyRows}. */
  gather({ axis, width }: Value, options: NormOptions): Value {
    const ending = this.#ending(options);
    const output = this.value(options.name, axis, width);
    const end = new LayerEnd(this.frame, output, ending);
    return this.#add({
      output,
      forward: () => end.forward(),
      backward: (gradients) => end.backward(gradients.of(output)),
    });
  }

  /** values * softplus(gates), element by element. */
  gate(values: Value, gates: Value): Value {
    this.alike("gate", values, gates);
    if (values === gates) throw new TypeError("Cannot gate values by themselves");
    const output = this.value(`gate ${this.layers.length}`, values.axis, values.width);
    return this.#add(gateLayer(this.frame, output, values, gates));
  }

  /** a + b, element by element. */
  add(a: Value, b: Value): Value {
    this.alike("add", a, b);
    const output = this.value(`sum ${this.layers.length}`, a.axis, a.width);
    return this.#add(addLayer(this.frame, output, a, b));
  }

  /** The sum of the columns and a number that is trained, `<name>` `[1]`. */
  addColumns(x: Value, { name, group = 0 }: { name: string; group?: number }): Value {
    this.computed("add columns", x);
    const output = this.value(name, x.axis, 1);
    const bias = this.declare(name, [1], group);
    return this.#add(addColumnsLayer(this.frame, output, x, bias));
  }

  /**
   * For every sample: sums of values over its detected rows, weighted by a softmax of the scores. Scores have
   * a column a head, and the columns of values are cut into as many equal runs. A sample without detected
   * rows gives 0.
   */
  attend(scores: Value, values: Value, { temperature = 1, window }: AttendOptions = {}): Value {
    this.computed("attend", scores);
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
      this.computed("attend in windows", values);
      if (!Number.isInteger(window) || window < 1) {
        throw new RangeError(`Cannot attend: the window is ${window} rows, wanted 1 or more`);
      }
      if (values.width !== scores.width) {
        throw new RangeError(
          `Cannot attend in windows: values have ${values.width} columns, wanted one for each of ${scores.width} heads`,
        );
      }
    }
    const output = this.value(`attention ${this.layers.length}`, "samples", values.width);
    return this.#add(attendLayer(this.frame, output, { scores, values, temperature, window }));
  }

  /**
   * The largest of every column over the detected rows of each sample, the first of equal ones; 0 where there is
   * none, which has no gradient. `bipolar` appends the largest of -x, which is -min x: twice the width.
   */
  sampleMax(x: Value, { bipolar = false }: { bipolar?: boolean } = {}): Value {
    this.computed("take the largest rows", x);
    if (x.axis !== "rows") throw new TypeError("Cannot take the largest rows: they are samples");
    const name = `largest ${this.layers.length}`;
    const output = this.value(name, "samples", (bipolar ? 2 : 1) * x.width);
    return this.#add(sampleMaxLayer(this.frame, output, x, bipolar));
  }

  /** Activation and dropout of a layer that is about to be added. */
  #ending({ name, activation = "none", dropout = 0 }: NormOptions): Ending {
    this.#checkDropout(name, dropout);
    return { activation, dropout, index: this.layers.length };
  }

  #checkDropout(name: string, dropout: number): void {
    if (!(dropout >= 0 && dropout < 1)) {
      throw new RangeError(`Cannot add "${name}": dropout is ${dropout}, wanted from 0 to below 1`);
    }
    if (dropout > 0 && !this.seeds) {
      throw new TypeError(`Cannot add "${name}": dropout needs the net's seeds`);
    }
  }

  #add(layer: Layer): Value {
    this.layers.push(layer);
    return layer.output;
  }

  /** The buffer of a normalised input's means and deviations, for the layer that takes it. */
  #norm(norm: string, layer: string): string {
    if (this.#normed.has(norm)) {
      throw new TypeError(
        `Cannot add "${layer}": another layer takes the normalised input "${norm}"`,
      );
    }
    this.#normed.add(norm);
    return `${this.name} ${norm} stats`;
  }
}
