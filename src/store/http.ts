/**
 * A read-only store behind HTTP. Servers are read by ranges, and what they answer is held against what was
 * asked: a range that is another one, or a value that changed meanwhile, is an error.
 *
 * @module
 */

import { ChunkError, StoreError } from "../errors.ts";
import { withoutSecrets } from "../secrets.ts";
import { formatBytes } from "../math/format.ts";
import type { ByteRange } from "./byte_range.ts";
import { rangeBounds } from "./byte_range.ts";
import type { Answer, Patience, Request } from "./http_request.ts";
import { ask, PATIENCE, readBody, refusal } from "./http_request.ts";
import { keyParts } from "./place.ts";
import type { Appender, GetOptions, Store } from "./store.ts";

/** How a server is read. */
export interface HttpOptions {
  /** Ends every request when it aborts. */
  signal?: AbortSignal;
  /**
   * Hosts that the server may send us to, besides its own, such as `cdn.example.org` or `localhost:8000`. A name
   * and a password never go there. None when not given.
   */
  allowHosts?: readonly string[];
  /**
   * Whether 403 says that there is no such value. Servers that may not list their files answer so, but so they
   * do where a chunk cannot be read, which would then be taken for fill values. Default false: only files that
   * describe an array or a group may be missing that way, where the server answers as S3 does.
   */
  forbiddenIsMissing?: boolean;
}

/** What a server that knows no ranges may send to be kept, in bytes. */
const KEPT_BYTES = 64 * 2 ** 20;
/** The largest value that is read as a whole, unless whoever reads it knows better. */
const MOST_BYTES = 2 ** 30;
/** The largest file that describes something. */
const MOST_DESCRIPTION_BYTES = 64 * 2 ** 20;
/** Values of which it is known how they were at first. */
const MOST_SEEN = 4096;

/** Files that describe an array or a group: readers look for one after the other. */
const DESCRIPTION = /\/(zarr\.json|checksums\.txt|\.z(array|attrs|group|metadata))$/;

/** What a value was like when it was first seen. */
interface Seen {
  size: number | undefined;
  etag: string | undefined;
}

export class HttpStore implements Store {
  /** Without what may be secret in the address. */
  readonly place: string;
  readonly #address: URL;
  readonly #headers: Record<string, string>;
  readonly #options: HttpOptions;
  readonly #patience: Patience;
  readonly #seen = new Map<string, Seen>();
  /** Values of a server that knows no ranges, the one used last at the end. */
  readonly #kept = new Map<string, Promise<Uint8Array | undefined>>();
  #keptBytes = 0;
  #ignoresRanges = false;

