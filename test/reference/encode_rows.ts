/** Twin of `encode_rows`, in f64 where the shader is in f32. */

import { encodeFloat16 } from "../../src/math/half.ts";
import { toRootScaled, toUint16 } from "../../src/math/quantize.ts";

export function encodeRows(
  packed: Float32Array,
  width: number,
  encoding: "half" | "linear" | "root",
): Uint16Array {
  switch (encoding) {
    case "half":
      return encodeFloat16(packed);
    case "linear":
      return toUint16(packed);
    case "root":
      return toRootScaled(packed, width).stored;
  }
}
