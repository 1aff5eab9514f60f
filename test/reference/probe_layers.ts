/**
 * Layers in f64, forward and backward, one number after the other: what the trained probes are made of
 * in `probes.ts`. Every function gives its output and remembers how gradients come back through it.
 */

/** `[rows, width]`, and how the loss changes with it. */
export interface Tensor {
  rows: number;
  width: number;
  values: Float64Array;
  gradient: Float64Array;
}

/** A batch of samples: the rows of its tokens that count, where each stands in its sample, and how long samples are. */
export interface Samples {
  /** Rows of every sample that count, ascending. */
  rows: number[][];
  /** Place in its sample of every row. */
  positions: number[];
  /** Places that windows of a sample run over. */
  extents: number[];
}

export function tensor(rows: number, width: number, values?: ArrayLike<number>): Tensor {
  const own = values ? Float64Array.from(values) : new Float64Array(rows * width);
  if (own.length !== rows * width) {
    throw new RangeError(`${own.length} values, wanted ${rows * width}`);
  }
  return { rows, width, values: own, gradient: new Float64Array(rows * width) };
}

/** What has to be undone, the last first. */
export class Tape {
  readonly #steps: (() => void)[] = [];

  /** Gradients of all that led here, from those of what came of it. */
  backward(): void {
    for (const step of this.#steps.reverse()) step();
    this.#steps.length = 0;
  }

  /** x W^T + b, with W [out, in]. */
  linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
    const y = tensor(x.rows, weight.rows);
    for (let row = 0; row < x.rows; row++) {
      for (let out = 0; out < y.width; out++) {
        let sum = bias ? bias.values[out]! : 0;
        for (let i = 0; i < x.width; i++) {
          sum += x.values[row * x.width + i]! * weight.values[out * x.width + i]!;
        }
        y.values[row * y.width + out] = sum;
      }
    }
    this.#steps.push(() => {
      for (let row = 0; row < x.rows; row++) {
        for (let out = 0; out < y.width; out++) {
          const gradient = y.gradient[row * y.width + out]!;
          if (bias) bias.gradient[out]! += gradient;
          for (let i = 0; i < x.width; i++) {
            x.gradient[row * x.width + i]! += gradient * weight.values[out * x.width + i]!;
            weight.gradient[out * x.width + i]! += gradient * x.values[row * x.width + i]!;
          }
        }
      }
    });
    return y;
  }

  /** x W, with W [in, out]. */
  product(x: Tensor, weight: Tensor): Tensor {
    const turned = tensor(weight.width, weight.rows);
    for (let i = 0; i < weight.rows; i++) {
      for (let j = 0; j < weight.width; j++) {
        turned.values[j * weight.rows + i] = weight.values[i * weight.width + j]!;
      }
    }
    this.#steps.push(() => {
      for (let i = 0; i < weight.rows; i++) {
        for (let j = 0; j < weight.width; j++) {
          weight.gradient[i * weight.width + j]! += turned.gradient[j * weight.rows + i]!;
        }
      }
    });
    return this.linear(x, turned);
  }

  /** Every row less its mean, over its deviation, times a weight, plus a bias. */
  layerNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon = 1e-5): Tensor {
    const { rows, width } = x;
    const y = tensor(rows, width);
    const scales: number[] = [];
    const normal = new Float64Array(rows * width);
    for (let row = 0; row < rows; row++) {
      const own = x.values.subarray(row * width, (row + 1) * width);
      const mean = own.reduce((sum, value) => sum + value, 0) / width;
      const variance = own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
      const scale = 1 / Math.sqrt(variance + epsilon);
      scales.push(scale);
      for (let i = 0; i < width; i++) {
        normal[row * width + i] = (own[i]! - mean) * scale;
        y.values[row * width + i] = normal[row * width + i]! * weight.values[i]! + bias.values[i]!;
      }
    }
    this.#steps.push(() => {
      for (let row = 0; row < rows; row++) {
        let [sum, along] = [0, 0];
        for (let i = 0; i < width; i++) {
          const gradient = y.gradient[row * width + i]!;
          weight.gradient[i]! += gradient * normal[row * width + i]!;
          bias.gradient[i]! += gradient;
          sum += gradient * weight.values[i]!;
          along += gradient * weight.values[i]! * normal[row * width + i]!;
        }
        for (let i = 0; i < width; i++) {
          const at = row * width + i;
          const own = y.gradient[at]! * weight.values[i]!;
          x.gradient[at]! += scales[row]! * (own - sum / width - normal[at]! * along / width);
        }
      }
    });
    return y;
  }

  /** A function of every element. @param slope Of an element and its value. */
  each(x: Tensor, value: (x: number) => number, slope: (x: number) => number): Tensor {
    const y = tensor(x.rows, x.width, x.values.map(value));
    this.#steps.push(() => {
      y.gradient.forEach((gradient, i) => x.gradient[i]! += gradient * slope(x.values[i]!));
    });
    return y;
  }

  relu = (x: Tensor): Tensor => this.each(x, (x) => Math.max(0, x), (x) => x > 0 ? 1 : 0);

  /** x Phi(x), with the exact distribution function. */
  gelu = (x: Tensor): Tensor =>
    this.each(
      x,
      (x) => x * normalProbability(x),
      (x) => normalProbability(x) + x * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI),
    );

  softplus = (x: Tensor): Tensor =>
    this.each(x, (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), sigmoid);

  scale = (x: Tensor, factor: number): Tensor => this.each(x, (x) => x * factor, () => factor);

  /** Element by element; a factor that is fixed has no gradient to speak of. */
  multiply(a: Tensor, b: Tensor): Tensor {
    const y = tensor(a.rows, a.width, a.values.map((value, i) => value * b.values[i]!));
    this.#steps.push(() => {
      y.gradient.forEach((gradient, i) => {
        a.gradient[i]! += gradient * b.values[i]!;
        b.gradient[i]! += gradient * a.values[i]!;
      });
    });
    return y;
  }

  /** Adds to every row its position times a weight for each column. */
  addPositions(x: Tensor, weights: Tensor, positions: readonly number[]): Tensor {
    const y = tensor(x.rows, x.width, x.values);
    for (let i = 0; i < y.values.length; i++) {
      y.values[i]! += positions[Math.floor(i / x.width)]! * weights.values[i % x.width]!;
    }
    this.#steps.push(() => {
      y.gradient.forEach((gradient, i) => {
        x.gradient[i]! += gradient;
        weights.gradient[i % x.width]! += gradient * positions[Math.floor(i / x.width)]!;
      });
    });
    return y;
  }

  /**
   * Of every sample, values weighed by the softmax of scores over its rows: each column by its own, or all
   * by the only one. Nothing counts for 0.
   */
  attend(scores: Tensor, values: Tensor, samples: readonly (readonly number[])[]): Tensor {
    const y = tensor(samples.length, values.width);
    const column = (d: number) => scores.width === 1 ? 0 : d;
    samples.forEach((rows, sample) => {
      for (let d = 0; d < values.width; d++) {
        const weights = softmax(rows.map((row) => scores.values[row * scores.width + column(d)]!));
        const own = rows.map((row) => values.values[row * values.width + d]!);
        const mean = own.reduce((sum, value, i) => sum + value * weights[i]!, 0);
        y.values[sample * values.width + d] = mean;
        this.#steps.push(() => {
          const gradient = y.gradient[sample * values.width + d]!;
          rows.forEach((row, i) => {
            values.gradient[row * values.width + d]! += gradient * weights[i]!;
            scores.gradient[row * scores.width + column(d)]! += gradient * weights[i]! *
              (own[i]! - mean);
          });
        });
      }
    });
    return y;
  }

  /** The largest of every sample by column; 0 of nothing. */
  largest(x: Tensor, samples: readonly (readonly number[])[]): Tensor {
    const y = tensor(samples.length, x.width);
    samples.forEach((rows, sample) => {
      if (rows.length === 0) return;
      for (let d = 0; d < x.width; d++) {
        const best = rows.reduce((best, row) =>
          x.values[row * x.width + d]! > x.values[best * x.width + d]! ? row : best
        );
        y.values[sample * x.width + d] = x.values[best * x.width + d]!;
        this.#steps.push(() => {
          x.gradient[best * x.width + d]! += y.gradient[sample * x.width + d]!;
        });
      }
    });
    return y;
  }

  /** {@link attend} in every window of a sample, and the largest of them by column. */
  attendWindows(scores: Tensor, values: Tensor, samples: Samples, window: number): Tensor {
    const windows: number[][] = [];
    const owners = samples.rows.map((rows, sample) => {
      const last = Math.max(0, samples.extents[sample]! - window);
      const own: number[] = [];
      for (let first = 0; first <= last; first++) {
        const inside = rows.filter((row) => {
          const position = samples.positions[row]!;
          return position >= first && position < first + window;
        });
        if (inside.length > 0) own.push(windows.push(inside) - 1);
      }
      return own;
    });
    return this.largest(this.attend(scores, values, windows), owners);
  }

  beside(a: Tensor, b: Tensor): Tensor {
    const width = a.width + b.width;
    const y = tensor(a.rows, width);
    const at = (i: number, part: Tensor, shift: number) =>
      Math.floor(i / part.width) * width + shift + i % part.width;
    a.values.forEach((value, i) => y.values[at(i, a, 0)] = value);
    b.values.forEach((value, i) => y.values[at(i, b, a.width)] = value);
    this.#steps.push(() => {
      a.gradient.forEach((_, i) => a.gradient[i]! += y.gradient[at(i, a, 0)]!);
      b.gradient.forEach((_, i) => b.gradient[i]! += y.gradient[at(i, b, a.width)]!);
    });
    return y;
  }

  /** Mean over samples of the binary cross-entropy of logits [samples, 1]. */
  crossEntropy(logits: Tensor, labels: ArrayLike<number>): number {
    const { rows } = logits;
    let sum = 0;
    logits.values.forEach((z, i) => {
      sum += Math.max(z, 0) - z * labels[i]! + Math.log1p(Math.exp(-Math.abs(z)));
    });
    this.#steps.push(() => {
      logits.values.forEach((z, i) => logits.gradient[i]! += (sigmoid(z) - labels[i]!) / rows);
    });
    return sum / rows;
  }

  /** lambda sum |W| + mu |W W^T - 1|^2. */
  sparseAndOrthogonal(weight: Tensor, lambda: number, mu: number): number {
    const { rows, width, values } = weight;
    let sum = lambda * values.reduce((sum, value) => sum + Math.abs(value), 0);
    const excess = new Float64Array(rows * rows);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < rows; j++) {
        let dot = i === j ? -1 : 0;
        for (let d = 0; d < width; d++) dot += values[i * width + d]! * values[j * width + d]!;
        excess[i * rows + j] = dot;
        sum += mu * dot ** 2;
      }
    }
    this.#steps.push(() => {
      for (let i = 0; i < rows; i++) {
        for (let d = 0; d < width; d++) {
          let pull = lambda * Math.sign(values[i * width + d]!);
          for (let j = 0; j < rows; j++) {
            pull += 4 * mu * excess[i * rows + j]! * values[j * width + d]!;
          }
          weight.gradient[i * width + d]! += pull;
        }
      }
    });
    return sum;
  }
}

