/**
 * Rows in samples of any length, such as the tokens of texts: rows of one array, and where each sample begins.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";

/** Samples of rows `[rows, features]`, one after the other. */
export interface RaggedArray {
  /** `[rows, features]`, all samples joined. */
  readonly rows: ChunkedArray;
  /** `[samples + 1]`: the row each sample begins at, ascending, and the number of rows. */
  readonly offsets: Float64Array;
  /** `[rows]` of 0 and 1: the rows that count, while the others are there but are not scored; all of them when not given. */
  readonly detected?: Uint8Array;
}

/**
 * @param action What is being done, for errors: `fit a probe`.
 * @throws {RangeError} If offsets do not ascend from 0 to the number of rows, or `detected` has another length.
 */
export function checkRagged({ rows, offsets, detected }: RaggedArray, action: string): void {
  const count = rows.shape[0]!;
  const last = offsets.length - 1;
  if (last < 0 || offsets[0] !== 0 || offsets[last] !== count) {
    throw new RangeError(
      `Cannot ${action}: offsets go from ${offsets[0] ?? "nothing"} to ${
        offsets[last] ?? "nothing"
      }, ` +
        `wanted from 0 to the ${count} rows`,
    );
  }
  for (let sample = 0; sample < last; sample++) {
    if (!(offsets[sample + 1]! >= offsets[sample]!)) {
      throw new RangeError(
        `Cannot ${action}: sample ${sample} begins at row ${offsets[sample]} and ends at row ` +
          `${offsets[sample + 1]}, wanted offsets that ascend`,
      );
    }
  }
  if (detected && detected.length !== count) {
    throw new RangeError(
      `Cannot ${action}: the mask has ${detected.length} elements, the samples have ${count} rows`,
    );
  }
}
