/**
 * Models over several environments and groups of samples, with everything that states may expect, from the definitions:
 * plain loops in f64. Positions are known and sampled evenly; each sample counts fully or not at all.
 */

import type { StateModel } from "../../src/hmm/states.ts";
import { glm } from "./glm.ts";
import type { LogProblem } from "./log_space.ts";
import { logSumExp } from "./log_space.ts";

type Place = readonly number[];
type Intervals = readonly (readonly [number, number])[];

export interface EnvironmentWorld {
  /** [samples] seconds, and positions. */
  times: readonly number[];
  positions: readonly Place[];
  /** [samples] How much each counts, 0 to 1; all fully by default. */
  weights?: readonly number[];
  /** Of units, or of electrodes with features. */
  spikes: readonly { time: number; unit: number; features: readonly number[] }[];
  units: number;
  environments: Readonly<Record<string, WorldPlace>>;
  groups: Readonly<Record<string, Intervals>>;
  positionStd: number;
  waveformStd: number;
  fields: "kde" | "glm" | "marks" | "marksInLogs";
  knotSpacing: number;
  model: StateModel;
  /** [rows + 1] seconds. */
  edges: readonly number[];
}

export interface WorldPlace {
  intervals: Intervals;
  /** [bins] centres of those that are interior, and how wide they are. */
  centers: readonly Place[];
  widths: readonly number[];
  /** Between the outermost edges along each dimension. */
  ends: readonly (readonly [number, number])[];
  /** Coordinates of a position. */
  placeOf(position: Place): Place;
}

const FLOOR = 5e-13;

const normal = (x: number, std: number) =>
  Math.exp(-0.5 * (x / std) ** 2) / (std * Math.sqrt(2 * Math.PI));
const kernel = (a: Place, b: Place, std: number) =>
  a.reduce((product, value, d) => product * normal(value - b[d]!, std), 1);
const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const within = (intervals: Intervals, time: number) =>
  intervals.some(([from, to]) => time >= from && time <= to);

interface EncodedSpike {
  unit: number;
  features: readonly number[];
  weight: number;
  place: Place;
}

/** Spikes a second at places of one environment, as the samples of a group have it. */
class Part {
  readonly #world: EnvironmentWorld;
  readonly #place: WorldPlace;
  readonly #step: number;
  readonly #weights: number[];
  readonly #places: Place[];
  readonly #seconds: number;
  readonly #spikes: EncodedSpike[];

  constructor(world: EnvironmentWorld, environment: string, group: string | undefined) {
    const { times, positions } = world;
    this.#world = world;
    this.#place = world.environments[environment]!;
    this.#step = times[1]! - times[0]!;
    this.#weights = times.map((time, i) =>
      within(this.#place.intervals, time) &&
        (group === undefined || within(world.groups[group]!, time))
        ? world.weights?.[i] ?? 1
        : 0
    );
    this.#places = positions.map((position) => this.#place.placeOf(position));
    this.#seconds = this.#step * sumOf(this.#weights);
    this.#spikes = world.spikes.flatMap(({ time, ...spike }) => {
      if (time < times[0]! - this.#step / 2 || time > times.at(-1)! + this.#step / 2) return [];
      const at = Math.min(times.at(-1)!, Math.max(times[0]!, time));
      const weight = between(times, this.#weights.map((own) => [own]), at)[0]!;
      const place = this.#place.placeOf(between(times, positions, at));
      return weight > 0 ? [{ ...spike, weight, place }] : [];
    });
  }

