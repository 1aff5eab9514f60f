import { describe, expect, it } from "vitest";
import { openArray } from "../../src/array/array.ts";
import type { ChunkedArray } from "../../src/chunked_array.ts";
import { Samples } from "../../src/feed/samples.ts";
import { seeded } from "../support/random.ts";

const FEATURES = 3;
const OFFSETS = Float64Array.of(0, 4, 4, 9, 11);
const DETECTED = Uint8Array.of(1, 0, 1, 1, 0, 1, 1, 0, 1, 0, 0);
const random = seeded(2);
const values = Float64Array.from({ length: 11 * FEATURES }, () => random() - 0.5);
const { signal } = new AbortController();

/** The same on disk: it cannot be asked for all values. */
function rowsOf(own: Float64Array, fromDisk = true): ChunkedArray {
  return {
    shape: [own.length / FEATURES, FEATURES],
    dtype: "float64",
    dims: undefined,
    chunkRows: 2,
    ...(!fromDisk && { values: own }),
    read: (start, end) => Promise.resolve(own.slice(start * FEATURES, end * FEATURES)),
    close: () => Promise.resolve(),
  };
}

const ragged = (fromDisk = true) => ({
  rows: rowsOf(values, fromDisk),
  offsets: OFFSETS,
  detected: DETECTED,
});

async function read(samples: Samples, chosen: number[], stride = 4): Promise<number[][]> {
  const rows = chosen.reduce((sum, sample) => sum + samples.rowsOf(sample), 0);
  const target = { values: new Float32Array(rows * stride), stride };
  await samples.read(chosen, target, signal);
  return Array.from(
    { length: rows },
    (_, row) => [...target.values.subarray(row * stride, row * stride + FEATURES)],
  );
}

const row = (i: number) => [...values.subarray(i * FEATURES, (i + 1) * FEATURES)].map(Math.fround);

describe("samples", () => {
  for (const place of ["memory", "disk", "disk, loaded"]) {
    it(`have the rows that count, from ${place}`, async () => {
      const own = async (unit: "rows" | "whole" | "each") => {
        const samples = new Samples(ragged(place !== "memory"), { action: "fit", unit });
        if (place === "disk, loaded") await samples.load(signal);
        return samples;
      };
      const rows = await own("rows");
      expect(rows.count).toBe(4);
      expect(await read(rows, [2, 0, 1, 3])).toEqual([5, 6, 8, 0, 2, 3].map(row));
      expect([0, 1, 2, 3].map((i) => rows.rowsOf(i))).toEqual([3, 0, 3, 0]);
      expect([0, 1, 2, 3].map((i) => rows.lengthOf(i))).toEqual([4, 0, 5, 2]);
      const whole = await own("whole");
      // of rows that do not count nothing is taken
      const nothing = Array(FEATURES).fill(0);
      expect(await read(whole, [3, 0])).toEqual([
        nothing,
        nothing,
        row(0),
        nothing,
        row(2),
        row(3),
      ]);
      expect([9, 0, 1].map((i) => whole.counts(i))).toEqual([false, true, false]);
      const each = await own("each");
      expect(each.count).toBe(6);
      expect(await read(each, [5, 1])).toEqual([8, 2].map(row));
      expect(each.textOf(each.rowOf(5))).toBe(2);
    });
  }

  it("are looked at, and refused by sample, token and feature where they count", async () => {
    const own = values.slice();
    own[4 * FEATURES] = NaN;
    const data = { ...ragged(), rows: rowsOf(own) };
    const look = (samples: Samples) => samples.look({ digest: false, signal });
    await look(new Samples(data, { action: "fit" }));
    own[8 * FEATURES + 1] = Infinity;
    await expect(look(new Samples(data, { action: "fit a probe" }))).rejects.toThrow(
      "Cannot fit a probe: sample 2, token 4, feature 1 is Infinity, wanted finite numbers",
    );
    own[8 * FEATURES + 1] = -1e30;
    await expect(look(new Samples(data.rows, { action: "fit" }))).rejects.toThrow(
      "Cannot fit: sample 4, feature 0 is NaN, wanted finite numbers",
    );
    await expect(look(new Samples(data, { action: "fit" }))).rejects.toThrow(
      "Cannot fit: sample 2, token 4, feature 1 is -1e+30, wanted magnitudes below 1000000000000000",
    );
  });

  it("have a digest that rows, offsets and mask decide", async () => {
    const digest = async (data: ConstructorParameters<typeof Samples>[0]) =>
      (await new Samples(data, { action: "fit" }).look({ digest: true, signal })).digest;
    const wanted = await digest(ragged());
    expect(await digest(ragged(false))).toBe(wanted);
    expect(await digest({ ...ragged(), offsets: Float64Array.of(0, 3, 4, 9, 11) })).not.toBe(
      wanted,
    );
    expect(await digest({ ...ragged(), detected: DETECTED.slice().fill(1) })).not.toBe(wanted);
  });

  it("refuse masks without a token, and arrays that hold none", async () => {
    expect(() => new Samples({ ...ragged(), detected: new Uint8Array(11) }, { action: "fit" }))
      .toThrow("Cannot fit: the mask detects none of the 11 tokens, wanted one at least");
    const flat = await openArray(Float32Array.of(1, 2));
    expect(() => new Samples(flat, { action: "fit" })).toThrow(
      "Cannot fit: samples have shape [2], wanted [rows, features], at least one of each",
    );
  });
});
