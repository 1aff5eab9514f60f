import { describe, expect, it } from "vitest";
import { fromTypedArray, readAll } from "../../src/array/array.ts";
import { binCoordinates } from "../../src/hmm/coordinates.ts";
import type { DecodeOptions, EnvironmentsOptions } from "../../src/hmm/decoder.ts";
import * as decoder from "../../src/hmm/decoder.ts";
import { posteriorMean } from "../../src/hmm/decode_result.ts";
import { plot } from "../../src/plot/plot.ts";
import { storedTexts } from "../../src/plot/stored_texts.ts";
import { StateBins } from "../../src/hmm/state_bins.ts";
import { expectationInLogs } from "../reference/em.ts";
import { logSpace } from "../reference/log_space.ts";
import { viterbi } from "../reference/viterbi.ts";
import { useGpu } from "../support/gpu.ts";
import { smallRecording } from "../support/recordings.ts";

const gpu = useGpu();

let places = 0;
const place = () => `memory:environments-test-${places++}`;

const STD = 3;
const SAMPLE = 0.02;
const ROW = 0.1;

/** Four seconds on one track, then four on another, whose coordinates overlap those of the first. */
const recording = (() => {
  const [one, other] = [5, 9].map((seed) => smallRecording({ seconds: 4, seed, units: 4 }));
  return {
    position: {
      times: [...one!.position.times, ...Array.from(other!.position.times, (time) => time + 4.02)],
      values: [
        ...one!.position.values,
        ...Array.from(other!.position.values, (value) => 1.4 * value + 10),
      ],
    },
    spikes: {
      times: [...one!.spikes.times, ...Array.from(other!.spikes.times, (time) => time + 4.02)],
      units: [...one!.spikes.units, ...other!.spikes.units],
    },
  };
})();

const ENVIRONMENTS = {
  left: { intervals: [[0, 4.01]], binSize: 4 },
  right: { intervals: [[4.01, 9]], binSize: 5 },
} as const;
const GROUPS = { first: [[0, 2.5], [4.5, 6.5]], second: [[1.5, 4.2], [6, 9]] } as const;

const uniform = { kind: "uniform" } as const;
const walk = { kind: "randomWalk", movementVar: 9 } as const;

const states = decoder.stateModel({
  names: ["out", "right", "back"],
  environments: ["left", "right", "left"],
  encodingGroups: ["first", "first", "second"],
  initial: [0.5, 0.3, 0.2],
  discreteTransition: [[0.9, 0.04, 0.06], [0.1, 0.85, 0.05], [0.1, 0.1, 0.8]],
  transitions: [[walk, uniform, walk], [uniform, walk, uniform], [uniform, uniform, walk]],
});

const options: EnvironmentsOptions = {
  ...recording,
  states,
  positionStd: STD,
  environments: Object.entries(ENVIRONMENTS).map(([name, { intervals, binSize }]) => ({
    ...{ name, binSize },
    intervals: intervals.map(([from, to]): [number, number] => [from, to]),
  })),
  groups: Object.entries(GROUPS).map(([name, intervals]) => ({
    name,
    intervals: intervals.map(([from, to]): [number, number] => [from, to]),
  })),
};

const within = (intervals: readonly (readonly [number, number])[], time: number) =>
  intervals.some(([from, to]) => time >= from && time <= to);

/** Centres of bins in which there is a sample, by the rule of one dimension. */
function centersOf({ intervals, binSize }: (typeof ENVIRONMENTS)[keyof typeof ENVIRONMENTS]) {
  const { times, values } = recording.position;
  const own = values.filter((_, i) => within(intervals, times[i]!));
  const [low, high] = [Math.min(...own), Math.max(...own)];
  const bins = Math.ceil((high - low) / binSize);
  const width = (high - low) / bins;
  const seen = new Set(own.map((value) => Math.min(bins - 1, Math.floor((value - low) / width))));
  return [...seen].sort((a, b) => a - b).map((bin) => low + (bin + 0.5) * width);
}

/** Spikes a second of a unit in bins, as sums over the samples and spikes of an environment and group. */
function ratesOf(unit: number, environment: keyof typeof ENVIRONMENTS, group: keyof typeof GROUPS) {
  const { position: { times, values }, spikes } = recording;
  const weights = times.map((time) =>
    within(ENVIRONMENTS[environment].intervals, time) && within(GROUPS[group], time) ? 1 : 0
  );
  const kernel = (x: number, at: number) => Math.exp(-0.5 * ((x - at) / STD) ** 2);
  return centersOf(ENVIRONMENTS[environment]).map((x) => {
    let [seconds, count] = [0, 0];
    weights.forEach((weight, i) => seconds += weight * SAMPLE * kernel(x, values[i]!));
    spikes.times.forEach((time, spike) => {
      if (spikes.units[spike] !== unit) return;
      const before = Math.min(times.length - 2, times.findLastIndex((stamp) => stamp <= time));
      const share = Math.min(1, (time - times[before]!) / (times[before + 1]! - times[before]!));
      const between = (all: readonly number[]) =>
        all[before]! + share * (all[before + 1]! - all[before]!);
      count += between(weights) * kernel(x, between(values));
    });
    return Math.max(5e-13, count / seconds);
  });
}

