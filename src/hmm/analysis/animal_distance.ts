/**
 * How far what is represented lies from the animal, and whether ahead of it or behind.
 *
 * @module
 */

import type { Is, OptionsOf } from "../../options.ts";
import { custom, declare, flag, isObject, numbers } from "../../options.ts";
import { AnimalPath } from "../animal_path.ts";
import { trackingIntervals } from "../exposure.ts";
import type { Grid, TrackLine, TrackPoint, TrackSegment } from "../grid.ts";
import { interiorBinAt, shortestPaths } from "../grid_graph.ts";
import type { PositionInput, Recording } from "../recording.ts";
import { validatePosition } from "../recording.ts";
import { mergeStamps } from "../sorted_spikes.ts";
import { binCenter } from "../state_bins.ts";
import { likeliestBins, pathLengths, timesOf } from "./decoded_places.ts";
import type { PositionPosterior } from "./position_rows.ts";
import { gridOfPosterior } from "./position_rows.ts";

const position = custom("{ times, values }", isObject as Is<PositionInput>, {
  required: true,
  says: "where the animal was: times, seconds, and values",
});

const aroundWalls = flag({
  default: false,
  says: "go from bin to bin in a box, around what is no track",
});

export const animalDistanceOptions = declare("measure distances from the animal", {
  /** Where the animal was, as a decoder takes it: x and y on a track. */
  position,
  /**
   * In a box: from bin to bin, in steps between neighbours, around what is no track, instead of as the crow flies. Default
   * false.
   */
  aroundWalls,
});

export const aheadBehindOptions = declare("tell ahead from behind", {
  /** Where the animal was, as a decoder takes it: x and y on a track. */
  position,
  /** [samples] Where its head points, radians from the x axis; on a line 0 is towards larger positions, pi towards smaller. */
  direction: numbers({ required: true, says: "where its head points in each sample, radians" }),
  /** As in `distanceFromAnimal()`. Ahead and behind are told by the straight line all the same. Default false. */
  aroundWalls,
});

export type DistanceOptions = OptionsOf<typeof animalDistanceOptions>;
export type AheadBehindOptions = OptionsOf<typeof aheadBehindOptions>;

/**
 * How far the likeliest position of every row is from the animal: along the shortest way on a track, in a box and on a line
 * straight. Between samples the animal moves in a straight line.
 *
 * @returns [time] f64, position units; NaN where a row has no likeliest position, the animal is not tracked (in gaps, beside
 * unknown positions, before and after), or there is no way.
 * @throws {RangeError} If the posterior has no times, or the position is not such as the grid's.
 */
export async function distanceFromAnimal(
  source: PositionPosterior,
  given: DistanceOptions,
): Promise<Float64Array> {
  const options = animalDistanceOptions.check(given);
  return await measure(source, animalDistanceOptions.action, options);
}

/**
 * The distance of {@link distanceFromAnimal}, above 0 where the likeliest position is ahead of the animal, below where it is
 * behind. On a track the shortest way tells: whether it begins towards the end of the edge that the head points to. In a box
 * it is ahead within a quarter turn of the head. The original calls it `get_ahead_behind_distance`.
 *
 * @returns [time] f64, position units; NaN as there, and beside unknown directions.
 * @throws {RangeError} As that does, or if there is not a direction for each sample.
 */
export async function aheadBehind(
  source: PositionPosterior,
  given: AheadBehindOptions,
): Promise<Float64Array> {
  const options = aheadBehindOptions.check(given);
  return await measure(source, aheadBehindOptions.action, options);
}

async function measure(
  source: PositionPosterior,
  action: string,
  { position, direction, aroundWalls }: DistanceOptions & Partial<AheadBehindOptions>,
): Promise<Float64Array> {
  const grid = gridOfPosterior(source, action);
  if (aroundWalls && grid.dimensions === 1) {
    throw new RangeError(
      `Cannot ${action}: aroundWalls is for boxes, and positions lie on a ${
        grid.track ? "track" : "line"
      }`,
    );
  }
  const animal = new Animal(position, direction, grid, action);
  const times = await timesOf(source, action);
  const bins = await likeliestBins(source, action);
  const signed = direction !== undefined;
  if (grid.track) {
    const ways = new TrackWays(grid.track);
    return times.map((time, row) => {
      const place = animal.at(time);
      if (!place || bins[row]! < 0) return NaN;
      const [x, y] = place;
      const point = grid.track!.nearest(x!, y!);
      const head = animal.directionAt(time);
      if (!point || (signed && Number.isNaN(head))) return NaN;
      const way = ways.toBin(point, bins[row]!, head);
      // no -0
      return signed ? way + 0 : Math.abs(way);
    });
  }
  const from = new Int32Array(aroundWalls ? times.length : 0);
  const straight = times.map((time, row) => {
    const place = animal.at(time);
    if (aroundWalls) from[row] = place ? interiorBinAt(grid, place) : -1;
    if (!place || bins[row]! < 0) return NaN;
    const steps = grid.shape.map((_, d) =>
      binCenter(grid, grid.interiorIndex[bins[row]!]!, d) - place[d]!
    );
    const distance = Math.hypot(...steps);
    if (!signed) return distance;
    const head = animal.directionAt(time);
    const [alongX, alongY = 0] = steps as [number, number?];
    const ahead = grid.dimensions === 1
      ? (Math.cos(head) >= 0 ? alongX : -alongX)
      : Math.cos(head) * alongX + Math.sin(head) * alongY;
    return Number.isNaN(head) ? NaN : ahead < 0 ? -distance : distance;
  });
  if (!aroundWalls) return straight;
  const lengths = pathLengths(grid, from, bins);
  return lengths.map((length, row) =>
    // no -0
    Number.isNaN(straight[row]!) ? NaN : straight[row]! < 0 ? 0 - length : length
  );
}

