/**
 * Small files that are read whole or refused: a line of JSON behind its checksum.
 *
 * @module
 */

import { StoreError } from "../errors.ts";
import { crc32c } from "../math/crc32c.ts";

const CRC_DIGITS = 8;

export function encodeSealed(value: unknown): Uint8Array {
  const json = JSON.stringify(value);
  return new TextEncoder().encode(`${checksumOf(json)} ${json}\n`);
}

/**
 * @param advice What helps where it is damaged.
 * @throws {StoreError} If it is not what was written.
 */
export function decodeSealed<Value>(
  bytes: Uint8Array,
  path: string,
  advice = "remove it, and what it tells of is done again",
): Value {
  const text = new TextDecoder().decode(bytes);
  const json = text.slice(CRC_DIGITS + 1, -1);
  if (text !== `${checksumOf(json)} ${json}\n`) {
    throw new StoreError(
      `Cannot read ${path}: it is damaged, wanted a line of JSON behind its checksum; ${advice}`,
      path,
    );
  }
  return JSON.parse(json);
}

function checksumOf(json: string): string {
  return crc32c(new TextEncoder().encode(json)).toString(16).padStart(CRC_DIGITS, "0");
}
