/**
 * The patches of an image as rows, none of which is stored.
 *
 * @module
 */

import type { NumericArray } from "../types.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import type { Is, OptionsOf } from "../options.ts";
import { custom, declare, whole } from "../options.ts";

const edge = whole({ from: 1 });
const isEdge = (value: unknown) => typeof value === "number";

export const patchOptions = declare("cut patches", {
  /** Edge of a patch in pixels, or its height and width. */
  size: custom(
    "a whole number of pixels, or two",
    ((value) =>
      isEdge(value) || Array.isArray(value) && value.length === 2 && value.every(isEdge)) as Is<
        number | readonly [height: number, width: number]
      >,
    { required: true, says: "edge of a patch in pixels, or its height and width" },
  ),
  /** Pixels from a patch to the next, down and across. Default 1. */
  stride: whole({ default: 1, from: 1, says: "pixels from a patch to the next, down and across" }),
});

/** How {@link patches} cuts. */
export type PatchOptions = OptionsOf<typeof patchOptions>;

/** Rows read together: enough that a band of the image serves many patches. */
const CHUNK_ROWS = 4096;

/**
 * A view of every patch of an image that lies in it whole.
 *
 * @example
 * ```ts
 * const rows = patches(await openArray("rgb.npy"), { size: 8 });   // [patches, 192]
 * ```
 *
 * @param image `[height, width]` or `[height, width, channels]` of any number type.
 * @returns `[patches, size * size * channels]` of the same type, patches from left to right and from
 * top to bottom, each in C order. Closing it closes the image.
 * @throws {RangeError} If the image has other axes, or no patch fits.
 */
export function patches(image: ChunkedArray, options: PatchOptions): ChunkedArray {
  const { size, stride } = patchOptions.check(options);
  const [height, width, channels = 1, ...more] = image.shape;
  if (width === undefined || more.length > 0) {
    throw new RangeError(
      `Cannot cut patches: the image has shape [${image.shape}], wanted [height, width] or ` +
        "[height, width, channels]",
    );
  }
  const [down, across] = typeof size === "number" ? [size, size] : size;
  for (const value of [down, across]) edge.check(value, { action: "cut patches", name: "size" });
  if (height! < down || width < across) {
    throw new RangeError(
      `Cannot cut patches of ${down} x ${across}: the image has ${height} x ${width} pixels`,
    );
  }
  const rowsAcross = Math.floor((width - across) / stride) + 1;
  const rows = rowsAcross * (Math.floor((height! - down) / stride) + 1);
  const run = across * channels;
  const shape = [rows, down * run];
  return {
    shape,
    dtype: image.dtype,
    dims: undefined,
    chunkRows: CHUNK_ROWS,
    places: image.places,
    async read(start, end, options) {
      checkRows(shape, start, end);
      const firstLine = Math.floor(start / rowsAcross) * stride;
      const endLine = Math.floor((end - 1) / rowsAcross) * stride + down;
      const none = start === end;
      const band = await image.read(none ? 0 : firstLine, none ? 0 : endLine, options);
      const values = new (band.constructor as new (length: number) => NumericArray)(
        (end - start) * down * run,
      ) as Float32Array;
      let at = 0;
      for (let row = start; row < end; row++) {
        const line = Math.floor(row / rowsAcross) * stride - firstLine;
        const left = row % rowsAcross * stride;
        for (let y = line; y < line + down; y++, at += run) {
          const from = (y * width + left) * channels;
          values.set((band as Float32Array).subarray(from, from + run), at);
        }
      }
      return values;
    },
    close: () => image.close(),
  };
}
