/**
 * f64 twin of the perturbation model: all of it from the definitions, gradients by differentiate.ts. Parameters and running
 * statistics lie in a map by name, shaped as torch has them.
 */

import { philox } from "../../src/math/random.ts";
import type { ModelShape, Stack } from "../../src/cpa/model_shape.ts";
import { BATCH_NORM, classifiersOf } from "../../src/cpa/model_shape.ts";
import { constant, derivatives, Matrix, oneHot } from "./differentiate.ts";
import { gaussLikelihood } from "./gauss_likelihood.ts";
import { nbLikelihood } from "./nb_likelihood.ts";
import { keptFactor, normalBelow } from "./net_layers.ts";
import { zinbLikelihood } from "./zinb_likelihood.ts";

export type State = Map<string, Matrix>;

export interface CellBatch {
  /** [cells, genes]. */
  x: ArrayLike<number>;
  /** [cells, slots]; 0 is padding. */
  ids: ArrayLike<number>;
  doses: ArrayLike<number>;
  combinations: ArrayLike<number>;
  /** By name. */
  covariates: Record<string, ArrayLike<number>>;
  /** [cells], whom each is mixed with, by 1 - lambda. */
  partners: ArrayLike<number>;
  lambda: number;
}

export interface TwinOptions {
  train: boolean;
  /** By classifier, one by class. */
  classWeights: Record<string, ArrayLike<number>>;
  /** The original's slip: classes of covariates are not mixed. */
  unmixedCovariates?: boolean;
  /** Whether classifiers care less for cells whose class they know. */
  focal?: boolean;
  /** Of variational latents, from 1, and of which turn. Default: their means. */
  draw?: number;
  drawnFor?: number;
  /** Of dropout. */
  seed?: number;
  step?: number;
}

export class CpaTwin {
  readonly shape: ModelShape;
  readonly state: State;
  readonly batch: CellBatch;
  readonly options: TwinOptions;
  readonly cells: number;
  /** Of the net so far, and what its dropout is drawn by. */
  #layers = 0;
  #seed = 0;

  constructor(shape: ModelShape, state: State, batch: CellBatch, options: TwinOptions) {
    this.shape = shape;
    this.state = state;
    this.batch = batch;
    this.options = options;
    this.cells = batch.partners.length;
  }

  forward() {
    const { genes, head } = this.shape;
    [this.#layers, this.#seed] = [0, this.options.seed ?? 0];
    const x = this.#mix((cells) => rowsOf(this.batch.x, genes, cells));
    const entered = head === "gauss" ? x : constant(x.rows, x.columns, x.data.map(Math.log1p));
    const library = x.sumTo(x.rows, 1);
    const { basal: zBasal, divergence } = this.#basal(
      this.#stack("encoder", entered, this.shape.encoder),
    );
    const [own, covariates, batches] = [
      this.#mix((cells) => this.#perturbations(cells)),
      this.#mix((cells) => this.#covariates(cells, false)),
      this.#mix((cells) => this.#covariates(cells, true)),
    ];
    const zCorrected = zBasal.add(own).add(covariates);
    const zNoPertCorrected = zBasal.add(covariates);
    const z = zCorrected.add(batches);
    const zNoPert = zNoPertCorrected.add(batches);
    this.#layers++;
    const decoded = this.#decode(z, x, library);
    const latents = { zBasal, z, zCorrected, zNoPert, zNoPertCorrected };
    return { x, library, zPert: own, divergence, ...latents, ...decoded };
  }

