/** Decodes of small recordings: what is stored, how, in how many lanes, and stopped on their way. */

import type { DecodeOptions, DecodeResult } from "../../../src/hmm/decoder.ts";
import { decoder } from "../../../src/mod.ts";
import type { Gpu } from "../../../src/mod.ts";
import { seeded } from "../random.ts";
import { smallRecording } from "../recordings.ts";
import { expectResumed, stopAt } from "./interrupt.ts";
import type { Bench, KeptRun } from "./kept.ts";

type StateModel = NonNullable<Parameters<typeof decoder.sortedSpikes>[0]["states"]>;
type Model = ReturnType<typeof decoder.sortedSpikes>;
type Options = Omit<Partial<DecodeOptions>, "out">;

const { contFrag, continuous, sortedSpikes, stateModel } = decoder;

const track = (states: StateModel, seconds = 8) =>
  sortedSpikes({ ...smallRecording({ seconds }), states, binSize: 3, positionStd: 3 });
const box = (states: StateModel, seconds = 6) =>
  sortedSpikes({
    ...smallRecording({ seconds, dimensions: 2, units: 9 }),
    states,
    binSize: 4,
    positionStd: 4,
  });

const twoStates = contFrag({ movementVar: 4 });
const oneState = continuous({ movementVar: 4 });

/** Steps, jumps and rest: three states, two random walks. */
const threeStates = stateModel({
  names: ["slow", "fast", "still"],
  initial: [0.5, 0.3, 0.2],
  discreteTransition: [[0.9, 0.06, 0.04], [0.1, 0.85, 0.05], [0.2, 0.1, 0.7]],
  transitions: [
    [{ kind: "randomWalk", movementVar: 2 }, { kind: "randomWalk", movementVar: 30 }, {
      kind: "uniform",
    }],
    [{ kind: "randomWalk", movementVar: 2 }, { kind: "randomWalk", movementVar: 30 }, {
      kind: "uniform",
    }],
    [{ kind: "uniform" }, { kind: "uniform" }, { kind: "identity" }],
  ],
});

/** Transitions that are no convolutions. */
const replay = stateModel({
  names: ["as it ran", "backwards", "along the walls"],
  initial: [0.4, 0.3, 0.3],
  discreteTransition: [[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.1, 0.1, 0.8]],
  transitions: [
    [{ kind: "empirical", speedup: 2 }, { kind: "uniform" }, { kind: "uniform" }],
    [{ kind: "uniform" }, { kind: "empirical", timeReversed: true }, { kind: "uniform" }],
    [{ kind: "uniform" }, { kind: "uniform" }, { kind: "graphWalk", movementVar: 9 }],
  ],
});

const oneWay = stateModel({
  names: ["up", "down"],
  initial: [0.5, 0.5],
  discreteTransition: [[0.95, 0.05], [0.05, 0.95]],
  transitions: [
    [{ kind: "oneWayWalk", movementVar: 6, direction: "up" }, { kind: "identity" }],
    [{ kind: "identity" }, { kind: "oneWayWalk", movementVar: 6, direction: "down" }],
  ],
});

/** A model with a matrix for as many bins as the track's grid has. */
function ownMatrix() {
  const bins = track(oneState).grid.interiorIndex.length;
  const random = seeded(11);
  const values = Float64Array.from({ length: bins * bins }, () => random() ** 4);
  for (let row = 0; row < bins; row++) {
    const own = values.subarray(row * bins, (row + 1) * bins);
    const sum = own.reduce((total, value) => total + value, 0);
    own.forEach((value, i) => own[i] = value / sum);
  }
  return track(stateModel({
    names: ["own"],
    initial: [1],
    discreteTransition: [[1]],
    transitions: [[{ kind: "matrix", values }]],
  }));
}

/** Two corridors at a right angle: most of the box is outside of the track. */
function corner(states: StateModel) {
  const { position, spikes } = smallRecording({ seconds: 6, units: 8 });
  const values = new Float64Array(2 * position.times.length);
  position.values.forEach((value, i) => {
    values[2 * i] = Math.max(0, value - 20);
    values[2 * i + 1] = Math.min(20, value);
  });
  return sortedSpikes({
    position: { times: position.times, values },
    spikes,
    states,
    binSize: 3,
    positionStd: 3,
  });
}

/** A pause in the tracking, unknown positions, units with gaps in their numbers, and a part to train on. */
function patchy() {
  const { position, spikes } = smallRecording({ seconds: 9 });
  const kept = [...position.times.keys()].filter((i) =>
    position.times[i]! < 3 || position.times[i]! > 4.2
  );
  return sortedSpikes({
    position: {
      times: Float64Array.from(kept, (i) => position.times[i]!),
      values: Float64Array.from(kept, (i) => i % 61 === 7 ? NaN : position.values[i]!),
    },
    spikes: { times: spikes.times, units: spikes.units.map((unit) => 3 * unit + 2) },
    states: twoStates,
    binSize: 3,
    positionStd: 3,
    train: [[0, 6.5]],
    minSpeed: 1,
  });
}

