/**
 * A read-only store behind HTTP. Servers are read by ranges, and what they answer is held against what was
 * asked: a range that is another one, or a value that changed meanwhile, is an error.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { withoutSecrets } from "../secrets.ts";
import type { ByteRange } from "./byte_range.ts";
import { rangeBounds } from "./byte_range.ts";
import {
  checkRange,
  HttpAnswers,
  isCompressed,
  parseContentRange,
  plainLength,
  rangeHeaders,
  refuseLarge,
} from "./http_answers.ts";
import { KEPT_BYTES, KeptValues } from "./http_kept.ts";
import type { Answer, Patience, Request, Sign } from "./http_request.ts";
import { ask, PATIENCE, refusal } from "./http_request.ts";
import { keyParts } from "./place.ts";
import { ReadOnlyStore } from "./read_only.ts";
import type { GetOptions, Store } from "./store.ts";

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

/** The largest value that is read as a whole, unless whoever reads it knows better. */
const MOST_BYTES = 2 ** 30;
/** The largest file that describes something. */
const MOST_DESCRIPTION_BYTES = 64 * 2 ** 20;

/** Files that describe an array or a group: readers look for one after the other. */
const DESCRIPTION = /\/(zarr\.json|checksums\.txt|\.z(array|attrs|group|metadata))$/;

export class HttpStore extends ReadOnlyStore implements Store {
  /** Without what may be secret in the address. */
  readonly place: string;
  readonly #address: URL;
  readonly #headers: Record<string, string>;
  readonly #options: HttpOptions;
  readonly #patience: Patience;
  readonly #sign: Sign | undefined;
  readonly #answers = new HttpAnswers();
  /** Values of a server that knows no ranges. */
  readonly #kept = new KeptValues();
  #ignoresRanges = false;

  /** @param address Of the folder. A query in it, such as a token, goes with every request. */
  constructor(
    address: string,
    options: HttpOptions = {},
    patience: Patience = PATIENCE,
    sign?: Sign,
  ) {
    super("servers are read only");
    this.place = withoutSecrets(address).replace(/\?.*$/, "");
    if (!URL.canParse(address)) {
      throw new TypeError(
        `Cannot open "${this.place}": it is no address, wanted one as https://host/x.zarr`,
      );
    }
    const url = new URL(address);
    this.#headers = whoAsks(url);
    url.username = url.password = "";
    url.hash = "";
    this.#address = url;
    this.#options = options;
    this.#patience = patience;
    this.#sign = sign;
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array | undefined> {
    if (this.#kept.has(key)) return (await this.#whole(key, options))?.slice();
    const request = this.#request(key, {}, options);
    return await ask(request, async (answer) => {
      if (await this.#isMissing(request, key, answer)) return undefined;
      const { mostBytes = DESCRIPTION.test(key) ? MOST_DESCRIPTION_BYTES : MOST_BYTES } = options;
      return await this.#answers.take(request, key, answer, mostBytes) ??
        refuseLarge(request, answer, mostBytes, "");
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
      if (status === 206) {
        return { bytes: await this.#answers.takeRange(request, key, answer, range) };
      }
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
      this.#answers.compare(request, key, answer, range?.size);
      return range?.size === undefined ? "untold" : { size: range.size };
    });
    if (found === "ignored") return (await this.#whole(key, options))?.byteLength;
    if (found !== "untold") return found.size;
    return await sizeByLength(this.#request(key, rangeHeaders("bytes=0-"), options));
  }

  /** A value may be another one from now on. */
  forget(key: string): void {
    this.#answers.forget(key);
  }

  list(prefix: string): Promise<string[]> {
    return Promise.reject(this.refusal("list", prefix));
  }

  close(): Promise<void> {
    this.#kept.clear();
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
      sign: this.#sign,
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

  /** A server answered a range with all there is: that is kept, and no range is asked for again. */
  async #hearWhole(request: Request, key: string, answer: Answer): Promise<"ignored"> {
    this.#ignoresRanges = true;
    // of several that were asked for at once the first is enough; what is compressed is asked for without a
    // range, as Deno does not decompress it here
    if (!isCompressed(answer) && !this.#kept.has(key)) {
      await this.#kept.keep(key, this.#takeKept(request, key, answer));
    }
    return "ignored";
  }

  /** A value of a server that knows no ranges. */
  async #whole(key: string, options: GetOptions): Promise<Uint8Array | undefined> {
    const kept = this.#kept.use(key);
    if (kept) {
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
    return await this.#kept.keep(
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
    return await this.#answers.take(request, key, answer, KEPT_BYTES) ??
      refuseLarge(
        request,
        answer,
        KEPT_BYTES,
        " of a server that answers no ranges (download it, or serve it by one that does)",
      );
  }
}

/** Headers of the name and password in an address. */
function whoAsks({ username, password }: URL): Record<string, string> {
  if (!username && !password) return {};
  const words = [username, password].map(decodeURIComponent).join(":");
  const bytes = String.fromCharCode(...new TextEncoder().encode(words));
  return { Authorization: `Basic ${btoa(bytes)}` };
}

/** Of servers that do not show this page the size in a range: a range to the end has as many bytes. */
async function sizeByLength(request: Request): Promise<number> {
  return await ask(request, (answer) => {
    const { status, headers } = answer.response;
    const length = headers.get("content-length");
    if (status !== 206 || length === null || isCompressed(answer)) {
      throw refusal(request, "the server tells no size, wanted Content-Range with one");
    }
    return Promise.resolve(Number(length));
  });
}

function cut(bytes: Uint8Array | undefined, range: ByteRange): Uint8Array | undefined {
  return bytes?.slice(...rangeBounds(range, bytes.byteLength));
}

/** Whether a 403 says what S3 says of keys that are not there, when it may not tell who is asking so. */
async function hasNoSuchKey(response: Response): Promise<boolean> {
  const text = await response.text();
  return /<Code>AccessDenied<\/Code>/.test(text) && !/expired/i.test(text);
}
