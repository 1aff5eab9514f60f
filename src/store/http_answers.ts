/**
 * What servers answer, held against what was asked: a range that is another one, or a value that changed
 * meanwhile, is an error.
 *
 * @module
 */

import { formatBytes } from "../math/format.ts";
import type { ByteRange } from "./byte_range.ts";
import { rangeBounds } from "./byte_range.ts";
import type { Answer, Request } from "./http_request.ts";
import { readBody, refusal } from "./http_request.ts";

/** Values of which it is known how they were at first. */
const MOST_SEEN = 4096;

/** What a value was like when it was first seen. */
interface Seen {
  size: number | undefined;
  etag: string | undefined;
}

/** Takes values from answers, and remembers how each was when it was first seen. */
export class HttpAnswers {
  readonly #seen = new Map<string, Seen>();

  /** A whole value; `undefined` if it is larger than it may be. */
  async take(
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
    if (bytes) this.compare(request, key, answer, bytes.byteLength);
    return bytes;
  }

  /** The range that was asked for, as far as the value reaches. */
  async takeRange(
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
    this.compare(request, key, answer, range.size);
    const wanted = range.end - range.start;
    const bytes = await readBody(answer, { wanted, most: wanted });
    if (bytes) return bytes;
    throw refusal(request, `the server sent more than ${wanted} bytes for a range`);
  }

  /** Takes a value for one that was never seen. */
  forget(key: string): void {
    this.#seen.delete(key);
  }

  /** @throws {ChunkError} If a value is not as it was. */
  compare(request: Request, key: string, answer: Answer, size: number | undefined): void {
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
}

/** @throws {ChunkError} Always: a value is larger than it may be. */
export function refuseLarge(request: Request, answer: Answer, most: number, of: string): never {
  const told = plainLength(answer);
  throw refusal(
    request,
    `it has ${told === undefined ? "more" : formatBytes(told)}, wanted at most ` +
      `${formatBytes(most)}${of}`,
  );
}

/** Bytes as they are stored: runtimes that see to that by themselves do so where a range is asked for. */
export function rangeHeaders(range: string): Record<string, string> {
  return { Range: range, "Accept-Encoding": "identity" };
}

export function isCompressed({ response: { headers } }: Answer): boolean {
  return (headers.get("content-encoding") ?? "identity") !== "identity";
}

/** First byte, one past the last, and the size of the value unless the server does not know it. */
export interface ContentRange {
  start: number;
  end: number;
  size: number | undefined;
}

export function parseContentRange(text: string | null): ContentRange | undefined {
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
export function checkRange(
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
export function plainLength(answer: Answer): number | undefined {
  const { headers, type } = answer.response;
  const length = headers.get("content-length");
  // pages are shown the length of what came from another host, but not whether it was compressed
  return length === null || type === "cors" || isCompressed(answer) ? undefined : Number(length);
}
