/**
 * What states expect that look at where the animal is, or at silence, and the model they make together, from the
 * definitions: plain loops in f64. Position is sampled evenly, and all of it is encoded.
 */

import type { Grid } from "../../src/hmm/grid.ts";
import type { StateModel } from "../../src/hmm/states.ts";
import type { LogProblem } from "./log_space.ts";

export interface LocalProblem {
  /** [samples] seconds, at even distances. */
  times: ArrayLike<number>;
  /** [samples][dimensions] */
  positions: readonly (readonly number[])[];
  /** Units, or electrodes with features. */
  spikes: readonly { time: number; unit: number; features?: readonly number[] }[];
  units: number;
  positionStd: number;
  waveformStd: number;
  grid: Grid;
  model: StateModel;
  /** [rows + 1] seconds. */
  edges: ArrayLike<number>;
}

const FLOOR = 5e-13;

type Place = readonly number[];

/** Between the two nearest samples, or beyond the last two, on a straight line. */
export function placeAt({ times, positions }: LocalProblem, time: number): Place {
  const step = times[1]! - times[0]!;
  const before = Math.min(
    times.length - 2,
    Math.max(0, Math.floor((time - times[0]!) / step + 1e-9)),
  );
  const share = (time - times[before]!) / step;
  return positions[before]!.map((value, d) => value + share * (positions[before + 1]![d]! - value));
}

/** Encoding holds the outermost samples. */
function encodedPlaceAt(problem: LocalProblem, time: number): Place {
  const { times } = problem;
  return placeAt(problem, Math.min(times[times.length - 1]!, Math.max(times[0]!, time)));
}

function gauss(a: readonly number[], b: readonly number[], std: number): number {
  return a.reduce(
    (product, value, i) =>
      product * Math.exp(-0.5 * ((value - b[i]!) / std) ** 2) / (std * Math.sqrt(2 * Math.PI)),
    1,
  );
}

function occupancy({ positions, positionStd }: LocalProblem, place: Place): number {
  return positions.reduce((sum, own) => sum + gauss(place, own, positionStd), 0) / positions.length;
}

/** Spikes that are encoded, with their places. */
function encoded(problem: LocalProblem) {
  const { times, spikes } = problem;
  const half = (times[1]! - times[0]!) / 2;
  return spikes
    .filter(({ time }) => time >= times[0]! - half && time <= times[times.length - 1]! + half)
    .map((spike) => ({ ...spike, place: encodedPlaceAt(problem, spike.time) }));
}

function exposure({ times }: LocalProblem): number {
  return times.length * (times[1]! - times[0]!);
}

/** Spikes a second of each unit at a place. */
export function ratesAt(problem: LocalProblem, place: Place): number[] {
  const all = encoded(problem);
  const density = occupancy(problem, place);
  return Array.from({ length: problem.units }, (_, unit) => {
    const own = all.filter((spike) => spike.unit === unit);
    const mean = own.length / exposure(problem);
    const marginal = own.length === 0
      ? 0
      : own.reduce((sum, spike) => sum + gauss(place, spike.place, problem.positionStd), 0) /
        own.length;
    return Math.max(FLOOR, mean * (density > 0 ? marginal / density : 1e-15));
  });
}

function spikesOf({ spikes, edges }: LocalProblem, row: number) {
  const isLast = row === edges.length - 2;
  return spikes.filter(({ time }) =>
    time >= edges[row]! && (time < edges[row + 1]! || isLast && time === edges[row + 1])
  );
}

/** Of a row of sorted spikes, if what is represented is a place. */
function sortedLog(problem: LocalProblem, row: number, place: Place): number {
  const seconds = problem.edges[row + 1]! - problem.edges[row]!;
  const rates = ratesAt(problem, place);
  return spikesOf(problem, row).reduce(
    (sum, { unit }) => sum + Math.log(rates[unit]! * seconds),
    -seconds * rates.reduce((sum, rate) => sum + rate, 0),
  );
}

/** Of a row of spikes with features; each at a place of its own, and the row at another. */
function markedLog(
  problem: LocalProblem,
  row: number,
  { of, at, withoutTime }: { of: (time: number) => Place; at: Place; withoutTime: number },
): number {
  const { edges, positionStd, waveformStd } = problem;
  const seconds = edges[row + 1]! - edges[row]!;
  const all = encoded(problem);
  const density = occupancy(problem, at);
  const marginal = all.reduce((sum, { place }) => sum + gauss(at, place, positionStd), 0) /
    all.length;
  const mean = all.length / exposure(problem);
  const ground = Math.max(FLOOR, mean * (density > 0 ? marginal / density : withoutTime));
  return spikesOf(problem, row).reduce((sum, spike) => {
    const place = of(spike.time);
    const own = all.filter(({ unit }) => unit === spike.unit);
    const time = occupancy(problem, place);
    const joint = own.reduce(
      (total, other) =>
        total + gauss(spike.features!, other.features!, waveformStd) *
          gauss(place, other.place, positionStd),
      0,
    ) / exposure(problem);
    return sum + Math.log(Math.max(FLOOR, time > 0 ? joint / time : 0) * seconds);
  }, -seconds * ground);
}

