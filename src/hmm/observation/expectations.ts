/**
 * What the states of a model expect to see, row by row.
 *
 * @module
 */

import type { AnimalPath } from "../animal_path.ts";
import { interiorBinAt } from "../grid_graph.ts";
import type { StateBins } from "../state_bins.ts";
import type { StateModel } from "../states.ts";
import type { SpikeBins, TimeGrid } from "../time_grid.ts";
import { rowSeconds, rowTime } from "../time_grid.ts";
import { AnimalBiases } from "./animal_bias.ts";
import type { StateExpectations } from "./by_state.ts";
import { noSpikeRows } from "./no_spike.ts";

/** What was recorded. */
interface Recorded {
  time: TimeGrid;
  spikes: SpikeBins;
  /** Cells, or electrodes. */
  units: number;
  /** Where the animal is, if a state asks for it. */
  path?: AnimalPath;
  /** [rows] log-likelihoods of what is represented being where the animal is, natural. */
  localRows(path: AnimalPath): Float64Array;
}

/**
 * @returns `undefined` where all states expect the same in a bin.
 * @throws {RangeError} If a state of one bin is neither local nor silent: spikes say nothing about it.
 */
export function expectationsOf(
  model: StateModel,
  bins: StateBins,
  { time, spikes, units, path, localRows }: Recorded,
): StateExpectations | undefined {
  const { names, local, noSpike, localStd, noSpikeRate } = model;
  const { nonLocalPenalty: nats = 0, nonLocalPenaltyStd: std = 1 } = model;
  if (bins.areOnGrid && localStd === undefined && nats === 0) return undefined;
  const own = names.map((name, state) => {
    if (!bins.isOneBin(state)) return undefined;
    if (noSpike?.[state]) return noSpikeRows(spikes, units, rowSeconds(time), noSpikeRate);
    if (local?.[state]) return localRows(path!);
    throw new RangeError(
      `Cannot plan a decode: state "${name}" has one bin, wanted it to be local or noSpike, or over the ` +
        "grid: spikes say how likely they are in a position",
    );
  });
  const kinds = new Map<string, AnimalBiases | undefined>();
  const kindOf = names.map((_, state) => {
    if (bins.isOneBin(state)) return 0;
    const kind = local?.[state] ? "kernel" : nats > 0 ? "penalty" : "plain";
    if (!kinds.has(kind)) {
      const bias = kind === "kernel"
        ? new AnimalBiases(bins.grid, { kind, std: localStd! })
        : kind === "penalty"
        ? new AnimalBiases(bins.grid, { kind, nats, std })
        : undefined;
      kinds.set(kind, bias);
    }
    return [...kinds.keys()].indexOf(kind);
  });
  const biases = [...kinds.values()];
  return {
    ...{ own, kindOf, biases, missing: spikes.missing },
    ...(biases.some((bias) => bias) && {
      animalBins: Int32Array.from(
        { length: time.rows },
        (_, row) => interiorBinAt(bins.grid, path!.at(rowTime(time, row))),
      ),
    }),
  };
}
