/**
 * A read-only store behind HTTP.
 *
 * @module
 */

import { ChunkError, StoreError } from "../errors.ts";
import type { ByteRange } from "./byte_range.ts";
import { rangeBounds } from "./byte_range.ts";
import { keyParts } from "./place.ts";
import type { Appender, Store } from "./store.ts";

export class HttpStore implements Store {
  readonly place: string;

  /** @param address Of the folder. A query in it, such as a token, goes with every request. */
  constructor(address: string) {
    this.place = address;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const response = await this.#fetch(key, {});
    return response && new Uint8Array(await response.arrayBuffer());
  }

  async getRange(key: string, range: ByteRange): Promise<Uint8Array | undefined> {
    if ("length" in range && range.length === 0) return new Uint8Array(0);
    const value = "suffixLength" in range
      ? `bytes=-${range.suffixLength}`
      : `bytes=${range.offset}-${range.offset + range.length - 1}`;
    const response = await this.#fetch(key, { headers: { Range: value } });
    if (!response) return undefined;
    // the value ends before the range begins
    if (response.status === 416) return new Uint8Array(0);
    const bytes = new Uint8Array(await response.arrayBuffer());
    // a server may answer with the whole value
    return response.status === 206 ? bytes : bytes.slice(...rangeBounds(range, bytes.byteLength));
  }

  async size(key: string): Promise<number | undefined> {
    const response = await this.#fetch(key, { method: "HEAD" });
    if (!response) return undefined;
    const length = response.headers.get("content-length");
    if (length === null) {
      throw new ChunkError(
        `Cannot tell the size of "${this.#url(key)}": the server gives no Content-Length`,
        this.#url(key),
      );
    }
    return Number(length);
  }

  set(key: string): Promise<void> {
    return Promise.reject(this.#refusal("write", key));
  }

  append(key: string): Promise<Appender> {
    return Promise.reject(this.#refusal("write", key));
  }

  lock(key: string): Promise<() => Promise<void>> {
    return Promise.reject(this.#refusal("lock", key));
  }

  availableBytes(): Promise<number> {
    return Promise.resolve(0);
  }

  delete(key: string): Promise<void> {
    return Promise.reject(this.#refusal("delete", key));
  }

  deleteAll(prefix = "/"): Promise<void> {
    return Promise.reject(this.#refusal("delete", prefix));
  }

  list(prefix: string): Promise<string[]> {
    return Promise.reject(this.#refusal("list", prefix));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #fetch(key: string, init: RequestInit): Promise<Response | undefined> {
    const url = this.#url(key);
    let response: Response;
    try {
      response = await fetch(url, init);
    } catch (cause) {
      throw new ChunkError(
        `Cannot read "${url}": the server did not answer, or does not allow this page to read it`,
        url,
        cause,
      );
    }
    if (response.ok || response.status === 416) return response;
    await response.body?.cancel();
    if (response.status === 404) return undefined;
    throw new ChunkError(
      `Cannot read "${url}": the server answered ${response.status} ${response.statusText}`.trim(),
      url,
    );
  }

  #url(key: string): string {
    const url = new URL(this.place);
    const path = keyParts(key).map(encodeURIComponent).join("/");
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/${path}`;
    return url.href;
  }

  #refusal(action: string, key: string): StoreError {
    const path = this.place + key;
    return new StoreError(`Cannot ${action} "${path}": servers are read only`, path);
  }
}
