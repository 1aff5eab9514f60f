/**
 * AnnData in an HDF5 file.
 *
 * @module
 */

import type { ChunkedArray } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import type { H5Dataset, H5Object } from "../../files/h5wasm.ts";
import { Hdf5File } from "../../files/hdf5_array.ts";
import { fromTypedArray } from "../array.ts";
import type { Tree, TreeNode } from "./tree.ts";
import { ATTRIBUTES } from "./tree.ts";

const TEXT = 3;
/** Strings that pass through HDF5's own memory at once. */
const TEXTS_AT_ONCE = 16_384;

export class Hdf5Tree implements Tree {
  readonly place: string;
  readonly #file: Hdf5File;

  private constructor(file: Hdf5File) {
    this.place = file.place;
    this.#file = file;
  }

  /** Needs the optional package `h5wasm`. */
  static async open(place: string): Promise<Hdf5Tree> {
    return new Hdf5Tree(await Hdf5File.open(place));
  }

  node(path: string): Promise<TreeNode | undefined> {
    return Promise.resolve().then(() => {
      const { access } = this.#file;
      const group = access.group(path || "/");
      if (group) {
        const attributes = attributesOf(group);
        return { isGroup: true, shape: [], isText: false, attributes };
      }
      const dataset = access.dataset(path);
      if (!dataset) return undefined;
      const { type, shape } = dataset.metadata;
      const isText = type === TEXT;
      return { isGroup: false, shape: shape ?? [], isText, attributes: attributesOf(dataset) };
    });
  }

  keys(path: string): Promise<string[]> {
    return Promise.resolve(this.#file.access.group(path || "/")?.keys().sort() ?? []);
  }

  numbers(path: string): Promise<ChunkedArray> {
    return Promise.resolve().then(() => {
      const dataset = this.#file.access.dataset(path);
      if (dataset?.metadata.shape?.length !== 0) return this.#file.array(path);
      const isBool = this.#file.elementOf(dataset) === "bool";
      const value = Number(dataset.value);
      return isBool
        ? { ...fromTypedArray(Uint8Array.of(value)), dtype: "bool" }
        : fromTypedArray(Float64Array.of(value));
    });
  }

  texts(path: string): Promise<string[]> {
    return Promise.resolve().then(() => {
      const dataset = this.#file.access.dataset(path);
      const full = `${this.place}/${path}`;
      if (dataset?.metadata.type !== TEXT) {
        throw new ChunkError(`Cannot read "${full}": it holds no strings`, full);
      }
      const texts = readTexts(dataset);
      texts.forEach((text, i) => {
        // what is not UTF-8 comes as U+FFFD, and what was never written as no string at all
        const reason = typeof text !== "string"
          ? "is missing"
          : text.includes("\ufffd")
          ? "is not in UTF-8"
          : undefined;
        if (reason) throw new ChunkError(`Cannot read "${full}": string ${i} ${reason}`, full);
      });
      return texts;
    });
  }

  close(): Promise<void> {
    this.#file.close();
    return Promise.resolve();
  }
}

function attributesOf({ attrs }: H5Object): Record<string, unknown> {
  const found = ATTRIBUTES.filter((name) => attrs[name] !== undefined);
  return Object.fromEntries(found.map((name) => [name, attrs[name]!.value]));
}

function readTexts(dataset: H5Dataset): string[] {
  const [rows, ...inner] = dataset.metadata.shape ?? [];
  if (rows === undefined || inner.length > 0) return [dataset.value].flat() as string[];
  const texts: string[] = [];
  for (let from = 0; from < rows; from += TEXTS_AT_ONCE) {
    const part = dataset.slice([[from, Math.min(rows, from + TEXTS_AT_ONCE)]]) as string[];
    for (const text of part) texts.push(text);
  }
  return texts;
}
