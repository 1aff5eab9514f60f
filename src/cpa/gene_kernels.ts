/**
 * What is as wide as genes: cells made dense and mixed, what is expected of them, their likelihood and its derivatives. Some cells at a
 * time, where a batch is worked on in parts.
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
import type { LayerKernel } from "../net/layer.ts";
import { bits } from "../net/layer.ts";
import type { Net } from "../net/net.ts";
import type { Value } from "../net/value.ts";
import { gradientOf, rowStride } from "../net/value.ts";
import type { SharedBuffer } from "../stream/pass.ts";
import type { EntryForm } from "./counts.ts";
import type { ModelShape } from "./model_shape.ts";

/** Uploaded with every tile beside what the nets want. */
export const CELLS = {
  starts: "cell starts",
  entries: "cell entries",
  partners: "partners",
} as const;

/** f32 of a cell, minus its log-likelihood: a buffer to be downloaded. */
export const CELL_LOSSES = "cell losses";

/** Cells as they are entered into the encoder. */
export const ENTERED = "cells entered";

export interface GeneParts {
  shape: ModelShape;
  form: EntryForm;
  head: Net;
  /** What the decoder gives: logits, then means in their place; and logits of zeros, or variances. */
  means: Value;
  others: Value | undefined;
}

export class GeneKernels {
  readonly #parts: GeneParts;
  readonly #stride: number;

  constructor(parts: GeneParts) {
    this.#parts = parts;
    this.#stride = rowStride(parts.shape.genes);
  }

  /**
   * @param cells That are on the device at a time.
   * @param remade Whether cells are made dense again for the gradient: what is entered then needs no memory of its own.
   */
  sharedBuffers(cells: number, remade: boolean): SharedBuffer[] {
    const bytes = 4 * cells * this.#stride;
    const scratch = (name: string, size: number): SharedBuffer => ({
      ...{ name, bytes: size, kind: "storage", scratch: true },
    });
    return [
      scratch("cells mixed", bytes),
      scratch("log likelihoods", bytes),
      { ...scratch(ENTERED, bytes), ...remade && { within: "log likelihoods" } },
      scratch("cell libraries", 4 * cells),
      ...this.#parts.shape.head === "gauss" ? [] : [scratch("slopes by dispersion", bytes)],
    ];
  }

  /** From entries to dense cells. */
  mix(): LayerKernel {
    const { form, shape: { genes, head } } = this.#parts;
    return {
      kernel: mixRows,
      constants: mixRowsConstants(form, head !== "gauss"),
      buffers: {
        starts: CELLS.starts,
        entries: CELLS.entries,
        partners: CELLS.partners,
        mixed: "cells mixed",
        entered: ENTERED,
        libraries: "cell libraries",
      },
      params: ({ samples, firstSample, share }) =>
        Uint32Array.of(samples, firstSample, genes, bits(share)),
      workgroups: ({ samples }) => [samples],
    };
  }

  /** From what the decoder gives to what counts are expected to be. */
  expect(zeros: boolean): LayerKernel[] {
    const { head, means, others, shape } = this.#parts;
    if (shape.head === "gauss") return [];
    return [{
      kernel: softmaxMeans,
      constants: { LANES: 64, ZEROS: zeros && shape.head === "zinb" ? 1 : 0 },
      buffers: {
        libraries: "cell libraries",
        zero_logits: others?.name ?? head.names.unused,
        values: means.name,
      },
      params: ({ samples }) => Uint32Array.of(samples, shape.genes),
      workgroups: ({ samples }) => [samples],
    }];
  }

  /** The loss of every cell, and its derivatives by what the decoder gives. */
  judge(): LayerKernel[] {
    const { head, means, others, shape: { genes, head: kind } } = this.#parts;
    const finish: LayerKernel = {
      kernel: likelihoodGradient,
      constants: {
        LANES: 64,
        SOFTMAX: kind === "gauss" ? 0 : 1,
        OTHERS: others ? 1 : 0,
      },
      buffers: {
        log_likelihoods: "log likelihoods",
        means: means.name,
        libraries: "cell libraries",
        slopes: gradientOf(means),
        others: others ? gradientOf(others) : head.names.spare,
        losses: CELL_LOSSES,
      },
      params: ({ samples, firstSample, scale }) =>
        Uint32Array.of(samples, genes, firstSample, bits(scale)),
      workgroups: ({ samples }) => [samples],
    };
    const dispersions: LayerKernel = {
      kernel: dispersionGradient,
      buffers: { slopes: "slopes by dispersion", gradient: head.names.gradient },
      params: ({ samples, scale, adds }) =>
        Uint32Array.of(samples, this.#stride / 4, bits(scale), Number(adds)),
      workgroups: () => [Math.ceil(this.#stride / 256)],
    };
    return [this.#likelihood(), finish, ...kind === "gauss" ? [] : [dispersions]];
  }

  #likelihood(): LayerKernel {
    const { head, means, others, shape } = this.#parts;
    const elements = ({ samples }: WholeBatch) => samples * this.#stride;
    const counted = {
      counts: "cells mixed",
      means: means.name,
      log_dispersions: head.names.parameters,
      log_likelihood: "log likelihoods",
      by_log_mean: gradientOf(means),
      by_log_dispersion: "slopes by dispersion",
    };
    const own = { constants: likelihoodConstants };
    switch (shape.head) {
      case "nb":
        return {
          ...{ ...own, kernel: nbLikelihood, buffers: counted },
          params: (batch) => likelihoodParams(elements(batch), this.#stride),
          workgroups: (batch) => likelihoodWorkgroups(elements(batch)),
        };
      case "zinb":
        return {
          ...{ ...own, kernel: zinbLikelihood },
          buffers: {
            ...counted,
            zero_logits: others!.name,
            by_zero_logit: gradientOf(others!),
          },
          params: (batch) => likelihoodParams(elements(batch), this.#stride),
          workgroups: (batch) => likelihoodWorkgroups(elements(batch)),
        };
      case "gauss":
        return {
          ...{ ...own, kernel: gaussLikelihood },
          buffers: {
            values: "cells mixed",
            means: means.name,
            raw_variances: others!.name,
            log_likelihood: "log likelihoods",
            by_mean: gradientOf(means),
            by_raw_variance: gradientOf(others!),
          },
          params: (batch) => likelihoodParams(elements(batch)),
          workgroups: (batch) => likelihoodWorkgroups(elements(batch)),
        };
    }
  }
}
