import { describe, expect, it } from "vitest";
import { readAll } from "../../src/array/array.ts";
import type { EnvironmentsOptions, StateModel } from "../../src/hmm/decoder.ts";
import * as decoder from "../../src/hmm/decoder.ts";
import type { EnvironmentWorld, WorldPlace } from "../reference/environment_models.ts";
import { environmentProblem } from "../reference/environment_models.ts";
import { expectationInLogs } from "../reference/em.ts";
import { logSpace } from "../reference/log_space.ts";
import { viterbi } from "../reference/viterbi.ts";
import { useGpu } from "../support/gpu.ts";
import { runtime } from "../support/runtime.ts";
import { largestDifference } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";

const gpu = useGpu();

let places = 0;
const place = () => `memory:environment-models-test-${places++}`;

type Environments = EnvironmentsOptions["environments"];
type Given = Environments[number];

/** Bins of a line, or of a box, from one edge to another; some are no interior. */
function boxOf(
  intervals: readonly [number, number][],
  ends: readonly (readonly [number, number])[],
  counts: readonly number[],
  holes: readonly number[] = [],
): { given: Omit<Given, "name">; world: WorldPlace } {
  const widths = ends.map(([first, last], d) => (last - first) / counts[d]!);
  const edges = ends.map(([first], d) =>
    Array.from({ length: counts[d]! + 1 }, (_, i) => first + i * widths[d]!)
  );
  const all = edges.reduce<number[][]>(
    (found, along, d) =>
      found.flatMap((own) => along.slice(1).map((edge) => [...own, edge - widths[d]! / 2])),
    [[]],
  );
  const interior = all.map((_, bin) => holes.includes(bin) ? 0 : 1);
  return {
    given: { intervals, grid: { edges, interior } },
    world: {
      ...{ intervals, ends, widths },
      centers: all.filter((_, bin) => interior[bin]),
      placeOf: (position) => position,
    },
  };
}

/** A straight track along the first axis of a plane. */
function trackOf(intervals: readonly [number, number][], length: number, bins: number) {
  const width = length / bins;
  return {
    given: {
      ...{ intervals, binSize: width },
      trackGraph: { nodes: [[0, 0], [length, 0]], edges: [[0, 1]] },
    },
    world: {
      ...{ intervals, ends: [[0, length]] as [number, number][], widths: [width] },
      centers: Array.from({ length: bins }, (_, bin) => [(bin + 0.5) * width]),
      placeOf: ([x]: readonly number[]) => [Math.min(length, Math.max(0, x!))],
    },
  };
}

const RATE = 30;
/** Samples lie on no end of these, which touch. */
const LEFT: [number, number][] = [[0, 3]];
const RIGHT: [number, number][] = [[3, 5.5]];
const NOOK: [number, number][] = [[5.5, 7]];

