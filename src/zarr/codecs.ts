/**
 * How chunks are compressed when they are written.
 *
 * @module
 */

import type { DataType } from "../types.ts";

/**
 * Compression of stored chunks: none, gzip (of the runtime), or zstd (of numcodecs). `delta-zstd` stores
 * 16-bit whole numbers as differences of neighbours, their low bytes before their high ones, before zstd
 * has them: it then finds in smooth rows what it cannot see otherwise. Other arrays it leaves to zstd alone.
 */
export type Codec = "none" | "gzip" | "zstd" | "delta-zstd";

export const CODECS: readonly Codec[] = ["none", "gzip", "zstd", "delta-zstd"];

/** What a runtime's gzip stands for in metadata; readers do not need it. */
const GZIP_LEVEL = 6;
/** Probabilities compress little: the fastest level gives nearly all there is. */
const ZSTD_LEVEL = 1;

/** Whether numbers become differences first. */
function isDelta(codec: Codec, dtype: DataType): boolean {
  return codec === "delta-zstd" && dtype === "uint16";
}

/** What stands before and behind the codec `bytes` in the list of a zarr v3 array. */
export function codecMetadataV3(
  codec: Codec,
  dtype: DataType,
): { before: Record<string, unknown>[]; behind: Record<string, unknown>[] } {
  const zstd = { name: "zstd", configuration: { level: ZSTD_LEVEL, checksum: false } };
  if (isDelta(codec, dtype)) {
    return {
      before: [{ name: "numcodecs.delta", configuration: { dtype: "<u2" } }],
      behind: [{ name: "numcodecs.shuffle", configuration: { elementsize: 2 } }, zstd],
    };
  }
  switch (codec) {
    case "none":
      return { before: [], behind: [] };
    case "gzip":
      return { before: [], behind: [{ name: "gzip", configuration: { level: GZIP_LEVEL } }] };
    case "zstd":
    case "delta-zstd":
      return { before: [], behind: [zstd] };
  }
}

/** The `filters` and the `compressor` of a zarr v2 array. */
export function codecMetadataV2(
  codec: Codec,
  dtype: DataType,
): { filters: Record<string, unknown>[] | null; compressor: Record<string, unknown> | null } {
  const filters = isDelta(codec, dtype)
    ? [{ id: "delta", dtype: "<u2" }, { id: "shuffle", elementsize: 2 }]
    : null;
  switch (codec) {
    case "none":
      return { filters, compressor: null };
    case "gzip":
      return { filters, compressor: { id: "gzip", level: GZIP_LEVEL } };
    case "zstd":
    case "delta-zstd":
      return { filters, compressor: { id: "zstd", level: ZSTD_LEVEL } };
  }
}

/** Bytes that compressing takes at most: what cannot be compressed grows a little. */
export function mostCompressedBytes(codec: Codec, bytes: number): number {
  switch (codec) {
    case "none":
      return bytes;
    case "gzip":
      return bytes + 5 * Math.ceil(bytes / 16_000) + 32;
    case "zstd":
    case "delta-zstd":
      return bytes + Math.ceil(bytes / 256) + 64;
  }
}

/** Compresses a chunk of elements of a type. `none` gives back the very bytes. */
export async function compress(
  codec: Codec,
  dtype: DataType,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  switch (codec) {
    case "none":
      return bytes;
    case "gzip": {
      const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream()
        .pipeThrough(new CompressionStream("gzip"));
      return new Uint8Array(await new Response(stream).arrayBuffer());
    }
    case "zstd":
    case "delta-zstd": {
      const { default: Zstd } = await import("numcodecs/zstd");
      const plain = isDelta(codec, dtype) ? deltaShuffle(bytes) : bytes;
      return await Zstd.fromConfig({ id: "zstd", level: ZSTD_LEVEL }).encode(plain);
    }
  }
}

/** Differences of neighbouring u16, modulo 2^16: the low bytes of all, then the high bytes. */
function deltaShuffle(bytes: Uint8Array): Uint8Array {
  const length = bytes.byteLength / 2;
  const values = new Uint16Array(bytes.buffer, bytes.byteOffset, length);
  const shuffled = new Uint8Array(2 * length);
  let last = 0;
  for (let i = 0; i < length; i++) {
    const difference = values[i]! - last;
    last = values[i]!;
    shuffled[i] = difference;
    shuffled[length + i] = difference >> 8;
  }
  return shuffled;
}
