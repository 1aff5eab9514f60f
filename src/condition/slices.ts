/**
 * Which rows are in which slice: decided once, for all lags and conditions.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../array/array.ts";
import { quantiles } from "../math/quantiles.ts";
import type { SliceName } from "./config.ts";
import type { Slices } from "./diagnose.ts";
import type { Rows } from "./rows.ts";
import { countRows, rowBlocks, rowCount } from "./rows.ts";

/** Where in an utterance rows are medial, as shares of its frames. */
const MEDIAL = [0.17, 0.83] as const;

/**
 * Energies of rows, in their order.
 *
 * @throws {RangeError} If one is not finite; names utterance and frame.
 */
export async function rowEnergies(rows: Rows, options?: ReadOptions): Promise<Float64Array> {
  const energies = new Float64Array(countRows(rows));
  for await (const { utterance, row, target, values } of rowBlocks(rows, options)) {
    for (let i = 1; i < values.length; i++) {
      if (!Number.isFinite(values[i])) {
        throw new RangeError(
          `Cannot slice "${rows.utterances[utterance]!.id}": the energy of frame ${
            target + i - 1
          } ` +
            `is ${values[i]}, wanted finite numbers`,
        );
      }
      energies[row + i - 1] = values[i]!;
    }
  }
  return energies;
}

/** Median of the energies of rows. */
export async function medianEnergy(rows: Rows, options?: ReadOptions): Promise<number> {
  return quantiles((await rowEnergies(rows, options)).sort(), [0.5])[0]!;
}

/**
 * Slices of a split.
 *
 * @param energy Of all frames, and the median of the train rows', where `high_energy` is among the names.
 */
export async function sliceRows(
  rows: Omit<Rows, "frames">,
  names: readonly SliceName[],
  energy: { array: ChunkedArray; median: number } | undefined,
  options?: ReadOptions,
): Promise<Slices> {
  const own = names.filter((name) => name !== "all");
  const members = new Uint8Array(countRows(rows));
  const { utterances, firstTarget } = rows;
  const medial = 1 << own.indexOf("medial");
  if (own.includes("medial")) {
    let row = 0;
    for (const utterance of utterances) {
      const frames = utterance.end - utterance.start;
      for (let i = 0; i < rowCount(utterance, firstTarget); i++, row++) {
        const position = (firstTarget + i) / frames;
        if (position >= MEDIAL[0] && position <= MEDIAL[1]) members[row]! |= medial;
      }
    }
  }
  if (own.includes("high_energy")) {
    const high = 1 << own.indexOf("high_energy");
    const energies = await rowEnergies({ ...rows, frames: energy!.array }, options);
    energies.forEach((value, row) => {
      if (value > energy!.median) members[row]! |= high;
    });
  }
  return { names: own, members };
}