const TIME = { step: 0.02 };
const SMALL_CHUNKS = { chunkRows: 16, shardChunks: 4, tileRows: 48 };

function plan(model: Model, gpu: Gpu, out: string, options: Options = {}) {
  return model.smooth(gpu, { time: TIME, ...options, out });
}

/** What a decode tells beside what it stores. */
async function tell(out: string, result: DecodeResult) {
  const { marginalLogLikelihood, impossibleRows, droppedSpikes, lanes, storedRows, gridShape } =
    result;
  const returned = {
    marginalLogLikelihood,
    impossibleRows,
    droppedSpikes,
    lanes,
    storedRows,
    gridShape,
    binCenters: result.binCenters,
  };
  await result.close();
  return { stores: { decode: out }, returned };
}

function decode(name: string, model: () => Model, options: Options = {}): KeptRun {
  return {
    name: `decode: ${name}`,
    async run({ gpu, place }) {
      const out = place();
      return await tell(out, await plan(model(), gpu, out, options).run());
    },
  };
}

/**
 * Stopped in a pass, and gone on with by other choices. Progress is told ten times a second: small tiles make a
 * pass take longer.
 */
function resumed(
  name: string,
  model: () => Model,
  { pass, before, after, budget }: {
    pass: string;
    before: Options;
    after: Options;
    budget?: string;
  },
): KeptRun {
  return {
    name: `decode, stopped and gone on with: ${name}`,
    async run({ gpu, place, withBudget }: Bench) {
      const out = place();
      await stopAt(
        plan(model(), gpu, out, before),
        (progress) => progress.pass === pass && progress.rows > 0.25 * progress.totalRows,
      );
      const device = budget === undefined ? gpu : await withBudget(budget);
      const result = await plan(model(), device, out, { ...before, ...after }).run();
      return await tell(out, expectResumed(result, pass));
    },
  };
}

const EVERY_SUMMARY = ["map", "mean", "entropy", "hpd", "logNormaliser"] as const;

