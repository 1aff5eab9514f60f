/**
 * Recordings and models that fast-check makes up, decoded and held against an oracle that works in
 * logarithms throughout. A case is plain data: what a failure prints can be pasted into a test.
 */

import fc from "fast-check";
import { expect } from "vitest";
import type { Gpu } from "../../src/gpu/device.ts";
import type { DecodeOptions, OperatorKind } from "../../src/hmm/decoder.ts";
import { contFrag, continuous, sortedSpikes, stateModel } from "../../src/hmm/decoder.ts";
import { rateTable } from "../../src/hmm/sorted_spikes.ts";
import type { ContinuousTransition, StateModel } from "../../src/hmm/states.ts";
import type { LogSpaceResult } from "../reference/log_space.ts";
import { logInitialOf, logPoisson, logSpace, logTransitionOf } from "../reference/log_space.ts";
import { largestDifference } from "./hmm_problem.ts";
import { seeded } from "./random.ts";
import { runtime } from "./runtime.ts";

/** Where the animal goes: `#`. */
const TRACKS = {
  bin: ["#"],
  pair: ["##"],
  track: ["#####################"],
  long: ["#".repeat(91)],
  gaps: ["####.###..########.#...####"],
  // further apart than the shorter walks reach
  rooms: ["##########" + ".".repeat(24) + "#########"],
  ring: ["#########", "#########", "##.....##", "##.....##", "##.....##", "#########", "#########"],
  halls: ["####............####", "####............####", "####............####"],
} as const;

type Track = keyof typeof TRACKS;

/** A walk's variance in bins squared, a block by what it does, or the rows of a matrix. */
type Block = number | "stays" | "jumps" | number[][];

export type FuzzModel =
  | { kind: "continuous"; variance: number }
  | { kind: "contFrag"; variance: number; stay: number }
  | { kind: "custom"; initial: number[]; discrete: number[][]; blocks: Block[][] }
  /** One state: each bin stays, or goes on to the next but never back, with probability `go`. */
  | { kind: "oneWay"; go: number; closed: boolean };

export interface FuzzRow {
  /** So many spikes of a unit. */
  bursts: [unit: number, spikes: number][];
  /** So many spikes of any units. */
  noise: number;
  /** Whether the row carries no evidence, whatever its spikes. */
  missing?: true;
}

export interface FuzzCase {
  track: Track;
  /**
   * Where units fire: so many of them, in up to `places` bins each that `seed` chooses, or the bins of every
   * unit by their numbers.
   */
  fields: { units: number; places: number } | number[][];
  /** The encoding's kernel, in bins. */
  std: number;
  /** Of fields and noise. */
  seed: number;
  model: FuzzModel;
  /** Seconds a row. */
  step: number;
  rows: FuzzRow[];
  options: Pick<DecodeOptions, "lanes" | "burnInRows" | "tileRows" | "chunkRows"> & {
    operator?: OperatorKind | "auto";
  };
}

// ---------------------------------------------------------------------------- what may be drawn

// kernels are compiled for a shape and for the reach of walks: few of both
const VARIANCES = [0.05, 0.8, 400];

/** Probabilities of one, two and three states, with many zeros. */
const SIMPLICES: Record<number, number[][]> = {
  1: [[1]],
  2: [[1, 0], [1, 0], [0, 1], [0, 1], [0.5, 0.5], [0.98, 0.02], [1e-6, 1 - 1e-6], [1e-12, 1]],
  3: [[1, 0, 0], [0, 0.5, 0.5], [0.9, 0.06, 0.04], [0.2, 0.1, 0.7], [1e-12, 1, 0]],
};
/** Initial ones may be as small as f32 has them; times a Gaussian's end, a matrix in f32 would lose them. */
const SMALL: Record<number, number[][]> = {
  1: [],
  2: [[1e-20, 1], [1, 1e-30]],
  3: [[0, 1e-20, 1], [1, 0, 1e-30]],
};

