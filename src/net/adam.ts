/**
 * Adam and AdamW, on the device: moments lie as the parameters do and are kept with checkpoints.
 *
 * @module
 */

import { netAdam } from "../kernels/net_training.ts";
import type { LoopKernel, SharedBuffer } from "../stream/pass.ts";
import type { BatchOf } from "./batch.ts";
import { bits, groupsOf } from "./layer.ts";
import type { Net } from "./net.ts";
import { parameterElements } from "./value.ts";

/** Of a net and group of parameters. */
export interface AdamRates {
  rate: number;
  /** Default 0. */
  decay?: number;
  /** Default 1e-8. */
  epsilon?: number;
}

export interface AdamOptions {
  /** By net, then by group of parameters. */
  rates: readonly (readonly AdamRates[])[];
  /** Default 0.9 and 0.999. */
  betas?: readonly [number, number];
  /** Whether decay shrinks parameters by themselves (AdamW), or is added to the gradient (Adam). Default true. */
  decoupled?: boolean;
}

/** An optimizer of all parameters of a net that is declared. */
export class Adam {
  readonly #net: Net;
  readonly #options: Required<AdamOptions>;
  readonly #groups: number;

  constructor(net: Net, { rates, betas = [0.9, 0.999], decoupled = true }: AdamOptions) {
    this.#net = net;
    this.#options = { rates, betas, decoupled };
    this.#groups = 1 + Math.max(0, ...net.parameters.map(({ group }) => group));
    if (rates.length !== net.nets || rates.some((own) => own.length !== this.#groups)) {
      throw new RangeError(
        `Cannot optimize: rates of ${rates.length} nets with ${rates[0]?.length} groups, ` +
          `wanted ${net.nets} with ${this.#groups}`,
      );
    }
  }

  /** The buffer `[stride / 4]` u32 that says of which group a quad of parameters is. */
  get groupOf(): string {
    return this.#name("groups");
  }

  /** Moments (kept), rates, groups. */
  sharedBuffers(): SharedBuffer[] {
    const { nets, stride } = this.#net;
    const groupOf = new Uint32Array(stride / 4);
    for (const parameter of this.#net.parameters) {
      const first = parameter.offset / 4;
      groupOf.fill(parameter.group, first, first + parameterElements(parameter) / 4);
    }
    const rates = this.#options.rates.flat()
      .flatMap(({ rate, decay = 0, epsilon = 1e-8 }) => [rate, decay, epsilon, 0]);
    return [
      { name: this.#name("moments"), bytes: 8 * nets * stride, kind: "storage", kept: true },
      {
        ...{ name: this.#name("rates"), bytes: 4 * rates.length, kind: "storage" },
        data: Float32Array.from(rates),
      },
      {
        ...{ name: this.#name("groups"), bytes: groupOf.byteLength, kind: "storage" },
        data: groupOf,
      },
    ];
  }

  /** Takes a step where a batch {@link Batch.updates}; nets that are frozen stay as they are. */
  step(batchOf: BatchOf): LoopKernel[] {
    const { nets, stride, names } = this.#net;
    const { betas: [beta1, beta2], decoupled } = this.#options;
    return this.#net.loop([{
      kernel: netAdam,
      constants: { DECOUPLED: decoupled ? 1 : 0 },
      buffers: {
        gradient: names.gradient,
        rates: this.#name("rates"),
        group_of: this.#name("groups"),
        progress: names.progress,
        parameters: names.parameters,
        moments: this.#name("moments"),
      },
      params: ({ step, rateScale, updates }) => {
        if (updates && !(step >= 1)) {
          throw new RangeError(`Cannot optimize: the step is ${step}, wanted 1 or more`);
        }
        return Uint32Array.of(
          ...[stride / 4, this.#groups, bits(beta1), bits(1 - beta1), bits(beta2), bits(1 - beta2)],
          ...[bits(1 / (1 - beta1 ** step)), bits(1 / Math.sqrt(1 - beta2 ** step))],
          bits(rateScale),
        );
      },
      workgroups: ({ updates }) => [updates ? groupsOf(stride / 4, 256) : 0, nets],
    }], batchOf);
  }

  #name(part: string): string {
    return `${this.#net.name} ${part}`;
  }
}