export const DECODES: readonly KeptRun[] = [
  decode("two states on a track, all defaults", () => track(twoStates)),
  decode("one state on a track, all defaults", () => track(oneState)),
  decode("two states in a box", () => box(twoStates)),
  decode("one state in a box, filter too", () => box(oneState), { causal: true }),
  decode("three states on a track", () => track(threeStates), SMALL_CHUNKS),
  decode("three states in a box", () => box(threeStates, 4)),
  decode("two states in a corner", () => corner(twoStates), { causal: true }),
  decode("general transitions on a track", () => track(replay), SMALL_CHUNKS),
  decode("general transitions in a corner", () => corner(replay)),
  decode("one way walks", () => track(oneWay), { causal: true }),
  decode("a matrix of one's own", ownMatrix, { summaries: ["map"] }),
  decode("two states by a dense matrix", () => track(twoStates), { operator: "dense" }),
  decode("two states by a sparse matrix", () => track(twoStates), { operator: "sparse" }),
  decode("two states in a box by a dense matrix", () => box(twoStates, 4), { operator: "dense" }),
  decode("two states in a box by a sparse matrix", () => box(twoStates, 4), {
    operator: "sparse",
    causal: true,
  }),
  decode("shards of four chunks, filter too", () => track(twoStates), {
    ...SMALL_CHUNKS,
    causal: true,
  }),
  decode("a file for every chunk, a tile of one row", () => track(twoStates, 2), {
    chunkRows: 33,
    shardChunks: 1,
    tileRows: 1,
  }),
  decode("tiles that are no whole chunks, one slot", () => track(twoStates), {
    chunkRows: 40,
    shardChunks: 3,
    tileRows: 17,
    slots: 1,
    causal: true,
  }),
  decode("four slots", () => track(twoStates), { ...SMALL_CHUNKS, slots: 4 }),
  decode("every summary, of smoother and filter", () => track(twoStates), {
    chunkRows: 64,
    shardChunks: 4,
    tileRows: 48,
    causal: true,
    summaries: EVERY_SUMMARY,
  }),
  decode("every summary in a box", () => box(twoStates), { summaries: EVERY_SUMMARY }),
  decode("every summary and no posterior", () => track(threeStates), {
    causal: true,
    posterior: false,
    summaries: EVERY_SUMMARY,
  }),
  decode("neither posterior nor summaries", () => track(twoStates), { posterior: false }),
  decode("f16", () => track(twoStates), { ...SMALL_CHUNKS, dtype: "f16", causal: true }),
  decode("u16", () => track(twoStates), { ...SMALL_CHUNKS, dtype: "u16", causal: true }),
  decode("u16-linear", () => track(twoStates), { ...SMALL_CHUNKS, dtype: "u16-linear" }),
  decode("u16 in a box with summaries", () => box(twoStates), {
    dtype: "u16",
    summaries: ["map", "entropy"],
  }),
  decode("zarr version 2", () => track(twoStates), {
    zarrFormat: 2,
    causal: true,
    summaries: ["mean"],
  }),
  decode("zarr version 2 of u16 with zstd", () => track(twoStates), {
    zarrFormat: 2,
    chunkRows: 64,
    codec: "zstd",
    dtype: "u16",
  }),
  decode("gzip", () => track(twoStates), { ...SMALL_CHUNKS, codec: "gzip" }),
  decode("zstd", () => track(twoStates), { ...SMALL_CHUNKS, codec: "zstd", causal: true }),
  decode("delta-zstd of u16", () => track(twoStates), {
    ...SMALL_CHUNKS,
    codec: "delta-zstd",
    dtype: "u16",
  }),
  decode("rows at timestamps", () => track(twoStates), {
    timeGrid: "timestamps",
    time: { start: 0.5, stop: 7, rate: 60 },
    summaries: ["logNormaliser"],
  }),
  decode("rows beyond the recording", () => track(oneState), {
    time: { start: -1, stop: 9.5, rate: 25 },
  }),
  decode("missing stretches and rows", () => track(twoStates), {
    missing: [[1, 1.5], [3.01, 3.05]],
    isMissing: Array.from({ length: 400 }, (_, row) => row % 50 === 3),
    summaries: ["map"],
  }),
  decode("untracked rows, units by other numbers, part of it trained on", patchy, {
    missing: ["untracked"],
    causal: true,
  }),
  decode("three lanes", () => track(twoStates, 12), {
    lanes: 3,
    burnInRows: 100,
    chunkRows: 32,
    causal: true,
  }),
  decode("two lanes that start wrong and are run again", () => track(oneState, 44), {
    lanes: 2,
    burnInRows: 1,
    chunkRows: 64,
  }),
  decode("four lanes, three of which are run again", () => track(oneState, 12), {
    lanes: 4,
    burnInRows: 1,
    chunkRows: 32,
    shardChunks: 3,
    tileRows: 50,
    dtype: "u16",
    summaries: EVERY_SUMMARY,
  }),
  decode("three lanes in a box by a dense matrix", () => box(twoStates, 8), {
    lanes: 3,
    burnInRows: 64,
    operator: "dense",
  }),
  decode("four lanes of general transitions", () => track(replay, 12), {
    lanes: 4,
    burnInRows: 64,
  }),
  resumed("in the filter", () => track(twoStates, 16), {
    pass: "filter",
    before: { ...SMALL_CHUNKS, tileRows: 4, causal: true },
    after: { tileRows: 31 },
  }),
  resumed("in the smoother, with another budget", () => track(twoStates, 16), {
    pass: "smooth",
    before: { chunkRows: 32, shardChunks: 8, tileRows: 4, causal: true, summaries: EVERY_SUMMARY },
    after: { tileRows: 100 },
    budget: "16 MiB",
  }),
  resumed("in the smoother, compressed, general transitions", () => track(replay, 16), {
    pass: "smooth",
    before: { ...SMALL_CHUNKS, tileRows: 8, codec: "zstd", dtype: "u16" },
    after: { tileRows: 16, slots: 1 },
  }),
  resumed("in the smoother, zarr version 2", () => box(twoStates, 12), {
    pass: "smooth",
    before: { zarrFormat: 2, chunkRows: 30, tileRows: 5 },
    after: { tileRows: 70 },
  }),
  resumed("lanes, in the filter", () => track(oneState, 16), {
    pass: "filter",
    before: { lanes: 3, burnInRows: 1, chunkRows: 32, tileRows: 2, causal: true },
    after: { slots: 1 },
  }),
  resumed("lanes, in the smoother", () => track(oneState, 16), {
    pass: "smooth",
    before: { lanes: 3, burnInRows: 1, chunkRows: 32, tileRows: 2, causal: true },
    after: { tileRows: 25 },
  }),
  {
    name: "decode: over files",
    async run({ gpu, folder }) {
      const out = `${await folder()}/decode.zarr`;
      return await tell(
        out,
        await plan(track(twoStates), gpu, out, { ...SMALL_CHUNKS, causal: true }).run(),
      );
    },
  },
  {
    name: "decode: a finished one, returned at once",
    async run({ gpu, place }) {
      const out = place();
      const again = () => plan(track(twoStates), gpu, out, SMALL_CHUNKS).run();
      await (await again()).close();
      return await tell(out, await again());
    },
  },
  {
    name: "decode: over another one that is replaced",
    async run({ gpu, place }) {
      const out = place();
      await (await plan(track(oneState), gpu, out, { causal: true }).run()).close();
      const options = { ...SMALL_CHUNKS, overwrite: true };
      return await tell(out, await plan(track(twoStates), gpu, out, options).run());
    },
  },
  {
    name: "decode: a simulated session in a box",
    async run({ gpu, place }) {
      const session = decoder.simulateSession({ seed: 3, seconds: 20, arena: [60, 40], units: 20 });
      const model = sortedSpikes({ ...session, states: twoStates, binSize: 4 });
      const out = place();
      const options = { time: { rate: 50 }, dtype: "u16", summaries: EVERY_SUMMARY } as const;
      const result = await plan(model, gpu, out, options).run();
      const mean = await decoder.posteriorMean(result);
      const { returned, stores } = await tell(out, result);
      return { stores, returned: { ...returned, mean } };
    },
  },
];
