/**
 * A view of probabilities that are stored as whole numbers.
 *
 * @module
 */

import { fromRootScaled, fromUint16 } from "../math/quantize.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import { ofType } from "../chunked_array.ts";

/**
 * How whole numbers q stand for probabilities p: `linear`, p = q / 65535; `root`, p = q^2 times the scale of
 * the row. A packed array names it in its attribute `packing`, and the scales of `x` are `x_scale`.
 */
export type Packing = "linear" | "root";

/** Name of the array that has the scale of every row. */
export function scaleName(name: string): string {
  return `${name}_scale`;
}

/**
 * Packed probabilities [rows, width] u16 as f32, undone as they are read. Closing it closes both.
 *
 * @param scales [rows] f32, where the packing is `root`.
 */
export function unpack(
  stored: ChunkedArray,
  packing: Packing,
  scales: ChunkedArray | undefined,
): ChunkedArray<Float32Array> {
  const numbers = ofType(stored, "uint16");
  const rowScales = scales && ofType(scales, "float32");
  return {
    ...stored as ChunkedArray<never>,
    dtype: "float32",
    async read(start, end, options) {
      const values = await numbers.read(start, end, options);
      if (packing === "linear") return fromUint16(values);
      return fromRootScaled({
        stored: values,
        scales: await rowScales!.read(start, end, options),
      });
    },
    async close() {
      await stored.close();
      await scales?.close();
    },
  };
}
