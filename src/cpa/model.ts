/**
 * The perturbation model as kernels: an encoder of counts, embeddings of perturbations and covariates, a decoder, a likelihood, and
 * classifiers that are to find nothing in what the encoder gives.
 *
 * Three nets lie side by side, each with parameters and an optimizer of its own: `body` (encoder, embeddings, layers of the decoder),
 * `head` (from the decoder's last layer to every gene) and `adversary`. They take each other's values.
 *
 * @module
 */

import { gaussLikelihood } from "../kernels/gauss_likelihood.ts";
import {
  dispersionGradient,
  likelihoodGradient,
  softmaxMeans,
} from "../kernels/likelihood_gradient.ts";
import {
  likelihoodConstants,
  likelihoodParams,
  likelihoodWorkgroups,
} from "../kernels/likelihood_elements.ts";
import { mixRows, mixRowsConstants } from "../kernels/mix_rows.ts";
import { nbLikelihood } from "../kernels/nb_likelihood.ts";
import { zinbLikelihood } from "../kernels/zinb_likelihood.ts";
import type { WholeBatch } from "../net/batch.ts";
import { wholeBatch } from "../net/batch.ts";
import { KIND_BITS } from "../net/embed.ts";
import type { LayerKernel } from "../net/layer.ts";
import { bits } from "../net/layer.ts";
import type { ClassLosses, TileInput } from "../net/net.ts";
import { Net } from "../net/net.ts";
import { gradientOf, rowStride } from "../net/value.ts";
import type { Value } from "../net/value.ts";
import type { LoopKernel, SharedBuffer, Tile } from "../stream/pass.ts";
import type { EntryForm } from "./counts.ts";
import type { ModelShape, Stack } from "./model_shape.ts";
import { BATCH_NORM, classifiersOf } from "./model_shape.ts";

/** Groups of parameters that have rates of their own, in `body`; `head` has the first, `adversary` the first two. */
export const GROUPS = { trained: 0, statistics: 1, doser: 2 } as const;

/** Uploaded with every tile beside what the nets want. */
export const CELLS = {
  starts: "cell starts",
  entries: "cell entries",
  partners: "partners",
} as const;

/** f32 of a cell, minus its log-likelihood: a buffer to be downloaded. */
export const CELL_LOSSES = "cell losses";

/** What a turn of training, validation or prediction is about. */
export interface CellTurn {
  /** Of the tile's cells: the first, and how many. */
  firstSample: number;
  samples: number;
  /** Where losses of classifiers go. */
  slot: number;
  /** From 1, of all batches: dropout is drawn by it. Without one nothing is dropped, and norms are by running statistics. */
  step?: number;
  /** Share of a cell that is its own, where cells are mixed. Default 1. */
  share?: number;
  /** Which update of encoder and decoder this is, from 1. */
  autoencoder?: number;
  /** Which update of the classifiers. */
  adversary?: number;
  /** Times the classifiers' loss, which encoder and decoder are to raise. */
  coupling?: number;
  /** What rates are multiplied by. Default 1. */
  rateScale?: number;
}

export type TurnOf = (tile: Tile, row: number) => CellTurn;

export interface ModelOptions {
  /** Most cells of a batch. */
  cells: number;
  /** Perturbations that a cell has at most. */
  slots: number;
  form: EntryForm;
  /** Of dropout. */
  seed: number;
  /** Of classifiers, by name; prediction has none. */
  adversary?: {
    weights: Record<string, ArrayLike<number>>;
    penalty: number;
    /** Whether covariates of mixed cells count as those of both. */
    mixesCovariates: boolean;
  };
  /** Whether latents without perturbations and without batches are made. */
  latents?: boolean;
}

export const LATENTS = ["basal", "after", "corrected", "noPert", "noPertCorrected"] as const;
export type LatentName = typeof LATENTS[number];

export class CpaModel {
  readonly shape: ModelShape;
  readonly body: Net;
  readonly head: Net;
  readonly adversary: Net | undefined;
  readonly latents: Record<string, Value>;
  readonly classLosses: readonly ClassLosses[];
  /** What the decoder gives: logits, then means in their place; and logits of zeros, or variances. */
  readonly means: Value;
  readonly others: Value | undefined;
  /** Embeddings of a cell, its partner's among them. */
  readonly entries: number;
  readonly #options: ModelOptions;
  readonly #hidden: Value;
  readonly #stride: number;

