/**
 * Activations that were computed and are held in memory.
 *
 * @module
 */

import type { Measured } from "../stream/task.ts";
import { arraySource } from "./array_source.ts";
import type { ActsStored, ActsTask } from "./acts_task.ts";
import { fromTypedArray } from "../array/array.ts";
import { hiddenOf, layersOf } from "./graph.ts";
import type { ActsSource } from "./source.ts";
import type { ActsType, Dims, StoredValues } from "./types.ts";

/** What was computed. */
export interface ActsValues extends Measured {
  dims: Dims;
  /** Of an element; halves of both kinds come as their bits. */
  dtype: ActsType;
  /** Of `values`: tokens stand for samples and tokens, where they are not pooled. */
  shape: readonly number[];
  /** In C order, as `shape` has it; made of the arrays of layers when it is first asked for. */
  readonly values: StoredValues;
  /** Ids of the layers, where they are an axis. */
  layers: readonly number[] | undefined;
  /** `[rows, hidden]` of a layer, or of all there is. @throws {RangeError} If there is no such layer. */
  layer(id?: number): StoredValues;
  /** `[samples + 1]`, where there are tokens. */
  offsets: Float64Array | undefined;
  /** `[tokens]` of 0 and 1: those that count; all of them when not given. */
  detected: Uint8Array | undefined;
  ids: readonly string[] | undefined;
  /** `[samples]`: detected tokens of each, of those that were read. */
  counts: Float64Array;
  /** Infinite values that maxima were taken of, by array. */
  infinities: readonly number[];
}

/** Results as typed arrays, and as a source. */
export async function realizedOf(
  { work: { source, graph, selection }, outputs }: ActsTask,
  { stored, measured }: ActsStored,
): Promise<{ values: ActsValues; source: ActsSource }> {
  const arrays: StoredValues[] = [];
  for (const { name } of outputs) arrays.push(await stored.read(name) as StoredValues);
  const layers = layersOf(source, graph);
  const hidden = hiddenOf(source, graph);
  const rows = arrays[0]!.length / hidden;
  const isExtracted = graph.tokens?.kind === "extract";
  const hasTokens = graph.dims.includes("s");
  const offsets = hasTokens || isExtracted ? selection.offsets : undefined;
  const detected = hasTokens ? selection.detected : undefined;
  const ids = source.ids && !isExtracted
    ? Array.from(graph.samples, (sample) => source.ids![sample]!)
    : undefined;
  const facts = { ...source.facts };
  if (facts.afterFinalNorm) {
    facts.afterFinalNorm = facts.afterFinalNorm.filter((layer) => layers?.includes(layer));
  }
  let joined: StoredValues | undefined;
  const values: ActsValues = {
    ...{ dims: graph.dims, dtype: graph.dtype, layers, offsets, detected, ids, ...measured },
    shape: layers ? [rows, layers.length, hidden] : [rows, hidden],
    counts: selection.counts,
    infinities: stored.attributes.infinities as number[],
    layer(id) {
      if (id === undefined && arrays.length === 1) return arrays[0]!;
      const at = layers?.indexOf(id!) ?? -1;
      if (at >= 0) return arrays[at]!;
      throw new RangeError(
        `Cannot give layer ${id}: there is none, wanted one of ${
          layers?.join(", ") ?? "no layers"
        }`,
      );
    },
    get values() {
      if (arrays.length === 1) return arrays[0]!;
      return joined ??= interleave(arrays, hidden);
    },
  };
  const own = arraySource({
    name: `${source.name}, realized`,
    dims: graph.dims,
    arrays: layers
      ? { each: arrays.map((array) => fromTypedArray(array, [rows, hidden])) }
      : { all: fromTypedArray(arrays[0]!, [rows, hidden]) },
    dtype: graph.dtype,
    layers,
    tokens: hasTokens ? { offsets: offsets!, detectionMask: detected } : {},
    ids,
    facts,
  });
  return { values, source: own };
}

/** `[rows, layers, hidden]` of arrays `[rows, hidden]`. */
function interleave(arrays: readonly StoredValues[], hidden: number): StoredValues {
  const { length } = arrays[0]!;
  const Values = arrays[0]!.constructor as new (length: number) => StoredValues;
  const all = new Values(arrays.length * length);
  for (const [i, array] of arrays.entries()) {
    for (let row = 0; row < length / hidden; row++) {
      all.set(
        array.subarray(row * hidden, (row + 1) * hidden),
        (row * arrays.length + i) * hidden,
      );
    }
  }
  return all;
}
