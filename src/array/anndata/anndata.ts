/**
 * Opens AnnData: cells by genes with what is said of both, in `.h5ad` files and zarr stores.
 *
 * @module
 */

import type { ChunkedArray } from "../../chunked_array.ts";
import { toNumbers } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import { parseBytes } from "../../math/format.ts";
import type { OptionsOf } from "../../options.ts";
import { bytes, declare, signal } from "../../options.ts";
import { serverChoices } from "../array.ts";
import { DataFrame, described } from "./frame.ts";
import type { CellMatrix } from "./matrix.ts";
import { openCellMatrix } from "./matrix.ts";
import { openTree } from "./open_tree.ts";
import type { Tree } from "./tree.ts";

export const annDataOptions = declare("open AnnData", {
  transposeBytes: bytes({
    default: "256 MiB",
    stored: false,
    says: "what rows may take that are collected from a matrix stored by genes (CSC)",
  }),
  signal,
  ...serverChoices,
});

export type AnnDataOptions = OptionsOf<typeof annDataOptions>;

/** A value of `uns`. Arrays of numbers keep their shape. */
export type Unstructured =
  | string
  | number
  | boolean
  | readonly string[]
  | { shape: readonly number[]; values: Float64Array }
  | { [name: string]: Unstructured };

/** AnnData that is open for reading. Nothing but sizes and names of columns is held. */
export class AnnData {
  readonly place: string;
  readonly cells: number;
  readonly genes: number;
  /** What is said of every cell, and of every gene. */
  readonly obs: DataFrame;
  readonly var: DataFrame;
  readonly #tree: Tree;
  readonly #transposeBytes: number;

  private constructor(tree: Tree, obs: DataFrame, genes: DataFrame, transposeBytes: number) {
    this.#tree = tree;
    this.place = tree.place;
    this.obs = obs;
    this.var = genes;
    this.cells = obs.rows;
    this.genes = genes.rows;
    this.#transposeBytes = transposeBytes;
  }

  /** Use {@link openAnnData}. */
  static async open(place: string, options: AnnDataOptions = {}): Promise<AnnData> {
    const { transposeBytes, ...reading } = annDataOptions.check(options);
    const tree = await openTree(place, reading);
    try {
      if (!await tree.node("obs") || !await tree.node("var")) {
        throw new ChunkError(
          `Cannot open "${place}" as AnnData: it has no obs and var, the tables of cells and genes`,
          place,
        );
      }
      const [obs, genes] = [await DataFrame.open(tree, "obs"), await DataFrame.open(tree, "var")];
      return new AnnData(tree, obs, genes, parseBytes(transposeBytes));
    } catch (error) {
      await tree.close();
      throw error;
    }
  }

  /** Names of what a group holds: of `layers`, `obsm`, `varm`, `uns`. */
  async names(group: "layers" | "obsm" | "varm" | "uns"): Promise<string[]> {
    return await this.#tree.keys(group);
  }

  /**
   * A matrix of cells by genes: `X`, `layers/counts`, or `raw/X`, whose genes are those of `rawVar()`.
   *
   * @throws {ChunkError} If there is none, or it does not fit the cells and genes.
   */
  async matrix(path = "X"): Promise<CellMatrix> {
    const genes = path === "raw/X" ? (await this.rawVar()).rows : this.genes;
    const options = { transposeBytes: this.#transposeBytes };
    return await openCellMatrix(this.#tree, path, [this.cells, genes], options);
  }

  /** The genes of `raw`. */
  async rawVar(): Promise<DataFrame> {
    return await DataFrame.open(this.#tree, "raw/var");
  }

  /** A dense array with a row per cell, as `obsm/X_pca`. It needs no closing. */
  async array(path: string): Promise<ChunkedArray> {
    const full = `${this.place}/${path}`;
    const refuse = (reason: string) => new ChunkError(`Cannot open "${full}": ${reason}`, full);
    const node = await this.#tree.node(path);
    if (!node) throw refuse("there is no such array");
    if (node.isGroup || node.isText) throw refuse(`it is ${described(node)}, wanted a dense array`);
    const array = await this.#tree.numbers(path);
    const rows = path.startsWith("varm/") ? this.genes : this.cells;
    if (array.shape[0] === rows) return array;
    throw refuse(`its shape is [${array.shape.join(", ")}], wanted ${rows} rows`);
  }

  /**
   * A value of `uns`, with all that is in it; `undefined` if there is none.
   *
   * @param path `rank_genes`, or `rank_genes/names`.
   */
  async uns(path: string): Promise<Unstructured | undefined> {
    return await this.#unstructured(`uns/${path}`);
  }

  async close(): Promise<void> {
    await this.#tree.close();
  }

  async #unstructured(path: string): Promise<Unstructured | undefined> {
    const node = await this.#tree.node(path);
    if (!node) return undefined;
    const encoding = node.attributes["encoding-type"];
    if (node.isGroup && (encoding === "dict" || encoding === undefined)) {
      const found: Record<string, Unstructured> = {};
      for (const name of await this.#tree.keys(path)) {
        found[name] = (await this.#unstructured(`${path}/${name}`))!;
      }
      return found;
    }
    if (node.isGroup) {
      const full = `${this.place}/${path}`;
      throw new ChunkError(
        `Cannot read "${full}": it is ${described(node)}, wanted values, arrays and dicts`,
        full,
      );
    }
    if (node.isText) {
      const texts = await this.#tree.texts(path);
      return node.shape.length === 0 ? texts[0]! : texts;
    }
    const array = await this.#tree.numbers(path);
    const values = Float64Array.from(toNumbers(await array.read(0, array.shape[0]!)));
    if (node.shape.length > 0) return { shape: node.shape, values };
    return array.dtype === "bool" ? values[0] !== 0 : values[0]!;
  }
}

/**
 * Opens AnnData for reading: an `.h5ad` file, a zarr store of version 2 or 3, or a `.zarr.zip`. Tables are
 * read by column and matrices by cells, each when it is asked for.
 *
 * HDF5 needs the optional package `h5wasm`. Files of AnnData before 0.7 are refused.
 *
 * @example
 * ```ts
 * const adata = await openAnnData("norman.h5ad");
 * const condition = await adata.obs.column("condition");
 * const counts = await (await adata.matrix("layers/counts")).rows(0, 1000);
 * ```
 *
 * @throws {ChunkError} If it is no AnnData, or one that is not understood.
 */
export async function openAnnData(place: string, options?: AnnDataOptions): Promise<AnnData> {
  return await AnnData.open(place, options);
}
