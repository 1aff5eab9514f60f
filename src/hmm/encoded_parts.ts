/**
 * Encodings of several environments, or of several groups of samples, together.
 *
 * @module
 */

import type { MarkEncoding } from "./clusterless_encoding.ts";
import type { Encoding, Training } from "./sorted_spikes.ts";

/** What spikes tell of one environment, by the samples of one group. */
export interface EncodedPart<Own = Encoding | MarkEncoding> {
  environment: string;
  /** Missing where all samples count. */
  group?: string;
  encoding: Own;
}

/** What spikes tell of each, and what all of that is made of. */
export type EncodedParts =
  & ({ model: "sortedSpikes"; parts: readonly EncodedPart<Encoding>[] } | {
    model: "clusterless";
    parts: readonly EncodedPart<MarkEncoding>[];
  })
  & Pick<Training, "exposureSeconds" | "intervals" | "mergedStamps">
  & { encodingSpikes: number };

/** Encodings of parts together: exposure and spikes are sums. */
export function together(
  own:
    | { model: "sortedSpikes"; parts: readonly EncodedPart<Encoding>[] }
    | { model: "clusterless"; parts: readonly EncodedPart<MarkEncoding>[] },
): EncodedParts {
  const encodings = own.parts.map(({ encoding }): Encoding | MarkEncoding => encoding);
  return {
    ...own,
    exposureSeconds: encodings.reduce((sum, { exposureSeconds }) => sum + exposureSeconds, 0),
    encodingSpikes: encodings.reduce((sum, { encodingSpikes }) => sum + encodingSpikes, 0),
    intervals: encodings[0]!.intervals,
    mergedStamps: encodings[0]!.mergedStamps,
  };
}
