/** Decoding in lanes: side by side from guesses that are checked, and put right where they were wrong. */

import { describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { OutputConflictError } from "../../src/errors.ts";
import type { DecodeOptions, DecodeResult } from "../../src/hmm/decoder.ts";
import { contFrag, continuous, sortedSpikes, stateModel } from "../../src/hmm/decoder.ts";
import { openResult } from "../../src/hmm/decode_result.ts";
import { cutLanes } from "../../src/hmm/lane_cuts.ts";
import type { StateModel } from "../../src/hmm/states.ts";
import { useGpu } from "../support/gpu.ts";
import { largestDifference } from "../support/hmm_problem.ts";
import { hashesOf } from "../support/interrupted_decode.ts";
import { smallRecording } from "../support/recordings.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu();

let places = 0;
const place = () => `memory:lanes-test-${places++}`;

const STEP = 0.02;
/** Two lanes then have a row where they may meet what they left. */
const SECONDS = 44;

function planDecode(states: StateModel, options: Partial<DecodeOptions>, seconds = SECONDS) {
  const decoder = sortedSpikes({
    ...smallRecording({ seconds, units: 4 }),
    states,
    binSize: 4,
    positionStd: 3,
  });
  return decoder.smooth(gpu(), { time: { step: STEP }, out: place(), ...options });
}

/** A decode, and every stored variable. */
async function decode(states: StateModel, options: Partial<DecodeOptions>, seconds?: number) {
  const out = options.out ?? place();
  const result = await planDecode(states, { causal: true, ...options, out }, seconds).run();
  const read = async (name: string) =>
    await readAll(await openArray(`${out}/${name}`)) as Float32Array;
  const values = {
    acausal: await read("acausal_posterior"),
    acausalStates: await read("acausal_state_probabilities"),
    ...(options.causal !== false && {
      causal: await read("causal_posterior"),
      causalStates: await read("causal_state_probabilities"),
    }),
  };
  await result.close();
  return { values, result, out };
}

function expectEqualWithin(
  values: Record<string, Float32Array>,
  wanted: Record<string, Float32Array>,
  tolerance: number,
): void {
  for (const [name, own] of Object.entries(values)) {
    expect(largestDifference(own, wanted[name]!), name).toBeLessThanOrEqual(tolerance);
  }
}

const TOLERANCE = 2e-5;

function expectSameLogLikelihood(lanes: DecodeResult, alone: DecodeResult): void {
  const apart = Math.abs(lanes.marginalLogLikelihood - alone.marginalLogLikelihood);
  expect(apart).toBeLessThan(lanes.lanes.count * 1e-5);
}

describe("lanes", () => {
  for (const states of [continuous({ movementVar: 4 }), contFrag({ movementVar: 4 })]) {
    it(`agree with one: ${states.names.join(" and ")}`, async () => {
      const alone = await decode(states, { lanes: 1 });
      expect(alone.result.lanes).toMatchObject({ count: 1, redoneRows: 0, largestDistance: 0 });
      for (const lanes of [5, 2].slice(0, cases(1, 2))) {
        const { values, result } = await decode(states, { lanes });
        expect(result.lanes.count).toBe(lanes);
        expect(result.lanes.largestDistance).toBeLessThanOrEqual(1e-5);
        expectEqualWithin(values, alone.values, TOLERANCE);
        expectSameLogLikelihood(result, alone.result);
        for (const { gpu, host, disk } of [result.peakBytes]) {
          expect(gpu).toBe(result.projectedBytes.gpu);
          expect(host).toBeLessThanOrEqual(result.projectedBytes.host);
          expect(disk).toBeLessThanOrEqual(result.projectedBytes.disk);
        }
      }
    });
  }

  it("that start wrong are run again until they meet what they left", async () => {
    const states = continuous({ movementVar: 4 });
    const alone = await decode(states, { lanes: 1 });
    // a row of burn-in forgets nothing: every lane starts wrong, both ways
    const { values, result } = await decode(states, { lanes: 2, burnInRows: 1 });
    const { lanes } = result;
    expect(lanes.rows).toBe(1152);
    // one meeting each way, at the first row where that is possible
    expect(lanes.redoneRows).toBe(1024 + 128);
    expect(lanes.largestDistance).toBeLessThanOrEqual(1e-5);
    expectEqualWithin(values, alone.values, TOLERANCE);
    expectSameLogLikelihood(result, alone.result);
  });

  it("that never forget are run again to their end, and come out right", async () => {
    const states = stateModel({
      names: ["still"],
      initial: [1],
      discreteTransition: [[1]],
      transitions: [[{ kind: "identity" }]],
    });
    const alone = await decode(states, { lanes: 1 }, 12);
    const { values, result } = await decode(states, { lanes: 4, burnInRows: 64 }, 12);
    expect(result.lanes.redoneRows).toBeGreaterThanOrEqual(3 * result.lanes.rows);
    expect(values.causal).toEqual(alone.values.causal);
    expectEqualWithin(values, alone.values, TOLERANCE);
    expectSameLogLikelihood(result, alone.result);
  });

  it("store the same bytes for any tile, slots and files", async () => {
    const states = continuous({ movementVar: 4 });
    const choices = [
      { tileRows: 97, slots: 1, chunkRows: 36, shardChunks: 8 },
      { tileRows: 97, slots: 1, chunkRows: 1152 },
      { chunkRows: 36, shardChunks: 8 },
      { chunkRows: 576, shardChunks: 1, tileRows: 500 },
    ].slice(0, cases(1, 4));
    const starts = [[1, choices], [300, choices.slice(0, 1)]] as const;
    for (const [burnInRows, others] of starts.slice(0, cases(1, 2))) {
      const base = { lanes: 2, burnInRows };
      const { values, result } = await decode(states, { ...base, tileRows: 1152 });
      for (const options of others) {
        const other = await decode(states, { ...base, ...options });
        expect(other.values).toEqual(values);
        expect(other.result.marginalLogLikelihood).toBe(result.marginalLogLikelihood);
        expect(other.result.lanes).toEqual(result.lanes);
      }
    }
  });

  it("may have a last one shorter than its burn-in, or than any", async () => {
    const states = contFrag({ movementVar: 4 });
    // 350 rows: lanes of 128, 128 and 94 rows, then of 64 with 30 in the last
    const alone = await decode(states, { lanes: 1 }, 7);
    for (const [lanes, count] of [[3, 3], [6, 6], [100, 6]] as const) {
      const { values, result } = await decode(states, { lanes }, 7);
      expect(result.lanes.count).toBe(count);
      expectSameLogLikelihood(result, alone.result);
      expectEqualWithin(values, alone.values, TOLERANCE);
    }
  });

  it("smooth to the same bytes whether filtered rows are stored or not", async () => {
    const states = contFrag({ movementVar: 4 });
    const options = { lanes: 3, burnInRows: 100 };
    const both = await decode(states, options, 10);
    const one = await decode(states, { ...options, causal: false }, 10);
    expect(one.values.acausal).toEqual(both.values.acausal);
  });

  for (const burnInRows of [1, 256]) {
    it(`go on after an interruption at any step, burn-ins of ${burnInRows} rows`, async () => {
      const states = continuous({ movementVar: 4 });
      const options = { lanes: 2, burnInRows, tileRows: 300, codec: "zstd", causal: true } as const;
      const whole = await decode(states, { ...options, shardChunks: 2, chunkRows: 72 });
      const wanted = await hashesOf(whole.out);
      const out = place();
      const seen = new Set<string>();
      let runs = 0;
      for (let finished = false; !finished; runs++) {
        const cancel = new AbortController();
        let steps = 0;
        const plan = planDecode(states, { ...options, shardChunks: 2, chunkRows: 72, out });
        try {
          const result = await plan.run({
            signal: cancel.signal,
            onProgress: ({ pass }) => {
              seen.add(pass);
              if (++steps === 5 + runs % 6) cancel.abort();
            },
          });
          await result.close();
          finished = true;
          expect(result.lanes).toEqual(whole.result.lanes);
        } catch (error) {
          if ((error as Error).name !== "AbortError") throw error;
          await expect(openResult(out)).rejects.toThrow(/no decode|has not finished/);
        }
        expect(runs).toBeLessThan(300);
      }
      expect(runs).toBeGreaterThan(1);
      expect([...seen]).toEqual(expect.arrayContaining(["filter burn-in", "smooth repair"]));
      expect(await hashesOf(out)).toEqual(wanted);
    });
  }

  it("are part of what a plan is", async () => {
    const states = continuous({ movementVar: 4 });
    const { out } = await decode(states, { lanes: 2 }, 10);
    await expect(planDecode(states, { lanes: 3, causal: true, out }, 10).run())
      .rejects.toThrow(OutputConflictError);
  });

  it("are refused where they make no sense", () => {
    const plan = (options: Partial<DecodeOptions>) => () =>
      planDecode(continuous({ movementVar: 4 }), options, 10);
    expect(plan({ lanes: 0 })).toThrow(/lanes is 0, wanted "auto" or a whole number from 1/);
    expect(plan({ burnInRows: 1.5 })).toThrow(/burnInRows is 1.5/);
    expect(plan({ laneTolerance: 0 })).toThrow(/laneTolerance is 0/);
    expect(plan({ lanes: 2, chunkRows: 100 })).toThrow(
      /chunks of 100 rows do not divide a lane of 256 rows, wanted a divisor such as chunks of 64/,
    );
  });

  it("are shown by explain()", () => {
    const plan = planDecode(continuous({ movementVar: 4 }), { lanes: 4, burnInRows: 320 });
    expect(plan.explain()).toMatch(/2200 rows, 4 lanes of 576 that start 320 rows early/);
  });
});

describe("cutLanes()", () => {
  const software = { software: true };

  it("cuts at multiples of 64 rows, by rows and count alone", () => {
    for (const rows of [1, 63, 64, 65, 1000, 99_122, 1_976_441]) {
      for (const lanes of [1, 2, 7, 64]) {
        const cuts = cutLanes(rows, 0.002, { lanes }, software);
        expect(cuts.count).toBeLessThanOrEqual(lanes);
        expect((cuts.count - 1) * cuts.rows).toBeLessThan(rows);
        expect(cuts.count * cuts.rows).toBeGreaterThanOrEqual(rows);
        if (cuts.count > 1) expect(cuts.rows % 64).toBe(0);
        expect(cuts.burnInRows).toBeLessThanOrEqual(cuts.rows);
      }
    }
  });

  it("chooses as many as the device has use for, while burn-ins stay short", () => {
    const gpu = { software: false };
    expect(cutLanes(99_122, 0.02, {}, gpu)).toMatchObject({ count: 24, burnInRows: 1024 });
    expect(cutLanes(1_976_441, 0.002, {}, gpu).count).toBe(49);
    expect(cutLanes(5_000_000, 0.002, {}, gpu).count).toBe(64);
    expect(cutLanes(8000, 0.02, {}, gpu).count).toBe(1);
    expect(cutLanes(9000, 0.02, {}, gpu).count).toBe(2);
    expect(cutLanes(99_122, 0.02, {}, software).count).toBe(1);
  });

  it("chooses lanes that chunks of a given size divide", () => {
    const { rows, count } = cutLanes(99_122, 0.02, {}, { software: false, chunkRows: 192 });
    expect(rows % 192).toBe(0);
    expect(count).toBeGreaterThan(1);
    expect(cutLanes(99_122, 0.02, {}, { software: false, chunkRows: 1021 }).count).toBe(1);
  });
});
