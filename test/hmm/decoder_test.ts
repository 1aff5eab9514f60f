import { describe, expect, it } from "vitest";
import { BudgetError, OutputConflictError } from "../../src/errors.ts";
import type { DecodeOptions, SortedSpikesDecoder } from "../../src/hmm/decoder.ts";
import {
  contFrag,
  continuous,
  posteriorMean,
  sortedSpikes,
  stateModel,
} from "../../src/hmm/decoder.ts";
import { openResult } from "../../src/hmm/decode_result.ts";
import { rateTable } from "../../src/hmm/sorted_spikes.ts";
import { binSpikes, timeGrid } from "../../src/hmm/time_grid.ts";
import { openStore } from "../../src/store/open_store.ts";
import { hmmFilter } from "../reference/hmm_filter.ts";
import { hmmSmooth } from "../reference/hmm_smooth.ts";
import { summarizeRow } from "../reference/summarize_rows.ts";
import { poissonLikelihood } from "../reference/poisson_likelihood.ts";
import { referenceTransition } from "../reference/transition.ts";
import { lendGpu, useGpu } from "../support/gpu.ts";
import { largestDifference, overStates } from "../support/hmm_problem.ts";
import { smallRecording } from "../support/recordings.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu();

let places = 0;
const place = () => `memory:decoder-test-${places++}`;

const STEP = 0.02;

function smallDecoder(states = contFrag({ movementVar: 4 }), dimensions: 1 | 2 = 1) {
  const recording = smallRecording({ dimensions });
  return {
    recording,
    decoder: sortedSpikes({ ...recording, states, binSize: 3, positionStd: 3 }),
  };
}

/** Every stored value of the four variables. */
async function everything(decoder: SortedSpikesDecoder, options: Partial<DecodeOptions>) {
  const out = place();
  const result = await decoder.smooth(gpu(), {
    time: { step: STEP },
    out,
    causal: true,
    ...options,
  }).run();
  const { openArray, readAll } = await import("../../src/array/array.ts");
  const read = async (name: string) => await readAll(await openArray(`${out}/${name}`));
  const values = {
    smoothed: await read("acausal_posterior"),
    states: await read("acausal_state_probabilities"),
    filtered: await read("causal_posterior"),
    filteredStates: await read("causal_state_probabilities"),
    logLikelihood: result.marginalLogLikelihood,
  };
  await result.close();
  return { values, result };
}

/** What the twins say of the same recording. */
function twin(decoder: SortedSpikesDecoder, recording: ReturnType<typeof smallRecording>) {
  const { times } = recording.position;
  const grid = timeGrid({ start: times[0]!, stop: times.at(-1)!, step: STEP });
  const bins = decoder.grid.interiorIndex.length;
  const states = decoder.states.names.length;
  const likelihoods = poissonLikelihood(
    rateTable(decoder.encoding, STEP),
    bins,
    binSpikes(recording.spikes, grid),
  );
  const transition = referenceTransition(decoder.grid, decoder.states);
  const forward = hmmFilter({
    initial: Float64Array.from(
      { length: states * bins },
      (_, i) => decoder.states.initial[Math.floor(i / bins)]! / bins,
    ),
    transition,
    logLikelihoods: overStates(likelihoods, bins, states),
  });
  return { ...forward, smoothed: hmmSmooth(forward, transition) };
}