const CUSTOM_BLOCKS: Block[][][] = [
  [["stays"]],
  [["jumps"]],
  [[0.8, "stays"], ["jumps", 0.05]],
  [["stays", "jumps", 0.8], ["jumps", 0.05, "stays"], [0.8, "stays", 0.8]],
];

/** Where, and what moves how. */
const scene: fc.Arbitrary<{ track: Track; model: FuzzModel }> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      track: fc.constantFrom<Track>("bin", "pair", "gaps", "long", "ring"),
      model: fc.oneof(
        fc.constantFrom(...VARIANCES)
          .map((variance): FuzzModel => ({ kind: "continuous", variance })),
        fc.record({
          kind: fc.constant("contFrag" as const),
          variance: fc.constantFrom(...VARIANCES),
          stay: fc.constantFrom(0.98, 0.5, 1 - 1e-6, 1, 1),
        }),
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(...CUSTOM_BLOCKS).chain((blocks) => {
      const probabilities = fc.constantFrom(...SIMPLICES[blocks.length]!);
      return fc.record({
        track: fc.constantFrom<Track>("pair", "gaps", "ring"),
        model: fc.record({
          kind: fc.constant("custom" as const),
          initial: fc.constantFrom(...SIMPLICES[blocks.length]!, ...SMALL[blocks.length]!),
          discrete: fc.tuple(...blocks.map(() => probabilities)),
          blocks: fc.constant(blocks),
        }),
      });
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      track: fc.constantFrom<Track>("gaps", "halls"),
      model: fc.record({
        kind: fc.constant("oneWay" as const),
        go: fc.constantFrom(0.5, 0.1, 1e-12, 1),
        closed: fc.boolean(),
      }),
    }),
  },
);

const unit = fc.nat(399);
const row = (bursts: [number, number][], noise = 0): FuzzRow => ({ bursts, noise });
const spikes = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 60 }));

/** Rows that say where the animal is, and rows that unsay it: one by one, or late and at length. */
const conflict: fc.Arbitrary<FuzzRow[]> = fc.record({
  a: unit,
  further: fc.integer({ min: 1, max: 3 }),
  spikes,
  rows: fc.integer({ min: 1, max: 8 }),
  late: fc.boolean(),
}).map(({ a, further, spikes, rows, late }) =>
  Array.from({ length: 2 * rows + 1 }, (_, i) => {
    const other = late ? i >= rows : i % 2 === 1;
    return row([[other ? a + further : a, spikes]]);
  })
);

/** Rows that belong together. */
const stretch: fc.Arbitrary<FuzzRow[]> = fc.oneof(
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 8 }).map((n) => Array(n).fill(row([]))) },
  {
    weight: 3,
    arbitrary: fc.array(
      fc.array(fc.tuple(unit, fc.integer({ min: 1, max: 2 })), { maxLength: 3 })
        .map((bursts) => row(bursts)),
      { minLength: 1, maxLength: 6 },
    ),
  },
  { weight: 2, arbitrary: fc.tuple(unit, spikes).map((burst) => [row([burst])]) },
  { weight: 3, arbitrary: conflict },
  {
    weight: 1,
    arbitrary: conflict.map((rows) => rows.map((own) => ({ ...own, missing: true as const }))),
  },
  {
    weight: 2,
    arbitrary: fc.array(
      fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 500 }))
        .map((noise) => row([], noise)),
      { minLength: 1, maxLength: 5 },
    ),
  },
);

