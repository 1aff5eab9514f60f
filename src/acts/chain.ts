/**
 * What can be said of activations step by step. Nothing is read.
 *
 * @module
 */

import type { OptionsOf } from "../options.ts";
import { DescribedActs } from "./described.ts";
import type { ActsOp, PoolKind } from "./graph.ts";
import { emaOptions, rollingOptions } from "./options.ts";
import type { CastType } from "./types.ts";
import { CAST_TYPES } from "./types.ts";

export type EmaOptions = OptionsOf<typeof emaOptions>;
export type RollingOptions = OptionsOf<typeof rollingOptions>;

/** A chain: every step gives another one, and changes none. */
export abstract class ActsChain<Own> extends DescribedActs {
  /** The chain with one more step. */
  protected abstract with(op: ActsOp): Own;

  /**
   * Some layers, in this order; a number alone takes the axis away.
   *
   * @throws {RangeError} If there is no such layer, or no layer axis.
   */
  selectLayers(layers: number | readonly number[]): Own {
    return this.with({ kind: "selectLayers", layers });
  }

  /**
   * Some samples: by their numbers, or from one to before another.
   *
   * @throws {RangeError} If there are no such samples.
   */
  sliceBatch(samples: ArrayLike<number>): Own;
  sliceBatch(start: number, end?: number): Own;
  sliceBatch(first: number | ArrayLike<number>, end = this.samples): Own {
    if (typeof first === "number") {
      if (!(first >= 0 && end >= first && end <= this.samples)) {
        throw new RangeError(
          `Cannot slice samples: got ${first} to ${end}, wanted a part of 0 to ${this.samples}`,
        );
      }
      first = Array.from({ length: end - first }, (_, i) => (first as number) + i);
    }
    return this.with({ kind: "sliceBatch", samples: Array.from(first) });
  }

  /** Mean of the detected tokens of each sample, or over layers; zeros where no token is detected. */
  meanPool(dim: "s" | "l" = "s"): Own {
    return this.#pool("mean", dim);
  }

  /** Maximum of the detected tokens of each sample, or over layers; zeros where no token is detected. */
  maxPool(dim: "s" | "l" = "s"): Own {
    return this.#pool("max", dim);
  }

  /** Sum of the detected tokens of each sample, or over layers. */
  sumPool(dim: "s" | "l" = "s"): Own {
    return this.#pool("sum", dim);
  }

  /** The last detected token of each sample; zeros where there is none. */
  lastPool(dim: "s" = "s"): Own {
    if (dim !== "s") {
      throw new RangeError(
        `Cannot take the last of "${dim}": tokens have an order, wanted "s", or selectLayers()`,
      );
    }
    return this.with({ kind: "selectToken", index: -1 });
  }

  /**
   * The largest of moving averages s = (1 - alpha) s + alpha x over detected tokens, from s = 0.
   */
  ema(options: EmaOptions = {}): Own {
    const { alpha } = emaOptions.check(options);
    // which is exact
    const pool = alpha === 1 ? { kind: "max" } as const : { kind: "ema", alpha } as const;
    return this.with({ kind: "poolTokens", pool, says: `ema with alpha ${alpha}` });
  }

  /**
   * The largest mean of the detected tokens in windows. A sample is pooled alone: windows end at its own
   * tokens, detected or not; with `ends: "detected"` at detected ones.
   */
  rolling(options: RollingOptions = {}): Own {
    const { window, ends } = rollingOptions.check(options);
    return this.with({
      ...{ kind: "poolTokens", pool: { kind: "rolling", window, ends } },
      says: `rolling means of ${window} tokens that end at ${
        ends === "any" ? "any" : "detected ones"
      }`,
    });
  }

  /**
   * One token of each sample: -1 is the last detected one, any other counts all tokens, negative ones from the
   * end; zeros where there is none. Or one layer.
   */
  select(dim: "s" | "l", index: number): Own;
  /** @deprecated Use `selectLayers()`. */
  select(choice: { layer: number | readonly number[] }): Own;
  select(dim: "s" | "l" | { layer: number | readonly number[] }, index?: number): Own {
    if (typeof dim === "object") return this.selectLayers(dim.layer);
    if (dim === "l") return this.selectLayers(index!);
    if (dim === "s") return this.with({ kind: "selectToken", index: index! });
    throw new RangeError(`Cannot select along "${dim}": wanted "s" or "l"`);
  }

  /** Layers side by side, as channels. */
  flatten(): Own {
    return this.with({ kind: "flatten" });
  }

  /**
   * Another type. Rounding comes where it is said: before a pool of tokens, those are rounded.
   *
   * @throws {TypeError} If the type is not known.
   */
  cast(dtype: CastType): Own {
    if (CAST_TYPES.includes(dtype)) return this.with({ kind: "cast", dtype });
    throw new TypeError(
      `Cannot cast activations: got "${dtype}", wanted one of ${CAST_TYPES.join(", ")}`,
    );
  }

  /** As {@link cast}: where activations are is decided by whatever reads them, so there are no devices here. */
  to(dtype: CastType): Own {
    if (CAST_TYPES.includes(dtype)) return this.cast(dtype);
    throw new TypeError(
      `Cannot move activations to "${dtype}": what they are made of stays where it is and pools run on ` +
        "the GPU that realize(), save() and cache() are given, wanted a type: " +
        CAST_TYPES.join(", "),
    );
  }

  /** Detected tokens as rows: b counts tokens from here on; `counts` says how many each sample has. */
  extractTokens(): Own {
    return this.with({ kind: "extractTokens" });
  }

  #pool(how: PoolKind, dim: "s" | "l"): Own {
    if (dim === "l") return this.with({ kind: "poolLayers", how });
    if (dim === "s") {
      return this.with({ kind: "poolTokens", pool: { kind: how }, says: `${how} over tokens` });
    }
    throw new RangeError(`Cannot take the ${how} over "${dim}": wanted "s" or "l"`);
  }
}
