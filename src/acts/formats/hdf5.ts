/**
 * HDF5 files of probelab: `data` [tokens, layers, hidden] with `offsets`, `layers` and `detection_mask`, all
 * layers of a token side by side, so that reading one reads them all.
 *
 * @module
 */

import { openArray, readAll } from "../../array/array.ts";
import { openPlacedFile } from "../../array/file_arrays.ts";
import type { ChunkedArray } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import type { OpenStoreOptions } from "../../store/open_store.ts";
import { arraySource } from "../array_source.ts";
import type { ActsSource } from "../source.ts";
import type { ActsType, Dims } from "../types.ts";
import { ALL_DIMS } from "../types.ts";
import { fingerprintOf } from "./fingerprint.ts";

const TYPES: Record<string, ActsType> = {
  "torch.bfloat16": "bfloat16",
  "torch.float16": "float16",
  "torch.float32": "float32",
  "torch.float64": "float64",
};

/**
 * @throws {ChunkError} If it is no such file, or of dims that are not known.
 * @throws {TypeError} If its elements are 16 bits and it does not say of which kind.
 */
export async function openHdf5Acts(
  place: string,
  { dtype, ...reading }: OpenStoreOptions & { dtype?: "bfloat16" | "float16" | undefined },
): Promise<ActsSource> {
  const file = await openPlacedFile(place, reading);
  const opened: ChunkedArray[] = [];
  const close = async () => {
    for (const array of opened.splice(0)) await array.close();
  };
  const refuse = (reason: string) =>
    new ChunkError(`Cannot load activations from ${place}: ${reason}`, place);
  try {
    const names = await file.names();
    const { dims, dtype: told } = file.attributes?.() ?? {};
    if (!names.includes("data")) {
      throw refuse(`it has ${names.slice(0, 8).join(", ") || "nothing"}, wanted a dataset "data"`);
    }
    if (!ALL_DIMS.includes(dims as Dims)) {
      throw refuse(`its dims are ${JSON.stringify(dims)}, wanted one of ${ALL_DIMS.join(", ")}`);
    }
    const own = dims as Dims;
    const type = TYPES[String(told)];
    if (told !== undefined && type === undefined) {
      throw refuse(
        `its dtype is ${JSON.stringify(told)}, wanted one of ${Object.keys(TYPES).join(", ")}`,
      );
    }
    if (dtype && type && dtype !== type) {
      throw refuse(`its dtype is ${type}, ${dtype} was asked for`);
    }
    const open = async (name: string) => {
      const array = await openArray(`${place}/${name}`, reading);
      opened.push(array);
      return array;
    };
    const read = async (name: string, wanted: boolean) => {
      if (!wanted) return undefined;
      if (!names.includes(name)) {
        throw refuse(`it has no dataset "${name}", dims ${own} want one`);
      }
      const array = await open(name);
      if (array.shape.length === 1) return await readAll(array);
      throw refuse(`its dataset "${name}" is [${array.shape.join(", ")}], wanted one axis`);
    };
    const hasTokens = own.includes("s");
    const data = await open("data");
    const layers = await read("layers", own.includes("l"));
    return arraySource({
      name: place,
      dims: own,
      arrays: { all: data },
      dtype: dtype ?? type,
      layers: layers && Array.from(layers as BigInt64Array, Number),
      tokens: {
        offsets: await read("offsets", hasTokens) as BigInt64Array | undefined,
        detectionMask: await read("detection_mask", hasTokens && names.includes("detection_mask")),
      },
      facts: { collected: "by probelab, HDF5" },
      fingerprint: () => fingerprintOf([place], reading),
      close,
    });
  } catch (error) {
    await close();
    throw error;
  } finally {
    await file.close();
  }
}
