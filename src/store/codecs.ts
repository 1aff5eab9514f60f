/**
 * How chunks are compressed when they are written.
 *
 * @module
 */

/** Compression of stored chunks: none, gzip (of the runtime), or zstd (of numcodecs). */
export type Codec = "none" | "gzip" | "zstd";

export const CODECS: readonly Codec[] = ["none", "gzip", "zstd"];

/** What a runtime's gzip stands for in metadata; readers do not need it. */
const GZIP_LEVEL = 6;
/** Probabilities compress little: the fastest level gives nearly all there is. */
const ZSTD_LEVEL = 1;

/** The codec in the list of a zarr v3 array; nothing for `none`. */
export function codecMetadataV3(codec: Codec): Record<string, unknown>[] {
  switch (codec) {
    case "none":
      return [];
    case "gzip":
      return [{ name: "gzip", configuration: { level: GZIP_LEVEL } }];
    case "zstd":
      return [{ name: "zstd", configuration: { level: ZSTD_LEVEL, checksum: false } }];
  }
}

/** The `compressor` of a zarr v2 array. */
export function codecMetadataV2(codec: Codec): Record<string, unknown> | null {
  switch (codec) {
    case "none":
      return null;
    case "gzip":
      return { id: "gzip", level: GZIP_LEVEL };
    case "zstd":
      return { id: "zstd", level: ZSTD_LEVEL };
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
      return bytes + Math.ceil(bytes / 256) + 64;
  }
}

/** Compresses a chunk. `none` gives back the very bytes. */
export async function compress(codec: Codec, bytes: Uint8Array): Promise<Uint8Array> {
  switch (codec) {
    case "none":
      return bytes;
    case "gzip": {
      const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream()
        .pipeThrough(new CompressionStream("gzip"));
      return new Uint8Array(await new Response(stream).arrayBuffer());
    }
    case "zstd": {
      const { default: Zstd } = await import("numcodecs/zstd");
      return await Zstd.fromConfig({ id: "zstd", level: ZSTD_LEVEL }).encode(bytes);
    }
  }
}