/** Where the animal was at any time, and where its head pointed. */
class Animal {
  readonly #path: AnimalPath;
  readonly #intervals: readonly (readonly [number, number])[];
  readonly #direction: ArrayLike<number> | undefined;

  constructor(
    position: PositionInput,
    direction: ArrayLike<number> | undefined,
    grid: Grid,
    action: string,
  ) {
    const recorded = validatePosition(position);
    const wanted = grid.track ? 2 : grid.dimensions;
    if (recorded.dimensions !== wanted) {
      throw new RangeError(
        `Cannot ${action}: the position has ${recorded.dimensions} dimensions, wanted ${wanted}`,
      );
    }
    const { times } = recorded.position;
    if (direction && direction.length !== times.length) {
      throw new RangeError(
        `Cannot ${action}: there are ${direction.length} directions, wanted one for each of ` +
          `${times.length} samples`,
      );
    }
    const merged = mergeStamps(recorded.position, wanted);
    if (merged.times.length < 2) {
      throw new RangeError(
        `Cannot ${action}: there is one sample of position, wanted two at least`,
      );
    }
    // in the plane: what it is nearest to on a track, its place tells
    const { track: _, ...plane } = grid;
    this.#path = new AnimalPath(merged.times, merged.values, plane);
    this.#intervals = trackingIntervals(merged.times);
    this.#direction = direction && firstOfStamps(recorded.position, direction);
  }

  /** `undefined` where it is not tracked. */
  at(time: number): Float64Array | undefined {
    const isTracked = this.#intervals.some(([start, stop]) => time >= start && time <= stop);
    const place = isTracked ? this.#path.at(time) : undefined;
    return place?.some(Number.isNaN) ? undefined : place;
  }

  /** Between two samples by the shorter turn; NaN beside one that is not known, and where none was given. */
  directionAt(time: number): number {
    if (!this.#direction) return NaN;
    const { sample, share } = this.#path.locate(time);
    const [from, to] = [this.#direction[sample]!, this.#direction[sample + 1]!];
    if (share <= 0) return from;
    if (share >= 1) return to;
    const turn = to - from;
    return from + share * Math.atan2(Math.sin(turn), Math.cos(turn));
  }
}

/** Of samples with one time stamp, which become one, the first that is known. */
function firstOfStamps(
  { times }: Recording["position"],
  direction: ArrayLike<number>,
): Float64Array {
  const kept: number[] = [];
  times.forEach((time, i) => {
    if (i === 0 || time > times[i - 1]!) kept.push(direction[i]!);
    else if (Number.isNaN(kept.at(-1)!)) kept[kept.length - 1] = direction[i]!;
  });
  return Float64Array.from(kept);
}

/** The shortest ways on a track, from any point to the centres of bins. */
class TrackWays {
  readonly #track: TrackLine;
  readonly #beyond = new Map<TrackSegment, Map<number, Float64Array>>();

  constructor(track: TrackLine) {
    this.#track = track;
  }

  /** From either end of an edge to all nodes, but not back over it: such a way would have begun by the other end. */
  #waysBeyond(own: TrackSegment): Map<number, Float64Array> {
    const known = this.#beyond.get(own);
    if (known) return known;
    const { graph: { nodes }, segments } = this.#track;
    const graph = nodes.map(() => ({ neighbours: [] as number[], lengths: [] as number[] }));
    for (const segment of segments) {
      if (segment === own) continue;
      const { from, to, length } = segment;
      for (const [one, other] of [[from, to], [to, from]] as const) {
        graph[one]!.neighbours.push(other);
        graph[one]!.lengths.push(length);
      }
    }
    const ways = new Map(
      [own.from, own.to].map((node) => [node, shortestPaths(graph, node, Infinity)]),
    );
    this.#beyond.set(own, ways);
    return ways;
  }

  /** Above 0 by the end that the head points to, below by the other; NaN where there is no way. */
  toBin(from: TrackPoint, bin: number, direction: number): number {
    const segment = this.#track.segments.find(({ firstBin, bins }) =>
      bin >= firstBin && bin < firstBin + bins
    )!;
    const along = (bin - segment.firstBin + 0.5) * segment.length / segment.bins;
    const own = from.segment;
    const ahead = this.#ahead(from, direction);
    if (segment === own) {
      const step = along - from.along;
      return ahead === own.to ? step : -step;
    }
    const by = (node: number) => {
      const beyond = this.#waysBeyond(own).get(node)!;
      return (node === own.to ? own.length - from.along : from.along) +
        Math.min(beyond[segment.from]! + along, beyond[segment.to]! + segment.length - along);
    };
    const [forward, backward] = [by(ahead), by(ahead === own.to ? own.from : own.to)];
    if (Math.min(forward, backward) === Infinity) return NaN;
    return forward <= backward ? forward : -backward;
  }

  /** The node of its edge that the head points to. */
  #ahead({ segment }: TrackPoint, direction: number): number {
    const { nodes, edges } = this.#track.graph;
    const [first, second] = edges[segment.edge]! as [number, number];
    const [fromX, fromY] = nodes[first]! as [number, number];
    const [toX, toY] = nodes[second]! as [number, number];
    const along = (toX - fromX) * Math.cos(direction) + (toY - fromY) * Math.sin(direction);
    return along < 0 ? first : second;
  }
}
