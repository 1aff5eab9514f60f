import { describe, expect, it } from "vitest";
import type { EmOptions } from "../../src/hmm/decoder.ts";
import * as decoder from "../../src/hmm/decoder.ts";
import { betweenRows, timeGrid } from "../../src/hmm/time_grid.ts";
import { Journal } from "../../src/store/journal.ts";
import type { EnvironmentWorld } from "../reference/environment_models.ts";
import { environmentProblem } from "../reference/environment_models.ts";
import { expectationInLogs } from "../reference/em.ts";
import { logSpace } from "../reference/log_space.ts";
import { useGpu } from "../support/gpu.ts";
import { runtime } from "../support/runtime.ts";
import { largestDifference } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu();

let places = 0;
const place = () => `memory:em-encoding-test-${places++}`;

const RATE = 20;
const SECONDS = 6;
const EDGES = [[0, 5, 10, 15, 20, 25, 30]];
const TRAIN: [number, number][] = [[0, 2.51], [3.01, SECONDS]];

/** One that goes to and fro; a second of three, units tell of one end. */
function worldOf(fields: EnvironmentWorld["fields"]): EnvironmentWorld {
  const random = seeded(7);
  const times = Array.from({ length: RATE * SECONDS }, (_, i) => (i + 0.5) / RATE);
  const positions = times.map((time) => [15 + 14 * Math.sin(2.3 * time)]);
  const spikes = times.flatMap((time, i) =>
    [0, 1, 2, 3].flatMap((unit) => {
      const isElsewhere = Math.floor(time) % 3 === 1;
      const told = isElsewhere ? 3 : positions[i]![0]!;
      const near = Math.exp(-0.5 * ((told - 8 * unit - 2) / 4) ** 2);
      const [at, first, second] = [time + (random() - 0.5) / RATE, random(), random()];
      return random() > 0.02 + 0.6 * near
        ? []
        : [{ time: at, unit, features: [40 * unit + 15 * first, 20 * second] }];
    })
  ).sort((a, b) => a.time - b.time);
  return {
    ...{ times, positions, spikes, units: 4, fields, groups: { trained: TRAIN } },
    environments: {
      all: {
        intervals: [[0, SECONDS]],
        centers: EDGES[0]!.slice(1).map((edge) => [edge - 2.5]),
        ...{ widths: [5], ends: [[0, 30]], placeOf: (position) => position },
      },
    },
    ...{ positionStd: 4, waveformStd: 12, knotSpacing: 9 },
    model: {
      ...decoder.nonLocal({ movementVar: 20 }),
      environments: Array<string>(4).fill("all"),
      encodingGroups: Array<string>(4).fill("trained"),
    },
    // rows begin after the first samples, and end before the last ones
    edges: Array.from({ length: 53 }, (_, row) => 0.4 + row / 10),
  };
}

const TIME = { start: 0.4, stop: 5.6, rate: 10 };

function decoderOf({ times, positions, spikes, model, fields }: EnvironmentWorld) {
  const { environments: _, encodingGroups: __, ...states } = model;
  const spikeTimes = spikes.map(({ time }) => time);
  const numbers = spikes.map(({ unit }) => unit);
  const shared = {
    position: { times, values: positions.flat() },
    ...{ states, positionStd: 4, grid: { edges: EDGES }, train: TRAIN },
  };
  if (!fields.startsWith("marks")) {
    return decoder.sortedSpikes({
      ...shared,
      spikes: { times: spikeTimes, units: numbers },
      ...(fields === "glm" && { placeFields: "glm" as const, knotSpacing: 9 }),
    });
  }
  const features = spikes.flatMap((spike) => spike.features);
  return decoder.clusterless({
    ...shared,
    spikes: { times: spikeTimes, electrodes: numbers, features },
    waveformStd: 12,
  });
}

const OPTIONS = {
  ...{ time: TIME, fitEncoding: true, maxIterations: 2, tolerance: 1e-12, posterior: false },
  ...{ concentration: 1, stickiness: [0, 0, 0, 0], frozen: [] },
};

/** Expectation and update in turn, by the definitions. */
function wantedOf(world: EnvironmentWorld, iterations: number, encodesAnew = true) {
  const logLikelihoods: number[] = [];
  let { model, weights } = world;
  let start: Float64Array | undefined;
  for (let iteration = 0; iteration <= iterations; iteration++) {
    const { stateOf, ...problem } = environmentProblem({
      ...world,
      model,
      ...(weights && { weights }),
    });
    if (start) problem.logInitial = start;
    const { counts, first, logLikelihood } = expectationInLogs(problem, stateOf);
    logLikelihoods.push(logLikelihood);
    if (iteration === iterations) break;
    const { smoothed } = logSpace(problem);
    const bins = stateOf.length;
    const local = world.edges.slice(1).map((_, row) =>
      stateOf.reduce(
        (sum, state, bin) => sum + (model.local?.[state] ? smoothed[row * bins + bin]! : 0),
        0,
      )
    );
    weights = !encodesAnew ? weights : world.times.map((time) => {
      if (time < world.edges[0]! || time > world.edges.at(-1)!) return 0;
      const at = Math.min(local.length - 1, Math.max(0, (time - world.edges[0]!) * 10 - 0.5));
      const before = Math.min(local.length - 2, Math.floor(at));
      return local[before]! + (at - before) * (local[before + 1]! - local[before]!);
    });
    model = {
      ...model,
      discreteTransition: counts.map((row) => {
        const sum = row.reduce((total, count) => total + count, 0);
        return row.map((count) => count / sum);
      }),
    };
    start = Float64Array.from(first, Math.log);
  }
  return { logLikelihoods, discreteTransition: model.discreteTransition };
}

