import { describe, expect, it } from "vitest";
import { continuous, sortedSpikes } from "../../src/hmm/decoder.ts";
import { validateRecording } from "../../src/hmm/recording.ts";
import { rateTable } from "../../src/hmm/sorted_spikes.ts";
import { binSpikes, edgeOf, timeGrid } from "../../src/hmm/time_grid.ts";
import { hmmFilter } from "../reference/hmm_filter.ts";
import { hmmSmooth } from "../reference/hmm_smooth.ts";
import { poissonLikelihood } from "../reference/poisson_likelihood.ts";
import { referenceTransition } from "../reference/transition.ts";
import { useGpu } from "../support/gpu.ts";
import { largestDifference } from "../support/hmm_problem.ts";
import { recordNumbers } from "../support/record.ts";
import { golden, goldenIntermediates } from "../support/recordings.ts";
import { sharedDataMissing } from "../support/shared_data.ts";
import { LEFT_OUT, quick } from "../support/tier.ts";

const gpu = useGpu();

const STEP = 0.002;
// the gate of the reference's own tests
const GATE = 1e-6;

async function goldenDecoder() {
  const inputs = await golden();
  const decoder = sortedSpikes({
    position: inputs.position,
    spikes: inputs.spikes,
    train: inputs.train,
    states: continuous({ movementVar: 6 }),
    binSize: 2,
    positionStd: 6,
  });
  return { inputs, decoder };
}

/** Bins whose centres are the first stamps: the reference decodes at these. */
function timesOf({ time }: Awaited<ReturnType<typeof golden>>, rows: number) {
  return { start: time[0]! - STEP / 2, stop: time[rows - 1]! + STEP / 2, step: STEP };
}

/** Largest excess over rtol x |wanted|. */
function beyondRelative(got: ArrayLike<number>, wanted: ArrayLike<number>, relative: number) {
  return Array.from(
    got,
    (value, i) => Math.abs(value - wanted[i]!) - relative * Math.abs(wanted[i]!),
  )
    .reduce((most, value) => Math.max(most, value), 0);
}

function twinOf(
  { inputs, decoder }: Awaited<ReturnType<typeof goldenDecoder>>,
  rows: number,
) {
  const grid = timeGrid(timesOf(inputs, rows));
  const { spikes } = validateRecording(inputs.position, inputs.spikes);
  const bins = decoder.grid.interiorIndex.length;
  const transition = referenceTransition(decoder.grid, decoder.states);
  const forward = hmmFilter({
    initial: new Float64Array(bins).fill(1 / bins),
    transition,
    logLikelihoods: poissonLikelihood(
      rateTable(decoder.encoding, STEP),
      bins,
      binSpikes(spikes, grid),
    ),
  });
  return { ...forward, smoothed: hmmSmooth(forward, transition) };
}

describe("the reference implementation's own example", () => {
  it("is met by the f64 twins from the raw inputs, rtol = atol = 1e-6", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const problem = await goldenDecoder();
    expect(problem.decoder.grid.interiorIndex.length).toBe(91);
    const { smoothed } = twinOf(problem, 50);
    expect(beyondRelative(smoothed, problem.inputs.posterior, GATE)).toBeLessThanOrEqual(GATE);
  });

  it("has these place fields, occupancy and likelihoods in f64, to 1e-9", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const { inputs, decoder } = await goldenDecoder();
    const wanted = await goldenIntermediates();
    const { rates, occupancy } = decoder.encoding;
    expect(rates.length).toBe(30 * 91);
    expect(beyondRelative(rates, wanted.place_fields_hz!, 1e-9)).toBeLessThanOrEqual(0);
    expect(beyondRelative(occupancy, wanted.occupancy_density!, 1e-9)).toBeLessThanOrEqual(0);
    const grid = timeGrid(timesOf(inputs, 50));
    wanted.time_edges!.forEach((edge, i) => expect(edgeOf(grid, i)).toBeCloseTo(edge, 15));
    const { spikes } = validateRecording(inputs.position, inputs.spikes);
    const likelihoods = poissonLikelihood(
      rateTable(decoder.encoding, STEP),
      91,
      binSpikes(spikes, grid),
    );
    expect(beyondRelative(likelihoods, wanted.log_likelihood!, 1e-9)).toBeLessThanOrEqual(0);
  });

  it("is met by stamps for rows as well, as it then was", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const { inputs, decoder } = await goldenDecoder();
    const result = await decoder.smooth(gpu(), {
      time: { stop: inputs.time[49]! },
      timeGrid: "timestamps",
      out: "memory:golden-stamps",
    }).run();
    const posterior = await result.posterior.read(0, 50) as Float32Array;
    expect(beyondRelative(posterior, inputs.posterior, GATE)).toBeLessThanOrEqual(GATE);
    expect(await result.time.read(0, 50)).toEqual(inputs.time.slice(0, 50));
    await result.close();
  });

  it("is met by the decoder, rtol = atol = 1e-6", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const { inputs, decoder } = await goldenDecoder();
    const result = await decoder.smooth(gpu(), {
      time: timesOf(inputs, 50),
      out: "memory:golden-50",
    }).run();
    const posterior = await result.posterior.read(0, 50) as Float32Array;
    expect(beyondRelative(posterior, inputs.posterior, GATE)).toBeLessThanOrEqual(GATE);
    await result.close();
  });

  it("agrees with the f64 twin over all 32,500 rows, argmax and log-likelihood too", async (context) => {
    if (quick) context.skip(LEFT_OUT);
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const problem = await goldenDecoder();
    const rows = problem.inputs.time.length;
    expect(rows).toBe(32_500);
    const result = await problem.decoder.smooth(gpu(), {
      time: timesOf(problem.inputs, rows),
      out: "memory:golden-all",
      causal: true,
    }).run();
    const twin = twinOf(problem, rows);
    const posterior = await result.posterior.read(0, rows) as Float32Array;
    expect(largestDifference(posterior, twin.smoothed)).toBeLessThan(GATE);
    const { openArray, readAll } = await import("../../src/array/array.ts");
    const causal = await readAll(await openArray("memory:golden-all/causal_posterior"));
    expect(largestDifference(causal as Float32Array, twin.filtered)).toBeLessThan(GATE);

    const bins = 91;
    let mismatches = 0;
    for (let row = 0; row < rows; row++) {
      const got = argmax(posterior.subarray(row * bins, (row + 1) * bins));
      const own = twin.smoothed.subarray(row * bins, (row + 1) * bins);
      const wanted = argmax(own);
      // a tie: f32 cannot tell the two bins apart
      const tie = own[wanted]! - own[got]! < 2e-7 * own[wanted]!;
      if (got !== wanted && !tie) mismatches++;
    }
    expect(mismatches).toBe(0);
    const off = Math.abs(result.marginalLogLikelihood - twin.marginalLogLikelihood);
    console.log(`log-likelihood ${result.marginalLogLikelihood}, ${off.toExponential(1)} from f64`);
    expect(off).toBeLessThan(1e-3);
    await recordNumbers("golden_sample", posterior.subarray(0, 91 * 200));
    await result.close();
  });
});

function argmax(values: Float32Array | Float64Array): number {
  let best = 0;
  values.forEach((value, i) => {
    if (value > values[best]!) best = i;
  });
  return best;
}
