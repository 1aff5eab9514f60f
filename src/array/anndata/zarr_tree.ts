/**
 * AnnData in a zarr store, version 2 or 3.
 *
 * @module
 */

import type { ChunkedArray } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import type { Store } from "../../store/store.ts";
import { checkedStore } from "../../zarr/checksums.ts";
import { MOST_JSON_BYTES, parseJson } from "../../zarr/json.ts";
import { openZarrArray, readZarrLayout, readZarrText } from "../../zarr/zarr_array.ts";
import type { Tree, TreeNode } from "./tree.ts";

export class ZarrTree implements Tree {
  readonly place: string;
  readonly #stored: Store;
  readonly #store: Store;

  private constructor(stored: Store, checked: Store) {
    this.place = stored.place;
    this.#stored = stored;
    this.#store = checked;
  }

  /** Takes over the store: closing the tree closes it. */
  static async open(store: Store): Promise<ZarrTree> {
    return new ZarrTree(store, await checkedStore(store));
  }

  async node(path: string): Promise<TreeNode | undefined> {
    const folder = folderOf(path);
    const group = await this.#group(folder);
    if (group) return { isGroup: true, shape: [], isText: false, attributes: group };
    const isArray = await this.#json(`${folder}/.zarray`) ??
      await this.#json(`${folder}/zarr.json`);
    if (!isArray) return undefined;
    const { shape, isText, attributes } = await readZarrLayout(this.#store, folder);
    return { isGroup: false, shape, isText, attributes };
  }

  async keys(path: string): Promise<string[]> {
    const folder = `${folderOf(path)}/`;
    const inner = (await this.#store.list(folder)).map((key) =>
      key.slice(folder.length).split("/")
    );
    const names = inner.filter((parts) => parts.length > 1).map(([name]) => name!);
    return [...new Set(names)].sort();
  }

  async numbers(path: string): Promise<ChunkedArray> {
    return await openZarrArray(this.#store, folderOf(path), "row");
  }

  async texts(path: string): Promise<string[]> {
    return await readZarrText(this.#store, folderOf(path));
  }

  close(): Promise<void> {
    return this.#stored.close();
  }

  /** Attributes of a group, if there is one. */
  async #group(folder: string): Promise<Record<string, unknown> | undefined> {
    const newer = await this.#json(`${folder}/zarr.json`);
    if (newer) return newer.node_type === "group" ? Object(newer.attributes ?? {}) : undefined;
    if (!await this.#json(`${folder}/.zgroup`)) return undefined;
    return await this.#json(`${folder}/.zattrs`) ?? {};
  }

  async #json(key: string): Promise<Record<string, unknown> | undefined> {
    const bytes = await this.#store.get(key, { mostBytes: MOST_JSON_BYTES });
    if (!bytes) return undefined;
    try {
      return Object(parseJson(bytes));
    } catch (error) {
      const path = this.place + key;
      throw new ChunkError(`Cannot open "${path}": it is not JSON`, path, error);
    }
  }
}

function folderOf(path: string): string {
  return path === "" ? "" : `/${path}`;
}