/** Rows of a recording, and how it is cut. Lanes end at multiples of 64 rows: only long ones have several. */
const timed = (stretch: fc.Arbitrary<FuzzRow[]>) => {
  const rows = (minLength: number, maxLength: number, most: number) =>
    fc.array(stretch, { minLength, maxLength, size: "max" })
      .map((stretches) => stretches.flat().slice(0, most));
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        rows: rows(1, 8, 40),
        options: fc.record({
          tileRows: fc.constantFrom(undefined, 3, 7, 11),
          chunkRows: fc.constantFrom(undefined, 1, 5, 16),
          lanes: fc.constant(1),
        }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        rows: rows(20, 60, 260),
        options: fc.record({
          tileRows: fc.constantFrom(undefined, 37, 64),
          chunkRows: fc.constantFrom(undefined, 16, 64),
          lanes: fc.integer({ min: 1, max: 4 }),
          burnInRows: fc.constantFrom(1, 5, 64),
        }),
      }),
    },
  );
};

const operator = fc.constantFrom<OperatorKind | "auto">("auto", "convolution", "sparse", "dense");

/** Anything. */
const anyCase = fc.record({
  scene,
  fields: fc.record({
    units: fc.constantFrom(1, 2, 3, 7, 20, 60, 400),
    places: fc.constantFrom(1, 1, 2, 6),
  }),
  std: fc.constantFrom(0.3, 1, 3, 20),
  seed: fc.nat(2 ** 31),
  step: fc.constantFrom(0.001, 0.02, 0.25, 1),
  timed: timed(stretch),
  operator,
});

/** Few units with fields of their own, in bins that hardly lead to each other: rows unsay each other. */
const divided = fc.record({
  scene: fc.record({
    track: fc.constantFrom<Track>("rooms", "halls", "long", "pair"),
    model: fc.constantFrom<FuzzModel>(
      { kind: "continuous", variance: 0.05 },
      { kind: "continuous", variance: 0.8 },
      { kind: "contFrag", variance: 0.8, stay: 1 },
      { kind: "custom", initial: [1], discrete: [[1]], blocks: [["stays"]] },
      {
        kind: "custom",
        initial: [1e-20, 1],
        discrete: [[1, 0], [0, 1]],
        blocks: CUSTOM_BLOCKS[2]!,
      },
      { kind: "oneWay", go: 0.1, closed: false },
    ),
  }),
  fields: fc.record({ units: fc.constantFrom(2, 3, 7), places: fc.constant(1) }),
  std: fc.constantFrom(0.3, 1, 3),
  seed: fc.nat(2 ** 31),
  step: fc.constantFrom(0.02, 0.25),
  timed: timed(fc.oneof(conflict, conflict, stretch)),
  operator,
});

export const fuzzCase: fc.Arbitrary<FuzzCase> = fc.oneof(
  { weight: 3, arbitrary: anyCase },
  { weight: 2, arbitrary: divided },
).map(({ scene, timed: { rows, options }, operator, ...rest }) => {
  const convolution = scene.model.kind !== "oneWay";
  const chosen = operator === "convolution" && !convolution ? "auto" : operator;
  const given = Object.entries({ ...options, operator: chosen })
    .filter(([, value]) => value !== undefined);
  return { ...scene, ...rest, rows, options: Object.fromEntries(given) };
});

// ---------------------------------------------------------------------------- from data to a decoder

const BIN_SIZE = 2.5;
const SAMPLE_SECONDS = 0.1;

function statesOf(fuzz: FuzzModel, bins: number): StateModel {
  const area = BIN_SIZE ** 2;
  switch (fuzz.kind) {
    case "continuous":
      return continuous({ movementVar: area * fuzz.variance });
    case "contFrag":
      return contFrag({ movementVar: area * fuzz.variance, stay: fuzz.stay });
    case "custom":
      return stateModel({
        names: fuzz.initial.map((_, state) => `state ${state}`),
        initial: fuzz.initial,
        discreteTransition: fuzz.discrete,
        transitions: fuzz.blocks.map((row) =>
          row.map((block): ContinuousTransition => {
            if (block === "stays") return { kind: "identity" };
            if (block === "jumps") return { kind: "uniform" };
            if (typeof block === "number") return { kind: "randomWalk", movementVar: area * block };
            return { kind: "matrix", values: block.flat() };
          })
        ),
      });
    case "oneWay": {
      const values = new Float64Array(bins * bins);
      for (let bin = 0; bin < bins; bin++) {
        const end = bin + 1 === bins && !fuzz.closed;
        values[bin * bins + bin]! += end ? 1 : 1 - fuzz.go;
        if (!end) values[bin * bins + (bin + 1) % bins]! += fuzz.go;
      }
      return stateModel({
        names: ["one way"],
        initial: [1],
        discreteTransition: [[1]],
        transitions: [[{ kind: "matrix", values }]],
      });
    }
  }
}

