/**
 * Spikes with features as a marked Poisson process, whose intensity is a kernel density over features and places
 * of the spikes that were encoded.
 *
 * Source: the clusterless KDE models of non_local_detector (Denovellis et al. 2021).
 *
 * @module
 */

import * as marks from "../../kernels/mark_intensity.ts";
import { NO_TIME } from "../../kernels/mark_intensity.ts";
import * as rows from "../../kernels/marked_rows.ts";
import { fromFixed, packSilence, ROW_MAXIMUM_BYTES } from "../../kernels/spike_rows.ts";
import type { KernelStep, Tile } from "../../stream/pass.ts";
import type { MarkEncoding } from "../clusterless_encoding.ts";
import { logVolume } from "../clusterless_encoding.ts";
import type { LaneCuts } from "../lane_cuts.ts";
import type { Grid } from "../grid.ts";
import { DensityMap, pointsOf, RATE_FLOOR } from "../sorted_spikes.ts";
import type { SpikeBins, TimeGrid } from "../time_grid.ts";
import { rowSeconds } from "../time_grid.ts";
import { tableBuffer } from "../transition/recursion.ts";
import type { LogRows } from "./log_likelihoods.ts";
import type { Observation } from "./observation.ts";
import type { PartCells } from "./part_cells.ts";
import { besideEachOther } from "./part_cells.ts";
import { SpikeTiles } from "./spike_tiles.ts";

/** What spikes are, and how the rows are cut. */
interface ClusterlessParts {
  /** Its `units` are spikes, as `electrodes` and `features` have them. */
  spikes: SpikeBins;
  electrodes: Uint32Array;
  /** [spikes, features] f64 */
  features: Float64Array;
  time: TimeGrid;
  lanes: LaneCuts;
  cells: PartCells;
}

/** What spikes are, on a grid, for the host. */
interface MarkedRowParts
  extends Pick<ClusterlessParts, "spikes" | "electrodes" | "features" | "time"> {
  grid: Grid;
}

/** Below it nothing of a sum of kernels is left in f64 beside the largest. */
const NOTHING = 745;

/**
 * Log-likelihoods of the same spikes on the host, f64, for what needs them to the last digit. What of an intensity is
 * below e^-745 of the likeliest of its features is nothing.
 */
export function markedLogRows(
  encoding: MarkEncoding,
  { grid, spikes, electrodes, features, time }: MarkedRowParts,
): LogRows {
  const { featureCount, waveformStd, ground, tables: { logTime } } = encoding;
  const points = pointsOf(encoding);
  const { rowStarts, units } = spikes;
  const bins = grid.interiorIndex.length;
  const { dimensions } = grid;
  const own: number[][] = [];
  points.spikeUnits.forEach((unit, i) => (own[unit] ??= []).push(i));
  const seconds = rowSeconds(time);
  const floor = Math.log(RATE_FLOOR * seconds);
  const constant = Math.log(seconds) - logVolume(featureCount, waveformStd);
  const density = new DensityMap(grid, points.positionStd);
  const addLogs = (spike: number, logs: Float64Array) => {
    const indices = own[electrodes[spike]!] ?? [];
    const marks = indices.map((i) => {
      let log = Math.log(points.spikeWeights[i]!);
      for (let f = 0; f < featureCount; f++) {
        const difference = features[featureCount * spike + f]! -
          points.spikeFeatures![featureCount * i + f]!;
        log -= 0.5 * (difference / waveformStd) ** 2;
      }
      return log;
    });
    const largest = marks.reduce((most, log) => Math.max(most, log), -Infinity);
    indices.forEach((i, at) => {
      const below = largest - marks[at]!;
      if (below > NOTHING) return;
      density.add(
        points.spikePlaces.subarray(i * dimensions, (i + 1) * dimensions),
        Math.exp(-below),
      );
    });
    density.takeInterior().forEach((sum, bin) => {
      const log = sum > 0 && logTime[bin]! < NO_TIME
        ? Math.log(sum) + largest - logTime[bin]! + constant
        : -Infinity;
      logs[bin]! += Math.max(floor, log);
    });
  };
  const { spikePlaces, spikeWeights, spikeFeatures } = points;
  const inputs = [
    ...[rowStarts, units, electrodes, features, ground, logTime],
    ...[spikePlaces, spikeWeights, spikeFeatures!, Float64Array.of(waveformStd)],
  ];
  return {
    columns: bins,
    inputs,
    feeds: [],
    hostBytes: [...inputs, grid.interior].reduce((sum, table) => sum + table.byteLength, 0) +
      8 * grid.interior.length,
    readBytes: () => 3 * ground.byteLength,
    read(start, end, _signal, onRow) {
      for (let row = start; row < end; row++) {
        const logs = ground.map((rate) => -seconds * rate);
        for (let at = rowStarts[row]!; at < rowStarts[row + 1]!; at++) addLogs(units[at]!, logs);
        onRow(logs, row, 0, logs.reduce((most, log) => Math.max(most, log), -Infinity));
      }
      return Promise.resolve();
    },
  };
}

