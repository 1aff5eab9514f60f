import { describe, expect, it } from "vitest";
import { DeviceLostError, OutputConflictError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { openGpu } from "../../src/gpu/device.ts";
import type { DecodeOptions } from "../../src/hmm/decoder.ts";
import { openResult } from "../../src/hmm/decode_result.ts";
import { Journal, openJournal } from "../../src/store/journal.ts";
import { partialKey } from "../../src/store/place.ts";
import type { Store } from "../../src/store/store.ts";
import { openStore } from "../../src/store/open_store.ts";
import type { Progress } from "../../src/types.ts";
import { useGpu } from "../support/gpu.ts";
import { contents, decodeLosing, smallPlan } from "../support/small_decode.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu();

/** Rows of {@link smallPlan}. */
const ROWS = 400;

let places = 0;
const place = () => `memory:resume-test-${places++}`;

const plan = (out: string, options: Partial<DecodeOptions> = {}, device: Gpu = gpu()) =>
  smallPlan(device, out, options);

/** Runs until a pass has stored so many rows, then cancels. */
async function interrupted(
  out: string,
  pass: string,
  rows: number,
  options: Partial<DecodeOptions> = {},
) {
  const cancel = new AbortController();
  const append = Journal.prototype.append;
  let stored = 0;
  Journal.prototype.append = async function (entry) {
    await append.call(this, entry);
    const line = entry as { pass: string; row: number };
    if (line.pass === pass) stored = pass === "smooth" ? ROWS - line.row : line.row;
    if (stored >= rows) cancel.abort(new Error("interrupted"));
  };
  try {
    await expect(plan(out, options).run({ signal: cancel.signal })).rejects.toThrow("interrupted");
  } finally {
    Journal.prototype.append = append;
  }
}

/** How many rows of each pass a run did. */
function counting() {
  const rows: Record<string, [number, number]> = {};
  const onProgress = (progress: Progress) => {
    const first = rows[progress.pass]?.[0] ?? progress.rows;
    rows[progress.pass] = [first, progress.rows];
  };
  return { rows, onProgress };
}

async function uninterrupted(options: Partial<DecodeOptions> = {}) {
  const out = place();
  await (await plan(out, options).run()).close();
  return await contents(out);
}

describe("a decode that was interrupted", () => {
  for (
    const [pass, rows] of [["filter", 1], ["filter", 200], ["smooth", 1], ["smooth", 300]] as const
  ) {
    it(`goes on in ${pass} after row ${rows}, and stores the same bytes`, async () => {
      const out = place();
      await interrupted(out, pass, rows);
      const { rows: done, onProgress } = counting();
      const result = await plan(out).run({ onProgress });
      expect(result.resumed?.pass).toBe(pass);
      expect(done[pass]![0]).toBeGreaterThanOrEqual(Math.min(rows, 48));
      expect(await contents(out)).toEqual(await uninterrupted());
      expect(await (await openStore(`${out}.journal`)).list("/")).toEqual([]);
      await result.close();
    });
  }

  it("goes on with tiles of another size, larger or smaller", async () => {
    const wanted = await uninterrupted();
    for (
      const [pass, before, after] of [
        ["smooth", 48, 7],
        ["smooth", 5, 48],
        ["filter", 160, 16],
      ] as const
    ) {
      const out = place();
      await interrupted(out, pass, 100, { tileRows: before });
      const result = await plan(out, { tileRows: after }).run();
      expect(result.resumed?.pass).toBe(pass);
      expect(await contents(out)).toEqual(wanted);
    }
  });

  it("stores the same bytes in zarr version 2, compressed, and without shards", async () => {
    for (
      const options of [
        { zarrFormat: 2, shardChunks: 1, codec: "gzip" },
        { codec: "zstd", dtype: "u16" },
        { zarrFormat: 2, shardChunks: 1 },
        { codec: "gzip", shardChunks: 1 },
        { dtype: "u16" },
      ].slice(0, cases(2, 5)) as readonly Partial<DecodeOptions>[]
    ) {
      const out = place();
      await interrupted(out, "smooth", 100, options);
      const result = await plan(out, options).run();
      expect(result.resumed?.pass).toBe("smooth");
      expect(await contents(out)).toEqual(await uninterrupted(options));
      const whole = await openResult(out);
      expect((await whole.posterior.read(0, 1)).length).toBe(whole.posterior.shape[1]);
    }
  });

  it("can be read while it is unfinished, as far as it is stored", async () => {
    const out = place();
    await interrupted(out, "smooth", 200);
    await expect(openResult(out)).rejects.toThrow(/has not finished/);
    const early = await openResult(out, { unfinished: true });
    const [from, to] = early.storedRows[0]!;
    expect(early.storedRows).toHaveLength(1);
    expect(to).toBe(early.posterior.shape[0]);
    expect(from).toBeGreaterThan(0);
    expect(to - from).toBeGreaterThanOrEqual(100);
    expect(early.marginalLogLikelihood).toBeNaN();
    const values = await early.posterior.read(from, to);
    const result = await plan(out).run();
    expect(await result.posterior.read(from, to)).toEqual(values);
    expect(values.every((value) => Number.isFinite(Number(value)))).toBe(true);
  });

  it("starts again when it is to be overwritten", async () => {
    const out = place();
    await interrupted(out, "smooth", 100);
    const result = await plan(out, { overwrite: true }).run();
    expect(result.resumed).toBeUndefined();
    expect(await contents(out)).toEqual(await uninterrupted());
  });

  it("is not gone on with by another plan, and says so", async () => {
    const out = place();
    await interrupted(out, "filter", 100);
    const before = await contents(out);
    await expect(plan(out, { chunkRows: 32 }).run()).rejects.toThrow(OutputConflictError);
    expect(await contents(out)).toEqual(before);
  });

  it("goes on with another adapter only when that is allowed", async () => {
    const out = place();
    await interrupted(out, "smooth", 100);
    const device = gpu() as { adapter: Gpu["adapter"] };
    const { adapter } = device;
    try {
      device.adapter = { ...adapter, name: "another adapter" };
      await expect(plan(out).run()).rejects.toThrow(
        /on another adapter, ".*", not on "another adapter"/,
      );
      const result = await plan(out, { allowAdapterChange: true }).run();
      expect(result.resumed?.pass).toBe("smooth");
    } finally {
      device.adapter = adapter;
    }
    expect(await contents(out)).toEqual(await uninterrupted());
  });

  const DAMAGES: [string, (out: Store, journal: Store) => Promise<string>][] = [
    [
      "an unfinished shard cut short",
      async (out) => await damage(out, partialKey("/acausal_posterior/c/4/0"), "cut"),
    ],
    [
      "an unfinished shard with a flipped byte",
      async (out) => await damage(out, partialKey("/acausal_posterior/c/4/0"), "flip"),
    ],
    [
      "a finished shard cut short",
      async (out) => await damage(out, "/acausal_posterior/c/6/0", "cut"),
    ],
    [
      "a finished shard that is gone",
      async (out) => await damage(out, "/causal_posterior/c/6/0", "remove"),
    ],
    [
      "a log cut in half",
      async (_, journal) => await damage(journal, partialKey("/log/steps"), "cut"),
    ],
    [
      "a carry that is damaged",
      async (_, journal) => await damage(journal, "/state/filter/000000000096", "flip"),
    ],
    ["every carry of the smoother gone", async (_, journal) => {
      await journal.deleteAll("/state/smooth");
      return "";
    }],
  ];
  for (const [what, harm] of DAMAGES) {
    it(`does again what is lost by ${what}`, async () => {
      const out = place();
      await interrupted(out, "smooth", 100);
      const path = await harm(await openStore(out), await openStore(`${out}.journal`));
      const result = await plan(out).run();
      expect(await contents(out)).toEqual(await uninterrupted());
      if (/shard/.test(what)) expect(result.resumed?.damaged ?? path).toContain(path);
    });
  }
});

async function damage(store: Store, key: string, how: "cut" | "flip" | "remove"): Promise<string> {
  const bytes = (await store.get(key))!;
  expect(bytes, key).toBeDefined();
  const finished = key.replace(".partial", "");
  if (how === "remove") await store.delete(key);
  else if (how === "flip") bytes[Math.floor(bytes.length / 3)]! ^= 1;
  if (how === "remove") return finished;
  const kept = how === "cut" ? bytes.slice(0, Math.floor(bytes.length / 2)) : bytes;
  if (key === finished) await store.set(key, kept);
  else {
    const appender = await store.append(finished);
    await appender.append(kept);
    await appender.close();
  }
  return finished;
}

describe("a device that is lost", () => {
  it("is opened again, and the run goes on to the same bytes, wherever it is lost", async () => {
    const wanted = await uninterrupted();
    const device = await openGpu({ budget: "64 MiB" });
    let submits = await decodeLosing(device, place(), Infinity);
    expect(submits).toBeGreaterThan(20);
    const picks = cases(2, 3);
    for (let pick = 0; pick < picks; pick++) {
      const out = place();
      const at = 1 + Math.floor((pick + 0.5) * submits / picks);
      const seen = await decodeLosing(device, out, at);
      submits = Math.max(submits, seen);
      expect(await contents(out), `lost at submit ${at}`).toEqual(wanted);
    }
    device.close();
  });

  it("twice is reported with where to go on, which works", async () => {
    const device = await openGpu({ budget: "64 MiB" });
    const out = place();
    const append = Journal.prototype.append;
    let steps = 0;
    Journal.prototype.append = async function (entry) {
      await append.call(this, entry);
      if (++steps % 3 === 0) device.device.destroy();
    };
    let error: unknown;
    try {
      await plan(out, {}, device).run();
    } catch (thrown) {
      error = thrown;
    } finally {
      Journal.prototype.append = append;
      device.close();
    }
    expect(error).toBeInstanceOf(DeviceLostError);
    const lost = error as DeviceLostError;
    expect(lost.message).toMatch(
      /lost before: pass "\w+" is stored up to row \d+: run the same plan/,
    );
    expect(lost.pass).toBeDefined();
    const result = await plan(out).run();
    expect(result.resumed?.pass).toBe(lost.pass);
    expect(await contents(out)).toEqual(await uninterrupted());
  });
});

describe("an output", () => {
  it("is written by one run at a time", async () => {
    const out = place();
    const runs = await Promise.allSettled([plan(out).run(), plan(out).run()]);
    const refused = runs.filter((run) => run.status === "rejected");
    expect(refused.map(({ reason }) => reason)).toEqual([expect.any(OutputConflictError)]);
    for (const run of runs) if (run.status === "fulfilled") await run.value.close();
    await (await openJournal(out)).close();
    await (await plan(out).run()).close();
  });
});
