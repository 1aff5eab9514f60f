/**
 * Place fields of sorted spikes, by kernel density or fitted.
 *
 * @module
 */

import type { CheckedOf } from "../options.ts";
import type { fieldOptions } from "./encoding_options.ts";
import type { GlmOptions } from "./glm_encoding.ts";
import { encodeByGlm } from "./glm_encoding.ts";
import type { Encoding } from "./sorted_spikes.ts";
import { encodeSortedSpikes } from "./sorted_spikes.ts";

/**
 * @returns `warnings` name units whose fit did not come to its end.
 * @throws {RangeError} As `trainOn()` and `encodeByGlm()` do, and if a choice is for fields of the other kind.
 */
export function encodePlaceFields(
  training: Omit<GlmOptions, "knotSpacing" | "penalty">,
  { placeFields, knotSpacing, fieldPenalty: penalty }: CheckedOf<typeof fieldOptions>,
): { encoding: Encoding; warnings: string[] } {
  if (placeFields === "kde") {
    const stray = knotSpacing !== undefined ? "knotSpacing" : penalty && "fieldPenalty";
    if (stray) {
      throw new RangeError(
        `Cannot make a decoder: ${stray} is for placeFields "glm", and they are "kde", wanted "glm" or none of it`,
      );
    }
    return { encoding: encodeSortedSpikes(training), warnings: [] };
  }
  const { warnings, ...encoding } = encodeByGlm({
    ...training,
    ...(knotSpacing !== undefined && { knotSpacing }),
    ...(penalty !== undefined && { penalty }),
  });
  return { encoding, warnings };
}
