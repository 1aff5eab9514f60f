/**
 * Values that grow in a bucket, where objects cannot: each is a row of objects, named by the byte they begin at,
 * until the server puts them together.
 *
 * @module
 */

import { tooShort, wasClosed } from "./place.ts";
import type { S3Client } from "./s3_client.ts";
import { LEAST_PART_BYTES, S3Upload } from "./s3_upload.ts";
import type { Appender } from "./store.ts";

/** Up to so many bytes the last object is written again with what is added, so that a log has few. */
const TAIL_BYTES = 256 * 1024;
/** So much is written at once, without parts. */
const MOST_WHOLE_BYTES = 16 * 2 ** 20;
const OFFSET_DIGITS = 15;

/** Bytes [start, end) of a value, which an object holds. */
export interface Piece {
  name: string;
  start: number;
  end: number;
}

/** Name of the folder that the objects of an unfinished value lie in. */
export const growingFolder = (name: string) => `${name}.partial/`;

/** The value whose unfinished bytes an object holds; `undefined` of any other object. */
export function valueOfPiece(name: string): string | undefined {
  return /^(.*)\.partial\/\d{15}$/s.exec(name)?.[1];
}

const pieceName = (name: string, start: number) =>
  growingFolder(name) + String(start).padStart(OFFSET_DIGITS, "0");

/** The objects of an unfinished value, as far as they adjoin each other; `undefined` if there are none. */
export async function findPieces(client: S3Client, name: string): Promise<Piece[] | undefined> {
  const pieces: Piece[] = [];
  for (const { name: own, size } of await client.list(growingFolder(name))) {
    const start = pieces.at(-1)?.end ?? 0;
    if (own !== pieceName(name, start)) break;
    pieces.push({ name: own, start, end: start + size });
  }
  return pieces.length > 0 ? pieces : undefined;
}

/** Bytes [start, end) of pieces. */
export async function readPieces(
  client: S3Client,
  pieces: readonly Piece[],
  start: number,
  end: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.max(0, end - start));
  for (const piece of pieces) {
    const from = Math.max(start, piece.start);
    const to = Math.min(end, piece.end);
    if (from >= to) continue;
    const found = await client.get(piece.name, [from - piece.start, to - piece.start]);
    // whoever finishes or removes it meanwhile leaves nothing to be read
    if (!found) return bytes.subarray(0, from - start);
    bytes.set(found.bytes, from - start);
  }
  return bytes;
}

/** Removes the objects of an unfinished value, the last first: what is left is always its beginning. */
export async function removePieces(client: S3Client, name: string, from = 0): Promise<void> {
  const found = await client.list(growingFolder(name));
  for (const { name: own } of found.reverse()) {
    if (valueOfPiece(own) === name && own >= pieceName(name, from)) await client.delete(own);
  }
}

/** Opens the unfinished value of a name, as {@link Store.append} does. */
export async function openGrowing(
  client: S3Client,
  name: string,
  keep: number,
  callbacks: GrowingCallbacks,
): Promise<Appender> {
  const path = `${client.address}/${name}`;
  let pieces = await findPieces(client, name);
  if (!pieces && keep > 0) {
    const end = await callbacks.size() ?? 0;
    if (end < keep) throw tooShort(path, end, keep);
    const first = { name: pieceName(name, 0), start: 0, end };
    await client.copy(name, first.name);
    await client.delete(name);
    pieces = [first];
  }
  const size = pieces?.at(-1)?.end ?? 0;
  if (size < keep) throw tooShort(path, size, keep);
  const kept = (pieces ?? []).filter(({ start }) => start < keep);
  // those after a gap, too
  await removePieces(client, name, kept.at(-1)?.end ?? 0);
  const last = kept.at(-1);
  let tail: Uint8Array = new Uint8Array(0);
  if (last && (last.end > keep || keep - last.start <= TAIL_BYTES)) {
    tail = await readPieces(client, [last], last.start, keep);
    if (last.end > keep) await client.put(last.name, tail);
    last.end = keep;
  }
  if (!last) {
    const first = { name: pieceName(name, 0), start: 0, end: 0 };
    await client.put(first.name, tail);
    kept.push(first);
  }
  return new S3Appender(client, name, kept, tail, callbacks);
}

