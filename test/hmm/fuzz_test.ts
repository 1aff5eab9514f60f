/** The decoder against logarithms in f64, on recordings and models that are unkind or nobody thought of. */

import { describe, expect, it } from "vitest";
import type { FuzzCase, FuzzRow } from "../support/decoder_fuzz.ts";
import { expectAgreement, fuzz } from "../support/decoder_fuzz.ts";
import { useGpu } from "../support/gpu.ts";
import { runtime } from "../support/runtime.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu();

// other runtimes put the same kernels through other compilers: fewer cases tell as much, and Deno takes
// seconds for each on a software adapter
const CASES = { node: cases(30, 200), deno: cases(8, 12), chromium: cases(8, 60) }[runtime];
/** Most a run may take, ms: far more than on a machine with other work. */
const MOST = 3600_000;

const silence = (rows: number): FuzzRow[] =>
  Array.from({ length: rows }, () => ({ bursts: [], noise: 0 }));
/** So many spikes of a unit, in each of so many rows. */
const burst = (unit: number, spikes: number, rows = 1): FuzzRow[] =>
  Array.from({ length: rows }, () => ({ bursts: [[unit, spikes]], noise: 0 }));
const noise = (spikes: number): FuzzRow => ({ bursts: [], noise: spikes });

/** A matrix that leaves one bin for the two after it, for good, and stays everywhere else. */
const leaving = (left: number, bins: number): number[][] =>
  Array.from({ length: bins }, (_, from) =>
    Array.from({ length: bins }, (_, to) => {
      if (from === left) return to === left + 1 || to === left + 2 ? 0.5 : 0;
      return from === to ? 1 : 0;
    }));

const usual = {
  track: "long",
  fields: [[5], [45], [85]],
  std: 1,
  seed: 1,
  model: { kind: "continuous", variance: 0.8 },
  step: 0.02,
  options: {},
} satisfies Partial<FuzzCase>;

/** What each asks of the format of numbers is said by the least depth, in nats. */
const CASES_BY_HAND: Record<
  string,
  Omit<FuzzCase, "options"> & Partial<FuzzCase> & { depth: number }
