/**
 * Pictures of few colours as PNG.
 *
 * @module
 */

import { crc32 } from "../math/crc32c.ts";
import type { Rgb } from "./colors.ts";
import { bigEndian, zlibCompress } from "./deflate.ts";

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const [BITS, INDEXED] = [8, 3];

/** Rows of places in a palette, compressed: two palettes may share them. */
export function compressPixels(width: number, height: number, places: Uint8Array): Uint8Array {
  const rows = new Uint8Array(height * (width + 1));
  for (let row = 0; row < height; row++) {
    // each row begins with its filter: none
    rows.set(places.subarray(row * width, (row + 1) * width), row * (width + 1) + 1);
  }
  return zlibCompress(rows);
}

/** A PNG of compressed pixels and at most 256 colours, as an address. */
export function pngAddress(
  width: number,
  height: number,
  pixels: Uint8Array,
  palette: readonly Rgb[],
): string {
  const header = [...bigEndian(width), ...bigEndian(height), BITS, INDEXED, 0, 0, 0];
  const chunks = [
    pngChunk("IHDR", Uint8Array.from(header)),
    pngChunk("PLTE", Uint8Array.from(palette.flat())),
    pngChunk("IDAT", pixels),
    pngChunk("IEND", new Uint8Array()),
  ];
  const bytes = [pngSignature(), ...chunks];
  const text = bytes.map((part) => Array.from(part, (byte) => String.fromCharCode(byte)).join(""));
  return `data:image/png;base64,${btoa(text.join(""))}`;
}

/** What a PNG begins with. */
export function pngSignature(): Uint8Array {
  return Uint8Array.from(SIGNATURE);
}

export function pngChunk(type: string, data: Uint8Array): Uint8Array {
  const whole = new Uint8Array(12 + data.length);
  whole.set(bigEndian(data.length));
  whole.set(Array.from(type, (letter) => letter.charCodeAt(0)), 4);
  whole.set(data, 8);
  whole.set(bigEndian(crc32(whole.subarray(4, 8 + data.length))), 8 + data.length);
  return whole;
}