/** What an appender asks of its store. */
export interface GrowingCallbacks {
  /** @throws If the store may not be written to any more. */
  check(): void;
  /** Bytes of the finished value, if there is one. */
  size(): Promise<number | undefined>;
  /** A value was put in place of another one. */
  onFinish(): void;
}

/** What was appended is safe as soon as it resolves: there is nothing to sync. */
class S3Appender implements Appender {
  readonly #client: S3Client;
  readonly #name: string;
  readonly #pieces: Piece[];
  readonly #callbacks: GrowingCallbacks;
  /** Bytes of the last piece, while it is small. */
  #tail: Uint8Array;
  #size: number;
  #ended = false;
  #last: Promise<void> = Promise.resolve();

  constructor(
    client: S3Client,
    name: string,
    pieces: Piece[],
    tail: Uint8Array,
    callbacks: GrowingCallbacks,
  ) {
    this.#client = client;
    this.#name = name;
    this.#pieces = pieces;
    this.#tail = tail;
    this.#size = pieces.at(-1)!.end;
    this.#callbacks = callbacks;
  }

  get size(): number {
    return this.#size;
  }

  append(bytes: Uint8Array): Promise<void> {
    this.#size += bytes.byteLength;
    return this.#then(() => this.#write(bytes));
  }

  sync(): Promise<void> {
    return this.#then(() => Promise.resolve());
  }

  finish(): Promise<void> {
    return this.#then(async () => {
      await this.#join();
      this.#ended = true;
      this.#callbacks.onFinish();
      await removePieces(this.#client, this.#name);
    });
  }

  async close(): Promise<void> {
    await this.#last.catch(() => {});
    this.#ended = true;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (bytes.byteLength === 0) return;
    const last = this.#pieces.at(-1)!;
    const length = last.end - last.start;
    const isTail = length === this.#tail.byteLength;
    if (isTail && (length === 0 || length + bytes.byteLength <= TAIL_BYTES)) {
      const tail = new Uint8Array(length + bytes.byteLength);
      tail.set(this.#tail);
      tail.set(bytes, length);
      await this.#client.put(last.name, tail);
      this.#tail = tail.byteLength <= TAIL_BYTES ? tail : new Uint8Array(0);
      last.end += bytes.byteLength;
      return;
    }
    const piece = {
      name: pieceName(this.#name, last.end),
      start: last.end,
      end: last.end + bytes.byteLength,
    };
    await this.#client.put(piece.name, bytes);
    this.#pieces.push(piece);
    this.#tail = bytes.byteLength <= TAIL_BYTES ? bytes.slice() : new Uint8Array(0);
  }

  /** Puts all pieces into one object. */
  async #join(): Promise<void> {
    const [client, name, pieces] = [this.#client, this.#name, this.#pieces];
    const { end } = pieces.at(-1)!;
    if (end <= MOST_WHOLE_BYTES) {
      await client.put(name, await this.#read(0, end));
      return;
    }
    const upload = await S3Upload.begin(client, name);
    try {
      for (let i = 0; i < pieces.length;) {
        const first = pieces[i++]!;
        if (first.end - first.start >= LEAST_PART_BYTES) {
          await upload.addCopy(first.name);
          continue;
        }
        let to = first.end;
        while (i < pieces.length && to - first.start < LEAST_PART_BYTES) to = pieces[i++]!.end;
        await upload.add(await this.#read(first.start, to));
      }
      await upload.complete();
    } catch (error) {
      await upload.abandon().catch(() => {});
      throw error;
    }
  }

  async #read(start: number, end: number): Promise<Uint8Array> {
    const bytes = await readPieces(this.#client, this.#pieces, start, end);
    if (bytes.byteLength === end - start) return bytes;
    throw tooShort(`${this.#client.address}/${this.#name}`, start + bytes.byteLength, end);
  }

  #then(action: () => Promise<void>): Promise<void> {
    if (this.#ended) return Promise.reject(wasClosed(`${this.#client.address}/${this.#name}`));
    const next = this.#last.then(() => {
      this.#callbacks.check();
      return action();
    });
    this.#last = next;
    // whoever comes next sees the failure; until then it is not "unhandled"
    next.catch(() => {});
    return next;
  }
}