> = {
  "a burst of a unit far away": {
    ...usual,
    rows: [...burst(0, 2, 5), ...silence(2), ...burst(2, 4), ...silence(2), ...burst(0, 1, 3)],
    depth: 18,
  },
  "bursts of 60 spikes that unsay each other, row by row": {
    ...usual,
    model: { kind: "contFrag", variance: 0.8, stay: 0.98 },
    rows: [...burst(0, 60), ...burst(2, 60), ...burst(0, 60), ...burst(2, 60), ...silence(2)],
    depth: 9,
  },
  "the same along a walk that can hardly get there": {
    ...usual,
    model: { kind: "continuous", variance: 0.05 },
    rows: [...burst(0, 60), ...burst(2, 60), ...burst(0, 60), ...burst(2, 59), ...silence(2)],
    depth: 1700,
  },
  "spikes in one room, then in another": {
    ...usual,
    track: "rooms",
    fields: [[4], [12]],
    rows: [...burst(0, 2, 4), ...burst(1, 3, 4), ...silence(3), ...burst(0, 9), ...silence(1)],
    depth: 120,
  },
  "rooms that take turns, in two dimensions and two states": {
    ...usual,
    track: "halls",
    fields: [[0], [23], [5]],
    model: {
      kind: "custom",
      initial: [0.9, 0.1],
      discrete: [[0.5, 0.5], [0.2, 0.8]],
      blocks: [[0.8, "stays"], ["stays", 0.8]],
    },
    rows: [0, 1, 2, 1, 0, 1, 1, 2, 2, 0].flatMap((unit) => burst(unit, 5)).concat(silence(1)),
    depth: 100,
  },
  "a likeliest bin that cannot be reached": {
    ...usual,
    track: "track",
    fields: [[2], [15]],
    model: { kind: "oneWay", go: 1, closed: false },
    // in row 3 nothing is left in bin 2
    rows: [
      ...burst(1, 1),
      ...silence(2),
      ...burst(0, 9),
      ...burst(1, 9),
      ...burst(0, 60),
      ...silence(1),
    ],
    depth: 0,
  },
  "a bin of 1e-20 that has all the evidence": {
    ...usual,
    track: "pair",
    fields: [[0], [1]],
    std: 0.3,
    model: {
      kind: "custom",
      initial: [1, 1e-20],
      discrete: [[1, 0], [0, 1]],
      blocks: [[[[1, 0], [1, 0]], "jumps"], ["jumps", [[0, 1], [0, 1]]]],
    },
    rows: [...silence(1), ...burst(1, 18), ...silence(1)],
    depth: 46,
  },
  "1,650 spikes in a row": {
    ...usual,
    fields: { units: 40, places: 2 },
    std: 3,
    step: 1,
    rows: [...burst(1, 1), noise(1650), ...silence(2), ...burst(3, 1650), ...silence(1)],
    depth: 38,
  },
  "spikes at random, rows of a second and 400 units": {
    ...usual,
    fields: { units: 400, places: 6 },
    std: 3,
    step: 1,
    rows: Array.from({ length: 12 }, (_, i) => noise(100 * (i % 5))),
    depth: 150,
  },
  "silence of many rows in bins that keep what they have": {
    ...usual,
    fields: { units: 60, places: 2 },
    step: 1,
    model: { kind: "custom", initial: [1], discrete: [[1]], blocks: [["stays"]] },
    rows: [...burst(7, 1), ...silence(400), ...burst(8, 60, 2), ...burst(9, 60, 2), ...silence(1)],
    depth: 1200,
  },
  "a bin for each of three states": {
    ...usual,
    track: "bin",
    fields: [[0], []],
    model: {
      kind: "custom",
      initial: [0, 1e-20, 1],
      discrete: [[0, 1, 0], [0, 0, 1], [1 - 1e-12, 1e-12, 0]],
      blocks: [["stays", "jumps", 0.8], ["jumps", "jumps", "stays"], [3, "stays", "jumps"]],
    },
    rows: [...burst(0, 3), ...burst(1, 60), ...silence(4), ...burst(1, 1)],
    depth: 0,
  },
  "one row": { ...usual, rows: silence(1), depth: 0 },
  "two rows, and 60 spikes of a unit without a field": {
    ...usual,
    fields: [[5], []],
    rows: [...burst(1, 60), ...silence(1)],
    depth: 0,
  },
  "what hardly remains, and is all there is in the end": {
    ...usual,
    track: "track",
    fields: [[2], [15]],
    model: { kind: "oneWay", go: 0.5, closed: false },
    rows: [
      ...burst(1, 9),
      ...silence(2),
      ...burst(0, 30),
      ...burst(1, 2),
      ...burst(0, 60),
      ...silence(1),
    ],
    depth: 260,
  },
  "bins that lie 5,000 nats apart before they change places": {
    ...usual,
    track: "pair",
    fields: [[0], [1]],
    std: 0.3,
    model: { kind: "custom", initial: [1], discrete: [[1]], blocks: [["stays"]] },
    rows: [...burst(0, 60, 15), ...burst(1, 60, 15), ...silence(1)],
    depth: 4900,
  },
  // what a format has lost must not come back as more than it was
  "a bin 10,000 nats down that makes up for 8,000": {
    ...usual,
    track: "pair",
    fields: [[0], [1]],
    std: 0.3,
    model: { kind: "custom", initial: [1], discrete: [[1]], blocks: [["stays"]] },
    rows: [...burst(0, 60, 30), ...burst(1, 60, 24), ...silence(1)],
    depth: 0,
  },
  "250 spikes for a bin that cannot be reached, and none for the others": {
    ...usual,
    track: "gaps",
    fields: [[0], [1], [2]],
    std: 0.3,
    step: 1,
    model: { kind: "custom", initial: [1], discrete: [[1]], blocks: [[leaving(0, 20)]] },
    rows: [...silence(1), ...burst(0, 250), ...silence(1)],
    depth: 0,
  },
  // its sum over a state is a deep number beside ratios of which none is
  "a state that later rows rule out, from which bins are reached alike": {
    ...usual,
    track: "pair",
    fields: { units: 3, places: 1 },
    std: 0.3,
    seed: 1042299273,
    model: {
      kind: "custom",
      initial: [1e-6, 1 - 1e-6],
      discrete: [[1e-12, 1], [1e-6, 1 - 1e-6]],
      blocks: [[0.8, "stays"], ["jumps", 0.05]],
    },
    step: 0.25,
    rows: [
      ...silence(1),
      ...[2, 1, 2].flatMap((unit) => burst(unit, 28)),
      ...[1, 2, 1].flatMap((unit) => burst(unit, 13)),
    ],
    options: { tileRows: 7 },
    depth: 15,
  },
  "rows that are missing, and what they would have said": {
    ...usual,
    rows: [
      ...burst(0, 2, 3),
      ...burst(2, 60, 2).map((row) => ({ ...row, missing: true as const })),
      ...silence(2),
      ...silence(3).map((row) => ({ ...row, missing: true as const })),
      ...burst(0, 1),
    ],
    depth: 1,
  },
  "lanes whose guesses are as wrong as can be": {
    ...usual,
    track: "rooms",
    fields: [[4], [12]],
    rows: [
      ...burst(0, 1, 70),
      ...burst(1, 1, 20),
      ...silence(20),
      ...burst(1, 2, 60),
      ...silence(30),
    ],
    options: { lanes: 3, burnInRows: 1 },
    depth: 2000,
  },
  // its guess knows two of the twelve bursts that speak for the bin
  "a lane that is wrong in nothing but what hardly remains, until its rows reveal it": {
    ...usual,
    track: "pair",
    fields: [[0], [1]],
    std: 0.3,
    model: { kind: "oneWay", go: 0.1, closed: false },
    rows: [
      ...burst(1, 60, 10),
      ...silence(54),
      ...burst(1, 60, 2),
      ...silence(62),
      ...burst(0, 60, 14),
      ...silence(114),
    ],
    options: { lanes: 2, burnInRows: 64 },
    depth: 1000,
  },
};

describe("smooth() agrees with logarithms in f64 on", () => {
  for (const [name, { depth, ...given }] of Object.entries(CASES_BY_HAND)) {
    it(name, async () => {
      for (const operator of ["convolution", "sparse", "dense"] as const) {
        const { model } = given;
        const matrix = model.kind === "oneWay" ||
          model.kind === "custom" && model.blocks.flat().some(Array.isArray);
        if (matrix && operator === "convolution") continue;
        const { tileRows = 5, ...options } = given.options ?? {};
        const outcome = await expectAgreement(gpu(), {
          ...given,
          options: { tileRows, ...options, operator },
        });
        expect(outcome.depth).toBeGreaterThanOrEqual(depth);
        expect(outcome.beyondRange).toBe(false);
      }
    });
  }

  it("whatever fast-check makes up", async () => {
    await fuzz(gpu(), CASES, MOST);
  }, MOST + 60_000);
});
