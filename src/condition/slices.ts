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
import { countFrames, countRows, frameBlocks, rowBlocks, rowCount } from "./rows.ts";

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
    // the first is that of the frame before
    const own = values.subarray(1);
    checkEnergies(own, rows.utterances[utterance]!.id, target);
    energies.set(own, row);
  }
  return energies;
}

/**
 * Median of energies, as `numpy.median` has it.
 *
 * @param over All frames of the utterances, or those of the rows alone.
 * @throws {RangeError} If one is not finite; names utterance and frame.
 */
export async function medianEnergy(
  rows: Rows,
  over: "frames" | "rows",
  options?: ReadOptions,
): Promise<number> {
  if (over === "rows") return quantiles((await rowEnergies(rows, options)).sort(), [0.5])[0]!;
  const { utterances } = rows;
  const energies = new Float64Array(countFrames(utterances));
  let done = 0;
  for await (const { utterance, frame, values } of frameBlocks(rows, options)) {
    checkEnergies(values, utterances[utterance]!.id, frame);
    energies.set(values, done);
    done += values.length;
  }
  return quantiles(energies.sort(), [0.5])[0]!;
}

function checkEnergies(energies: ArrayLike<number>, id: string, frame: number): void {
  for (let i = 0; i < energies.length; i++) {
    if (Number.isFinite(energies[i])) continue;
    throw new RangeError(
      `Cannot slice "${id}": the energy of frame ${frame + i} is ${
        energies[i]
      }, wanted finite numbers`,
    );
  }
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
