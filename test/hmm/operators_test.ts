/** Decoding with the transition as convolutions, as a sparse matrix and as a dense one. */

import { describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { BudgetError } from "../../src/errors.ts";
import type { DecodeOptions } from "../../src/hmm/decoder.ts";
import { contFrag, continuous, sortedSpikes, stateModel } from "../../src/hmm/decoder.ts";
import type { StateModel } from "../../src/hmm/states.ts";
import { rateTable } from "../../src/hmm/sorted_spikes.ts";
import { binSpikes, timeGrid } from "../../src/hmm/time_grid.ts";
import { hmmFilter } from "../reference/hmm_filter.ts";
import { hmmSmooth } from "../reference/hmm_smooth.ts";
import { poissonLikelihood } from "../reference/poisson_likelihood.ts";
import { referenceTransition } from "../reference/transition.ts";
import { lendGpu, useGpu } from "../support/gpu.ts";
import { largestDifference, mixedStates, overStates } from "../support/hmm_problem.ts";
import { hashesOf } from "../support/interrupted_decode.ts";
import { smallRecording } from "../support/recordings.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu();

let places = 0;
const place = () => `memory:operators-test-${places++}`;

const STEP = 0.02;

function decoderOf(states: StateModel, dimensions: 1 | 2, seconds = 2) {
  const recording = smallRecording({ dimensions, seconds });
  return {
    recording,
    decoder: sortedSpikes({
      ...recording,
      states,
      binSize: dimensions === 1 ? 1.5 : 5,
      positionStd: 3,
    }),
  };
}

async function decode(
  { decoder }: ReturnType<typeof decoderOf>,
  options: Partial<DecodeOptions>,
) {
  const out = place();
  const result = await decoder.smooth(gpu(), {
    time: { step: STEP },
    out,
    causal: true,
    ...options,
  }).run();
  const read = async (name: string) =>
    await readAll(await openArray(`${out}/${name}`)) as Float32Array;
  const values = {
    smoothed: await read("acausal_posterior"),
    states: await read("acausal_state_probabilities"),
    filtered: await read("causal_posterior"),
    filteredStates: await read("causal_state_probabilities"),
  };
  await result.close();
  return { values, result, out };
}

const MODELS: [string, StateModel, 1 | 2][] = [
  ["one state on a track", continuous({ movementVar: 4 }), 1],
  ["two states in a box", contFrag({ movementVar: 30 }), 2],
  ["three states with every structured block", mixedStates(), 1],
];

describe("operators", () => {
  for (const [name, states, dimensions] of MODELS) {
    it(`give the same numbers: ${name}`, async () => {
      const problem = decoderOf(states, dimensions);
      const { values: wanted, result } = await decode(problem, { operator: "convolution" });
      for (const [operator, most] of [["sparse", cases(1, 2)], ["dense", 2]] as const) {
        for (const lanes of [2, 1].slice(0, most)) {
          const { values, result: other } = await decode(problem, { operator, lanes });
          for (const [variable, own] of Object.entries(values)) {
            // 2e-7 relative to 1, and what a row's roundings differ by
            expect(
              largestDifference(own, wanted[variable as keyof typeof wanted]),
              `${operator} ${variable}`,
            ).toBeLessThan(4e-7);
          }
          expect(Math.abs(other.marginalLogLikelihood - result.marginalLogLikelihood))
            .toBeLessThan(lanes * 1e-5);
          expect(other.peakBytes.gpu).toBe(other.projectedBytes.gpu);
          expect(other.peakBytes.host).toBeLessThanOrEqual(other.projectedBytes.host);
        }
      }
    });
  }

  it("decode what no convolution can: walls, the animal's own steps, a matrix of one's own", async () => {
    const bins = decoderOf(continuous({ movementVar: 4 }), 1).decoder.grid.interiorIndex.length;
    const drift = new Float64Array(bins * bins);
    for (let bin = 0; bin < bins; bin++) {
      for (const [step, share] of [[0, 0.5], [1, 0.375], [3, 0.125]] as const) {
        drift[bin * bins + Math.min(bins - 1, bin + step)]! += share;
      }
    }
    const states = stateModel({
      names: ["animal", "drift"],
      initial: [0.5, 0.5],
      discreteTransition: [[0.95, 0.05], [0.1, 0.9]],
      transitions: [
        [{ kind: "empirical" }, { kind: "uniform" }],
        [{ kind: "graphWalk", movementVar: 4 }, { kind: "matrix", values: drift }],
      ],
    });
    const { decoder, recording } = decoderOf(states, 1, 2);
    const plan = decoder.smooth(gpu(), { time: { step: STEP }, out: place() });
    expect(plan.explain()).toMatch(/transition by (sparse|dense): .*no convolution: a block is/);

    const { times, values } = recording.position;
    // the last bin is closed
    const highest = decoder.grid.edges[0]!.at(-1)! - 1e-9;
    const positions = Array.from(values, (x) => Math.min(x, highest));
    const grid = timeGrid({ start: times[0]!, stop: times.at(-1)!, step: STEP });
    const forward = hmmFilter({
      initial: new Float64Array(2 * bins).fill(0.5 / bins),
      transition: referenceTransition(decoder.grid, decoder.states, 8, positions),
      logLikelihoods: overStates(
        poissonLikelihood(
          rateTable(decoder.encoding, STEP),
          bins,
          binSpikes(recording.spikes, grid),
        ),
        bins,
        2,
      ),
    });
    const smoothed = hmmSmooth(
      forward,
      referenceTransition(decoder.grid, decoder.states, 8, positions),
    );
    for (const operator of ["auto", "sparse", "dense"] as const) {
      const { values, result } = await decode({ decoder, recording }, { operator });
      expect(largestDifference(values.filtered, forward.filtered)).toBeLessThan(2e-6);
      expect(largestDifference(values.smoothed, smoothed)).toBeLessThan(2e-6);
      expect(Math.abs(result.marginalLogLikelihood - forward.marginalLogLikelihood))
        .toBeLessThan(1e-4);
    }
  });

  it("store the same bytes for any tile", async () => {
    const problem = decoderOf(contFrag({ movementVar: 30 }), 2, 1);
    for (const operator of ["sparse", "dense"] as const) {
      const options = { operator, lanes: 2, burnInRows: 16 };
      const wanted = await hashesOf((await decode(problem, options)).out);
      for (const tileRows of [1, 37]) {
        expect(await hashesOf((await decode(problem, { ...options, tileRows })).out))
          .toEqual(wanted);
      }
    }
  });

  it("are chosen by cost, among those that fit the budget", async () => {
    const small = await lendGpu({ budget: "700 KiB" });
    try {
      const { decoder } = decoderOf(continuous({ movementVar: 4 }), 1);
      const plan = (options: Partial<DecodeOptions>) =>
        decoder.smooth(small, { time: { step: STEP }, out: place(), ...options });
      expect(plan({}).explain()).toMatch(/transition by convolution: .*sparse takes/);
      expect(plan({ operator: "dense" }).explain()).toMatch(/dense, as was asked for/);
      expect(() => plan({ operator: "fast" as "dense" })).toThrow(/operator is "fast", wanted one/);
    } finally {
      small.close();
    }
  });

  it("refuse a budget with the smallest that works for any of them", async () => {
    const tiny = await lendGpu({ budget: "20 KiB" });
    try {
      const { decoder } = decoderOf(continuous({ movementVar: 4 }), 1);
      const plan = (budgeted: typeof tiny) =>
        decoder.smooth(budgeted, { time: { step: STEP }, out: place() });
      let refusal: unknown;
      try {
        plan(tiny);
      } catch (error) {
        refusal = error;
      }
      expect(refusal).toBeInstanceOf(BudgetError);
      const enough = await lendGpu({ budget: (refusal as BudgetError).smallestBudgetBytes });
      expect(plan(enough).projected.gpu).toBe((refusal as BudgetError).smallestBudgetBytes);
      enough.close();
    } finally {
      tiny.close();
    }
  });

  it("refuse states of one bin, of which spikes say nothing", () => {
    const states = stateModel({
      names: ["track", "elsewhere"],
      initial: [0.5, 0.5],
      discreteTransition: [[0.9, 0.1], [0.1, 0.9]],
      transitions: [[{ kind: "randomWalk", movementVar: 4 }, { kind: "uniform" }], [
        { kind: "uniform" },
        { kind: "uniform" },
      ]],
      oneBin: [false, true],
    });
    expect(() => decoderOf(states, 1).decoder.smooth(gpu(), { out: place() }))
      .toThrow(/state "elsewhere" has one bin/);
  });
});
