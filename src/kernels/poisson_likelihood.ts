/**
 * Poisson likelihood of sparse spikes. See `shaders/poisson_likelihood.wgsl`.
 *
 * @module
 */

import code from "../../shaders/poisson_likelihood.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { foldWorkgroups } from "../gpu/kernel.ts";
import type { RowCells } from "./spike_rows.ts";
import { FIXED_ONE, packSilence, withSpikeRows } from "./spike_rows.ts";

export const poissonLikelihood: KernelSpec = {
  name: "poisson_likelihood",
  code: withSpikeRows(code),
  bindings: {
    params: "uniform",
    spike_starts: "read",
    spike_units: "read",
    log_rates: "read",
    silence: "read",
    likelihood: "read_write",
    row_maximum: "read_write",
  },
};

/** The largest quotient of rates of a unit that the kernel's integers hold, as a power of 2. */
const MOST_BINADES = 127;
/** What the kernel reads of rates, and what was left out of it. */
export interface RateTables {
  /** [units, cells, 4] logarithm to base 2 in 2^-24; each unit's maximum over bins is 0. */
  logRates: Int32Array<ArrayBuffer>;
  /** [cells, 2, 4] minus the rate summed over units, over ln 2: whole and in 2^-24; its maximum is 0. */
  silence: Int32Array<ArrayBuffer>;
  /** Natural logarithms that were subtracted, f64: of every unit, and of the silence. */
  unitConstants: Float64Array;
  silenceConstant: number;
}

/**
 * Centres log rates in f64 before they become integers.
 *
 * Where kernels are narrow and training leaves places out, rates rise to 1e16 Hz and more: such bins are as
 * good as impossible, and stay so.
 *
 * @param rates [units, kinds, bins] f64, spikes per row, above 0; of one kind where states expect the same.
 * @throws {RangeError} If the rates of a unit differ by a factor of 2^127 or more.
 */
export function packRates(
  rates: Float64Array,
  bins: number,
  { cells, toCells, kinds = 1 }: RowCells & {
    /** Kinds of likelihood. */
    kinds?: number;
  },
): RateTables {
  const width = kinds * bins;
  const units = rates.length / width;
  const logRates = new Int32Array(units * cells * 4);
  const unitConstants = new Float64Array(units);
  const total = new Float64Array(width);
  for (let unit = 0; unit < units; unit++) {
    const own = rates.subarray(unit * width, (unit + 1) * width);
    let highest = 0;
    let lowest = Infinity;
    for (let bin = 0; bin < width; bin++) {
      highest = Math.max(highest, own[bin]!);
      lowest = Math.min(lowest, own[bin]!);
      total[bin]! += own[bin]!;
    }
    if (!(highest / lowest < 2 ** MOST_BINADES)) {
      throw new RangeError(
        `Cannot tabulate rates: those of unit ${unit} lie between ${lowest} and ${highest} spikes a row, ` +
          `wanted a factor below 2^${MOST_BINADES}; spikes lie where hardly any time was spent: use a ` +
          "larger positionStd (--position-std), or train on more of the positions",
      );
    }
    unitConstants[unit] = Math.log(highest);
    logRates.set(
      toCells(
        (bin, kind) => Math.round(Math.log2(own[kind * bins + bin]! / highest) * FIXED_ONE),
        0,
      ),
      unit * cells * 4,
    );
  }
  const { silence, silenceConstant } = packSilence(total, bins, { cells, toCells });
  return { logRates, silence, unitConstants, silenceConstant };
}

/** `cells` of 4 bins. */
export function poissonLikelihoodConstants(cells: number): Record<string, number> {
  return { WORKGROUP: 64, CELLS: cells };
}

export function poissonLikelihoodParams(from: number, to: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, 0, 0);
}

/** A workgroup a row. */
export function poissonLikelihoodWorkgroups(rows: number): [number, number] {
  return foldWorkgroups(rows);
}