/** A decoder for a case, and what the oracle needs to know. */
function prepare({ track, fields, std, seed, model, step, rows }: FuzzCase) {
  const random = seeded(seed);
  const pick = (count: number) => Math.min(count - 1, Math.floor(random() * count));
  const map = TRACKS[track];
  const flat = map.length === 1;
  // the animal is in the middle of every bin, and at the outer edges of the box, which it defines
  const samples: number[][] = [];
  map.forEach((line, x) =>
    [...line].forEach((mark, y) => {
      if (mark === "#") samples.push(flat ? [y + 0.5] : [x + 0.5, y + 0.5]);
    })
  );
  const centers = samples.length;
  samples.push(...flat ? [[0], [map[0]!.length]] : [[0, 0], [map.length, map[0]!.length]]);
  const trained = samples.length * SAMPLE_SECONDS;
  const start = Math.ceil(trained) + 1;
  const stop = start + rows.length * step;
  while ((samples.length - 1) * SAMPLE_SECONDS < stop) samples.push(samples[0]!);
  // never whole seconds, which could be taken for counts of samples
  const times = samples.map((_, i) => (i + 0.5) * SAMPLE_SECONDS);

  // units that fire nowhere say as much everywhere
  const chosen = ({ units, places }: { units: number; places: number }) =>
    Array.from({ length: units }, () => {
      const count = random() < 0.1 ? 0 : 1 + pick(places);
      return Array.from({ length: count }, () => pick(centers));
    });
  const spikes = ("units" in fields ? chosen(fields) : fields)
    .map((bins) => bins.map((bin) => times[bin]!).sort((a, b) => a - b));
  const units = spikes.length;
  const counts = rows.map(({ bursts, noise }) => {
    const row = new Map<number, number>();
    const add = (unit: number, spikes: number) => row.set(unit, (row.get(unit) ?? 0) + spikes);
    for (const [unit, spikes] of bursts) add(unit % units, spikes);
    for (let i = 0; i < noise; i++) add(pick(units), 1);
    return row;
  });
  counts.forEach((row, t) =>
    row.forEach((count, unit) => {
      for (let i = 0; i < count; i++) spikes[unit]!.push(start + (t + 0.5) * step);
    })
  );
  const recording = {
    position: { times, values: samples.flat().map((value) => value * BIN_SIZE) },
    spikes,
    binSize: BIN_SIZE,
    positionStd: std * BIN_SIZE,
    train: [[0, trained]] as const,
  };
  // small holes belong to the interior: only the grid knows how many bins there are
  const { grid } = sortedSpikes({ ...recording, states: continuous({ movementVar: 1 }) });
  const states = statesOf(model, grid.interiorIndex.length);
  const decoder = sortedSpikes({ ...recording, states });
  // units without a spike are left out
  const indexOf = (unit: number) => decoder.unitIds.indexOf(unit);
  return {
    decoder,
    time: { start, stop, step },
    rates: rateTable(decoder.encoding, step),
    counts: counts.map((row) => new Map([...row].map(([unit, count]) => [indexOf(unit), count]))),
  };
}

// ---------------------------------------------------------------------------- the comparison

/** Nats below their row down to which probabilities are promised to be kept. */
const RANGE = 5500;
/** Largest difference of a probability, and of a row's sum from 1. */
const TOLERANCE = 1e-5;
/**
 * What every spike of the recording adds to it: logarithms of rates are kept in 2^-24, base 2, so two bins
 * may drift apart by 4e-8 a spike, which moves p (1 - p) of a probability, where a model never forgets.
 */