/** The model over all states' bins, in logarithms. */
function problemOf(rows: number) {
  const kinds = states.names.map((_, state) => ({
    environment: states.environments![state] as keyof typeof ENVIRONMENTS,
    group: states.encodingGroups![state] as keyof typeof GROUPS,
  }));
  const centers = kinds.map(({ environment }) => centersOf(ENVIRONMENTS[environment]));
  const rates = kinds.map(({ environment, group }) =>
    [0, 1, 2, 3].map((unit) => ratesOf(unit, environment, group))
  );
  const stateOf = centers.flatMap((own, state) => own.map(() => state));
  const first = (state: number) => stateOf.indexOf(state);
  const bins = stateOf.length;
  const logTransition = new Float64Array(bins * bins);
  stateOf.forEach((from, i) => {
    stateOf.forEach((to, j) => {
      const targets = centers[to]!;
      const x = centers[from]![i - first(from)]!;
      const step = (at: number) => Math.exp(-0.5 * (at - x) ** 2 / walk.movementVar);
      const share = states.transitions[from]![to]!.kind === "uniform"
        ? 1 / targets.length
        : step(targets[j - first(to)]!) / targets.reduce((sum, at) => sum + step(at), 0);
      logTransition[i * bins + j] = Math.log(states.discreteTransition[from]![to]! * share);
    });
  });
  const counts = Array.from({ length: rows }, () => [0, 0, 0, 0]);
  recording.spikes.times.forEach((time, spike) => {
    const row = Math.floor(time / ROW);
    if (row < rows) counts[row]![recording.spikes.units[spike]!]!++;
  });
  return {
    stateOf,
    logInitial: Float64Array.from(
      stateOf,
      (state) => Math.log(states.initial[state]! / centers[state]!.length),
    ),
    logTransition,
    logLikelihoods: Float64Array.from(
      counts.flatMap((own) =>
        stateOf.map((state, bin) =>
          own.reduce((sum, count, unit) => {
            const expected = ROW * rates[state]![unit]![bin - first(state)]!;
            return sum + count * Math.log(expected) - expected;
          }, 0)
        )
      ),
    ),
  };
}

const ROWS = 60;
const time = { start: 0, stop: ROWS * ROW, step: ROW };

async function decode(more: Partial<DecodeOptions> = {}) {
  const model = decoder.environments(options);
  const out = place();
  const result = await model.smooth(gpu(), { time, out, causal: true, ...more }).run();
  const smoothed = await readAll(result.posterior) as Float32Array;
  const filtered = await readAll(result.causal!.posterior) as Float32Array;
  await result.close();
  return { ...result, out, smoothed, filtered };
}

const furthest = (found: ArrayLike<number>, wanted: ArrayLike<number>) => {
  expect(found).toHaveLength(wanted.length);
  return Array.from(found).reduce(
    (most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)),
    0,
  );
};