  /** @param address Of the folder. A query in it, such as a token, goes with every request. */
  constructor(address: string, options: HttpOptions = {}, patience: Patience = PATIENCE) {
    this.place = withoutSecrets(address).replace(/\?.*$/, "");
    if (!URL.canParse(address)) {
      throw new TypeError(
        `Cannot open "${this.place}": it is no address, wanted one as https://host/x.zarr`,
      );
    }
    const url = new URL(address);
    this.#headers = {};
    if (url.username || url.password) {
      const words = [url.username, url.password].map(decodeURIComponent).join(":");
      const bytes = String.fromCharCode(...new TextEncoder().encode(words));
      this.#headers.Authorization = `Basic ${btoa(bytes)}`;
      url.username = url.password = "";
    }
    url.hash = "";
    this.#address = url;
    this.#options = options;
    this.#patience = patience;
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array | undefined> {
    if (this.#kept.has(key)) return (await this.#whole(key, options))?.slice();
    const request = this.#request(key, {}, options);
    return await ask(request, async (answer) => {
      if (await this.#isMissing(request, key, answer)) return undefined;
      const { mostBytes = DESCRIPTION.test(key) ? MOST_DESCRIPTION_BYTES : MOST_BYTES } = options;
      return await this.#take(request, key, answer, mostBytes) ??
        this.#refuseLarge(request, answer, mostBytes, "");
    });
  }

  async getRange(
    key: string,
    range: ByteRange,
    options: GetOptions = {},
  ): Promise<Uint8Array | undefined> {
    if ("length" in range && range.length === 0) return new Uint8Array(0);
    if (this.#ignoresRanges || this.#kept.has(key)) {
      return cut(await this.#whole(key, options), range);
    }
    const asked = "suffixLength" in range
      ? `bytes=-${range.suffixLength}`
      : `bytes=${range.offset}-${range.offset + range.length - 1}`;
    const request = this.#request(key, rangeHeaders(asked), options);
    const found = await ask(request, async (answer) => {
      const { status } = answer.response;
      if (await this.#isMissing(request, key, answer)) return { bytes: undefined };
      if (status === 206) return { bytes: await this.#takeRange(request, key, answer, range) };
      return status === 200 ? this.#hearWhole(request, key, answer) : "beyond";
    });
    if (found === "ignored") return cut(await this.#whole(key, options), range);
    if (found !== "beyond") return found.bytes;
    const size = await this.size(key, options);
    if (size === undefined) return undefined;
    const [start, end] = rangeBounds(range, size);
    if (start === end) return new Uint8Array(0);
    // some know no ranges that count from the end
    const plain = { offset: start, length: end - start };
    if ("suffixLength" in range) return await this.getRange(key, plain, options);
    throw refusal(request, `the server has ${size} bytes and refuses ${asked}`);
  }

  async size(key: string, options: GetOptions = {}): Promise<number | undefined> {
    if (this.#kept.has(key)) return (await this.#whole(key, options))?.byteLength;
    // not HEAD: servers refuse it, or tell the size of what they would compress
    const request = this.#request(key, rangeHeaders("bytes=0-0"), options);
    const found = await ask(request, async (answer) => {
      const { status, headers } = answer.response;
      if (await this.#isMissing(request, key, answer)) return { size: undefined };
      const range = parseContentRange(headers.get("content-range"));
      if (status === 416) return { size: range?.size ?? 0 };
      if (status === 200) {
        const size = plainLength(answer);
        if (size !== undefined && size > KEPT_BYTES) return { size };
        return this.#hearWhole(request, key, answer);
      }
      checkRange(request, range, [0, 1]);
      this.#compare(request, key, answer, range?.size);
      return range?.size === undefined ? "untold" : { size: range.size };
    });
    if (found === "ignored") return (await this.#whole(key, options))?.byteLength;
    return found === "untold" ? await this.#sizeByLength(key, options) : found.size;
  }

  /** Of servers that do not show this page the size in a range: a range to the end has as many bytes. */
  async #sizeByLength(key: string, options: GetOptions): Promise<number> {
    const request = this.#request(key, rangeHeaders("bytes=0-"), options);
    return await ask(request, (answer) => {
      const { status, headers } = answer.response;
      const length = headers.get("content-length");
      if (status !== 206 || length === null || isCompressed(answer)) {
        throw refusal(request, "the server tells no size, wanted Content-Range with one");
      }
      return Promise.resolve(Number(length));
    });
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
    this.#kept.clear();
    this.#keptBytes = 0;
    return Promise.resolve();
  }

  #request(key: string, headers: Record<string, string>, { signal }: GetOptions): Request {
    const { allowHosts = [], signal: own } = this.#options;
    const url = new URL(this.#address);
    const path = keyParts(key).map(encodeURIComponent).join("/");
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/${path}`;
    return {
      url,
      headers: { ...this.#headers, ...headers },
      allowHosts,
      signals: [own, signal].filter((signal) => signal !== undefined),
      patience: this.#patience,
    };
  }

  /** @throws {ChunkError} If the answer is neither a value nor that there is none. */
  async #isMissing(request: Request, key: string, { response }: Answer): Promise<boolean> {
    const { status, statusText } = response;
    if (status === 404 || status === 410) return true;
    if (status === 403) {
      if (this.#options.forbiddenIsMissing) return true;
      if (DESCRIPTION.test(key) && await hasNoSuchKey(response)) return true;
    }
    if ((status === 200 || status === 206 || status === 416)) return false;
    const words = status === 403
      ? ", which may mean that it is missing or that it may not be read (forbiddenIsMissing takes it for missing)"
      : "";
    throw refusal(request, `the server answered ${`${status} ${statusText}`.trim()}${words}`);
  }

  /** A whole value; `undefined` if it is larger than it may be. */
  async #take(
    request: Request,
    key: string,
    answer: Answer,
    most: number,
  ): Promise<Uint8Array | undefined> {
    const { status } = answer.response;
    if (status !== 200) throw refusal(request, `the server answered ${status}, wanted all of it`);
    const wanted = plainLength(answer);
    if (wanted !== undefined && wanted > most) return undefined;
    const bytes = await readBody(answer, { wanted, most });
    if (bytes) this.#compare(request, key, answer, bytes.byteLength);
    return bytes;
  }

  /** The range that was asked for, as far as the value reaches. */
  async #takeRange(
    request: Request,
    key: string,
    answer: Answer,
    asked: ByteRange,
  ): Promise<Uint8Array> {
    const { headers } = answer.response;
    if (isCompressed(answer)) {
      const encoding = headers.get("content-encoding");
      throw refusal(
        request,
        `the server sent a range of its value in ${encoding}, wanted its bytes`,
      );
    }
    const range = parseContentRange(headers.get("content-range"));
    const most = "suffixLength" in asked ? asked.suffixLength : asked.length;
    if (!range) {
      // pages are not shown this header by servers that have not thought of it
      if (headers.has("content-range") || answer.response.type !== "cors") {
        throw refusal(request, "the server does not say which range it sent, wanted Content-Range");
      }
      return (await readBody(answer, { wanted: most, most }))!;
    }
    if ("suffixLength" in asked && range.size === undefined) {
      throw refusal(request, "the server tells no size, wanted Content-Range with one");
    }
    checkRange(
      request,
      range,
      "offset" in asked && range.size === undefined
        ? [asked.offset, asked.offset + asked.length]
        : rangeBounds(asked, range.size!),
    );
    this.#compare(request, key, answer, range.size);
    const wanted = range.end - range.start;
    const bytes = await readBody(answer, { wanted, most: wanted });
    return bytes ?? this.#refuse(request, `the server sent more than ${wanted} bytes for a range`);
  }

  /** @throws {ChunkError} If a value is not as it was. */
  #compare(request: Request, key: string, answer: Answer, size: number | undefined): void {
    const told = answer.response.headers.get("etag");
    // weak ones, and those of what was compressed, differ for equal bytes
    const etag = told?.startsWith('"') && !isCompressed(answer) ? told : undefined;
    const before = this.#seen.get(key);
    if (before?.size !== undefined && size !== undefined && before.size !== size) {
      throw refusal(
        request,
        `it changed while it was read: it had ${before.size} bytes, now ${size}`,
      );
    }
    if (before?.etag !== undefined && etag !== undefined && before.etag !== etag) {
      throw refusal(request, "it changed while it was read: its ETag is another one");
    }
    this.#seen.delete(key);
    this.#seen.set(key, { size: size ?? before?.size, etag: etag ?? before?.etag });
    if (this.#seen.size > MOST_SEEN) this.#seen.delete(this.#seen.keys().next().value!);
  }

  /** A server answered a range with all there is: that is kept, and no range is asked for again. */
  async #hearWhole(request: Request, key: string, answer: Answer): Promise<"ignored"> {
    this.#ignoresRanges = true;
    // of several that were asked for at once the first is enough; what is compressed is asked for without a
    // range, as Deno does not decompress it here
    if (!isCompressed(answer) && !this.#kept.has(key)) {
      await this.#keep(key, this.#takeKept(request, key, answer));
    }
    return "ignored";
  }

  /** A value of a server that knows no ranges. */
  async #whole(key: string, options: GetOptions): Promise<Uint8Array | undefined> {
    const kept = this.#kept.get(key);
    if (kept) {
      this.#kept.delete(key);
      this.#kept.set(key, kept);
      try {
        return await kept;
      } catch (error) {
        // another call, for which it came, may have been aborted
        const { signals } = this.#request(key, {}, options);
        for (const signal of signals) signal.throwIfAborted();
        if (error instanceof ChunkError) throw error;
        return await this.#whole(key, options);
      }
    }
    const request = this.#request(key, {}, options);
    return await this.#keep(
      key,
      ask(
        request,
        async (answer) =>
          await this.#isMissing(request, key, answer)
            ? undefined
            : await this.#takeKept(request, key, answer),
      ),
    );
  }

  async #takeKept(request: Request, key: string, answer: Answer): Promise<Uint8Array> {
    return await this.#take(request, key, answer, KEPT_BYTES) ??
      this.#refuseLarge(
        request,
        answer,
        KEPT_BYTES,
        " of a server that answers no ranges (download it, or serve it by one that does)",
      );
  }

  #keep(
    key: string,
    coming: Promise<Uint8Array | undefined>,
  ): Promise<Uint8Array | undefined> {
    this.#kept.set(key, coming);
    coming.then((bytes) => {
      if (!bytes) return void this.#kept.delete(key);
      this.#keptBytes += bytes.byteLength;
      this.#forgetOldest(key);
    }, () => this.#kept.delete(key));
    return coming;
  }

  #forgetOldest(newest: string): void {
    for (const [key, value] of this.#kept) {
      if (this.#keptBytes <= KEPT_BYTES) return;
      if (key === newest) continue;
      this.#kept.delete(key);
      value.then((bytes) => this.#keptBytes -= bytes?.byteLength ?? 0, () => {});
    }
  }

  #refuseLarge(request: Request, answer: Answer, most: number, of: string): never {
    const told = plainLength(answer);
    return this.#refuse(
      request,
      `it has ${told === undefined ? "more" : formatBytes(told)}, wanted at most ` +
        `${formatBytes(most)}${of}`,
    );
  }

  #refuse(request: Request, reason: string): never {
    throw refusal(request, reason);
  }

  #refusal(action: string, key: string): StoreError {
    const path = this.place + key;
    return new StoreError(`Cannot ${action} "${path}": servers are read only`, path);
  }
}

/** Bytes as they are stored: runtimes that see to that by themselves do so where a range is asked for. */
function rangeHeaders(range: string): Record<string, string> {
  return { Range: range, "Accept-Encoding": "identity" };
}

function isCompressed({ response: { headers } }: Answer): boolean {
  return (headers.get("content-encoding") ?? "identity") !== "identity";
}

function cut(bytes: Uint8Array | undefined, range: ByteRange): Uint8Array | undefined {
  return bytes?.slice(...rangeBounds(range, bytes.byteLength));
}

/** First byte, one past the last, and the size of the value unless the server does not know it. */
interface ContentRange {
  start: number;
  end: number;
  size: number | undefined;
}

function parseContentRange(text: string | null): ContentRange | undefined {
  const match = /^\s*bytes\s+(?:(\d+)-(\d+)|\*)\/(\d+|\*)\s*$/i.exec(text ?? "");
  if (!match) return undefined;
  const [, first = "0", last = "-1", size] = match;
  return {
    start: Number(first),
    end: Number(last) + 1,
    size: size === "*" ? undefined : Number(size),
  };
}

/** @throws {ChunkError} If a server sent another range than the one from `start` up to `end`. */
function checkRange(
  request: Request,
  range: ContentRange | undefined,
  [start, end]: readonly [number, number],
): void {
  if (!range || (range.start === start && range.end === end)) return;
  throw refusal(
    request,
    `the server sent bytes ${range.start} to ${range.end}, wanted ${start} to ${end}`,
  );
}

/** Bytes of a body as the server tells them, where it has not compressed it. */
function plainLength(answer: Answer): number | undefined {
  const { headers, type } = answer.response;
  const length = headers.get("content-length");
  // pages are shown the length of what came from another host, but not whether it was compressed
  return length === null || type === "cors" || isCompressed(answer) ? undefined : Number(length);
}

/** Whether a 403 says what S3 says of keys that are not there, when it may not tell who is asking so. */
async function hasNoSuchKey(response: Response): Promise<boolean> {
  const text = await response.text();
  return /<Code>AccessDenied<\/Code>/.test(text) && !/expired/i.test(text);
}