describe("smooth()", () => {
  for (const dimensions of [1, 2] as const) {
    it(`agrees with the f64 twins in ${dimensions} dimension(s)`, async () => {
      const { decoder, recording } = smallDecoder(contFrag({ movementVar: 4 }), dimensions);
      const { values } = await everything(decoder, {});
      const wanted = twin(decoder, recording);
      expect(largestDifference(values.smoothed as Float32Array, wanted.smoothed)).toBeLessThan(
        2e-6,
      );
      expect(largestDifference(values.filtered as Float32Array, wanted.filtered)).toBeLessThan(
        2e-6,
      );
      expect(Math.abs(values.logLikelihood - wanted.marginalLogLikelihood)).toBeLessThan(1e-3);
    });
  }

  it("gives rows that sum to 1, and state probabilities that are sums over bins", async () => {
    const { decoder } = smallDecoder();
    const { values, result } = await everything(decoder, {});
    const [rows, width] = result.posterior.shape as [number, number];
    const bins = width / 2;
    const smoothed = values.smoothed as Float32Array;
    for (let row = 0; row < rows; row++) {
      for (let state = 0; state < 2; state++) {
        const first = row * width + state * bins;
        const sum = smoothed.subarray(first, first + bins).reduce((total, p) => total + p, 0);
        expect(Math.abs(sum - (values.states as Float32Array)[2 * row + state]!)).toBeLessThan(
          1e-5,
        );
      }
      const row1 = smoothed.subarray(row * width, (row + 1) * width);
      expect(Math.abs(row1.reduce((total, p) => total + p, 0) - 1)).toBeLessThan(1e-5);
    }
  });

  it("stores 16 bits that keep sums, the largest bin and nearly every probability", async () => {
    const { decoder } = smallDecoder();
    const { values: exact, result } = await everything(decoder, {});
    const [rows, width] = result.posterior.shape as [number, number];
    const most = { f16: 5e-3, u16: 2e-4, "u16-linear": 2e-3 } as const;
    for (const dtype of ["f16", "u16", "u16-linear"] as const) {
      for (const tileRows of [400, 37]) {
        const out = place();
        const rounded = await decoder.smooth(gpu(), {
          time: { step: STEP },
          out,
          causal: true,
          dtype,
          tileRows,
          chunkRows: 50,
        }).run();
        const values = await rounded.posterior.read(0, rows) as Float32Array;
        for (let row = 0; row < rows; row++) {
          const own = values.subarray(row * width, (row + 1) * width);
          const wanted = (exact.smoothed as Float32Array).subarray(row * width, (row + 1) * width);
          const off = own.reduce((sum, p, bin) => sum + Math.abs(p - wanted[bin]!), 0);
          expect(off, `${dtype}, row ${row}`).toBeLessThan(most[dtype]);
          if (dtype !== "u16") continue;
          expect(Math.abs(own.reduce((sum, p) => sum + p, 0) - 1)).toBeLessThan(1e-6);
          expect(own.indexOf(Math.max(...own))).toBe(wanted.indexOf(Math.max(...wanted)));
        }
        await rounded.close();
      }
    }
    await result.close();
  });

  it("stores summaries that agree with the posterior, with it or without", async () => {
    for (const dimensions of ([2, 1] as const).slice(0, cases(1, 2))) {
      const { decoder } = smallDecoder(contFrag({ movementVar: 4 }), dimensions);
      const { values: exact, result: whole } = await everything(decoder, {});
      const [rows, width] = whole.posterior.shape as [number, number];
      const names = dimensions === 1 ? ["position"] : ["x_position", "y_position"];
      const stored: Record<string, ArrayLike<number>>[] = [];
      for (const posterior of [true, false]) {
        const result = await decoder.smooth(gpu(), {
          time: { step: STEP },
          out: place(),
          causal: true,
          posterior,
          summaries: ["map", "mean", "entropy", "hpd", "logNormaliser"],
          tileRows: posterior ? 400 : 57,
        }).run();
        const own: Record<string, ArrayLike<number>> = {};
        for (const [name, array] of Object.entries(result.summaries)) {
          own[name] = await array.read(0, rows) as ArrayLike<number>;
        }
        stored.push(own);
        if (!posterior) {
          await expect(result.posterior.read(0, 1)).rejects.toThrow(/posterior: false/);
        }
        expect(result.marginalLogLikelihood).toBe(whole.marginalLogLikelihood);
        await result.close();
      }
      expect(stored[1]).toEqual(stored[0]);
      const [got] = stored as [Record<string, ArrayLike<number>>];
      const positions = new Float32Array(2 * width);
      whole.binCenters.forEach((centers, d) =>
        centers.forEach((center, bin) => positions[2 * bin + d] = center)
      );
      for (const kind of ["acausal", "causal"] as const) {
        const posterior = (kind === "acausal" ? exact.smoothed : exact.filtered) as Float32Array;
        const worst = new Map<string, number>();
        const differ = (name: string, difference: number) =>
          worst.set(name, Math.max(worst.get(name) ?? 0, Math.abs(difference)));
        for (let row = 0; row < rows; row++) {
          const own = posterior.subarray(row * width, (row + 1) * width);
          const wanted = summarizeRow(own, positions, 0.95);
          const at = (name: string) => got[`${kind}_${name}`]![row]!;
          differ("map_bin", at("map_bin") - wanted.mapBin);
          differ("map_probability", at("map_probability") - Math.fround(wanted.peak));
          differ("entropy", at("entropy") - wanted.entropy);
          names.forEach((name, d) => {
            differ("map", at(`map_${name}`) - positions[2 * wanted.mapBin + d]!);
            differ("mean", at(`mean_${name}`) - wanted.mean[d]!);
            differ("variance", at(`variance_${name}`) - wanted.variance[d]!);
          });
          differ("hpd_size", at("hpd_size") - wanted.hpdSize);
        }
        expect(worst.get("map_bin")).toBe(0);
        expect(worst.get("map_probability")).toBe(0);
        expect(worst.get("entropy")).toBeLessThan(1e-5);
        expect(worst.get("map")).toBeLessThan(5e-5);
        expect(worst.get("mean")).toBeLessThan(1e-4);
        expect(worst.get("variance")).toBeLessThan(1e-2);
        expect(worst.get("hpd_size")).toBeLessThanOrEqual(1);
      }
      // in the order in which they are counted
      const total = (got.causal_log_normaliser as Float64Array).reduceRight((a, b) => a + b, 0);
      expect(total).toBe(whole.marginalLogLikelihood);
      await whole.close();
    }
  });

  it("keeps the positions of summaries exact, however far from 0 they lie", async () => {
    const found: Float64Array[] = [];
    for (const origin of [0, 2 ** 27]) {
      const { position, spikes } = smallRecording({ dimensions: 2 });
      const result = await sortedSpikes({
        position: { ...position, values: Float64Array.from(position.values, (x) => x + origin) },
        spikes,
        states: continuous({ movementVar: 4 }),
        binSize: 3,
        positionStd: 3,
      }).smooth(gpu(), {
        time: { step: STEP, stop: position.times[0]! + 1 },
        out: place(),
        posterior: false,
        summaries: ["map", "mean"],
      }).run();
      const read = async (name: string) =>
        await result.summaries[`acausal_${name}`]!.read(0, 50) as ArrayLike<number>;
      const bins = await read("map_bin");
      for (const [d, name] of ["x_position", "y_position"].entries()) {
        const likeliest = await read(`map_${name}`);
        expect(Array.from(likeliest)).toEqual(
          Array.from(bins, (bin) => result.binCenters[d]![bin]!),
        );
        found.push(Float64Array.from(await read(`mean_${name}`), (mean) => mean - origin));
      }
      await result.close();
    }
    const [x, y, farX, farY] = found;
    expect(largestDifference(farX!, x!)).toBeLessThan(1e-5);
    expect(largestDifference(farY!, y!)).toBeLessThan(1e-5);
  });

  it("does not depend on the number of chunks, to the bit", async () => {
    const { decoder } = smallDecoder();
    const rows = 400;
    const { values: whole } = await everything(decoder, { chunkRows: rows });
    for (const chunks of [2, 7, 250]) {
      const { values } = await everything(decoder, { chunkRows: Math.ceil(rows / chunks) });
      expect(values).toEqual(whole);
    }
  });

  it("does not depend on the tile or the slots, to the bit", async () => {
    const { decoder } = smallDecoder();
    const { values: whole } = await everything(decoder, { tileRows: 4000 });
    for (const [tileRows, slots] of [[37, 2], [64, 1], [200, 3], [1, 2]] as const) {
      const { values } = await everything(decoder, {
        tileRows,
        slots,
        // a tile a row is slow: 60 rows of it say as much
        ...(tileRows === 1 && { time: { step: STEP, stop: 1.2 } }),
      });
      const wanted = tileRows === 1
        ? (await everything(decoder, { time: { step: STEP, stop: 1.2 } })).values
        : whole;
      expect(values).toEqual(wanted);
    }
  });

  it("gives the same smoothed bits whether the filter is stored or not", async () => {
    const { decoder } = smallDecoder();
    const { values } = await everything(decoder, {});
    const result = await decoder.smooth(gpu(), { time: { step: STEP }, out: place() }).run();
    expect(await result.posterior.read(0, 400)).toEqual(values.smoothed);
    await result.close();
  });

  it("counts rows that are impossible, and goes on from their prediction", async () => {
    const identity = stateModel({
      names: ["Still"],
      initial: [1],
      discreteTransition: [[1]],
      transitions: [[{ kind: "identity" }]],
    });
    // two places, and a unit for each
    const samples = 600;
    const times = Float64Array.from({ length: samples }, (_, i) => i / 50);
    const values = times.map((time) => time < 6 ? time / 10 : 90 + time / 10);
    const encoding = Array.from({ length: 500 }, (_, i) => 0.01 + i * 0.0239);
    // it is in the first place beyond doubt, then a row says as much of the second
    const here = Array.from({ length: 600 }, (_, i) => 20.001 + i / 400);
    const there = new Array<number>(1200).fill(21.505);
    const decoder = sortedSpikes({
      position: { times, values },
      spikes: [
        [...encoding.filter((time) => time < 6), ...here],
        [...encoding.filter((time) => time >= 6), ...there],
      ],
      states: identity,
      binSize: 5,
      positionStd: 1,
      train: [[0, 12]],
    });
    const { values: stored, result } = await everything(decoder, {
      time: { start: 20, stop: 22, rate: 100 },
    });
    expect(result.impossibleRows).toBe(1);
    expect(stored.logLikelihood).toBe(-Infinity);
    const bins = decoder.grid.interiorIndex.length;
    for (const rows of [stored.filtered, stored.smoothed] as Float32Array[]) {
      for (let row = 0; row < 200; row++) {
        const sum = rows.subarray(row * bins, (row + 1) * bins).reduce((a, p) => a + p, 0);
        expect(sum).toBeCloseTo(1, 5);
      }
    }
    const at = (row: number) =>
      (stored.filtered as Float32Array).slice(row * bins, (row + 1) * bins);
    expect(largestDifference(at(150), at(149))).toBeLessThan(1e-6);
  });

  it("keeps its memory promise exactly on the GPU, and within it elsewhere", async () => {
    const { decoder } = smallDecoder();
    for (const options of [{}, { tileRows: 10 }, { chunkRows: 33, slots: 1 }]) {
      const { result } = await everything(decoder, options);
      expect(result.peakBytes.gpu).toBe(result.projectedBytes.gpu);
      for (const kind of ["host", "disk"] as const) {
        expect(result.peakBytes[kind]).toBeGreaterThan(0);
        expect(result.peakBytes[kind]).toBeLessThanOrEqual(result.projectedBytes[kind]);
      }
    }
    expect(gpu().ledger.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });
  });

  it("decodes a grid of one row", async () => {
    const { decoder } = smallDecoder();
    const result = await decoder.smooth(gpu(), {
      time: { start: 1, stop: 1 + STEP, step: STEP },
      out: place(),
    }).run();
    expect(result.posterior.shape[0]).toBe(1);
    const row = await result.posterior.read(0, 1) as Float32Array;
    expect(Math.abs(row.reduce((sum, p) => sum + p, 0) - 1)).toBeLessThan(1e-5);
    await result.close();
  });

  it("drops spikes outside the time grid and counts them", async () => {
    const { decoder, recording } = smallDecoder();
    const out = place();
    const result = await decoder.smooth(gpu(), {
      time: { start: 2, stop: 4, step: STEP },
      out,
    }).run();
    const outside = recording.spikes.times.filter((time) => time < 2 || time > 4).length;
    expect(result.droppedSpikes).toBe(outside);
    expect((await openResult(out)).droppedSpikes).toBe(outside);
    await result.close();
  });

  it("follows the animal", async () => {
    const recording = smallRecording({ seconds: 20, units: 20 });
    const decoder = sortedSpikes({
      ...recording,
      states: continuous({ movementVar: 4 }),
      binSize: 2,
      positionStd: 2,
    });
    const result = await decoder.smooth(gpu(), { time: { step: STEP }, out: place() }).run();
    const [mean] = await posteriorMean(result);
    const errors = Array.from(
      mean!,
      (value, row) => Math.abs(value - recording.position.values[row]!),
    );
    errors.sort((a, b) => a - b);
    expect(errors[errors.length >> 1]).toBeLessThan(2);
    await result.close();
  });
});