/** @param parts What was encoded of each part: by the same electrodes, features relative to the same means. */
export function clusterlessObservation(
  parts: readonly MarkEncoding[],
  { spikes, electrodes, features, time, lanes, cells: partCells }: ClusterlessParts,
): Observation {
  const { featureCount, waveformStd, featureMeans } = parts[0]!;
  const { cells, ranges } = partCells;
  const seconds = rowSeconds(time);
  const tiles = new SpikeTiles(spikes, time, lanes);
  const scale = 1 / (Math.SQRT2 * waveformStd);
  const scaled = Float32Array.from(
    features,
    (value, i) => (value - featureMeans[i % featureCount]!) * scale,
  );
  const grounds = besideEachOther(parts.map(({ ground }) => ground.map((hz) => seconds * hz)), 1);
  const { silence: ground, silenceConstant } = packSilence(
    grounds.values,
    grounds.bins,
    partCells,
  );
  const places = placesOf(parts, partCells);
  const constants = {
    floor: Math.log(RATE_FLOOR * seconds),
    constant: Math.log(seconds) - logVolume(featureCount, waveformStd),
  };
  const tables = parts.flatMap(({ tables: { blocks } }, part) =>
    blocks.map((block, i) => ({
      ...block,
      name: `${part}_${i}`,
      of: {
        ...constants,
        ...{ isFirst: i === 0, isLast: i === blocks.length - 1 },
        firstCell: ranges[part]!.first,
        endCell: ranges[part]!.first + ranges[part]!.cells,
      },
    }))
  );
  const intensitySteps = tables.map(({ name, of }): KernelStep => ({
    kernel: marks.markIntensity,
    constants: marks.markIntensityConstants(featureCount, cells),
    buffers: { electrode_starts: `electrode_starts_${name}`, encoding: `encoding_${name}` },
    order: "any",
    params: (tile, from, to) =>
      marks.markIntensityParams(tiles.spikesBefore(tile, from), tiles.spikesBefore(tile, to), of),
    workgroups: (some) =>
      marks.markIntensityWorkgroups(tiles.mostIn(some), of.endCell - of.firstCell),
  }));
  const { rowStarts, units, missing } = spikes;
  const inputs = [
    ...[rowStarts, units, electrodes, features],
    ...parts.map((part) => part.ground),
    ...tables.flatMap(({ electrodeStarts, encoding }) => [electrodeStarts, encoding]),
    ...parts.map((part) => part.tables.logTime),
    Float64Array.of(waveformStd),
    ...(missing ? [missing] : []),
  ];
  return {
    inputs,
    feeds: [],
    hostBytes: [...inputs, scaled, ground, places].reduce(
      (sum, table) => sum + table.byteLength,
      0,
    ),
    shared: () => [
      ...tables.flatMap(({ name, electrodeStarts, encoding }) => [
        tableBuffer(`electrode_starts_${name}`, electrodeStarts),
        tableBuffer(`encoding_${name}`, encoding),
      ]),
      tableBuffer("places", places),
      tableBuffer("ground", ground),
    ],
    rowMaximumBytes: ROW_MAXIMUM_BYTES,
    uploads(tileRows) {
      const most = tiles.most(tileRows);
      return [
        { name: "spike_starts", bytes: 4 * (lanes.count * tileRows + 1), role: "upload" },
        { name: "electrodes", bytes: 4 * most, role: "upload" },
        { name: "features", bytes: 4 * featureCount * most, role: "upload" },
        { name: "intensity", bytes: 16 * cells * most, role: "scratch" },
      ];
    },
    steps: () => [...intensitySteps, {
      kernel: rows.markedRows,
      constants: rows.markedRowsConstants(cells),
      order: "any",
      params: (_tile, from, to) => rows.markedRowsParams(from, to),
      workgroups: rows.markedRowsWorkgroups,
    }],
    async read(tile: Tile) {
      const { starts, list } = tiles.read(tile);
      const own = new Float32Array(featureCount * list.length);
      list.forEach((spike, i) =>
        own.set(scaled.subarray(featureCount * spike, featureCount * (spike + 1)), featureCount * i)
      );
      return {
        spike_starts: starts,
        electrodes: list.map((spike) => electrodes[spike]!),
        features: own,
      };
    },
    evidence(rowMaximum) {
      const maxima = new Int32Array(rowMaximum!);
      return (logSum, row, at) =>
        logSum + fromFixed(maxima[2 * at]!, maxima[2 * at + 1]!) +
        (missing?.[row] ? 0 : silenceConstant);
    },
  };
}

/** [cells, 3, 4] as `mark_intensity` takes them. */
function placesOf(
  parts: readonly MarkEncoding[],
  { cells, toCells }: PartCells,
): Float32Array<ArrayBuffer> {
  const along = [0, 1].map((d) =>
    toCells((bin, part) => parts[part]!.tables.places[d]?.[bin] ?? 0, 0)
  );
  const logTime = toCells((bin, part) => parts[part]!.tables.logTime[bin]!, NO_TIME);
  const places = new Float32Array(12 * cells);
  for (let cell = 0; cell < cells; cell++) {
    [...along, logTime].forEach((values, i) =>
      places.set(values.subarray(4 * cell, 4 * cell + 4), 12 * cell + 4 * i)
    );
  }
  return places;
}
