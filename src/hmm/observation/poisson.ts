/**
 * Sorted spikes as Poisson counts, independent given the bin.
 *
 * @module
 */

import * as poisson from "../../kernels/poisson_likelihood.ts";
import { fromFixed, ROW_MAXIMUM_BYTES } from "../../kernels/spike_rows.ts";
import type { Tile } from "../../stream/pass.ts";
import type { LaneCuts } from "../lane_cuts.ts";
import type { SpikeBins, TimeGrid } from "../time_grid.ts";
import { tableBuffer } from "../transition/recursion.ts";
import type { LogRows } from "./log_likelihoods.ts";
import type { Observation } from "./observation.ts";
import type { PartCells } from "./part_cells.ts";
import { besideEachOther } from "./part_cells.ts";
import { SpikeTiles } from "./spike_tiles.ts";

/** What spikes are counted in, and how the rows are cut. */
interface PoissonParts {
  spikes: SpikeBins;
  time: TimeGrid;
  lanes: LaneCuts;
  cells: PartCells;
  units: number;
}

/**
 * Spikes of units whose expected counts are known.
 *
 * @param parts `[units, bins]` f64 spikes a row, of each part.
 * @throws {RangeError} If the rates of a unit differ by a factor of 2^127 or more.
 */
export function poissonObservation(
  parts: readonly Float64Array[],
  { spikes, time, lanes, cells, units: unitCount }: PoissonParts,
): Observation {
  const { rowStarts, units, missing } = spikes;
  const { values: rates, bins } = besideEachOther(parts, unitCount);
  const tables = poisson.packRates(rates, bins, { ...cells, kinds: parts.length });
  const { logRates, silence, unitConstants, silenceConstant } = tables;
  const inputs = [rates, rowStarts, units, ...(missing ? [missing] : [])];
  const tiles = new SpikeTiles(spikes, time, lanes);

  return {
    inputs,
    feeds: [],
    hostBytes: [...inputs, logRates, silence].reduce((sum, { byteLength }) => sum + byteLength, 0),
    shared: () => [tableBuffer("log_rates", logRates), tableBuffer("silence", silence)],
    rowMaximumBytes: ROW_MAXIMUM_BYTES,
    uploads: (tileRows) => [
      { name: "spike_starts", bytes: 4 * (lanes.count * tileRows + 1), role: "upload" },
      { name: "spike_units", bytes: 4 * tiles.most(tileRows), role: "upload" },
    ],
    steps: () => [{
      kernel: poisson.poissonLikelihood,
      constants: poisson.poissonLikelihoodConstants(cells.cells),
      order: "any",
      params: (_tile, from, to) => poisson.poissonLikelihoodParams(from, to),
      workgroups: poisson.poissonLikelihoodWorkgroups,
    }],

    async read(tile: Tile) {
      const { starts, list } = tiles.read(tile);
      return { spike_starts: starts, spike_units: list };
    },

    evidence(rowMaximum) {
      const maxima = new Int32Array(rowMaximum!);
      return (logSum, row, at) => {
        // what centring took out of the rates
        let constant = missing?.[row] ? 0 : silenceConstant;
        for (
          let spike = rowStarts[row]!;
          !missing?.[row] && spike < rowStarts[row + 1]!;
          spike++
        ) {
          constant += unitConstants[units[spike]!]!;
        }
        return logSum + fromFixed(maxima[2 * at]!, maxima[2 * at + 1]!) + constant;
      };
    },
  };
}

/**
 * Log-likelihoods of the same spikes on the host, f64, for what needs them to the last digit.
 *
 * @param rates `[units, interior]` f64, spikes a row.
 */
export function poissonRows(
  rates: Float64Array,
  { rowStarts, units }: SpikeBins,
  bins: number,
): LogRows {
  const logRates = rates.map(Math.log);
  const silence = new Float64Array(bins);
  rates.forEach((rate, i) => silence[i % bins]! -= rate);
  const inputs = [rates, rowStarts, units];
  return {
    columns: bins,
    inputs,
    feeds: [],
    hostBytes: [...inputs, logRates, silence].reduce((sum, table) => sum + table.byteLength, 0),
    readBytes: () => silence.byteLength,
    read(start, end, _signal, onRow) {
      for (let row = start; row < end; row++) {
        const logs = silence.slice();
        for (let spike = rowStarts[row]!; spike < rowStarts[row + 1]!; spike++) {
          const first = units[spike]! * bins;
          for (let bin = 0; bin < bins; bin++) logs[bin]! += logRates[first + bin]!;
        }
        onRow(logs, row, 0, logs.reduce((most, log) => Math.max(most, log), -Infinity));
      }
      return Promise.resolve();
    },
  };
}
