/**
 * f64 twin of one net of src/net: the same methods, in plain loops, which compute at once and remember how to go
 * backward. What the net takes padded is not padded here.
 */

import { philox } from "../../src/math/random.ts";
import type { AttendOptions, LinearOptions } from "../../src/net/net.ts";
import type { RegulariseOptions } from "../../src/net/loss.ts";
import type { Axis } from "../../src/net/value.ts";

export interface TwinValue {
  axis: Axis;
  width: number;
  /** `[rows | samples, width]`. */
  data: Float64Array;
  gradient: Float64Array;
}

export interface TwinBatch {
  /** By name, `[rows | samples, width]`. */
  inputs: Record<string, ArrayLike<number>>;
  samples: number;
  /** `[samples + 1]`, from 0; of all rows, 1 or 0. */
  starts?: readonly number[];
  detected?: readonly number[];
  longest?: number;
  labels?: ArrayLike<number>;
  weights?: ArrayLike<number>;
  seed?: number;
  step?: number;
}

/** The methods that declare a net, of which a model is made for net and twin alike. */
export interface Layers<Own> {
  input(name: string, options: { axis: Axis; width: number; shared?: boolean }): Own;
  linear(x: Own, options: LinearOptions): Own;
  layerNorm(x: Own, options: { name: string }): Own;
  gate(values: Own, gates: Own): Own;
  add(a: Own, b: Own): Own;
  addColumns(x: Own, options: { name: string }): Own;
  attend(scores: Own, values: Own, options?: AttendOptions): Own;
  sampleMax(x: Own, options?: { bipolar?: boolean }): Own;
  binaryCrossEntropy(logits: Own): void;
  regularise(parameter: string, options: RegulariseOptions): void;
}

interface TwinParameter {
  name: string;
  rows: number;
  data: Float64Array;
  gradient: Float64Array;
}

/** erf by its series, and by Lentz's continued fraction where that is long: some 1e-15. */
export function normalBelow(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  if (z < 3) {
    let [term, sum] = [z, z];
    for (let n = 1; n < 200; n++) {
      term *= -z * z / n;
      sum += term / (2 * n + 1);
    }
    const erf = 2 / Math.sqrt(Math.PI) * sum;
    return 0.5 * (1 + Math.sign(x) * erf);
  }
  let fraction = 0;
  for (let n = 200; n > 0; n--) fraction = n / 2 / (z + fraction);
  const tail = 0.5 * Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + fraction);
  return x > 0 ? 1 - tail : tail;
}

export const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
export const sigmoid = (x: number) =>
  x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));

export class NetTwin implements Layers<TwinValue> {
  readonly parameters: TwinParameter[] = [];
  loss = 0;
  regularised = 0;
  readonly #batch: TwinBatch;
  readonly #values: ArrayLike<number>;
  readonly #steps: (() => void)[] = [];
  #taken = 0;
  #layers = 0;

  /** @param values All parameters as torch has them, in the order of their declaration. */
  constructor(values: ArrayLike<number>, batch: TwinBatch) {
    this.#values = values;
    this.#batch = batch;
  }