  #occupancy(place: Place): number {
    return sumOf(
      this.#places.map((own, i) =>
        this.#weights[i]! * this.#step * kernel(place, own, this.#world.positionStd)
      ),
    ) / this.#seconds;
  }

  #rate(place: Place, own: readonly EncodedSpike[]): number {
    const mass = sumOf(own.map(({ weight }) => weight));
    if (mass === 0) return 0;
    const { positionStd } = this.#world;
    const marginal =
      sumOf(own.map((spike) => spike.weight * kernel(place, spike.place, positionStd))) / mass;
    return mass / this.#seconds * marginal / this.#occupancy(place);
  }

  /** [units][places] Hz. */
  ratesAt(places: readonly Place[]): number[][] {
    return Array.from({ length: this.#world.units }, (_, unit) => {
      const own = this.#spikes.filter((spike) => spike.unit === unit);
      const rates = this.#world.fields === "glm"
        ? this.#fitted(unit, places)
        : places.map((place) => this.#rate(place, own));
      return rates.map((rate) => Math.max(FLOOR, rate));
    });
  }

  #fitted(unit: number, places: readonly Place[]): number[] {
    const { times, spikes, knotSpacing } = this.#world;
    // samples of the environment, those that count and others
    const own = [...times.keys()].filter((i) => within(this.#place.intervals, times[i]!));
    const events = times.map(() => 0);
    for (const spike of spikes) {
      if (spike.unit !== unit) continue;
      const before = Math.max(
        0,
        Math.min(times.length - 2, times.findLastIndex((time) => time <= spike.time)),
      );
      const share = Math.min(1, Math.max(0, (spike.time - times[before]!) / this.#step));
      events[before]! += (1 - share) * this.#weights[before]!;
      events[before + 1]! += share * this.#weights[before + 1]!;
    }
    if (sumOf(events) === 0) return places.map(() => 0);
    const knots = this.#place.ends.map(([first, last], d) => {
      const along = own.map((i) => this.#places[i]![d]!);
      const [low, high] = [Math.min(...along), Math.max(...along)];
      const count = Math.ceil((last - first) / knotSpacing);
      const inner = Array.from(
        { length: Math.max(0, count - 2) },
        (_, i) => first + (i + 1) * (last - first) / (count - 1),
      );
      return [low, ...inner.filter((knot) => knot > low && knot < high), high];
    });
    return glm({
      positions: own.map((i) => this.#places[i]!),
      exposure: own.map((i) => this.#weights[i]! * this.#step),
      events: own.map((i) => events[i]!),
      ...{ knots, penalty: 0.5 },
    }, places);
  }

  /** Spikes a second of all electrodes. */
  groundAt(place: Place): number {
    return Math.max(FLOOR, this.#rate(place, this.#spikes));
  }

  /** log p of a spike with features, less the logarithm of a row's seconds. */
  logMark(unit: number, features: readonly number[], place: Place): number {
    const own = this.#spikes.filter((spike) => spike.unit === unit);
    const { positionStd, waveformStd, fields } = this.#world;
    const mass = sumOf(own.map(({ weight }) => weight));
    if (mass === 0) return Math.log(FLOOR);
    const rate = mass / this.#seconds;
    if (fields === "marks") {
      const joint = sumOf(own.map((spike) =>
        spike.weight * kernel(features, spike.features, waveformStd) *
        kernel(place, spike.place, positionStd)
      )) / mass;
      return Math.log(Math.max(FLOOR, rate * joint / this.#occupancy(place)));
    }
    // as `clusterless_kde_log` has it, in rows of 2 ms
    const logNormal = (a: Place, b: Place, std: number) =>
      sumOf(
        a.map((value, d) =>
          -0.5 * ((value - b[d]!) / std) ** 2 - Math.log(std * Math.sqrt(2 * Math.PI))
        ),
      );
    const logs = own.map((spike) =>
      Math.log(spike.weight) + logNormal(features, spike.features, waveformStd) +
      logNormal(place, spike.place, positionStd)
    );
    const log = Math.log(Math.max(1e-15, 0.002 * rate)) + logSumExp(logs) - Math.log(mass) -
      Math.log(Math.max(1e-15, this.#occupancy(place)));
    return Math.max(log, Math.log(1e-15)) - Math.log(0.002);
  }
}

/** On a straight line between samples, and beyond them on that of the last two. */
function between(times: readonly number[], values: readonly Place[], time: number): number[] {
  const before = Math.max(
    0,
    Math.min(times.length - 2, times.findLastIndex((own) => own <= time)),
  );
  const share = (time - times[before]!) / (times[before + 1]! - times[before]!);
  return values[before]!.map((value, d) => value + share * (values[before + 1]![d]! - value));
}

/** Shortest ways between bins and all that touch them. */
function waysOf({ centers, widths }: WorldPlace): number[][] {
  const ways = centers.map((from) =>
    centers.map((to) => {
      const steps = from.map((value, d) => Math.round(Math.abs(value - to[d]!) / widths[d]!));
      return Math.max(...steps) <= 1 ? Math.hypot(...from.map((v, d) => v - to[d]!)) : Infinity;
    })
  );
  centers.forEach((_, by) =>
    ways.forEach((own) =>
      own.forEach((way, to) => own[to] = Math.min(way, own[by]! + ways[by]![to]!))
    )
  );
  return ways;
}

/** Everything a decode needs, bins of all states one after the other. */
export function environmentProblem(world: EnvironmentWorld): LogProblem & { stateOf: number[] } {
  const { model, edges, times, positions, units } = world;
  const { localStd, nonLocalPenalty = 0, nonLocalPenaltyStd = 1 } = model;
  const isMarked = world.fields.startsWith("marks");
  const states = model.names.map((name, state) => ({
    name,
    place: world.environments[model.environments![state]!]!,
    part: new Part(world, model.environments![state]!, model.encodingGroups?.[state]),
    oneBin: model.oneBin?.[state] ?? false,
    local: model.local?.[state] ?? false,
    noSpike: model.noSpike?.[state] ?? false,
  }));
  const logLikelihoods: number[][] = [];
  const columns = states.map((state) => {
    const { place, part, oneBin } = state;
    return {
      ...state,
      ways: waysOf(place),
      rates: isMarked || oneBin ? [] : part.ratesAt(place.centers),
    };
  });
  for (let row = 0; row + 1 < edges.length; row++) {
    const seconds = edges[row + 1]! - edges[row]!;
    const isLast = row === edges.length - 2;
    const spikes = world.spikes.filter(({ time }) =>
      time >= edges[row]! && (time < edges[row + 1]! || isLast && time === edges[row + 1])
    );
    const sorted = (rateOf: (unit: number) => number) =>
      sumOf(spikes.map(({ unit }) => Math.log(rateOf(unit) * seconds))) -
      seconds * sumOf(Array.from({ length: units }, (_, unit) => rateOf(unit)));
    const marked = (part: Part, ground: Place, of: (time: number) => Place) =>
      sumOf(
        spikes.map((own) => part.logMark(own.unit, own.features, of(own.time)) + Math.log(seconds)),
      ) - seconds * part.groundAt(ground);
    const logs = columns.flatMap(({ place, part, oneBin, local, noSpike, ways, rates }) => {
      const placeAt = (time: number) => place.placeOf(between(times, positions, time));
      const animal = placeAt(edges[row]! + seconds / 2);
      if (noSpike) return [sorted(() => model.noSpikeRate ?? 1e-10)];
      if (oneBin && isMarked) return [marked(part, animal, placeAt)];
      if (oneBin) {
        const own = part.ratesAt([animal]);
        return [sorted((unit) => own[unit]![0]!)];
      }
      const distances = place.centers.map((own) =>
        Math.hypot(...own.map((v, d) => v - animal[d]!))
      );
      const nearest = ways[distances.indexOf(Math.min(...distances))]!;
      const kernels = nearest.map((way) =>
        localStd === 0 ? Number(way === 0) : Math.exp(-0.5 * (way / (localStd ?? 1)) ** 2)
      );
      return place.centers.map((center, bin) => {
        const log = isMarked
          ? marked(part, center, () => center)
          : sorted((unit) => rates[unit]![bin]!);
        return log +
          (local
            ? Math.log(kernels[bin]! / sumOf(kernels) * kernels.length)
            : -nonLocalPenalty * Math.exp(-0.5 * (nearest[bin]! / nonLocalPenaltyStd) ** 2));
      });
    });
    logLikelihoods.push(logs);
  }
  return { logLikelihoods: Float64Array.from(logLikelihoods.flat()), ...chainOf(model, states) };
}

/** Start and transition in logarithms; blocks are walks along bins, or uniform. */
function chainOf(
  model: StateModel,
  states: readonly { place: WorldPlace; oneBin: boolean }[],
): Pick<LogProblem, "logInitial" | "logTransition"> & { stateOf: number[] } {
  const binsOf = states.map(({ place, oneBin }) => oneBin ? [[]] : place.centers);
  const stateOf = binsOf.flatMap((own, state) => own.map(() => state));
  const rows = binsOf.flatMap((own, from) =>
    own.map((here) =>
      binsOf.flatMap((reached, to) => {
        const block = model.transitions[from]![to]!;
        const values = reached.map((there) =>
          block.kind !== "randomWalk" ? 1 : here.reduce((product, value, d) => {
            const steps = Math.abs(there[d]! - value) / Math.sqrt(block.movementVar);
            return steps > 8 * (1 + 1e-12) ? 0 : product * Math.exp(-(steps ** 2) / 2);
          }, 1)
        );
        const weight = model.discreteTransition[from]![to]!;
        return values.map((value) => Math.log(weight * value / sumOf(values)));
      })
    )
  );
  return {
    stateOf,
    logInitial: Float64Array.from(
      stateOf,
      (state) => Math.log(model.initial[state]! / binsOf[state]!.length),
    ),
    logTransition: Float64Array.from(rows.flat()),
  };
}