describe("decoder.environments()", () => {
  it("decodes where, in which environment and by which group, as the definition does", async () => {
    const found = await decode();
    const wanted = logSpace(problemOf(ROWS));
    expect(furthest(found.smoothed, wanted.smoothed)).toBeLessThan(2e-6);
    expect(furthest(found.filtered, wanted.filtered)).toBeLessThan(2e-6);
    expect(found.marginalLogLikelihood).toBeCloseTo(wanted.marginalLogLikelihood, 3);
    const centers = states.environments!
      .flatMap((name) => centersOf(ENVIRONMENTS[name as keyof typeof ENVIRONMENTS]));
    expect(furthest(found.binCenters[0]!, centers)).toBeLessThan(1e-9);
    expect(found.environments).toEqual(["left", "right", "left"]);
    for (
      const [name, texts] of [["environments", states.environments], [
        "encoding_groups",
        states.encodingGroups,
      ]] as const
    ) {
      expect(await storedTexts(found.out, name)).toEqual(texts);
    }
    await expect(posteriorMean(found)).rejects.toThrow(/there are several environments/);
  });

  it("does not depend on tiles, nor on how the transition is applied", async () => {
    const wanted = await decode({ operator: "sparse" });
    expect((await decode({ operator: "sparse", tileRows: 7 })).smoothed).toEqual(wanted.smoothed);
    const dense = await decode({ operator: "dense" });
    expect(furthest(dense.smoothed, wanted.smoothed)).toBeLessThan(1e-6);
    await expect(decode({ operator: "convolution" }))
      .rejects.toThrow(/there are 2 environments, wanted one/);
  });

  it("calls states by their own environments where two of these have one track", async () => {
    const track = decoder.sortedSpikes({
      position: { times: [0, 1, 2], values: [0, 0, 5, 0, 10, 0] },
      spikes: [[0.5]],
      trackGraph: { nodes: [[0, 0], [10, 0]], edges: [[0, 1]] },
      binSize: 5,
    }).grid;
    const model = decoder.environments({
      position: { times: [0, 1, 2, 3], values: [0, 0, 10, 0, 0, 0, 10, 0] },
      spikes: [[0.5, 2.5]],
      environments: [
        { name: "day", intervals: [[0, 1.5]], grid: track },
        { name: "night", intervals: [[1.5, 3]], grid: track },
      ],
      states: decoder.multiEnvironment({ environments: ["day", "night"] }),
    });
    const coordinates = binCoordinates(new StateBins(model.grid, model.states));
    expect(coordinates.find(({ spec }) => spec.name === "environments")!.data)
      .toEqual(["day", "night"]);
    const posterior = fromTypedArray(new Float32Array(4).fill(0.25), [1, 4]);
    await expect(decoder.mapPosition({ posterior, grid: model.grid }))
      .rejects.toThrow(/there are several environments/);
  });

  it("has pictures of states alone, since places of several share no axis", async () => {
    const model = decoder.environments(options);
    const [path, drawn] = [place(), place()];
    const short = { start: 0, stop: 1, step: ROW };
    await (await model.viterbi(gpu(), { time: short, out: path }).run()).close();
    await (await model.samples(gpu(), { time: short, samples: 2, out: drawn }).run()).close();
    for (const one of [path, drawn]) {
      const html = (await plot(one)).toHTML();
      expect(html).toContain("of several environments: states alone are drawn");
      expect(html).not.toMatch(/>position<\/text>|likeliest path by|>path 0</);
      expect(html).toContain(">back<");
    }
  });

  it("finds the likeliest path through all of them", async () => {
    const path = await decoder.environments(options).viterbi(gpu(), { time }).run();
    const wanted = viterbi(problemOf(ROWS));
    expect(await readAll(path.stateBins)).toEqual(wanted.path);
    expect(path.logProbability).toBeCloseTo(wanted.logProbability, 5);
    await path.close();
  });

  it("counts how often each is followed by each, at the level of bins", async () => {
    const { stateOf, ...problem } = problemOf(ROWS);
    const { counts } = expectationInLogs(problem, stateOf);
    const plan = decoder.environments(options).em(gpu(), {
      ...{ time, out: place(), posterior: false, maxIterations: 1, fitInitial: false },
    });
    const fit = await plan.run();
    fit.states.discreteTransition.forEach((row, from) => {
      const total = counts[from]!.reduce((sum, count) => sum + count, 0);
      row.forEach((found, to) => expect(found).toBeCloseTo(counts[from]![to]! / total, 5));
    });
    expect(fit.states.environments).toEqual(states.environments);
    await fit.decode.close();
  });

  it("is told of states, environments and groups that there are not", () => {
    const refused = (change: object, told: object = {}) => () =>
      decoder.environments({ ...options, ...told, states: { ...states, ...change } });
    expect(refused({ environments: ["left", "up", "left"] }))
      .toThrow(/state "right" has environment "up", wanted one of "left", "right"/);
    expect(refused({ encodingGroups: ["first", "first", "third"] }))
      .toThrow(/state "back" has encoding group "third", wanted one of "first", "second"/);
    expect(refused({}, { groups: undefined }))
      .toThrow(/state "out" has encoding group "first", wanted one that is told/);
    expect(refused({ environments: undefined })).toThrow(/do not say in which environment/);
    expect(refused({ oneBin: [true, true, true], noSpike: [true, true, true] }))
      .toThrow(/all states have one bin, wanted one over the bins of an environment/);
    const unheard = decoder.environments({
      ...options,
      states: decoder.stateModel({
        ...states,
        oneBin: [true, false, false],
        transitions: states.transitions.map((row) => row.map(() => uniform)),
      }),
    });
    expect(() => unheard.smooth(gpu(), { time, out: place() }))
      .toThrow(/state "out" has one bin, wanted it to be local or noSpike/);
    expect(refused({}, { waveformStd: 5 })).toThrow(
      /waveformStd is for features, and spikes have none/,
    );
    const { times, units: electrodes } = recording.spikes;
    const marks = { spikes: { times, electrodes, features: times } };
    expect(refused({}, { ...marks, placeFields: "glm" }))
      .toThrow(/placeFields is for sorted spikes, and these have features/);
    expect(refused({}, { knotSpacing: 5 })).toThrow(/knotSpacing is for placeFields "glm"/);
    expect(refused({}, { train: [[20, 30]] }))
      .toThrow(/intervals of environment "left", of group "first" and of training have nothing/);
    expect(refused({}, { environments: [options.environments[0], options.environments[0]] }))
      .toThrow(/two of environments are called "left"/);
    const [left, right] = options.environments as [object, object];
    const until4 = { ...left, intervals: [[0, 4.02]] };
    expect(refused({}, { environments: [until4, { ...right, intervals: [[4.02, 9]] }] }))
      .toThrow(/position at 4.02 s is in environments "left" and "right", wanted it in one/);
    expect(() =>
      decoder.stateModel({
        ...states,
        transitions: states.transitions.map(() => [walk, walk, walk]),
      })
    )
      .toThrow(
        /from "out" to "right", which are in different environments, is of kind "randomWalk"/,
      );
    const model = decoder.environments(options);
    expect(() => model.smooth(gpu(), { time, out: place(), summaries: ["mean"] }))
      .toThrow(/there are 2 environments, between which there is no mean/);
    const shared = { ...recording, binSize: 4 };
    expect(() => decoder.sortedSpikes({ ...shared, states })).toThrow(/states have encodingGroups/);
    const { encodingGroups: _, ...alone } = states;
    expect(() => decoder.sortedSpikes({ ...shared, states: alone }))
      .toThrow(/states have environments, wanted environments\(\)/);
    expect(() => decoder.sortedSpikes({ ...recording, grid: model.grid }))
      .toThrow(/it is that of several environments/);
  });

  it("stores what it learnt, and knows which environments and groups that was", async () => {
    const model = decoder.environments(options);
    const out = place();
    await model.saveEncoding(out);
    const stored = await decoder.openEncoding(out);
    expect(stored.model).toBe("environments");
    expect(stored.grid).toEqual(model.grid);
    const { spikes } = options;
    expect(() => stored.decoder({ spikes })).toThrow(/states do not say in which environment/);
    const told = { ...states, encodingGroups: ["first", "second", "second"] };
    expect(() => stored.decoder({ spikes, states: told })).toThrow(
      /state "right" expects environment "right" by group "second", which was not encoded, wanted one of .*"left" by/,
    );
    // other states over the same parts, without where the animal was
    const { encodingGroups: _, ...without } = states;
    expect(() => stored.decoder({ spikes, states: without })).toThrow(
      /expects environment "left",/,
    );
    const fewer = decoder.stateModel({
      names: ["back", "right"],
      ...{ environments: ["left", "right"], encodingGroups: ["second", "first"] },
      ...{ initial: [0.5, 0.5], discreteTransition: [[0.9, 0.1], [0.1, 0.9]] },
      transitions: [[walk, uniform], [uniform, walk]],
    });
    const found = [
      stored.decoder({ spikes, states: fewer }),
      decoder.environments({ ...options, states: fewer }),
    ];
    const evidence = await Promise.all(found.map(async (own) => {
      const result = await own.smooth(gpu(), { time, out: place(), posterior: false }).run();
      await result.close();
      return result.marginalLogLikelihood;
    }));
    expect(evidence[0]).toBe(evidence[1]);
    const html = (await plot(out)).toHTML();
    expect(html).toContain("Place fields in left by first");
    expect(html).toContain("Place fields in right by first");
  });

  it("says of states that look at the animal which samples they misplace", () => {
    const local = decoder.stateModel({ ...states, nonLocalPenalty: 3 });
    const [first] = decoder.environments({ ...options, states: local }).warnings;
    expect(first).toMatch(
      /201 of 402 samples of position were not in environment "left", and states that/,
    );
  });

  it("has a preset with a state for each", () => {
    expect(decoder.multiEnvironment({ environments: ["box", "track"] })).toMatchObject({
      ...{ names: ["box", "track"], environments: ["box", "track"], initial: [1, 0] },
      discreteTransition: [[0.999, 1 - 0.999], [1 - 0.98, 0.98]],
      transitions: [
        [{ kind: "randomWalk", movementVar: 6 }, uniform],
        [uniform, { kind: "randomWalk", movementVar: 6 }],
      ],
      prior: { concentration: 1.1, stickiness: [200, 30] },
    });
    expect(() => decoder.multiEnvironment({ environments: ["box"] }))
      .toThrow(/there are 1 environments and 1 of stay, wanted at least two/);
  });
});