describe("the output place", () => {
  it("returns a finished decode at once, and refuses another plan's unless told to overwrite", async () => {
    const { decoder } = smallDecoder();
    const out = place();
    const options = { time: { step: STEP, stop: 1 }, out };
    const first = await decoder.smooth(gpu(), options).run();
    expect(first.seconds.total).toBeGreaterThan(0);
    const again = await decoder.smooth(gpu(), options).run();
    expect(again.seconds).toEqual({});
    expect(again.marginalLogLikelihood).toBe(first.marginalLogLikelihood);
    const other = { ...options, time: { step: STEP, stop: 1.5 } };
    await expect(decoder.smooth(gpu(), other).run()).rejects.toThrow(OutputConflictError);
    const replaced = await decoder.smooth(gpu(), { ...other, overwrite: true }).run();
    expect(replaced.posterior.shape[0]).toBe(75);
  });

  it("is refused when it holds something else, even to overwrite", async () => {
    const { decoder } = smallDecoder();
    const out = place();
    const store = await openStore(out, { mode: "write" });
    await store.set("/thesis.txt", new Uint8Array(10));
    for (const overwrite of [false, true]) {
      const plan = decoder.smooth(gpu(), { time: { step: STEP }, out, overwrite });
      await expect(plan.run()).rejects.toThrow(/files that are no result/);
    }
    expect(await store.get("/thesis.txt")).toEqual(new Uint8Array(10));
  });

  it("cannot be opened before it is finished, and a cancelled run can be run again", async () => {
    const { decoder } = smallDecoder();
    const out = place();
    const options = { time: { step: STEP }, out, tileRows: 20 };
    const cancel = new AbortController();
    const run = decoder.smooth(gpu(), options).run({
      signal: cancel.signal,
      onProgress: ({ fraction }) => fraction > 0.1 && cancel.abort(),
    });
    await expect(run).rejects.toThrow(/abort/i);
    await expect(openResult(out)).rejects.toThrow(/has not finished/);
    const result = await decoder.smooth(gpu(), options).run();
    expect((await openResult(out)).marginalLogLikelihood).toBe(result.marginalLogLikelihood);
  });

  it("has the names, dims and coordinates that xarray users expect, read by zarrita", async () => {
    const { decoder } = smallDecoder(contFrag({ movementVar: 4 }), 2);
    const out = place();
    const { marginalLogLikelihood } = await decoder.smooth(gpu(), {
      time: { step: STEP, stop: 1 },
      out,
      causal: true,
    }).run();
    const zarr = await import("zarrita");
    const group = await zarr.open.v3(await openStore(out) as never, { kind: "group" });
    expect(group.attrs).toMatchObject({
      coordinates:
        "time_bin_start time_bin_end state state_ind x_position y_position interior_index full_state " +
        "full_state_ind full_x_position full_y_position is_track_interior",
      marginal_log_likelihoods: [marginalLogLikelihood],
      time_bin_convention: "left_closed_right_open_final_closed",
      time_units: "seconds",
      rate_units: "Hz",
      encoding_exposure_seconds: decoder.encoding.exposureSeconds,
      // as NetCDF takes them
      complete: 1,
      flag_attributes: "complete",
      json_attributes: "parameters",
      parameters: expect.stringMatching(/^\{"states":/),
    });
    const bins = 2 * decoder.grid.interiorIndex.length;
    const box = 2 * decoder.grid.interior.length;
    const wanted: Record<string, [number[], string[]]> = {
      acausal_posterior: [[50, bins], ["time", "state_bins"]],
      acausal_state_probabilities: [[50, 2], ["time", "states"]],
      causal_posterior: [[50, bins], ["time", "state_bins"]],
      causal_state_probabilities: [[50, 2], ["time", "states"]],
      time: [[50], ["time"]],
      time_bin_start: [[50], ["time"]],
      time_bin_end: [[50], ["time"]],
      states: [[2], ["states"]],
      state: [[bins], ["state_bins"]],
      state_ind: [[bins], ["state_bins"]],
      x_position: [[bins], ["state_bins"]],
      y_position: [[bins], ["state_bins"]],
      interior_index: [[bins], ["state_bins"]],
      full_state: [[box], ["full_state_bins"]],
      full_state_ind: [[box], ["full_state_bins"]],
      full_x_position: [[box], ["full_state_bins"]],
      full_y_position: [[box], ["full_state_bins"]],
      is_track_interior: [[box], ["full_state_bins"]],
    };
    for (const [name, [shape, dims]] of Object.entries(wanted)) {
      const array = await zarr.open.v3(group.resolve(name), { kind: "array" });
      expect([name, array.shape, array.dimensionNames]).toEqual([name, shape, dims]);
    }
    const names = await zarr.open.v3(group.resolve("states"), { kind: "array" });
    expect((await zarr.get(names)).data).toEqual(["Continuous", "Fragmented"]);
  });

  it("stores equal bytes for equal runs", async () => {
    const { decoder } = smallDecoder();
    const contents = async (tileRows: number) => {
      const out = place();
      await decoder.smooth(gpu(), { time: { step: STEP }, out, tileRows }).run();
      const store = await openStore(out);
      const keys = (await store.list("/")).sort();
      return await Promise.all(keys.map(async (key) => [key, await store.get(key)]));
    };
    expect(await contents(100)).toEqual(await contents(31));
  });
});

describe("a budget", () => {
  it("that is too small is refused with the smallest that works, which works", async () => {
    const { decoder } = smallDecoder();
    const small = await lendGpu({ budget: "20 KiB" });
    const options = () => ({ time: { step: STEP, stop: 0.2 }, out: place() });
    let smallest = 0;
    try {
      decoder.smooth(small, options());
    } catch (error) {
      expect(error).toBeInstanceOf(BudgetError);
      smallest = (error as BudgetError).smallestBudgetBytes;
      expect((error as Error).message).toContain(`${smallest} B`);
    }
    small.close();
    expect(smallest).toBeGreaterThan(20 * 1024);
    const enough = await lendGpu({ budget: smallest });
    const result = await decoder.smooth(enough, options()).run();
    expect(result.peakBytes.gpu).toBe(smallest);
    enough.close();
    const short = await lendGpu({ budget: smallest - 1 });
    expect(() => decoder.smooth(short, options())).toThrow(BudgetError);
    short.close();
  });

  it("smaller than the posterior gives the same posterior", async () => {
    const { decoder } = smallDecoder();
    const { values } = await everything(decoder, {});
    const tight = await lendGpu({ budget: "128 KiB" });
    const out = place();
    const result = await decoder.smooth(tight, { time: { step: STEP }, out }).run();
    expect(await result.posterior.read(0, 400)).toEqual(values.smoothed);
    tight.close();
  });
});

describe("options", () => {
  it("that make no sense are refused before any work", () => {
    const { decoder } = smallDecoder();
    const plan = (options: Partial<DecodeOptions>) => () =>
      decoder.smooth(gpu(), { time: { step: STEP }, out: place(), ...options });
    expect(plan({ chunkRows: 0 })).toThrow(/chunkRows is 0/);
    expect(plan({ tileRows: 1.5 })).toThrow(/tileRows is 1.5/);
    expect(plan({ slots: 9 })).toThrow(/slots is 9/);
    expect(plan({ time: { step: 0 } })).toThrow(/time.step is 0, wanted a number above 0/);
    expect(plan({ time: { start: 5, stop: 4 } })).toThrow(/start is 5 s and stop 4 s/);
  });
});