  /** The whole gradient, in the order of the parameters. */
  backward(): Float64Array {
    for (const step of this.#steps.toReversed()) step();
    return Float64Array.from(this.parameters.flatMap(({ gradient }) => [...gradient]));
  }

  input(name: string, { axis, width }: { axis: Axis; width: number }): TwinValue {
    const data = Float64Array.from(this.#batch.inputs[name]!);
    return { axis, width, data, gradient: new Float64Array(data.length) };
  }

  linear(x: TwinValue, options: LinearOptions): TwinValue {
    const { name, to, bias = true, activation = "none", dropout = 0 } = options;
    const weight = this.#declare(options.weightName ?? `${name}.weight`, to * x.width, to);
    const biases = bias ? this.#declare(`${name}.bias`, to) : undefined;
    const layer = this.#layers++;
    const y = this.#value(x.axis, to);
    const rows = y.data.length / to;
    const before = new Float64Array(y.data.length);
    const factor = new Float64Array(y.data.length).fill(1);
    for (let row = 0; row < rows; row++) {
      for (let o = 0; o < to; o++) {
        let sum = biases?.data[o] ?? 0;
        for (let i = 0; i < x.width; i++) {
          sum += x.data[row * x.width + i]! * weight.data[o * x.width + i]!;
        }
        const at = row * to + o;
        before[at] = sum;
        if (dropout > 0 && this.#batch.step) {
          const { seed, step } = this.#batch;
          const place = { layer, dropout, row, column: o, width: to };
          factor[at] = keptFactor({ seed: seed!, step }, place);
        }
        const active = activation === "relu"
          ? Math.max(sum, 0)
          : activation === "gelu"
          ? sum * normalBelow(sum)
          : sum;
        y.data[at] = active * factor[at]!;
      }
    }
    this.#steps.push(() => {
      for (let row = 0; row < rows; row++) {
        for (let o = 0; o < to; o++) {
          const at = row * to + o;
          const z = before[at]!;
          const density = Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
          const slope = activation === "relu"
            ? Number(z > 0)
            : activation === "gelu"
            ? normalBelow(z) + z * density
            : 1;
          const own = y.gradient[at]! * factor[at]! * slope;
          if (biases) biases.gradient[o]! += own;
          for (let i = 0; i < x.width; i++) {
            weight.gradient[o * x.width + i]! += own * x.data[row * x.width + i]!;
            x.gradient[row * x.width + i]! += own * weight.data[o * x.width + i]!;
          }
        }
      }
    });
    return y;
  }

