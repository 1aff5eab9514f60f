/**
 * What the states of a model expect to see, row by row.
 *
 * @module
 */

import type { AnimalPath } from "../animal_path.ts";
import type { Grid } from "../grid.ts";
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
  /** [states] which part each expects in its bins, or at the animal's place. */
  partOf: readonly number[];
  /** Where the animal is, in the coordinates of a grid, if a state asks for it. */
  pathOn?: ((grid: Grid) => AnimalPath) | undefined;
  /** [rows] log-likelihoods of what is represented being where the animal is, natural. */
  localRows(part: number, path: AnimalPath): Float64Array;
}

/** @throws {RangeError} If a state of one bin is neither local nor silent: spikes say nothing about it. */
export function expectationsOf(
  model: StateModel,
  bins: StateBins,
  { time, spikes, units, partOf, pathOn, localRows }: Recorded,
): StateExpectations {
  const { names, local, noSpike, localStd, noSpikeRate } = model;
  const { nonLocalPenalty: nats = 0, nonLocalPenaltyStd: std = 1 } = model;
  const own = names.map((name, state) => {
    if (!bins.isOneBin(state)) return undefined;
    if (noSpike?.[state]) return noSpikeRows(spikes, units, rowSeconds(time), noSpikeRate);
    if (local?.[state]) return localRows(partOf[state]!, pathOn!(bins.grids[state]!));
    throw new RangeError(
      `Cannot plan a decode: state "${name}" has one bin, wanted it to be local or noSpike, or over the ` +
        "grid: spikes say how likely they are in a position",
    );
  });
  const biases = new Map<string, StateExpectations["biases"][number]>();
  const biasOf = (state: number): number | undefined => {
    const kind = local?.[state] ? "kernel" : nats > 0 ? "penalty" : undefined;
    if (!kind) return undefined;
    const key = JSON.stringify([kind, model.environments?.[state]]);
    if (!biases.has(key)) {
      const grid = bins.grids[state]!;
      const path = pathOn!(grid);
      biases.set(key, {
        of: new AnimalBiases(
          grid,
          kind === "kernel" ? { kind, std: localStd! } : { kind, nats, std },
        ),
        animalBins: Int32Array.from(
          { length: time.rows },
          (_, row) => interiorBinAt(grid, path.at(rowTime(time, row))),
        ),
      });
    }
    return [...biases.keys()].indexOf(key);
  };
  const kinds: StateExpectations["kinds"][number][] = [];
  const kindOf = names.map((_, state) => {
    if (bins.isOneBin(state)) return 0;
    const [part, bias] = [partOf[state]!, biasOf(state)];
    const known = kinds.findIndex((kind) => kind.part === part && kind.bias === bias);
    if (known >= 0) return known;
    return kinds.push({ part, ...(bias !== undefined && { bias }) }) - 1;
  });
  // rows have evidence by a part, if all states have one bin
  if (kinds.length === 0) kinds.push({ part: 0 });
  return { own, kindOf, kinds, biases: [...biases.values()], missing: spikes.missing };
}
