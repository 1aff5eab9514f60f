/**
 * Sources over arrays: one for all layers, or one for each.
 *
 * @module
 */

import { fromTypedArray } from "../array/array.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import { digestRows } from "../feed/points.ts";
import { digestOf } from "../math/digest.ts";
import type { NumericArray } from "../types.ts";
import type { Plane } from "./plane.ts";
import { ArrayPlane } from "./plane.ts";
import type { ActsSource } from "./source.ts";
import { checkIds } from "./source.ts";
import type { SourceTokens, TokenChoices } from "./tokens.ts";
import { paddedTokens, raggedTokens } from "./tokens.ts";
import type { ActsFacts, ActsType, Dims } from "./types.ts";

const ACTION = "collect activations";

/** Arrays, and what they are. */
export interface ArraySourceSpec {
  name: string;
  dims: Dims;
  /** One array with all axes, or one without l for each layer, in the order of `layers`. */
  arrays: { all: ChunkedArray } | { each: readonly ChunkedArray[] };
  /** What 16-bit integers are. */
  dtype?: ActsType | undefined;
  layers?: readonly number[] | undefined;
  tokens: TokenChoices;
  ids?: readonly string[] | undefined;
  facts: ActsFacts;
  places?: readonly string[];
  /** When not given, all arrays are read for it. */
  fingerprint?: ActsSource["fingerprint"];
  close?(): Promise<void>;
}

/**
 * @throws {RangeError} If shapes, layers, masks and ids do not belong together.
 * @throws {TypeError} If elements are 16 bits and nobody says of which kind.
 */
export function arraySource(spec: ArraySourceSpec): ActsSource {
  const { name, dims, facts, ids } = spec;
  const hasLayers = dims.includes("l");
  const isRagged = spec.tokens.offsets !== undefined;
  const all = "all" in spec.arrays ? [spec.arrays.all] : spec.arrays.each;
  const places = spec.places ?? all.flatMap((array) => array.places ?? []);
  const [first] = all;
  if (!first) throw new RangeError(`Cannot ${ACTION}: there are no layers, wanted at least 1`);
  const isApart = "each" in spec.arrays;
  const { shape } = first;
  const axes = axesOf(dims, { isRagged, isApart });
  if (shape.length !== axes.length) {
    throw new RangeError(
      `Cannot ${ACTION}: an array has shape [${shape.join(", ")}], dims ${dims}${
        isRagged ? " with offsets" : ""
      } want [${axes.join(", ")}]`,
    );
  }
  const size = (axis: string) => shape[axes.indexOf(axis)] ?? 1;
  const hidden = size("hidden");
  if (hidden < 1) throw new RangeError(`Cannot ${ACTION}: there are no channels, wanted some`);
  const count = isApart ? all.length : size("layers");
  const layers = hasLayers ? layersFor(spec.layers, count) : undefined;
  const dtype = typeOf(first, spec.dtype);
  for (const [i, array] of all.entries()) {
    if (array.shape.join() !== shape.join() || typeOf(array, spec.dtype) !== dtype) {
      throw new RangeError(
        `Cannot ${ACTION}: layer ${layers?.[i]} is [${
          array.shape.join(", ")
        }] of ${array.dtype}, ` +
          `layer ${layers?.[0]} is [${shape.join(", ")}] of ${first.dtype}, wanted the same`,
      );
    }
  }
  const inner = dims.includes("s") && !isRagged ? size("tokens") : 1;
  const within = isApart || !hasLayers ? 1 : count;
  const planes: Plane[] = Array.from(
    { length: hasLayers ? count : 1 },
    (_, layer) =>
      new ArrayPlane(isApart ? all[layer]! : first, {
        ...{ dtype, hidden, tokens: inner, layers: within },
        layer: isApart ? 0 : layer,
      }),
  );
  const tokens = tokensOf(spec, shape[0]!, inner);
  const samples = tokens ? tokens.offsets.length - 1 : shape[0]!;
  if (ids && ids.length !== samples) {
    throw new RangeError(
      `Cannot ${ACTION}: there are ${ids.length} ids, wanted one for each of ${samples} samples`,
    );
  }
  checkIds(ids, ACTION);
  const stray = facts.afterFinalNorm?.find((layer) => !layers?.includes(layer));
  if (stray !== undefined) {
    throw new RangeError(
      `Cannot ${ACTION}: afterFinalNorm names layer ${stray}, wanted some of ${
        layers?.join(", ") ?? "no layers"
      }`,
    );
  }
  return {
    ...{ name, dims, dtype, hidden, layers, planes, samples, ids, tokens, facts, places },
    count: { bytes: 0 },
    fingerprint: async (options) => {
      // the same bytes mean other numbers where they are laid out in another way
      const digests = [JSON.stringify([dims, dtype, shape, isApart, isRagged])];
      if (spec.fingerprint) digests.push(await spec.fingerprint(options));
      else for (const array of all) digests.push(await digestRows(array, options));
      return await digestOf(digests);
    },
    close: spec.close ?? (() => Promise.resolve()),
  };
}

