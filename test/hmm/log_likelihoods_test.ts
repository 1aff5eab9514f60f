import { describe, expect, it } from "vitest";
import { fromTypedArray, openArray, readAll } from "../../src/array/array.ts";
import type {
  LogLikelihoodDecodeOptions,
  LogLikelihoodOptions,
  StateModel,
} from "../../src/hmm/decoder.ts";
import { contFrag, continuous, logLikelihoods, stateModel } from "../../src/hmm/decoder.ts";
import type { GridEdges } from "../../src/hmm/decoder.ts";
import { enumeratePaths } from "../reference/enumerate_paths.ts";
import { logInitialOf, logSpace, logTransitionOf } from "../reference/log_space.ts";
import { useGpu } from "../support/gpu.ts";
import { boxGrid, largestDifference } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { recordNumbers } from "../support/record.ts";
import { golden, goldenIntermediates } from "../support/recordings.ts";
import { sharedDataMissing } from "../support/shared_data.ts";
import { contents } from "../support/small_decode.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu();
const NO = -Infinity;

let places = 0;
const place = () => `memory:log-likelihoods-test-${places++}`;

const decode = (
  model: LogLikelihoodOptions,
  options: Partial<LogLikelihoodDecodeOptions> = {},
) => logLikelihoods(model).smooth(gpu(), { out: place(), causal: true, ...options });

async function run(model: LogLikelihoodOptions, options?: Partial<LogLikelihoodDecodeOptions>) {
  const result = await decode(model, options).run();
  const [filtered, smoothed] = [
    await readAll(result.causal!.posterior) as Float32Array,
    await readAll(result.posterior) as Float32Array,
  ];
  await result.close();
  return { ...result, filtered, smoothed };
}

/** Random logarithms [rows, columns] to -`depth`; a tenth impossible. */
function randomLogs(rows: number, columns: number, seed: number, depth = 20): Float64Array {
  const random = seeded(seed);
  return Float64Array.from(
    { length: rows * columns },
    () => random() < 0.1 ? NO : -depth * random(),
  );
}

const arrayOf = (values: Float64Array | Float32Array, columns: number) =>
  fromTypedArray(values, [values.length / columns, columns]);

/** Rows that sum to 1, with zeros. */
function randomMatrix(size: number, seed: number): number[][] {
  const random = seeded(seed);
  return Array.from({ length: size }, (_, row) => {
    const own = Array.from(
      { length: size },
      (_, column) => column !== row && random() < 0.3 ? 0 : random(),
    );
    const sum = own.reduce((total, value) => total + value, 0);
    return own.map((value) => value / sum);
  });
}

const plain = (matrix: number[][]): StateModel =>
  stateModel({
    names: ["all"],
    initial: [1],
    discreteTransition: [[1]],
    transitions: [[{ kind: "matrix", values: matrix.flat() }]],
  });

const named = (matrix: number[][], initial: number[]): StateModel =>
  stateModel({
    names: matrix.map((_, state) => `state ${state}`),
    initial,
    discreteTransition: matrix,
    transitions: matrix.map((row) => row.map(() => ({ kind: "uniform" }))),
    oneBin: matrix.map(() => true),
  });

const logsOf = (values: ArrayLike<number>) => Float64Array.from(values, Math.log);

/** A track and a state that is nowhere, and its matrix and start. */
function trackAndElsewhere() {
  const bins = 4;
  const states = stateModel({
    names: ["track", "elsewhere"],
    initial: [0.75, 0.25],
    discreteTransition: [[0.875, 0.125], [0.5, 0.5]],
    transitions: [[{ kind: "matrix", values: randomMatrix(bins, 5).flat() }, { kind: "uniform" }], [
      { kind: "uniform" },
      { kind: "uniform" },
    ]],
    oneBin: [false, true],
  });
  const own = randomMatrix(bins, 5);
  const matrix = [
    ...own.map((row) => [...row.map((value) => 0.875 * value), 0.125]),
    [...new Array<number>(bins).fill(0.5 / bins), 0.5],
  ];
  return { states, matrix, initial: [...new Array<number>(bins).fill(0.75 / bins), 0.25] };
}

