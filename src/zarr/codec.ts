/**
 * What a codec is to a reader.
 *
 * @module
 */

import type { Size } from "./decompress.ts";
import type { StoredType } from "./stored_types.ts";

/** Undoes what a codec did to bytes. */
export interface Decoder {
  /** Bytes that the codec made of so many. */
  encodedSize(size: Size): Size;
  /** The bytes it was given; `size` is what they should be. */
  decode(bytes: Uint8Array, size: Size): Uint8Array | Promise<Uint8Array>;
  /** Of what changes elements: before and after it. */
  types?: { decoded: StoredType; encoded: StoredType };
}

export type Options = Record<string, unknown>;

/** A codec that is known. */
export interface Codec {
  /** Its options, by what is to be said of a wrong value. */
  options: Record<string, (value: unknown) => boolean>;
  required?: readonly string[];
  create(options: Options, name: string): Decoder;
}