/** Names of the axes of an array. */
function axesOf(
  dims: Dims,
  { isRagged, isApart }: { isRagged: boolean; isApart: boolean },
): string[] {
  const layers = dims.includes("l") && !isApart ? ["layers"] : [];
  if (!dims.includes("s")) return ["samples", ...layers, "hidden"];
  return isRagged ? ["tokens", ...layers, "hidden"] : ["samples", ...layers, "tokens", "hidden"];
}

function layersFor(given: readonly number[] | undefined, count: number): number[] {
  const layers = given ? [...given] : Array.from({ length: count }, (_, layer) => layer);
  if (layers.length !== count) {
    throw new RangeError(
      `Cannot ${ACTION}: ${layers.length} layers are named, the array has ${count}`,
    );
  }
  const bad = layers.find((layer) => !Number.isInteger(layer) || layer < -1);
  if (bad !== undefined) {
    throw new RangeError(
      `Cannot ${ACTION}: a layer is ${bad}, wanted whole numbers from -1, which is the embeddings`,
    );
  }
  const twice = layers.find((layer, i) => layers.indexOf(layer) !== i);
  if (twice !== undefined) {
    throw new RangeError(`Cannot ${ACTION}: layer ${twice} is named twice, wanted each once`);
  }
  return layers;
}

function tokensOf(
  { dims, tokens }: ArraySourceSpec,
  rows: number,
  length: number,
): SourceTokens | undefined {
  if (dims.includes("s")) {
    return tokens.offsets ? raggedTokens(rows, tokens) : paddedTokens(rows, length, tokens);
  }
  const stray = (["offsets", "attentionMask", "detectionMask"] as const).find((name) =>
    tokens[name] !== undefined
  );
  if (stray === undefined) return undefined;
  throw new TypeError(`Cannot ${ACTION}: ${stray} is given, dims ${dims} have no tokens`);
}

/** @throws {TypeError} If it is not known what elements are. */
function typeOf(array: ChunkedArray, told: ActsType | undefined): ActsType {
  const { dtype, readBrainBits } = array;
  const own = readBrainBits ? "bfloat16" : dtype;
  if (own === "uint16" || own === "int16") {
    if (told === "bfloat16") return told;
    if (told === "float16" && own === "uint16") return told;
    throw new TypeError(
      `Cannot ${ACTION}: elements are ${own}, which may be bits of bfloat16 or float16, wanted ` +
        "dtype to say which",
    );
  }
  if (own === "bfloat16" || own === "float16" || own === "float32" || own === "float64") {
    if (told === undefined || told === own) return own;
    throw new TypeError(
      `Cannot ${ACTION}: dtype says ${told}, elements are ${own}; cast() makes others of them`,
    );
  }
  throw new TypeError(
    `Cannot ${ACTION}: elements are ${own}, wanted float32, float16, bfloat16 or float64`,
  );
}

/** An array, however it is given. */
export function asArray(
  values: ChunkedArray | NumericArray,
  shape: readonly number[] | undefined,
): ChunkedArray {
  if (!("read" in values)) return fromTypedArray(values, shape);
  if (shape && shape.join() !== values.shape.join()) {
    throw new RangeError(
      `Cannot ${ACTION}: shape says [${shape.join(", ")}], the array has [${
        values.shape.join(", ")
      }]`,
    );
  }
  return values;
}