/** One that goes to and fro in three environments, where cells fire near places; one cell is silent in the second. */
function worldOf(
  seed: number,
  dimensions: 1 | 2,
  fields: EnvironmentWorld["fields"],
): { world: EnvironmentWorld; options: EnvironmentsOptions } {
  const random = seeded(seed);
  const times = Array.from({ length: 7 * RATE }, (_, i) => (i + 0.5) / RATE);
  const extent = [22, 40, 5];
  const where = (time: number) => time < 3 ? 0 : time < 5.5 ? 1 : 2;
  const positions = times.map((time) =>
    Array.from(
      { length: dimensions },
      (_, d) =>
        extent[where(time)]! * (0.5 + 0.47 * Math.sin((2.1 + d) * time + seed + d)) +
        (where(time) === 1 && d === 1 ? -20 : 0),
    )
  );
  const units = 3;
  const isSilent = (time: number) => time > 1 && time < 1.7;
  const spikes = times.flatMap((time, i) =>
    Array.from({ length: units }, (_, unit) => unit).flatMap((unit) => {
      const near = Math.exp(-0.5 * ((positions[i]![0]! - 9 * unit - 3) / 6) ** 2);
      const at = time + (random() - 0.5) / RATE;
      const features = [40 * unit + 15 * random(), 20 * random()];
      if (random() > 0.06 + 0.5 * near || isSilent(at)) return [];
      // one cell is silent in an environment
      return unit === 1 && where(at) === 1 ? [] : [{ time: at, unit, features }];
    })
  ).sort((a, b) => a.time - b.time);
  const laid = dimensions === 1
    ? {
      left: boxOf(LEFT, [[-1, 23]], [8], [6]),
      right: boxOf(RIGHT, [[0, 41]], [7]),
      nook: boxOf(NOOK, [[0, 6]], [1]),
    }
    : {
      left: boxOf(LEFT, [[0, 22], [0, 22]], [4, 3], [5]),
      right: trackOf(RIGHT, 40, 9),
      nook: boxOf(NOOK, [[0, 6], [0, 6]], [1, 1]),
    };
  const groups: Record<string, [number, number][]> = {
    all: [[0, 7]],
    late: [[1.9, 2.8], [4, 4.9], [6, 7]],
    // nothing fires in it, nor in the samples beside it
    silent: [[1.1, 1.6], [3.5, 4], [6, 6.5]],
  };
  const model = modelOf(seed, random);
  const edges = Array.from({ length: 34 }, (_, row) => row / 5 + 0.2);
  const isMarked = fields.startsWith("marks");
  const spikeTimes = spikes.map(({ time }) => time);
  const numbers = spikes.map(({ unit }) => unit);
  return {
    world: {
      ...{ times, positions, spikes, units, groups, model, edges, fields },
      ...{ positionStd: 4, waveformStd: 12, knotSpacing: 9 },
      environments: Object.fromEntries(
        Object.entries(laid).map(([name, { world }]) => [name, world]),
      ),
    },
    options: {
      position: { times, values: positions.flat() },
      spikes: isMarked
        ? {
          ...{ times: spikeTimes, electrodes: numbers },
          features: spikes.flatMap(({ features }) => features),
        }
        : { times: spikeTimes, units: numbers },
      states: model,
      environments: Object.entries(laid).map(([name, { given }]) => ({ name, ...given })),
      groups: Object.entries(groups).map(([name, intervals]) => ({ name, intervals })),
      positionStd: 4,
      ...(isMarked && { waveformStd: 12 }),
      ...(fields === "glm" && { placeFields: "glm" as const, knotSpacing: 9 }),
    },
  };
}

/** States of all kinds, in environments and of groups as chance has it; the first three have bins. */
function modelOf(seed: number, random: () => number): StateModel {
  const one = <Value>(list: readonly Value[]) => list[Math.floor(random() * list.length)]!;
  const kernels = seed % 2 === 0;
  const kinds = ["bins", "bins", "bins", one(["local", "bins"]), "local", "noSpike"];
  const environments = [
    "left",
    "right",
    "nook",
    ...kinds.slice(3).map(() => one(["left", "right", "nook"])),
  ];
  const shares = () => {
    const values = kinds.map(() => 0.05 + random());
    const sum = values.reduce((total, value) => total + value, 0);
    return values.map((value) => value / sum);
  };
  return decoder.stateModel({
    names: kinds.map((kind, state) => `${kind} ${state}`),
    environments,
    encodingGroups: kinds.map((_, state) => state === 0 ? "all" : one(["all", "late", "silent"])),
    initial: shares(),
    discreteTransition: kinds.map((_, from) =>
      shares().map((share, to) => 0.3 * share + (to === from ? 0.7 : 0))
    ),
    local: kinds.map((kind) => kind === "local"),
    noSpike: kinds.map((kind) => kind === "noSpike"),
    oneBin: kinds.map((kind) => kind === "noSpike" || kind === "local" && !kernels),
    ...(kernels && { localStd: seed % 4 === 0 ? 0 : 5 }),
    ...(seed % 3 !== 0 && { nonLocalPenalty: 3, nonLocalPenaltyStd: 6 }),
    transitions: kinds.map((from, i) =>
      kinds.map((to, j) => {
        const areBins = [from, to].every((kind) => kind === "bins");
        return areBins && environments[i] === environments[j] && (i === j || random() < 0.5)
          ? { kind: "randomWalk", movementVar: 20 }
          : { kind: "uniform" };
      })
    ),
  });
}