describe("decoder.logLikelihoods()", () => {
  it("gives what enumeration of all paths does, of a matrix and of named states", async () => {
    const matrix = randomMatrix(3, 1);
    const initial = [0.5, 0.25, 0.25];
    const logs = randomLogs(6, 3, 2);
    const wanted = enumeratePaths(
      initial,
      matrix,
      Array.from({ length: 6 }, (_, row) => [...logs.subarray(3 * row, 3 * row + 3)]),
    );
    const source = arrayOf(logs, 3);
    for (
      const model of [
        { logLikelihoods: source, states: plain(matrix), initialProbs: initial },
        { logLikelihoods: source, states: named(matrix, initial) },
      ]
    ) {
      const { filtered, smoothed, marginalLogLikelihood } = await run(model);
      expect(largestDifference(filtered, wanted.filtered.flat())).toBeLessThan(1e-6);
      expect(largestDifference(smoothed, wanted.smoothed.flat())).toBeLessThan(1e-6);
      expect(marginalLogLikelihood).toBeCloseTo(wanted.marginalLogLikelihood, 5);
    }
  });

  const mixed = trackAndElsewhere();
  const track = boxGrid([7]);
  const ring = boxGrid([4, 5], (x, y) => !(x === 2 && y === 2));
  const problems: Record<
    string,
    { states: StateModel; matrix: Float64Array; initial: Float64Array; grid?: GridEdges }
  > = {
    "a matrix over 9 bins": {
      states: plain(randomMatrix(9, 3)),
      matrix: logsOf(randomMatrix(9, 3).flat()),
      initial: logsOf(new Array(9).fill(1 / 9)),
    },
    "6 states of one bin": {
      states: named(randomMatrix(6, 4), [0.5, 0.5, 0, 0, 0, 0]),
      matrix: logsOf(randomMatrix(6, 4).flat()),
      initial: logsOf([0.5, 0.5, 0, 0, 0, 0]),
    },
    "a track and a state that is nowhere": {
      states: mixed.states,
      matrix: logsOf(mixed.matrix.flat()),
      initial: logsOf(mixed.initial),
      grid: { edges: [[0, 1, 2, 3, 4]] },
    },
    "a walk and jumps that expect different things": {
      states: contFrag({ movementVar: 2 }),
      matrix: logTransitionOf(track, contFrag({ movementVar: 2 })),
      initial: logInitialOf(track, contFrag({ movementVar: 2 })),
      grid: track,
    },
    "the same in a box with a hole": {
      states: contFrag({ movementVar: 2 }),
      matrix: logTransitionOf(ring, contFrag({ movementVar: 2 })),
      initial: logInitialOf(ring, contFrag({ movementVar: 2 })),
      grid: ring,
    },
  };
  for (const [name, { states, matrix, initial, grid }] of Object.entries(problems)) {
    it(`gives what a filter in logarithms does, of ${name}`, async () => {
      const rows = 40;
      const logs = randomLogs(rows, initial.length, 11);
      // large numbers cost no digit, and depths no bin
      logs.forEach((_, i) => logs[i]! += i < 10 * initial.length ? 1e7 : -300 * (i % 3));
      const wanted = logSpace({ logInitial: initial, logTransition: matrix, logLikelihoods: logs });
      const model = {
        logLikelihoods: arrayOf(logs, initial.length),
        states,
        ...(grid && { grid }),
      };
      for (const operator of (["dense", "sparse", "auto"] as const).slice(0, cases(1, 3))) {
        const result = await run(model, { operator, tileRows: 7 });
        expect(largestDifference(result.filtered, wanted.filtered)).toBeLessThan(3e-6);
        expect(largestDifference(result.smoothed, wanted.smoothed)).toBeLessThan(3e-6);
        expect(result.impossibleRows).toBe(wanted.impossibleRows.length);
        const error = result.marginalLogLikelihood - wanted.marginalLogLikelihood;
        expect(Math.abs(error)).toBeLessThan(1e-4);
        expect(result.peakBytes.gpu).toBeLessThanOrEqual(result.projectedBytes.gpu);
        expect(result.peakBytes.host).toBeLessThanOrEqual(result.projectedBytes.host);
        if (operator === "dense") await recordNumbers(`own likelihoods, ${name}`, result.smoothed);
      }
    });
  }

  it("gives the same bits from any array, source, tile and chunk, and the same of lanes", async () => {
    const bins = 7;
    const logs = Float32Array.from(randomLogs(200, bins, 21, 6), (log) => Math.max(log, -6));
    const of = (values: LogLikelihoodOptions["logLikelihoods"]) => ({
      logLikelihoods: values,
      states: contFrag({ movementVar: 1 }),
      grid: track,
    });
    const wanted = await run(of(arrayOf(logs, bins)));
    const sources: LogLikelihoodOptions["logLikelihoods"][] = [
      arrayOf(Float64Array.from(logs), bins),
      {
        shape: [200, bins],
        read: (start, end) => Promise.resolve([...logs.subarray(start * bins, end * bins)]),
      },
    ];
    for (const source of sources) {
      for (const options of [{ tileRows: 1 }, { tileRows: 64, chunkRows: 5 }]) {
        const result = await run(of(source), options);
        expect(result.filtered).toEqual(wanted.filtered);
        expect(result.smoothed).toEqual(wanted.smoothed);
        expect(result.marginalLogLikelihood).toBe(wanted.marginalLogLikelihood);
      }
    }
    const lanes = await run(of(arrayOf(logs, bins)), { lanes: 4, burnInRows: 20, tileRows: 16 });
    expect(lanes.lanes.count).toBe(4);
    expect(largestDifference(lanes.smoothed, wanted.smoothed)).toBeLessThan(2e-5);
    expect(lanes.marginalLogLikelihood).toBeCloseTo(wanted.marginalLogLikelihood, 3);
  });

  it("lets rows that are missing say nothing, and keeps the prediction in impossible ones", async () => {
    const matrix = randomMatrix(4, 8);
    const logs = randomLogs(12, 4, 9);
    logs.fill(NO, 4 * 7, 4 * 8);
    const missing = Uint8Array.from({ length: 12 }, (_, row) => row === 2 || row === 5 ? 1 : 0);
    const wanted = logSpace({
      logInitial: logsOf([0.25, 0.25, 0.25, 0.25]),
      logTransition: logsOf(matrix.flat()),
      logLikelihoods: logs,
      missing,
    });
    const result = await run({ logLikelihoods: arrayOf(logs, 4), states: plain(matrix) }, {
      time: { rate: 2, start: 10 },
      missing: [[11.1, 11.4]],
      isMissing: Uint8Array.from(missing, (_, row) => row === 5 ? 1 : 0),
    });
    expect(largestDifference(result.smoothed, wanted.smoothed)).toBeLessThan(3e-6);
    expect(result.marginalLogLikelihood).toBe(NO);
    expect(result.impossibleRows).toBe(1);
    expect([...await readAll(result.time)].slice(0, 2)).toEqual([10.25, 10.75]);
  });

  it("refuses what is no log-likelihood by row and bin, before anything is written", async () => {
    for (const [value, told] of [[NaN, "NaN"], [Infinity, "Infinity"]] as const) {
      const logs = randomLogs(9, 5, 12);
      logs[5 * 6 + 3] = value;
      const states = continuous({ movementVar: 1 });
      await expect(run({ logLikelihoods: arrayOf(logs, 5), states })).rejects
        .toThrow(`row 6, bin 3 is ${told}, wanted a number or -Infinity`);
    }
  });

  it("refuses states that would change what is told", () => {
    const biased = (change: object) => () =>
      logLikelihoods({
        logLikelihoods: arrayOf(randomLogs(3, 5, 1), 5),
        states: { ...continuous({ movementVar: 1 }), ...change },
      });
    expect(biased({ nonLocalPenalty: 2 })).toThrow(
      /states have nonLocalPenalty, .* wanted them to/,
    );
    expect(biased({ localStd: 0 })).toThrow(/states have localStd/);
  });

  it("refuses shapes that do not go together, with both", () => {
    const states = contFrag({ movementVar: 1 });
    const of = (options: Partial<LogLikelihoodOptions>) => () =>
      logLikelihoods({ logLikelihoods: arrayOf(new Float64Array(12), 6), states, ...options });
    expect(of({ grid: { edges: [[0, 1, 2, 3, 4, 5]] } }))
      .toThrow(
        "of 6 bins, wanted 10, one for each bin of every state, or 5, which all states share",
      );
    expect(of({ initialProbs: [1] })).toThrow(
      "initialProbs has 1 values, wanted one for each of 12",
    );
    expect(of({ initialProbs: new Array(12).fill(0.1) })).toThrow(/initialProbs sums to 1.2/);
    expect(of({ grid: { edges: [[0, 1, 3, 4]] } })).toThrow(/edge 1 along dimension 0 is 1/);
    expect(of({ grid: { edges: [[0, 1, 2]], interior: [0, 0] } })).toThrow(/no bin is interior/);
    expect(of({ logLikelihoods: { shape: [3], read: () => Promise.resolve([]) } }))
      .toThrow(/their shape is \[3\]/);
    expect(() => logLikelihoods({ logLikelihoods: {} as never, states })).toThrow(
      /neither an array/,
    );
    const oneBin = named(randomMatrix(3, 1), [1, 0, 0]);
    expect(of({ states: oneBin })).toThrow("of 6 bins, wanted 3, one for each bin of every state");
    expect(() =>
      logLikelihoods({ logLikelihoods: arrayOf(new Float64Array(12), 3), states: oneBin })
        .smooth(gpu(), { out: place(), summaries: ["mean"] })
    ).toThrow(/"mean" is of positions, and state "state 0" has none/);
    const many = named(randomMatrix(16, 1), [1, ...new Array<number>(15).fill(0)]);
    expect(() =>
      logLikelihoods({ logLikelihoods: arrayOf(new Float64Array(32), 16), states: many })
        .smooth(gpu(), { out: place() })
    ).toThrow(/16 discrete states, at most 15 are supported/);
  });

  it("refuses a source that gives too little", async () => {
    const states = continuous({ movementVar: 1 });
    const read = (start: number, end: number) =>
      Promise.resolve(new Float64Array(4 * (end - start) - 1));
    await expect(run({ logLikelihoods: { shape: [8, 4], read }, states })).rejects
      .toThrow(/rows 0 to 8 came as 31 numbers, wanted 32/);
  });

  it("goes on where it was interrupted, and takes no others for the same", async () => {
    const logs = randomLogs(120, 7, 31, 6);
    const model = (values: Float64Array, onRead = () => {}) => ({
      logLikelihoods: {
        shape: [120, 7],
        read(start: number, end: number) {
          onRead();
          return Promise.resolve(values.slice(7 * start, 7 * end));
        },
      },
      states: continuous({ movementVar: 1 }),
    });
    const whole = place();
    await (await decode(model(logs), { out: whole, tileRows: 10 }).run()).close();
    for (const stopAt of [6, 18]) {
      const out = place();
      let reads = 0;
      const cancel = new AbortController();
      const cancelling = () => {
        if (++reads === stopAt) cancel.abort(new Error("interrupted"));
      };
      await expect(
        decode(model(logs, cancelling), { out, tileRows: 10 }).run({ signal: cancel.signal }),
      ).rejects.toThrow("interrupted");
      const other = logs.slice();
      other[3]! -= 0.5;
      await expect(decode(model(other), { out, tileRows: 10 }).run()).rejects
        .toThrow(/another|different|other/);
      const result = await decode(model(logs), { out, tileRows: 10 }).run();
      expect(result.resumed).toBeDefined();
      expect(await contents(out)).toEqual(await contents(whole));
      await result.close();
    }
  });

  it("meets the reference implementation's example from its log-likelihoods", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const { log_likelihood: logs } = await goldenIntermediates();
    const result = await run({
      logLikelihoods: arrayOf(logs!, 91),
      states: continuous({ movementVar: 6 }),
      // bins as wide as the example's, wherever they are
      grid: { edges: [await goldenEdges()] },
    });
    const { posterior } = await golden();
    expect(largestDifference(result.smoothed, posterior)).toBeLessThan(1e-6);
  });

  it("reads an array on disk as it reads one in memory", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const { sharedFile } = await import("../support/shared_data.ts");
    const file = await sharedFile("golden/decoder-sorted-spikes-f64/log_likelihood.npy");
    const array = await openArray(file);
    const states = continuous({ movementVar: 6 });
    const onDisk = await run({ logLikelihoods: array, states });
    const { log_likelihood: logs } = await goldenIntermediates();
    const inMemory = await run({ logLikelihoods: arrayOf(logs!, 91), states });
    expect(onDisk.smoothed).toEqual(inMemory.smoothed);
    await array.close();
  });
});

async function goldenEdges(): Promise<Float64Array> {
  const { position } = await golden();
  const values = Float64Array.from(position.values).filter((value) => !Number.isNaN(value));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return Float64Array.from({ length: 92 }, (_, i) => low + i * (high - low) / 91);
}