const SPIKE_TOLERANCE = 1e-8;
/** Nats of log-likelihood. */
const EVIDENCE_TOLERANCE = 1e-3;

let places = 0;

export interface Outcome {
  /** What was wrong: empty, or sentences. */
  failures: string[];
  /** Nats below its row at which the filter must hold what later rows reveal. */
  depth: number;
  /** The oracle itself would differ, were it limited to the promised range: only sums are compared. */
  beyondRange: boolean;
  /** Largest differences. */
  filtered: number;
  smoothed: number;
  logLikelihood: number;
}

const missingRows = ({ rows }: FuzzCase) => rows.map(({ missing }) => missing ? 1 : 0);

/** What the oracle says of a case, and whether it would say so, were it limited to the promised range. */
export function consultOracle(fuzz: FuzzCase) {
  const { decoder, time, rates, counts } = prepare(fuzz);
  const { grid, states } = decoder;
  const interior = grid.interiorIndex.length;
  const problem = {
    logInitial: logInitialOf(grid, states),
    logTransition: logTransitionOf(grid, states),
    logLikelihoods: logPoisson(rates, counts, { interior, states: states.names.length }),
    missing: missingRows(fuzz),
  };
  const wanted = logSpace(problem);
  const beyondRange = wanted.span > RANGE &&
    !agree(wanted, logSpace({ ...problem, range: RANGE }), TOLERANCE / 10);
  let spikes = 0;
  for (const row of counts) row.forEach((count) => spikes += count);
  return { decoder, time, interior, wanted, beyondRange, spikes };
}

/** Decodes a case and compares it with the oracle. */
export async function runCase(gpu: Gpu, fuzz: FuzzCase): Promise<Outcome> {
  const { decoder, time, interior, wanted, beyondRange, spikes } = consultOracle(fuzz);
  const width = decoder.states.names.length * interior;
  const result = await decoder.smooth(gpu, {
    time,
    out: `memory:decoder-fuzz-${places++}`,
    causal: true,
    laneTolerance: 1e-6,
    ...(fuzz.rows.some(({ missing }) => missing) && { isMissing: missingRows(fuzz) }),
    ...fuzz.options,
  }).run();
  const rows = fuzz.rows.length;
  const read = async (array: { read(from: number, to: number): Promise<unknown> }) =>
    await array.read(0, rows) as Float32Array;
  const got = {
    filtered: await read(result.causal!.posterior),
    smoothed: await read(result.posterior),
    filteredStates: await read(result.causal!.states),
    smoothedStates: await read(result.states),
  };
  await result.close();

  const failures: string[] = [];
  const hold = (what: string, difference: number, most: number) => {
    if (!(difference <= most)) {
      failures.push(`${what} by ${difference}, at most ${most} is allowed`);
    }
    return difference;
  };
  for (const [name, values] of Object.entries(got)) {
    hold(`sums of ${name} differ from 1`, offOne(values, rows), TOLERANCE);
  }
  const difference = (name: "filtered" | "smoothed") => largestDifference(got[name], wanted[name]);
  const outcome = {
    failures,
    depth: wanted.depth,
    beyondRange,
    filtered: difference("filtered"),
    smoothed: difference("smoothed"),
    logLikelihood: result.marginalLogLikelihood === wanted.marginalLogLikelihood
      ? 0
      : Math.abs(result.marginalLogLikelihood - wanted.marginalLogLikelihood),
  };
  if (beyondRange) return outcome;
  const most = TOLERANCE + SPIKE_TOLERANCE * spikes;
  for (const name of ["filtered", "smoothed"] as const) {
    hold(`${name} is off ${worstBin(got[name], wanted[name], width)}`, outcome[name], most);
    const sums = sumsOfStates(wanted[name], interior);
    const states = largestDifference(got[`${name}States`], sums);
    hold(`state probabilities of ${name} are off`, states, most);
  }
  hold(
    `the log-likelihood is ${result.marginalLogLikelihood}, the oracle's ` +
      `${wanted.marginalLogLikelihood}, which differ`,
    outcome.logLikelihood,
    EVIDENCE_TOLERANCE * Math.max(1, rows / 1000),
  );
  const { impossibleRows } = result;
  if (impossibleRows !== wanted.impossibleRows.length) {
    failures.push(
      `${impossibleRows} rows are called impossible, the oracle finds ` +
        `${wanted.impossibleRows.length}`,
    );
  }
  return outcome;
}

