/**
 * Where activations come from that are in memory, or in arrays that are open.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import type { NumericArray } from "../types.ts";
import { Acts } from "./acts.ts";
import { arraySource, asArray } from "./array_source.ts";
import { emptySource, liveStream } from "./live.ts";
import type { LiveBlocks } from "./live_blocks.ts";
import type { CollectOptions, LiveOptions } from "./options.ts";
import { collectOptions } from "./options.ts";
import type { ActsFacts } from "./types.ts";

/** An array of all layers, or one for each layer by its id. */
export type Collected =
  | NumericArray
  | ChunkedArray
  | Readonly<Record<number, NumericArray | ChunkedArray>>;

/**
 * Activations of arrays: nothing is read yet. Arrays stay the caller's to close.
 *
 * @example Means over tokens, from a cache the second time
 * ```ts
 * const acts = collect({ 12: layer12, 16: layer16 }, { dims: "blsh", offsets });
 * const pooled = await acts.meanPool().cache(gpu, "caches");
 * for (const { layer, acts } of pooled.iterLayers()) fit(acts.features(), labels);
 * ```
 *
 * @param source `[samples, layers, tokens, hidden]` with the axes that `dims` has, padded on either side with an
 * `attentionMask`; or `[tokens, layers, hidden]` with `offsets`; or the same without layers for each layer.
 * @throws {TypeError} If nothing says what 16-bit elements are, or which tokens are padding.
 * @throws {RangeError} If shapes, masks, offsets, ids and layers do not belong together.
 */
export function collect(source: Collected, options: CollectOptions): Acts {
  if (typeof source === "function" || Symbol.asyncIterator in source) {
    throw new TypeError(
      "Cannot collect activations: they come block by block, wanted collectLive() for a model that runs",
    );
  }
  const told = collectOptions.check(options);
  const { dims, shape, dtype, layers, offsets, attentionMask, detectionMask, ids } = told;
  const isOne = ArrayBuffer.isView(source) || "read" in source;
  const given = layers && Array.from(layers);
  if (!isOne && given) {
    throw new TypeError(
      "Cannot collect activations: layers are named, and arrays are given by layer, wanted one of both",
    );
  }
  if (!isOne && !dims.includes("l")) {
    throw new TypeError(
      `Cannot collect activations: arrays are given by layer, dims are ${dims}, wanted blh or blsh`,
    );
  }
  const byLayer = isOne
    ? []
    : Object.entries(source).map(([id, array]) => [Number(id), array] as const)
      .sort(([a], [b]) => a - b);
  return new Acts(arraySource({
    name: isOne ? "an array" : "arrays of layers",
    dims,
    arrays: isOne
      ? { all: asArray(source as ChunkedArray | NumericArray, shape) }
      : { each: byLayer.map(([, array]) => asArray(array, shape)) },
    dtype,
    layers: isOne ? given : byLayer.map(([id]) => id),
    tokens: { offsets, attentionMask, detectionMask },
    ids,
    facts: factsOf(told),
  }));
}

/**
 * Activations of a model that runs, which brings them block by block: all of a prompt, then token by token. What
 * is to be done with them is done part by part, when they are saved or realized.
 *
 * @param blocks Blocks, or a function that is told which samples are stored already.
 * @throws {TypeError} If an option is missing or of another kind.
 */
export function collectLive(blocks: LiveBlocks, options: LiveOptions): Acts {
  return new Acts(emptySource(liveStream(blocks, options, factsOf)));
}

/** @deprecated Use {@link collect}. */
export const collectActivations = collect;

export function factsOf(
  { producer, hookPoint, collected, afterFinalNorm }: {
    producer?: string;
    hookPoint?: string;
    collected?: string;
    afterFinalNorm?: ArrayLike<number>;
  },
): ActsFacts {
  return {
    ...(producer !== undefined && { producer }),
    ...(hookPoint !== undefined && { hookPoint }),
    ...(collected !== undefined && { collected }),
    ...(afterFinalNorm && afterFinalNorm.length > 0 &&
      { afterFinalNorm: Array.from(afterFinalNorm) }),
  };
}