function centersOf({ shape, centers, interior }: Grid): number[][] {
  return Array.from(interior.keys()).filter((flat) => interior[flat]).map((flat) => {
    const along = shape.length === 1 ? [flat] : [Math.floor(flat / shape[1]!), flat % shape[1]!];
    return along.map((bin, axis) => centers[axis]![bin]!);
  });
}

/** Shortest ways between interior bins and all their neighbours, by trying every bin in between. */
export function wayLengths(grid: Grid): number[][] {
  const centers = centersOf(grid);
  const widths = grid.centers.map((own) => own.length > 1 ? own[1]! - own[0]! : 1);
  const lengths = centers.map((from) =>
    centers.map((to) => {
      const steps = from.map((value, d) => Math.round(Math.abs(value - to[d]!) / widths[d]!));
      return Math.max(...steps) <= 1 ? Math.hypot(...from.map((v, d) => v - to[d]!)) : Infinity;
    })
  );
  for (let between = 0; between < centers.length; between++) {
    for (const own of lengths) {
      for (let to = 0; to < centers.length; to++) {
        own[to] = Math.min(own[to]!, own[between]! + lengths[between]![to]!);
      }
    }
  }
  return lengths;
}

/** Everything a decode needs, bins of all states one after the other. */
export function localProblem(problem: LocalProblem): LogProblem {
  const { grid, model, edges, units } = problem;
  const marked = problem.spikes[0]?.features !== undefined;
  const centers = centersOf(grid);
  const ways = wayLengths(grid);
  const rows = edges.length - 1;
  const oneBin = (state: number) => model.oneBin?.[state] ?? false;
  const counts = model.names.map((_, state) => oneBin(state) ? 1 : centers.length);
  const starts = counts.map((_, state) => counts.slice(0, state).reduce((sum, n) => sum + n, 0));
  const bins = counts.reduce((sum, n) => sum + n, 0);
  const logLikelihoods = new Float64Array(rows * bins);
  for (let row = 0; row < rows; row++) {
    const seconds = edges[row + 1]! - edges[row]!;
    const place = placeAt(problem, edges[row]! + seconds / 2);
    const spatial = centers.map((center) =>
      marked
        ? markedLog(problem, row, { of: () => center, at: center, withoutTime: 1e-15 })
        : sortedLog(problem, row, center)
    );
    const distances = centers.map((center) => Math.hypot(...center.map((v, d) => v - place[d]!)));
    // tests keep the animal inside of bins: the one whose centre is nearest is its own
    const animal = distances.indexOf(Math.min(...distances));
    const kernel = localKernel(ways[animal]!, animal, model.localStd);
    model.names.forEach((_, state) => {
      const at = row * bins + starts[state]!;
      if (model.noSpike?.[state]) {
        const rate = (model.noSpikeRate ?? 1e-10) * seconds;
        logLikelihoods[at] = spikesOf(problem, row).length * Math.log(rate) - units * rate;
      } else if (oneBin(state)) {
        logLikelihoods[at] = marked
          ? markedLog(problem, row, {
            of: (time) => placeAt(problem, time),
            at: place,
            withoutTime: 0,
          })
          : sortedLog(problem, row, place);
      } else {
        spatial.forEach((log, bin) => {
          const { nonLocalPenalty = 0, nonLocalPenaltyStd = 1 } = model;
          const bias = model.local?.[state]
            ? kernel[bin]!
            : -nonLocalPenalty * Math.exp(-0.5 * (ways[animal]![bin]! / nonLocalPenaltyStd) ** 2);
          logLikelihoods[at + bin] = log + bias;
        });
      }
    });
  }
  return { logLikelihoods, ...logModel(model, centers, counts, starts) };
}

function localKernel(ways: readonly number[], animal: number, std = 0): number[] {
  const weights = ways.map((way, bin) =>
    std === 0 ? (bin === animal ? 1 : 0) : Math.exp(-0.5 * (way / std) ** 2)
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => Math.log(weight / sum * ways.length));
}

/** Transition and start in logarithms; blocks are walks in bins of one width, or uniform. */
function logModel(
  model: StateModel,
  centers: readonly number[][],
  counts: readonly number[],
  starts: readonly number[],
): Pick<LogProblem, "logInitial" | "logTransition"> {
  const bins = counts.reduce((sum, n) => sum + n, 0);
  const logInitial = new Float64Array(bins);
  const logTransition = new Float64Array(bins * bins);
  counts.forEach((count, from) => {
    logInitial.fill(Math.log(model.initial[from]! / count), starts[from]!, starts[from]! + count);
    for (let i = 0; i < count; i++) {
      counts.forEach((reached, to) => {
        const block = model.transitions[from]![to]!;
        const values = Array.from({ length: reached }, (_, j) => {
          if (block.kind !== "randomWalk") return 1;
          return centers[i]!.reduce((product, value, d) => {
            const steps = Math.abs(centers[j]![d]! - value) / Math.sqrt(block.movementVar);
            return steps > 8 * (1 + 1e-12) ? 0 : product * Math.fround(Math.exp(-(steps ** 2) / 2));
          }, 1);
        });
        const sum = values.reduce((total, value) => total + value, 0);
        values.forEach((value, j) => {
          logTransition[(starts[from]! + i) * bins + starts[to]! + j] = Math.log(value / sum) +
            Math.log(model.discreteTransition[from]![to]!);
        });
      });
    }
  });
  return { logInitial, logTransition };
}