/** As {@link runCase}, and throws what was wrong. */
export async function expectAgreement(gpu: Gpu, fuzz: FuzzCase): Promise<Outcome> {
  const outcome = await runCase(gpu, fuzz);
  const { failures, depth } = outcome;
  if (failures.length > 0) {
    throw new Error(
      [...failures, `depth ${depth.toFixed(1)} nats`, `case ${JSON.stringify(fuzz)}`].join("\n"),
    );
  }
  return outcome;
}

function agree(a: LogSpaceResult, b: LogSpaceResult, most: number): boolean {
  return largestDifference(a.filtered, b.filtered) <= most &&
    largestDifference(a.smoothed, b.smoothed) <= most &&
    (a.marginalLogLikelihood === b.marginalLogLikelihood ||
      Math.abs(a.marginalLogLikelihood - b.marginalLogLikelihood) <= most);
}

function offOne(values: Float32Array, rows: number): number {
  const width = values.length / rows;
  let worst = 0;
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let bin = 0; bin < width; bin++) sum += values[row * width + bin]!;
    const off = Math.abs(sum - 1);
    if (!(off <= worst)) worst = off;
  }
  return worst;
}

function worstBin(got: Float32Array, wanted: Float64Array, width: number): string {
  let worst = 0;
  got.forEach((value, i) => {
    const most = Math.abs(got[worst]! - wanted[worst]!);
    if (!(Math.abs(value - wanted[i]!) <= most)) worst = i;
  });
  return `in row ${Math.floor(worst / width)}, state bin ${worst % width}: ${got[worst]} for ` +
    `${wanted[worst]}`;
}

function sumsOfStates(values: Float64Array, interior: number): Float64Array {
  const sums = new Float64Array(values.length / interior);
  values.forEach((value, i) => sums[Math.floor(i / interior)]! += value);
  return sums;
}

const SEED = 20_261_127;

/**
 * Runs so many cases, up to the first that fails. It is printed as it is, which is all that a replay takes:
 * making it smaller may take hours, in which nothing would be said.
 *
 * @param most Milliseconds; a run that takes longer has failed.
 */
export async function fuzz(gpu: Gpu, cases: number, most: number): Promise<void> {
  const depths: number[] = [];
  let beyond = 0;
  const property = fc.asyncProperty(fuzzCase, async (fuzz) => {
    const { depth, beyondRange } = await expectAgreement(gpu, fuzz);
    depths.push(depth);
    if (beyondRange) beyond++;
  });
  await fc.assert(property, {
    seed: SEED,
    numRuns: cases,
    endOnFailure: true,
    interruptAfterTimeLimit: most,
    markInterruptAsFailure: true,
  });
  const deeper = (nats: number) => depths.filter((depth) => depth > nats).length;
  console.log(
    `${runtime}: ${depths.length} cases; in ${deeper(87)} rows reveal what was below e^-87, in ` +
      `${deeper(700)} below e^-700; ${beyond} are beyond the promised range`,
  );
  // kinder cases would not tell f32 from what is wanted
  expect(deeper(87)).toBeGreaterThan(cases / 10);
  expect(deeper(700)).toBeGreaterThan(cases / 20);
  expect(beyond).toBeLessThan(cases / 10);
}