  constructor(shape: ModelShape, options: ModelOptions) {
    const { cells, seed, slots, adversary } = options;
    this.shape = shape;
    this.#options = options;
    this.#stride = rowStride(shape.genes);
    this.entries = 2 * (slots + shape.covariates.length);
    const sizes = { nets: 1, samples: cells };
    // what is dropped of one is not what is dropped of the other
    this.body = new Net({ ...sizes, name: "body", seeds: [seed] });
    this.head = new Net({ ...sizes, name: "head" });
    const entered = this.body.given("cells entered", { axis: "samples", width: shape.genes });
    const encoded = stack(this.body, "encoder", entered, shape.encoder);
    const basal = this.body.linear(encoded, { name: "encoder.z", to: shape.latent });
    const sum = (name: string, kinds: number) =>
      this.body.embed(basal, {
        name,
        kinds,
        tables: [
          { name: "perturbations", rows: shape.perturbations },
          ...shape.covariates.map(({ name, levels }) => ({
            name: `covariate ${name}`,
            rows: levels,
          })),
        ],
        ...shape.doser !== "linear" && { doser: { name: "doser", group: GROUPS.doser } },
        entries: this.entries,
      });
    const { perturbation, covariate, batch } = KIND_BITS;
    const after = sum("z", perturbation | covariate | batch);
    this.#hidden = stack(this.body, "decoder", after, shape.decoder);
    this.latents = { basal, after };
    if (options.latents) {
      this.latents.corrected = sum("z corrected", perturbation | covariate);
      this.latents.noPert = sum("z without perturbation", covariate | batch);
      this.latents.noPertCorrected = sum("z without perturbation, corrected", covariate);
    }
    // its likelihood takes them from the first element on
    if (shape.head !== "gauss") this.head.parameter("dispersions", [shape.genes]);
    this.means = this.head.linear(this.#hidden, { name: "decoder.mean", to: shape.genes });
    if (shape.head !== "nb") {
      const name = shape.head === "zinb" ? "decoder.zeros" : "decoder.variance";
      this.others = this.head.linear(this.#hidden, { name, to: shape.genes });
    }
    if (adversary) {
      const net = new Net({ ...sizes, name: "adversary", seeds: [(seed ^ 0x9e3779b9) >>> 0] });
      this.adversary = net;
      this.classLosses = classifiersOf(shape).map(({ name, classes }) => {
        const layers = { ...shape.adversary, batchNorm: true, layerNorm: false };
        const inner = stack(net, `adversary ${name}`, basal, layers);
        const logits = net.linear(inner, { name: `adversary ${name}.out`, to: classes });
        return net.classEntropy(logits, {
          weights: adversary.weights[name]!,
          classes: classesOf(name),
          mixes: name === "perturbations" || adversary.mixesCovariates,
          penalty: { of: basal, weight: adversary.penalty },
        });
      });
    } else {
      this.classLosses = [];
    }
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

  /** Of a batch, beside what the nets have. */
  sharedBuffers(): SharedBuffer[] {
    const { cells } = this.#options;
    const bytes = 4 * cells * this.#stride;
    const scratch = (name: string, size: number): SharedBuffer => ({
      ...{ name, bytes: size, kind: "storage", scratch: true },
    });
    return [
      scratch("cells mixed", bytes),
      scratch("cells entered", bytes),
      scratch("cell libraries", 4 * cells),
      scratch("log likelihoods", bytes),
      ...this.shape.head === "gauss" ? [] : [scratch("slopes by dispersion", bytes)],
    ];
  }

  /** From cells to latents. */
  encode(turnOf: TurnOf): LoopKernel[] {
    const { genes, head } = this.shape;
    const mix: LayerKernel = {
      kernel: mixRows,
      constants: mixRowsConstants(this.#options.form, head !== "gauss"),
      buffers: {
        starts: CELLS.starts,
        entries: CELLS.entries,
        partners: CELLS.partners,
        mixed: "cells mixed",
        entered: "cells entered",
        libraries: "cell libraries",
      },
      params: ({ samples, firstSample, share }) =>
        Uint32Array.of(samples, firstSample, genes, bits(share)),
      workgroups: ({ samples }) => [samples],
    };
    const batchOf = passing(turnOf);
    return [...this.body.loop([mix], batchOf), ...this.body.forward(batchOf)];
  }

  /** From the decoder's last layer to what counts are expected to be. */
  decode(turnOf: TurnOf, { zeros = false } = {}): LoopKernel[] {
    const { genes, head } = this.shape;
    const batchOf = passing(turnOf);
    const forward = this.head.forward(batchOf);
    if (head === "gauss") return forward;
    return [
      ...forward,
      ...this.head.loop([{
        kernel: softmaxMeans,
        constants: { LANES: 64, ZEROS: zeros && head === "zinb" ? 1 : 0 },
        buffers: {
          libraries: "cell libraries",
          zero_logits: this.others?.name ?? this.head.names.unused,
          values: this.means.name,
        },
        params: ({ samples }) => Uint32Array.of(samples, genes),
        workgroups: ({ samples }) => [samples],
      }], batchOf),
    ];
  }

  /** The loss of every cell, and its derivatives by what the decoder gives. */
  judge(turnOf: TurnOf): LoopKernel[] {
    const { genes, head } = this.shape;
    const unused = this.head.names.unused;
    const others = this.others ? gradientOf(this.others) : this.head.names.spare;
    const finish: LayerKernel = {
      kernel: likelihoodGradient,
      constants: {
        LANES: 64,
        SOFTMAX: head === "gauss" ? 0 : 1,
        OTHERS: this.others ? 1 : 0,
      },
      buffers: {
        log_likelihoods: "log likelihoods",
        means: this.means.name,
        libraries: "cell libraries",
        slopes: gradientOf(this.means),
        others,
        losses: CELL_LOSSES,
      },
      params: ({ samples, firstSample }) =>
        Uint32Array.of(samples, genes, firstSample, bits(1 / samples)),
      workgroups: ({ samples }) => [samples],
    };
    const dispersions: LayerKernel = {
      kernel: dispersionGradient,
      buffers: { slopes: "slopes by dispersion", gradient: this.head.names.gradient },
      params: ({ samples }) => Uint32Array.of(samples, this.#stride / 4, bits(1 / samples), 0),
      workgroups: () => [Math.ceil(this.#stride / 256)],
    };
    const kernels = [
      this.#likelihood(unused),
      finish,
      ...head === "gauss" ? [] : [dispersions],
    ];
    return this.head.loop(kernels, passing(turnOf));
  }

  /** The gradient of encoder, embeddings and decoder, after {@link judge}. */
  improve(turnOf: TurnOf): LoopKernel[] {
    const batchOf = passing(turnOf);
    const given = [this.means, ...this.others ? [this.others] : []].map((value) => ({ value }));
    // classifiers begin with a batch norm
    const sumsToZero = this.shape.adversary.widths.length > 0;
    const adversary = this.#adversary();
    const against = (tile: Tile, row: number) => {
      const turn = turnOf(tile, row);
      return { ...batchOf(tile, row), scale: -(turn.coupling ?? 0) };
    };
    return [
      ...this.head.backward(batchOf, { from: given }),
      ...adversary.forward(against),
      ...adversary.backward(against),
      ...this.body.backward(batchOf, {
        from: [{ value: this.#hidden }, { value: this.latents.basal!, sumsToZero }],
      }),
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

  #likelihood(unused: string): LayerKernel {
    const { head } = this.shape;
    const elements = ({ samples }: WholeBatch) => samples * this.#stride;
    const counted = {
      counts: "cells mixed",
      means: this.means.name,
      log_dispersions: this.head.names.parameters,
      log_likelihood: "log likelihoods",
      by_log_mean: gradientOf(this.means),
      by_log_dispersion: "slopes by dispersion",
    };
    switch (head) {
      case "nb":
        return {
          kernel: nbLikelihood,
          constants: likelihoodConstants,
          buffers: counted,
          params: (batch) => likelihoodParams(elements(batch), this.#stride),
          workgroups: (batch) => likelihoodWorkgroups(elements(batch)),
        };
      case "zinb":
        return {
          kernel: zinbLikelihood,
          constants: likelihoodConstants,
          buffers: {
            ...counted,
            zero_logits: this.others?.name ?? unused,
            by_zero_logit: gradientOf(this.others!),
          },
          params: (batch) => likelihoodParams(elements(batch), this.#stride),
          workgroups: (batch) => likelihoodWorkgroups(elements(batch)),
        };
      case "gauss":
        return {
          kernel: gaussLikelihood,
          constants: likelihoodConstants,
          buffers: {
            values: "cells mixed",
            means: this.means.name,
            raw_variances: this.others!.name,
            log_likelihood: "log likelihoods",
            by_mean: gradientOf(this.means),
            by_raw_variance: gradientOf(this.others!),
          },
          params: (batch) => likelihoodParams(elements(batch)),
          workgroups: (batch) => likelihoodWorkgroups(elements(batch)),
        };
    }
  }
}

/** The upload with classes of a classifier. */
export function classesOf(classifier: string): string {
  return `classes of ${classifier}`;
}

/** Linear, batch norm, layer norm, ReLU and dropout, as often as there are widths. */
function stack(net: Net, name: string, x: Value, layers: Stack): Value {
  const { widths, batchNorm, layerNorm, dropout } = layers;
  const end = { activation: "relu", dropout } as const;
  return widths.reduce((values, to, i) => {
    const own = `${name}.${i}`;
    if (!batchNorm && !layerNorm) return net.linear(values, { name: own, to, ...end });
    let made = net.linear(values, { name: own, to });
    if (batchNorm) {
      made = net.batchNorm(made, {
        name: `${own}.norm`,
        statisticsGroup: GROUPS.statistics,
        ...BATCH_NORM,
        ...layerNorm ? {} : end,
      });
    }
    if (!layerNorm) return made;
    return net.layerNorm(made, { name: `${own}.rows`, affine: false, ...end });
  }, x);
}

/** Batches of nets as they pass cells on. */
function passing(turnOf: TurnOf) {
  return (tile: Tile, row: number): WholeBatch => {
    const { firstSample, samples, slot, step = 0, share = 1 } = turnOf(tile, row);
    return wholeBatch({ firstSample, samples, slot, step, share });
  };
}