  /** Latents, drawn where they are variational; and how far what they are drawn from is from normal ones, averaged over cells. */
  #basal(encoded: Matrix): { basal: Matrix; divergence: Matrix | undefined } {
    const means = this.#linear("encoder.z", encoded);
    if (!this.shape.variational) return { basal: means, divergence: undefined };
    const variance = this.#linear("encoder.variance", encoded).exp()
      .add(constant(1, 1, [1])).log().add(constant(1, 1, [1e-4]));
    const layer = this.#layers++;
    const { draw = 0, drawnFor = 0 } = this.options;
    const width = means.columns;
    const quads = Math.ceil(width / 4);
    const drawn = means.data.map((_, i) => {
      const [row, column] = [Math.floor(i / width), i % width];
      const counter = [row * quads + (column >> 2), layer, draw, drawnFor] as const;
      const word = philox([...counter], [this.#seed, 102])[column % 4]!;
      return normalQuantile(((word >>> 9) + 0.5) / 2 ** 23);
    });
    const deviates = draw === 0
      ? means
      : means.add(variance.power(0.5).multiply(constant(means.rows, width, drawn)));
    const divergence = variance.add(means.power(2)).subtract(variance.log())
      .add(constant(1, 1, [-1])).sum().times(0.5 / means.rows);
    return { basal: deviates, divergence };
  }

  /** Weighted cross-entropy of every classifier, and the mean squared slope of its logits. */
  adversary(zBasal: Matrix) {
    const { batch, options } = this;
    [this.#layers, this.#seed] = [0, ((options.seed ?? 0) ^ 0x9e3779b9) >>> 0];
    return classifiersOf(this.shape).map(({ name, classes }) => {
      const isCovariate = name !== "perturbations";
      const codes = isCovariate
        ? batch.covariates[name.slice("covariate ".length)]!
        : batch.combinations;
      const hidden = this.#stack(`adversary ${name}`, zBasal, this.shape.adversary);
      const logits = this.#linear(`adversary ${name}.out`, hidden);
      const others = Array.from(batch.partners, (partner) => codes[partner]!);
      const entropy = (of: ArrayLike<number>) => {
        if (options.focal) return this.#focal(name, logits, of);
        const weights = Array.from(of, (code) => options.classWeights[name]![code]!);
        const all = weights.reduce((sum, weight) => sum + weight, 0);
        const shares = constant(this.cells, 1, weights.map((weight) => weight / all));
        return logits.logSoftmax().multiply(oneHot(of, classes)).multiply(shares).sum().times(-1);
      };
      const { lambda } = batch;
      const mixes = lambda < 1 && !(isCovariate && options.unmixedCovariates);
      const loss = lambda < 1
        ? mixes
          ? entropy(codes).times(lambda).add(entropy(others).times(1 - lambda))
          : entropy(codes).times(lambda)
        : entropy(codes);
      const [slope] = derivatives(logits.sum(), [zBasal]);
      const penalty = slope!.power(2).sum().times(1 / slope!.data.length);
      return { name, logits, loss, penalty };
    });
  }

  /** The mean over cells of weight (1 - p)^2 -ln p. */
  #focal(name: string, logits: Matrix, classes: ArrayLike<number>): Matrix {
    const weights = Array.from(classes, (code) => this.options.classWeights[name]![code]!);
    const chosen = oneHot(classes, logits.columns);
    const logs = logits.logSoftmax().multiply(chosen).sumTo(logits.rows, 1);
    const rest = logs.exp().times(-1).add(constant(1, 1, [1]));
    return rest.power(2).multiply(logs).multiply(constant(logits.rows, 1, weights)).sum()
      .times(-1 / logits.rows);
  }

  #mix(of: (cells: ArrayLike<number>) => Matrix): Matrix {
    const { lambda, partners } = this.batch;
    const own = of(Array.from({ length: this.cells }, (_, cell) => cell));
    return lambda === 1 ? own : own.times(lambda).add(of(partners).times(1 - lambda));
  }