  layerNorm(x: TwinValue, { name }: { name: string }): TwinValue {
    const { width } = x;
    const gamma = this.#declare(`${name}.weight`, width);
    const beta = this.#declare(`${name}.bias`, width);
    this.#layers++;
    const y = this.#value(x.axis, width);
    const rows = y.data.length / width;
    const normed = new Float64Array(y.data.length);
    const deviations = new Float64Array(rows);
    for (let row = 0; row < rows; row++) {
      const own = x.data.subarray(row * width, (row + 1) * width);
      const mean = own.reduce((sum, value) => sum + value, 0) / width;
      const variance = own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
      deviations[row] = Math.sqrt(variance + 1e-5);
      for (let i = 0; i < width; i++) {
        const at = row * width + i;
        normed[at] = (own[i]! - mean) / deviations[row]!;
        y.data[at] = normed[at]! * gamma.data[i]! + beta.data[i]!;
      }
    }
    this.#steps.push(() => {
      for (let row = 0; row < rows; row++) {
        let [mean, slope] = [0, 0];
        for (let i = 0; i < width; i++) {
          const at = row * width + i;
          gamma.gradient[i]! += y.gradient[at]! * normed[at]!;
          beta.gradient[i]! += y.gradient[at]!;
          const g = y.gradient[at]! * gamma.data[i]!;
          mean += g / width;
          slope += g * normed[at]! / width;
        }
        for (let i = 0; i < width; i++) {
          const at = row * width + i;
          const g = y.gradient[at]! * gamma.data[i]!;
          x.gradient[at]! += (g - mean - normed[at]! * slope) / deviations[row]!;
        }
      }
    });
    return y;
  }

  gate(values: TwinValue, gates: TwinValue): TwinValue {
    this.#layers++;
    const y = this.#value(values.axis, values.width);
    y.data.forEach((_, i) => y.data[i] = values.data[i]! * softplus(gates.data[i]!));
    this.#steps.push(() =>
      y.gradient.forEach((slope, i) => {
        values.gradient[i]! += slope * softplus(gates.data[i]!);
        gates.gradient[i]! += slope * values.data[i]! * sigmoid(gates.data[i]!);
      })
    );
    return y;
  }

  add(a: TwinValue, b: TwinValue): TwinValue {
    this.#layers++;
    const y = this.#value(a.axis, a.width);
    y.data.forEach((_, i) => y.data[i] = a.data[i]! + b.data[i]!);
    this.#steps.push(() =>
      y.gradient.forEach((slope, i) => {
        a.gradient[i]! += slope;
        b.gradient[i]! += slope;
      })
    );
    return y;
  }

  addColumns(x: TwinValue, { name }: { name: string }): TwinValue {
    const bias = this.#declare(name, 1);
    this.#layers++;
    const y = this.#value(x.axis, 1);
    y.data.forEach((_, row) => {
      const own = x.data.subarray(row * x.width, (row + 1) * x.width);
      y.data[row] = own.reduce((sum, value) => sum + value, bias.data[0]!);
    });
    this.#steps.push(() =>
      y.gradient.forEach((slope, row) => {
        bias.gradient[0]! += slope;
        for (let i = 0; i < x.width; i++) x.gradient[row * x.width + i]! += slope;
      })
    );
    return y;
  }

  attend(
    scores: TwinValue,
    values: TwinValue,
    { temperature = 1, window }: AttendOptions = {},
  ): TwinValue {
    this.#layers++;
    const { starts, detected, samples, longest } = this.#batch;
    const heads = scores.width;
    const headWidth = values.width / heads;
    const y = this.#value("samples", values.width);
    const softmax = (rows: number[], head: number) => {
      const own = rows.filter((row) => detected![row]);
      const top = Math.max(...own.map((row) => scores.data[row * heads + head]!));
      const powers = own.map((row) =>
        Math.exp((scores.data[row * heads + head]! - top) / temperature)
      );
      const sum = powers.reduce((total, power) => total + power, 0);
      return own.map((row, i) => ({ row, weight: powers[i]! / sum }));
    };
    for (let sample = 0; sample < samples; sample++) {
      const [start, end] = [starts![sample]!, starts![sample + 1]!];
      const between = (from: number, to: number) =>
        Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
      for (let head = 0; head < heads; head++) {
        const sums = (weights: { row: number; weight: number }[]) =>
          Array.from({ length: headWidth }, (_, i) =>
            weights.reduce(
              (sum, { row, weight }) =>
                sum + weight * values.data[row * values.width + head * headWidth + i]!,
              0,
            ));
        const windows = window === undefined || longest! <= window
          ? [between(start, end)]
          : between(0, longest! - window + 1).map((p) =>
            between(start + p, Math.min(start + p + window, end))
          );
        const results = windows.map((rows) => softmax(rows, head))
          .filter((weights) => weights.length > 0)
          .map((weights) => ({ weights, sums: sums(weights) }));
        if (results.length === 0) continue;
        const best = results.reduce((a, b) => b.sums[0]! > a.sums[0]! ? b : a);
        y.data.set(best.sums, sample * values.width + head * headWidth);
        this.#steps.push(() => {
          const slopes = y.gradient.subarray(sample * values.width + head * headWidth);
          for (const { row, weight } of best.weights) {
            let along = 0;
            for (let i = 0; i < headWidth; i++) {
              const at = row * values.width + head * headWidth + i;
              values.gradient[at]! += weight * slopes[i]!;
              along += slopes[i]! * (values.data[at]! - best.sums[i]!);
            }
            scores.gradient[row * heads + head]! += weight * along / temperature;
          }
        });
      }
    }
    return y;
  }

  sampleMax(x: TwinValue, { bipolar = false }: { bipolar?: boolean } = {}): TwinValue {
    this.#layers++;
    const { starts, detected, samples } = this.#batch;
    const { width } = x;
    const across = bipolar ? 2 * width : width;
    const y = this.#value("samples", across);
    for (let sample = 0; sample < samples; sample++) {
      for (let column = 0; column < across; column++) {
        const sign = column < width ? 1 : -1;
        let best = -1;
        for (let row = starts![sample]!; row < starts![sample + 1]!; row++) {
          const value = (at: number) => sign * x.data[at * width + column % width]!;
          if (detected![row] && (best < 0 || value(row) > value(best))) best = row;
        }
        if (best < 0) continue;
        const at = best * width + column % width;
        y.data[sample * across + column] = sign * x.data[at]!;
        this.#steps.push(() => x.gradient[at]! += sign * y.gradient[sample * across + column]!);
      }
    }
    return y;
  }

  binaryCrossEntropy(logits: TwinValue): void {
    const { labels } = this.#batch;
    const weights = this.#batch.weights ?? new Float64Array(logits.data.length).fill(1);
    const sum = Array.from(weights).reduce((total, weight) => total + weight, 0);
    if (sum === 0) return;
    logits.data.forEach((z, i) => {
      const label = labels![i]!;
      const cost = label * softplus(-z) + (1 - label) * softplus(z);
      this.loss += weights[i]! * cost / sum;
      logits.gradient[i] = weights[i]! * (sigmoid(z) - label) / sum;
    });
  }

  regularise(name: string, { l1 = 0, orthogonal = 0 }: RegulariseOptions): void {
    const { rows: outputs, data, gradient } = this.parameters.find((parameter) =>
      parameter.name === name
    )!;
    const inputs = data.length / outputs;
    data.forEach((weight, i) => {
      this.regularised += l1 * Math.abs(weight);
      gradient[i]! += l1 * Math.sign(weight);
    });
    for (let a = 0; a < outputs; a++) {
      for (let b = 0; b < outputs; b++) {
        let product = a === b ? -1 : 0;
        for (let i = 0; i < inputs; i++) product += data[a * inputs + i]! * data[b * inputs + i]!;
        this.regularised += orthogonal * product ** 2;
        for (let i = 0; i < inputs; i++) {
          gradient[a * inputs + i]! += 4 * orthogonal * product * data[b * inputs + i]!;
        }
      }
    }
  }

  #value(axis: Axis, width: number): TwinValue {
    const rows = axis === "rows" ? this.#batch.starts!.at(-1)! : this.#batch.samples;
    const data = new Float64Array(rows * width);
    return { axis, width, data, gradient: new Float64Array(data.length) };
  }

  #declare(name: string, length: number, rows = 1): TwinParameter {
    const data = Float64Array.from(
      { length },
      (_, i) => this.#values[this.#taken + i]!,
    );
    this.#taken += length;
    const parameter = { name, rows, data, gradient: new Float64Array(length) };
    this.parameters.push(parameter);
    return parameter;
  }
}