const time = { start: 0.2, stop: 6.8, rate: 5 };

async function decode(
  model: ReturnType<typeof decoder.environments>,
  options: Partial<decoder.DecodeOptions> = {},
) {
  const result = await model.smooth(gpu(), {
    ...{ time, out: place(), causal: true, ...options },
  }).run();
  const smoothed = await readAll(result.posterior) as Float32Array;
  const filtered = await readAll(result.causal!.posterior) as Float32Array;
  await result.close();
  expect(result.peakBytes.host).toBeLessThanOrEqual(result.projectedBytes.host);
  expect(result.peakBytes.gpu).toBeLessThanOrEqual(result.projectedBytes.gpu);
  return { smoothed, filtered, logLikelihood: result.marginalLogLikelihood };
}

const CASES = [
  [3, 1, "marks"],
  [1, 1, "kde"],
  [2, 1, "glm"],
  [4, 2, "kde"],
  [5, 2, "marksInLogs"],
  [6, 1, "marksInLogs"],
  [7, 2, "glm"],
  [8, 1, "kde"],
  [10, 2, "marks"],
] as const;
// other runtimes put the same kernels through other compilers: fewer tell as much
const OWN_CASES = CASES.slice(0, runtime === "node" ? CASES.length : 4);

describe("states of any kind in several environments, of several groups", () => {
  for (const [seed, dimensions, fields] of OWN_CASES) {
    it(`are decoded as their definitions say: model ${seed}, ${fields}, ${dimensions} dimensions`, async () => {
      const { world, options } = worldOf(seed, dimensions, fields);
      const model = decoder.environments(options);
      const { stateOf, ...problem } = environmentProblem(world);
      const wanted = logSpace(problem);
      const found = await decode(model);
      expect(largestDifference(found.filtered, wanted.filtered)).toBeLessThan(2e-5);
      expect(largestDifference(found.smoothed, wanted.smoothed)).toBeLessThan(2e-5);
      expect(Math.abs(found.logLikelihood - wanted.marginalLogLikelihood))
        .toBeLessThan(1e-4 + 1e-6 * Math.abs(wanted.marginalLogLikelihood));
      const path = await model.viterbi(gpu(), { time }).run();
      expect([...await readAll(path.stateBins) as Int32Array]).toEqual([...viterbi(problem).path]);
      await path.close();

      // two lanes, and another stored
      const lanes = await decode(model, { lanes: 2, burnInRows: 12 });
      expect(largestDifference(lanes.smoothed, wanted.smoothed)).toBeLessThan(2e-5);
      const stored = place();
      await model.saveEncoding(stored);
      const opened = await decoder.openEncoding(stored);
      const { spikes, position, states } = options;
      const again = opened.decoder({ spikes, position, states }) as typeof model;
      expect(again.encoding).toEqual(model.encoding);
      expect(await decode(again)).toEqual(found);

      const fit = await model.em(gpu(), {
        ...{ time, out: place(), posterior: false, maxIterations: 1, fitInitial: false },
      }).run();
      await fit.decode.close();
      const { counts } = expectationInLogs(problem, stateOf);
      fit.states.discreteTransition.forEach((row, from) => {
        const total = counts[from]!.reduce((sum, count) => sum + count, 0);
        const sure = row.map((_, to) => counts[from]![to]! / total);
        // counts are f32 of a row: of states that hardly are there is little to tell
        if (total > 1e-3) {
          expect(largestDifference(Float32Array.from(row), sure)).toBeLessThan(2e-5);
        }
      });
    });
  }
});