  #get(name: string): Matrix {
    const found = this.state.get(name);
    if (!found) throw new RangeError(`no ${name}`);
    return found;
  }

  #linear(name: string, x: Matrix): Matrix {
    this.#layers++;
    return x.product(this.#get(`${name}.weight`).transposed()).add(this.#get(`${name}.bias`));
  }

  #stack(name: string, x: Matrix, stack: Stack): Matrix {
    const { widths, batchNorm, layerNorm, dropout } = stack;
    return widths.reduce((values, _, i) => {
      let own = this.#linear(`${name}.${i}`, values);
      if (batchNorm) {
        this.#layers++;
        own = this.#batchNorm(`${name}.${i}.norm`, own);
      }
      if (layerNorm) {
        this.#layers++;
        own = normed(own, own.sumTo(own.rows, 1).times(1 / own.columns), 1e-5);
      }
      return this.#drop(own.relu(), dropout);
    }, x);
  }

  #drop(x: Matrix, dropout: number): Matrix {
    const { step } = this.options;
    if (dropout === 0 || !step) return x;
    const layer = this.#layers - 1;
    const width = x.columns;
    const factors = x.data.map((_, i) =>
      keptFactor({ seed: this.#seed, step }, {
        ...{ layer, dropout, width },
        row: Math.floor(i / width),
        column: i % width,
      })
    );
    return x.multiply(constant(x.rows, width, factors));
  }

  #batchNorm(name: string, x: Matrix): Matrix {
    const count = x.rows;
    const [mean, variance] = ["running_mean", "running_var"].map((part) => `${name}.${part}`);
    const scale = (own: Matrix) =>
      own.multiply(this.#get(`${name}.weight`)).add(this.#get(`${name}.bias`));
    if (!this.options.train) {
      const spread = this.#get(variance!).add(constant(1, 1, [BATCH_NORM.epsilon])).power(-0.5);
      return scale(x.subtract(this.#get(mean!)).multiply(spread));
    }
    const own = x.sumTo(1, x.columns).times(1 / count);
    const squares = x.subtract(own).power(2).sumTo(1, x.columns);
    for (const [key, now] of [[mean!, own], [variance!, squares.times(1 / (count - 1))]] as const) {
      const before = this.#get(key);
      this.state.set(
        key,
        constant(
          1,
          x.columns,
          before.data.map((value, i) =>
            (1 - BATCH_NORM.momentum) * value + BATCH_NORM.momentum * now.data[i]!
          ),
        ),
      );
    }
    return scale(normed(x, own, BATCH_NORM.epsilon));
  }

  #perturbations(cells: ArrayLike<number>): Matrix {
    const { perturbations, latent, doser } = this.shape;
    const { ids, doses } = this.batch;
    const slots = ids.length / this.cells;
    let sum = constant(cells.length, latent, new Float64Array(cells.length * latent));
    const [beta, bias] = doser === "linear"
      ? []
      : ["doser.beta", "doser.bias"].map((name) => this.#get(name).transposed());
    for (let slot = 0; slot < slots; slot++) {
      const own = Array.from(cells, (cell) => ids[cell * slots + slot]!);
      const given = Array.from(cells, (cell) => doses[cell * slots + slot]!);
      const chosen = oneHot(own, perturbations);
      const there = constant(cells.length, 1, own.map((id) => Number(id > 0)));
      const dose = constant(
        cells.length,
        1,
        given.map((value) => doser === "logsigmoid" ? Math.log1p(value) : value),
      );
      const shift = bias && chosen.product(bias);
      const weight = shift
        ? chosen.product(beta!).multiply(dose).add(shift).sigmoid().subtract(shift.sigmoid())
        : dose;
      sum = sum.add(
        chosen.product(this.#get("perturbations")).multiply(weight.multiply(there)),
      );
    }
    return sum;
  }

  #covariates(cells: ArrayLike<number>, batches: boolean): Matrix {
    const { covariates, latent } = this.shape;
    return covariates.filter(({ isBatch }) => isBatch === batches).reduce(
      (sum, { name, levels }) => {
        const codes = Array.from(cells, (cell) => this.batch.covariates[name]![cell]!);
        return sum.add(oneHot(codes, levels).product(this.#get(`covariate ${name}`)));
      },
      constant(cells.length, latent, new Float64Array(cells.length * latent)),
    );
  }

  #decode(z: Matrix, x: Matrix, library: Matrix) {
    const { head, decoder, genes } = this.shape;
    const hidden = this.#stack("decoder", z, decoder);
    const first = this.#linear("decoder.mean", hidden);
    const elements = (
      of: (i: number) => { logLikelihood: number; slopes: number[] },
      parents: Matrix[],
    ) => {
      const found = Array.from(x.data, (_, i) => of(i));
      return new Matrix(
        x.rows,
        genes,
        found.map(({ logLikelihood }) => logLikelihood),
        parents,
        (slope) =>
          parents.map((_, part) =>
            slope.multiply(constant(x.rows, genes, found.map(({ slopes }) => slopes[part]!)))
          ),
      );
    };
    if (head === "gauss") {
      const variance = this.#linear("decoder.variance", hidden);
      const logLikelihoods = elements((i) => {
        const own = gaussLikelihood(x.data[i]!, first.data[i]!, variance.data[i]!);
        return { logLikelihood: own.logLikelihood, slopes: [own.byMean, own.byRawVariance] };
      }, [first, variance]);
      return { means: first, logLikelihoods, recon: mean(logLikelihoods) };
    }
    const logMeans = first.logSoftmax().add(library.log());
    const means = logMeans.exp();
    const dispersions = this.#get("dispersions").spread(x.rows, genes);
    if (head === "nb") {
      const logLikelihoods = elements((i) => {
        const own = nbLikelihood(x.data[i]!, means.data[i]!, dispersions.data[i]!);
        return {
          logLikelihood: own.logLikelihood,
          slopes: [own.byLogMean, own.byLogDispersion],
        };
      }, [logMeans, dispersions]);
      return { means, logLikelihoods, recon: mean(logLikelihoods) };
    }
    const zeros = this.#linear("decoder.zeros", hidden);
    const logLikelihoods = elements((i) => {
      const own = zinbLikelihood(
        x.data[i]!,
        means.data[i]!,
        dispersions.data[i]!,
        zeros.data[i]!,
      );
      return {
        logLikelihood: own.logLikelihood,
        slopes: [own.byLogMean, own.byLogDispersion, own.byLogit],
      };
    }, [logMeans, dispersions, zeros]);
    return { means, zeros, logLikelihoods, recon: mean(logLikelihoods) };
  }
}

/** What so much of a normal distribution lies below, by halving. */
export function normalQuantile(share: number): number {
  let [low, high] = [-9, 9];
  for (let i = 0; i < 80; i++) {
    const middle = (low + high) / 2;
    if (normalBelow(middle) < share) low = middle;
    else high = middle;
  }
  return low;
}

/** Summed over genes, averaged over cells, with the sign of a loss. */
function mean(logLikelihoods: Matrix): Matrix {
  return logLikelihoods.sum().times(-1 / logLikelihoods.rows);
}

/** (x - mean) / sqrt(variance + epsilon), over rows or columns as the mean is. */
function normed(x: Matrix, mean: Matrix, epsilon: number): Matrix {
  const off = x.subtract(mean);
  const count = x.data.length / mean.data.length;
  const variance = off.power(2).sumTo(mean.rows, mean.columns).times(1 / count);
  return off.multiply(variance.add(constant(1, 1, [epsilon])).power(-0.5));
}

function rowsOf(values: ArrayLike<number>, columns: number, rows: ArrayLike<number>): Matrix {
  return constant(
    rows.length,
    columns,
    Array.from(
      { length: rows.length * columns },
      (_, i) => values[rows[Math.floor(i / columns)]! * columns + i % columns]!,
    ),
  );
}
/** Rates and decays as the original has them, by what is trained. */
export const TWIN_RATES = {
  autoencoder: { rate: 5e-4, decay: 1e-6 },
  doser: { rate: 3e-4, decay: 4e-7 },
  adversary: { rate: 3e-4, decay: 4e-7 },
} as const;

export type Group = keyof typeof TWIN_RATES;

export function groupOf(name: string): Group | undefined {
  if (name.includes("running_")) return undefined;
  if (name.startsWith("adversary ")) return "adversary";
  return name.startsWith("doser.") ? "doser" : "autoencoder";
}

export interface Weights {
  adversary: number;
  penalty: number;
  divergence?: number;
}

/** Which parameters a step of the autoencoder, or of the adversaries, is for. */
export function trained(state: State, adversary: boolean): string[] {
  return [...state.keys()].filter((name) => {
    const group = groupOf(name);
    return group !== undefined && (group === "adversary") === adversary;
  });
}

/** Forward once, then the gradient of a step: the adversaries' with z held fast, or everything else's. */
export function stepGradient(twin: CpaTwin, adversary: boolean, weights: Weights) {
  const names = trained(twin.state, adversary);
  const parameters = names.map((name) => twin.state.get(name)!);
  const made = twin.forward();
  const { zBasal } = made;
  const held = adversary ? constant(zBasal.rows, zBasal.columns, zBasal.data) : zBasal;
  const classifiers = twin.adversary(held);
  const total = (of: (one: typeof classifiers[number]) => Matrix) =>
    classifiers.map(of).reduce((sum, one) => sum.add(one));
  const entropy = total(({ loss }) => loss);
  const penalty = total((one) => one.penalty);
  const loss = adversary
    ? entropy.add(penalty.times(weights.penalty))
    : made.recon.subtract(entropy.times(weights.adversary))
      .add((made.divergence ?? constant(1, 1, [0])).times(weights.divergence ?? 0));
  return {
    made,
    classifiers,
    loss: loss.data[0]!,
    recon: made.recon.data[0]!,
    entropy: entropy.data[0]!,
    penalty: penalty.data[0]!,
    gradient: () =>
      new Map(derivatives(loss, parameters).map((own, i) => [names[i]!, own.data] as const)),
  };
}

/** Adam, with decay as part of the gradient. */
export class AdamTwin {
  readonly #moments = new Map<
    string,
    { first: Float64Array; second: Float64Array; step: number }
  >();

  step(state: State, gradient: Map<string, Float64Array>): void {
    for (const [name, slopes] of gradient) {
      const { rate, decay } = TWIN_RATES[groupOf(name)!];
      const own = state.get(name)!;
      const moments = this.#moments.get(name) ??
        {
          first: new Float64Array(slopes.length),
          second: new Float64Array(slopes.length),
          step: 0,
        };
      this.#moments.set(name, moments);
      moments.step++;
      const values = own.data.map((value, i) => {
        const slope = slopes[i]! + decay * value;
        moments.first[i] = 0.9 * moments.first[i]! + 0.1 * slope;
        moments.second[i] = 0.999 * moments.second[i]! + 0.001 * slope ** 2;
        const first = moments.first[i]! / (1 - 0.9 ** moments.step);
        const second = moments.second[i]! / (1 - 0.999 ** moments.step);
        return value - rate * first / (Math.sqrt(second) + 1e-8);
      });
      state.set(name, constant(own.rows, own.columns, values));
    }
  }
}