function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

function softmax(scores: readonly number[]): number[] {
  const most = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - most));
  const sum = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / sum);
}

/** The distribution function of the standard normal, by its series about 0 or its continued fraction. */
export function normalProbability(x: number): number {
  const size = Math.abs(x);
  const density = Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  let beyond: number;
  if (size < 4) {
    let [term, sum] = [size, size];
    for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= x * x / (2 * n + 1);
      sum += term;
    }
    beyond = 0.5 - density * sum;
  } else {
    let fraction = size;
    for (let n = 60; n >= 1; n--) fraction = size + n / fraction;
    beyond = density / fraction;
  }
  return x > 0 ? 1 - beyond : beyond;
}

/** Moments and steps of AdamW, of decay that is no part of the gradient. */
export class AdamW {
  #steps = 0;
  readonly #means = new Map<Tensor, Float64Array>();
  readonly #squares = new Map<Tensor, Float64Array>();

  step(parameters: readonly Tensor[], rate: number, decay: number): void {
    this.#steps++;
    for (const tensor of parameters) {
      const { values, gradient } = tensor;
      const means = this.#means.get(tensor) ?? new Float64Array(values.length);
      const squares = this.#squares.get(tensor) ?? new Float64Array(values.length);
      this.#means.set(tensor, means);
      this.#squares.set(tensor, squares);
      for (let i = 0; i < values.length; i++) {
        values[i]! -= rate * decay * values[i]!;
        means[i] = 0.9 * means[i]! + 0.1 * gradient[i]!;
        squares[i] = 0.999 * squares[i]! + 0.001 * gradient[i]! ** 2;
        const mean = means[i]! / (1 - 0.9 ** this.#steps);
        const square = squares[i]! / (1 - 0.999 ** this.#steps);
        values[i]! -= rate * mean / (Math.sqrt(square) + 1e-8);
      }
    }
  }
}