/** What dropout multiplies an element by: 0, or 1 / (1 - p). */
export function keptFactor(
  { seed, step }: { seed: number; step: number },
  { layer, dropout, row, column, width }: Record<
    "layer" | "dropout" | "row" | "column" | "width",
    number
  >,
): number {
  const quad = row * Math.ceil(width / 4) + Math.floor(column / 4);
  const words = philox([quad, layer, step, 0], [seed, 101]);
  return words[column % 4]! < Math.round(dropout * 2 ** 32) ? 0 : 1 / (1 - dropout);
}

/** Adam and AdamW for all parameters of a net, after so many steps. */
export function adamStep(
  state: { values: Float64Array; first: Float64Array; second: Float64Array },
  gradient: ArrayLike<number>,
  step: number,
  { rate, decay = 0, epsilon = 1e-8, decoupled = true, betas: [beta1, beta2] = [0.9, 0.999] }: {
    rate: number;
    decay?: number;
    epsilon?: number;
    decoupled?: boolean;
    betas?: readonly [number, number];
  },
): void {
  const { values, first, second } = state;
  values.forEach((value, i) => {
    const slope = gradient[i]! + (decoupled ? 0 : decay * value);
    if (decoupled) values[i]! -= rate * decay * value;
    first[i] = beta1 * first[i]! + (1 - beta1) * slope;
    second[i] = beta2 * second[i]! + (1 - beta2) * slope ** 2;
    const mean = first[i]! / (1 - beta1 ** step);
    values[i]! -= rate * mean / (Math.sqrt(second[i]! / (1 - beta2 ** step)) + epsilon);
  });
}
