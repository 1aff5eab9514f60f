/** What a decode stores, by its options. */

import { describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { continuous, sortedSpikes } from "../../src/hmm/decoder.ts";
import { openResult } from "../../src/hmm/decode_result.ts";
import { POSTERIOR_TYPES } from "../../src/hmm/posterior_types.ts";
import { SUMMARIES } from "../../src/hmm/row_outputs.ts";
import { openStore } from "../../src/store/open_store.ts";
import { readGroupAttributes } from "../../src/zarr/metadata.ts";
import type { NumericArray } from "../../src/types.ts";
import { useGpu } from "../support/gpu.ts";
import { smallRecording } from "../support/recordings.ts";
import { runtime } from "../support/runtime.ts";
import { contents, smallPlan } from "../support/small_decode.ts";

const gpu = useGpu();

let outputs = 0;
const fresh = () => `memory:decode-store-test-${outputs++}`;

/** A place of files: OPFS in the browser, a temporary folder elsewhere. */
async function placeOfFiles(): Promise<string> {
  if (runtime === "chromium") return `opfs:decode-store-test-${crypto.randomUUID()}`;
  const { mkdtemp } = await import("node:fs/promises");
  const { tmpdir } = await import("node:os");
  return `file:${await mkdtemp(`${tmpdir()}/sluice-`)}/out.zarr`;
}

/** Every numeric array of a store whose name begins with one of these. */
async function readStored(out: string, ...starts: string[]): Promise<Record<string, NumericArray>> {
  const store = await openStore(out);
  const names = new Set((await store.list("/")).map((key) => key.split("/")[1]!));
  await store.close();
  const values: Record<string, NumericArray> = {};
  for (const name of names) {
    if (!starts.some((start) => name.startsWith(start))) continue;
    const array = await openArray(`${out}/${name}`);
    values[name] = await readAll(array);
    await array.close();
  }
  return values;
}

describe("a decode", () => {
  it("stores the same files on disk as in memory, and reads them again", async () => {
    const [memory, files] = [fresh(), await placeOfFiles()];
    await (await smallPlan(gpu(), memory).run()).close();
    const result = await smallPlan(gpu(), files).run();
    const posterior = await readAll(result.posterior);
    await result.close();
    expect(await contents(files)).toEqual(await contents(memory));
    const again = await openResult(files);
    expect(again.posterior).toMatchObject({ dtype: "float32", dims: ["time", "state_bins"] });
    expect(await readAll(again.posterior)).toEqual(posterior);
    const part = await again.posterior.read(50, 53);
    const width = again.posterior.shape[1]!;
    expect(part).toEqual(posterior.slice(50 * width, 53 * width));
    await again.close();
    await (await openStore(files, { mode: "write" })).deleteAll();
  });

  it("rounds only what it stores: all else is the same for every element type", async () => {
    const all = {
      summaries: ["map", "entropy", "logNormaliser"],
      time: { step: 0.02, stop: 2 },
    } as const;
    const wanted = fresh();
    const exact = await smallPlan(gpu(), wanted, all).run();
    await exact.close();
    const stored = await readStored(wanted, "acausal_", "causal_");
    expect(stored.acausal_posterior).toBeInstanceOf(Float32Array);
    for (const dtype of POSTERIOR_TYPES) {
      const out = fresh();
      const result = await smallPlan(gpu(), out, { ...all, dtype }).run();
      expect(result.marginalLogLikelihood).toBe(exact.marginalLogLikelihood);
      await result.close();
      const own = await readStored(out, "acausal_", "causal_");
      const rest = Object.keys(stored).filter((name) => !name.endsWith("posterior"));
      expect(rest.length).toBe(11);
      for (const name of rest) expect(own[name], `${dtype}: ${name}`).toEqual(stored[name]);
    }
  });

  it("keeps its summaries and state probabilities when it stores no posterior", async () => {
    const all = { summaries: SUMMARIES, time: { step: 0.02, stop: 2 } };
    const [whole, short] = [fresh(), fresh()];
    await (await smallPlan(gpu(), whole, all).run()).close();
    await (await smallPlan(gpu(), short, { ...all, posterior: false }).run()).close();
    const { acausal_posterior: _, causal_posterior: __, ...rest } = await readStored(
      whole,
      "acausal_",
      "causal_",
    );
    expect(Object.keys(rest)).toContain("acausal_state_probabilities");
    expect(await readStored(short, "acausal_", "causal_")).toEqual(rest);
  });

  it("stores nothing of the filter unless it is asked to, and takes less disk then", async () => {
    const [both, smoothed] = [fresh(), fresh()];
    const withFilter = await smallPlan(gpu(), both).run();
    const without = await smallPlan(gpu(), smoothed, { causal: false }).run();
    expect(Object.keys(await readStored(both, "causal_")).sort()).toEqual([
      "causal_posterior",
      "causal_state_probabilities",
    ]);
    expect(await readStored(smoothed, "causal_")).toEqual({});
    expect(await readStored(smoothed, "acausal_")).toEqual(await readStored(both, "acausal_"));
    // checkpoints, coordinates and the journal are left
    expect(without.peakBytes.disk).toBeLessThan(0.75 * withFilter.peakBytes.disk);
    await withFilter.close();
    await without.close();
  });

  it("takes no more of the device for ten times the rows, and of the host but for its spikes", async () => {
    const peaks = [];
    for (const stop of [0.8, 8]) {
      const result = await smallPlan(gpu(), fresh(), { time: { step: 0.02, stop }, tileRows: 16 })
        .run();
      peaks.push({ rows: result.posterior.shape[0], ...result.peakBytes });
      await result.close();
    }
    const [short, long] = peaks as [(typeof peaks)[0], (typeof peaks)[0]];
    expect(long.rows).toBe(10 * short.rows!);
    // the list of spikes of a tile is as long as the busiest tile needs
    expect(long.gpu).toBeLessThan(1.02 * short.gpu);
    // spikes are binned once, for all rows: 4 bytes each, and 4 a row
    const spikes = smallRecording().spikes.times.length;
    expect(long.host - short.host).toBeLessThanOrEqual(4 * (long.rows! + spikes));
  });
});

describe("rows in a store", () => {
  const attributesOf = async (out: string) => {
    const store = await openStore(out);
    const group = await readGroupAttributes(store);
    await store.close();
    return group!.attributes;
  };

  it("have a centre, and a bin from one edge to the next", async () => {
    const out = fresh();
    const time = { start: 0.5, stop: 2.51, rate: 50 };
    await (await smallPlan(gpu(), out, { time }).run()).close();
    const stored = await readStored(out, "time", "is_missing");
    expect(Object.keys(stored).sort()).toEqual(["time", "time_bin_end", "time_bin_start"]);
    const edges = Float64Array.from({ length: 101 }, (_, i) => 0.5 + i / 50);
    expect(stored.time_bin_start).toEqual(edges.slice(0, -1));
    expect(stored.time_bin_end).toEqual(edges.slice(1));
    expect(stored.time).toEqual(
      edges.slice(0, -1).map((edge, i) => edge + (edges[i + 1]! - edge) / 2),
    );
    const attributes = await attributesOf(out);
    expect(attributes).toMatchObject({
      time_units: "seconds",
      time_bin_convention: "left_closed_right_open_final_closed",
      rate_units: "Hz",
      parameters: { time: { kind: "edges", start: 0.5, rate: 50, rows: 100 } },
    });
    // 400 intervals of 20 ms, and half of one at each end
    expect(attributes.encoding_exposure_seconds).toBeCloseTo(8.02, 9);
    expect(attributes.unit_ids).toBeUndefined();
  });

  it("are stamps where they were asked to be, without bins", async () => {
    const out = fresh();
    const time = { start: 0.5, stop: 2.51, step: 0.02 };
    await (await smallPlan(gpu(), out, { time, timeGrid: "timestamps" }).run()).close();
    const stored = await readStored(out, "time");
    expect(stored).toEqual({ time: Float64Array.from({ length: 101 }, (_, i) => 0.5 + i / 50) });
    expect(await attributesOf(out)).toMatchObject({ time_bin_convention: "timestamps" });
  });

  it("that are missing are told, change the plan's hash, and keep its promise", async () => {
    const [out, whole] = [fresh(), fresh()];
    const isMissing = Array.from({ length: 400 }, (_, row) => row >= 390);
    const result = await smallPlan(gpu(), out, { missing: [[1, 2], [7.99, 9]], isMissing }).run();
    await result.close();
    const { is_missing: rows } = await readStored(out, "is_missing");
    expect([...rows!]).toEqual(
      Array.from({ length: 400 }, (_, row) => (row >= 50 && row < 100) || row >= 390 ? 1 : 0),
    );
    expect((await attributesOf(out)).coordinates).toMatch(/time_bin_end is_missing state /);
    for (const kind of ["host", "disk"] as const) {
      expect(result.peakBytes[kind]).toBeLessThanOrEqual(result.projectedBytes[kind]);
    }
    await (await smallPlan(gpu(), whole).run()).close();
    expect((await attributesOf(out)).plan_hash).not.toBe((await attributesOf(whole)).plan_hash);
    expect(() => smallPlan(gpu(), fresh(), { isMissing: [true] })).toThrow(
      /isMissing has 1 entries, wanted one for each of 400 rows/,
    );
    expect(() => smallPlan(gpu(), fresh(), { missing: [[2, 1]] })).toThrow(
      /missing\[0\] is \[2, 1\], wanted .*start < stop/,
    );
  });

  it("keep unit ids that are not their numbers", async () => {
    const { position, spikes } = smallRecording();
    const out = fresh();
    const decoder = sortedSpikes({
      position,
      spikes: { times: spikes.times, units: spikes.units.map((unit) => 100 + 3 * unit) },
      states: continuous({ movementVar: 4 }),
      binSize: 3,
    });
    await (await decoder.smooth(gpu(), { out, time: { step: 0.1 } }).run()).close();
    expect((await attributesOf(out)).unit_ids).toEqual([100, 103, 106, 109, 112, 115]);
  });
});

describe("fullPosterior", () => {
  for (const dtype of POSTERIOR_TYPES) {
    it(`is the posterior on the whole box, NaN outside the track: ${dtype}`, async () => {
      const out = fresh();
      const result = await smallPlan(gpu(), out, { dtype, time: { step: 0.02, stop: 1 } }).run();
      const { interior_index, is_track_interior } = await readStored(out, "interior_", "is_track");
      const [rows, width] = result.posterior.shape as [number, number];
      const bins = is_track_interior!.length;
      expect(result.fullPosterior).toMatchObject({
        shape: [rows, bins],
        dtype: dtype === "f16" ? "float16" : "float32",
        dims: ["time", "full_state_bins"],
      });
      const eager = new Float32Array(rows * bins).fill(NaN);
      (await readAll(result.posterior) as Float32Array).forEach((p, i) => {
        eager[Math.floor(i / width) * bins + Number(interior_index![i % width])] = p;
      });
      expect(await readAll(result.fullPosterior)).toEqual(eager);
      expect(await result.fullPosterior.read(17, 19)).toEqual(eager.slice(17 * bins, 19 * bins));
      await result.close();
    });
  }

  it("is there of the filter too, where that is stored", async () => {
    for (const dtype of ["f32", "u16"] as const) {
      const time = { step: 0.02, stop: 1 };
      const result = await smallPlan(gpu(), fresh(), { dtype, time }).run();
      const { posterior, fullPosterior, states } = result.causal!;
      expect(fullPosterior.shape[1]).toBe(2 * result.gridShape.reduce((a, b) => a * b));
      const bins = posterior.shape[1]! / 2;
      const own = await readAll(posterior) as Float32Array;
      const full = await readAll(fullPosterior) as Float32Array;
      expect(full.filter((p) => !Number.isNaN(p))).toEqual(own);
      expect(own).not.toEqual(await readAll(result.posterior));
      (await readAll(states) as Float32Array).forEach((wanted, i) => {
        const sum = own.subarray(i * bins, (i + 1) * bins).reduce((total, p) => total + p, 0);
        expect(Math.abs(sum - wanted)).toBeLessThan(1e-4);
      });
      await result.close();
      const without = await smallPlan(gpu(), fresh(), { dtype, time, causal: false }).run();
      expect(without.causal).toBeUndefined();
      await without.close();
    }
  });

  it("says of a decode without a posterior that it has none", async () => {
    const result = await smallPlan(gpu(), fresh(), {
      posterior: false,
      time: { step: 0.02, stop: 1 },
    }).run();
    await expect(result.fullPosterior.read(0, 1)).rejects.toThrow(/posterior: false/);
    await result.close();
  });
});