const fitted = async (
  model: ReturnType<typeof decoderOf>,
  options: Partial<EmOptions> = {},
  signal?: AbortSignal,
) => {
  const fit = await model.em(gpu(), { ...OPTIONS, out: place(), ...options })
    .run({ ...(signal && { signal }) });
  await fit.decode.close();
  return fit;
};

describe("em() that fits the encoding", () => {
  for (const fields of ["kde", "marks", "glm"] as const) {
    it(`encodes from samples as far as a local state was likely: ${fields}`, async () => {
      const world = worldOf(fields);
      const model = decoderOf(world);
      const fit = await fitted(model);
      const wanted = wantedOf(world, 2);
      fit.logLikelihoods.forEach((log, i) =>
        expect(Math.abs(log - wanted.logLikelihoods[i]!)).toBeLessThan(2e-3)
      );
      // fifty times what is allowed for: what is encoded changes something
      const kept = wantedOf({ ...world, weights: world.times.map(() => 1) }, 2, false);
      expect(Math.abs(wanted.logLikelihoods[2]! - kept.logLikelihoods[2]!)).toBeGreaterThan(0.1);
      fit.states.discreteTransition.forEach((row, from) =>
        expect(largestDifference(Float32Array.from(row), wanted.discreteTransition[from]!))
          .toBeLessThan(1e-4)
      );
      // a decode by what was stored is the one that was made
      const stored = await decoder.openEncoding(fit.encoding!);
      const { times, values } = { times: world.times, values: world.positions.flat() };
      const { states, initialProbs } = fit;
      const numbers = world.spikes.map(({ unit }) => unit);
      const spikeTimes = world.spikes.map(({ time }) => time);
      const features = world.spikes.flatMap((spike) => spike.features);
      const own = stored.decoder({
        ...{ position: { times, values }, states, initialProbs },
        spikes: fields === "marks"
          ? { times: spikeTimes, electrodes: numbers, features }
          : { times: spikeTimes, units: numbers },
      });
      const again = await own.smooth(gpu(), { time: TIME, out: place() }).run();
      expect(again.marginalLogLikelihood).toBe(fit.logLikelihoods.at(-1));
      await again.close();
      expect(() => own.em(gpu(), { ...OPTIONS, out: place() })).toThrow(
        /the encoding was stored, or is of several environments, wanted a decoder of sortedSpikes/,
      );
    });
  }

  it("gives the same bits where it was interrupted, and in tiles of any size; lanes the same numbers", async () => {
    const model = decoderOf(worldOf("kde"));
    const whole = await fitted(model);
    const lanes = await fitted(model, { lanes: 2, burnInRows: 20 });
    whole.logLikelihoods.forEach((log, i) => expect(lanes.logLikelihoods[i]).toBeCloseTo(log, 2));
    const { append } = Journal.prototype;
    for (let kills = 0; kills < cases(1, runtime === "node" ? 12 : 3); kills++) {
      const out = place();
      let found: typeof whole | undefined;
      let lines = 0;
      for (const [turn, tileRows] of [10, 4, 52].entries()) {
        const cancel = new AbortController();
        const stopAt = turn === 2 ? Infinity : lines + 3 + (5 * kills + 4 * turn) % 23;
        Journal.prototype.append = async function (entry) {
          await append.call(this, entry);
          if (++lines === stopAt) cancel.abort(new Error("interrupted"));
        };
        try {
          found = await fitted(model, { out, tileRows }, cancel.signal);
        } catch (error) {
          expect((error as Error).message).toBe("interrupted");
        } finally {
          Journal.prototype.append = append;
        }
      }
      const { encoding: _, ...wanted } = whole;
      const { encoding, ...own } = found!;
      expect({ ...own, decode: 0, seconds: 0 }).toEqual({ ...wanted, decode: 0, seconds: 0 });
      expect((await decoder.openEncoding(encoding!)).encoding)
        .toEqual((await decoder.openEncoding(whole.encoding!)).encoding);
    }
  });

  it("keeps the encoding where local states are too little to go by", async () => {
    const world = worldOf("kde");
    const never = decoder.stateModel({
      ...decoder.nonLocal({ movementVar: 20 }),
      initial: [0, 0.2, 0.4, 0.4],
      discreteTransition: [[0, 0.2, 0.4, 0.4], [0, 0.2, 0.4, 0.4], [0, 0.2, 0.4, 0.4], [
        ...[0, 0.2, 0.4, 0.4],
      ]],
    });
    const model = decoderOf({ ...world, model: never });
    const fit = await fitted(model, { maxIterations: 1 });
    expect((await decoder.openEncoding(fit.encoding!)).encoding).toEqual(model.encoding);
    const plain = await fitted(model, { maxIterations: 1, fitEncoding: false });
    expect(plain.logLikelihoods).toEqual(fit.logLikelihoods);
    expect(plain.encoding).toBeUndefined();
    const without = decoderOf({ ...world, model: decoder.contFrag() });
    expect(() => without.em(gpu(), { ...OPTIONS, out: place() })).toThrow(/no state is local/);
  });

  it("takes what lies between the times of rows on a line, and nothing outside of them", () => {
    const grid = timeGrid({ start: 1, stop: 4, rate: 1 });
    const at = (time: number) => betweenRows(grid, [2, 4, 8], time);
    expect([0.99, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.01].map(at)).toEqual([0, 2, 2, 3, 4, 6, 8, 8, 0]);
    expect(betweenRows(timeGrid({ start: 0, stop: 1, rate: 1 }), [3], 0.9)).toBe(3);
  });
});
