/**
 * Decompression that stops at the size that was declared.
 *
 * @module
 */

/** Bytes that are to come of a chunk: exactly so many where that is known, and at most so many. */
export interface Size {
  exact: number | undefined;
  most: number;
}

/** Refuses bytes of another size than they should have. */
export function checkSize(bytes: number, { exact, most }: Size): void {
  if (exact !== undefined && bytes !== exact) {
    throw new RangeError(`it holds ${bytes} bytes, wanted ${exact}`);
  }
  if (bytes > most) throw new RangeError(`it holds ${bytes} bytes, wanted at most ${most}`);
}

// Some runtimes decompress all they get before anybody reads: deflate makes 1000 bytes of one at most.
const SLICE_BYTES = 16 * 1024;

/** Decompresses gzip or, as `deflate`, zlib, with what the runtime has. */
export async function inflate(
  format: "gzip" | "deflate",
  bytes: Uint8Array,
  size: Size,
): Promise<Uint8Array> {
  let at = 0;
  const slices = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      // of its own, since streams may take buffers over
      controller.enqueue(bytes.slice(at, at + SLICE_BYTES));
      at += SLICE_BYTES;
      if (at >= bytes.length) controller.close();
    },
  }, { highWaterMark: 0 });
  const reader = slices.pipeThrough(new DecompressionStream(format)).getReader();
  const whole = size.exact === undefined ? undefined : new Uint8Array(size.exact);
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read().catch((error: Error) => {
      throw new RangeError(`its ${format} stream is damaged`, { cause: error });
    });
    if (done) break;
    if (length + value.length > (size.exact ?? size.most)) {
      await reader.cancel().catch(() => {});
      throw new RangeError(
        `it holds more than ${size.exact ?? size.most} bytes, wanted no more than that`,
      );
    }
    if (whole) whole.set(value, length);
    else pieces.push(value);
    length += value.length;
  }
  checkSize(length, size);
  if (whole) return whole;
  const joined = new Uint8Array(length);
  pieces.reduce((offset, piece) => (joined.set(piece, offset), offset + piece.length), 0);
  return joined;
}

/** Decompresses frames of zstd. */
export async function decompressZstd(bytes: Uint8Array, size: Size): Promise<Uint8Array> {
  const framed = zstdSize(bytes);
  if (framed.exact !== undefined) checkSize(framed.exact, size);
  // blocks of an unknown size are small, or many of them are needed
  else if (framed.most > Math.max(4 * size.most, MOST_UNTOLD_BYTES)) {
    throw new RangeError(
      `it may hold ${framed.most} bytes and does not say how many, wanted at most ${size.most}`,
    );
  }
  const { default: Zstd } = await import("numcodecs/zstd");
  try {
    return await Zstd.fromConfig({ id: "zstd" }).decode(bytes);
  } catch (error) {
    throw new RangeError("its frame of zstd is damaged", { cause: error });
  }
}

const MOST_UNTOLD_BYTES = 64 * 2 ** 20;
const FRAME_MAGIC = 0xfd2fb528;
const BLOCK_BYTES = 128 * 1024;
const CHECKSUM_BYTES = 4;
const BLOCK_TYPES = ["raw", "repeated", "compressed"] as const;

/** Bytes that frames of zstd hold by their headers and those of their blocks (RFC 8878). */
function zstdSize(bytes: Uint8Array): Size {
  let at = 0;
  const skip = (count: number) => {
    at += count;
    if (at > bytes.length) {
      throw new RangeError(`its frame of zstd is cut short at ${bytes.length} bytes`);
    }
  };
  const next = (count: number): number => {
    const from = at;
    skip(count);
    return bytes.subarray(from, at).reduceRight((value, byte) => value * 256 + byte, 0);
  };
  const size: Size = { exact: 0, most: 0 };
  while (at < bytes.length) {
    const magic = next(4);
    if ((magic & 0xfffffff0) === 0x184d2a50) {
      skip(next(4));
      continue;
    }
    if (magic !== FRAME_MAGIC) throw new RangeError("its frame of zstd has no magic number");
    const descriptor = next(1);
    const isSingle = (descriptor & 0x20) !== 0;
    skip((isSingle ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!);
    const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
    const told = sizeBytes === 0 ? undefined : next(sizeBytes) + (sizeBytes === 2 ? 256 : 0);
    let most = 0;
    for (let isLast = false; !isLast;) {
      const header = next(3);
      isLast = (header & 1) !== 0;
      const type = BLOCK_TYPES[(header >> 1) & 3];
      const length = header >> 3;
      if (type === undefined) throw new RangeError("its block of zstd is of no known type");
      skip(type === "repeated" ? 1 : length);
      most += type === "compressed" ? BLOCK_BYTES : length;
    }
    if ((descriptor & 4) !== 0) skip(CHECKSUM_BYTES);
    size.exact = told === undefined || size.exact === undefined ? undefined : size.exact + told;
    size.most += told ?? most;
  }
  return size;
}
