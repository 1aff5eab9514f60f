import { describe, expect, it } from "vitest";
import { fromTypedArray, readAll } from "../../src/array/array.ts";
import { contexts } from "../../src/array/contexts.ts";

const [FRAMES, FEATURES] = [31, 3];
const element = (frame: number, feature: number) => 10 * frame + feature;
const values = Float32Array.from(
  { length: FRAMES * FEATURES },
  (_, i) => element(Math.floor(i / FEATURES), i % FEATURES),
);
const frames = fromTypedArray(values, [FRAMES, FEATURES]);
// the second is shorter than most contexts, the third of one frame
const SEGMENTS = [0, 12, 16, 17];
const ramp = (count: number) =>
  fromTypedArray(Float64Array.from({ length: count }, (_, t) => t), [count, 1]);

/** Targets by the definition, each segment by itself. */
function targetsOf(width: number, lag: number, firstTarget: number): number[] {
  return SEGMENTS.flatMap((start, i) => {
    const end = SEGMENTS[i + 1] ?? FRAMES;
    const own = Array.from({ length: end - start }, (_, t) => t);
    return own.filter((t) => t >= width - 1 + lag && t >= 1 && t >= firstTarget)
      .map((t) => start + t);
  });
}

describe("contexts()", () => {
  it("means a ramp to the middle of the context", async () => {
    const view = contexts(ramp(40), { width: 4, lag: 1, mode: "mean" });
    const row = [...view.targets()].indexOf(10);
    expect([...await view.read(row, row + 1)]).toEqual([7.5]);
    for (const [lag, mean] of [[2, 6.5], [4, 4.5]] as const) {
      const other = contexts(ramp(40), { width: 4, lag, mode: "mean" });
      expect(other.targets()[0]).toBe(3 + lag);
      const at = [...other.targets()].indexOf(10);
      expect([...await other.read(at, at + 1)]).toEqual([mean]);
    }
    // several lags with the rows of the largest
    for (const lag of [1, 2, 4, 8]) {
      const shared = contexts(ramp(40), { width: 4, lag, mode: "mean", firstTarget: 11 });
      expect(shared.targets()[0]).toBe(11);
      expect(shared.shape).toEqual([29, 1]);
      expect((await shared.read(0, 1))[0]).toBe(11 - lag - 1.5);
    }
  });

  for (
    const [width, lag, firstTarget] of [[1, 0, 0], [1, 1, 0], [4, 1, 0], [3, 2, 6], [
      10,
      1,
      0,
    ]] as const
  ) {
    it(`of ${width} frames at lag ${lag} hold what the definition says`, async () => {
      const options = { width, lag, segments: SEGMENTS, firstTarget };
      const targets = targetsOf(width, lag, firstTarget);
      const flat = contexts(frames, { ...options, mode: "flat" });
      const mean = contexts(frames, { ...options, mode: "mean" });
      expect(flat.shape).toEqual([targets.length, width * FEATURES]);
      expect(mean.shape).toEqual([targets.length, FEATURES]);
      expect([...flat.targets()]).toEqual(targets);
      const rows = targets.map((target) =>
        Array.from(
          { length: width * FEATURES },
          (_, i) => element(target - lag - width + 1 + Math.floor(i / FEATURES), i % FEATURES),
        )
      );
      expect([...await readAll(flat)]).toEqual(rows.flat());
      const means = rows.map((row) =>
        Array.from(
          { length: FEATURES },
          (_, d) =>
            Math.fround(
              row.filter((_, i) => i % FEATURES === d).reduce((a, b) => a + b, 0) / width,
            ),
        )
      );
      expect([...await readAll(mean)]).toEqual(means.flat());
      for (let start = 0; start < targets.length; start += 3) {
        const end = Math.min(targets.length, start + 5);
        expect([...await flat.read(start, end)]).toEqual(rows.slice(start, end).flat());
        expect([...await mean.read(start, end)]).toEqual(means.slice(start, end).flat());
        expect([...flat.targets(start, end)]).toEqual(targets.slice(start, end));
      }
    });
  }

  it("tells where the rows of each segment lie among the frames", () => {
    const frames = fromTypedArray(new Float32Array(20 * 2), [20, 2]);
    const segments = [0, 8, 11];
    // frames 2 to 5 have a whole context before them, two frames back, and 8 to 10 none
    const view = contexts(frames, { width: 3, lag: 2, mode: "flat", segments });
    expect(view.runs).toEqual([
      { row: 0, rows: 4, frame: 0 },
      { row: 4, rows: 5, frame: 11 },
    ]);
    expect(view.shape).toEqual([9, 6]);
    expect([...view.targets()]).toEqual([4, 5, 6, 7, 15, 16, 17, 18, 19]);
    const later = contexts(frames, { width: 3, lag: 2, mode: "flat", segments, firstTarget: 6 });
    expect(later.runs).toEqual([
      { row: 0, rows: 2, frame: 2 },
      { row: 2, rows: 3, frame: 13 },
    ]);
    expect([...later.targets()]).toEqual([6, 7, 17, 18, 19]);
  });

  it("sums means in f64 and rounds them once", async () => {
    const large = fromTypedArray(Float32Array.of(2 ** 24, 1, -(2 ** 24), 1), [4, 1]);
    const view = contexts(large, { width: 3, lag: 0, mode: "mean" });
    expect([...await view.read(0, 1)]).toEqual([Math.fround(1 / 3)]);
    const whole = fromTypedArray(BigInt64Array.of(1n, 2n, 4n), [3, 1]);
    const sums = contexts(whole, { width: 2, lag: 1, mode: "mean" });
    expect([...await readAll(sums)]).toEqual([1.5]);
    const rows = contexts(whole, { width: 2, lag: 1, mode: "flat" });
    expect(await readAll(rows)).toEqual(Float64Array.of(1, 2));
  });

  it("keeps the digits of frames that f32 does not hold", async () => {
    for (const mode of ["mean", "flat"] as const) {
      const options = { width: 1, lag: 1, mode };
      for (
        const values of [
          Float64Array.of(1e9 + 0.5, 1e-200, 1e200, 0),
          Int32Array.of(2 ** 30 + 1, -(2 ** 31), 3, 0),
          Uint32Array.of(2 ** 32 - 1, 2 ** 24 + 1, 3, 0),
          BigInt64Array.of(2n ** 53n - 1n, 1n, 2n, 0n),
        ]
      ) {
        const view = contexts(fromTypedArray(values, [4, 1]), options);
        expect(view.dtype).toBe("float64");
        expect(await readAll(view)).toEqual(Float64Array.from(values.subarray(0, 3), Number));
      }
      const narrow = contexts(fromTypedArray(Int16Array.of(-32768, 32767, 0), [3, 1]), options);
      expect(narrow.dtype).toBe("float32");
      expect(await readAll(narrow)).toEqual(Float32Array.of(-32768, 32767));
    }
  });

  it("refuses what makes no contexts", () => {
    const make = (options: object) => () =>
      contexts(frames, { width: 2, lag: 1, mode: "flat", ...options });
    expect(make({ width: 0 })).toThrow("width is 0, wanted a whole number from 1");
    expect(make({ lag: -1 })).toThrow("lag is -1, wanted a whole number from 0");
    expect(make({ firstTarget: 0.5 })).toThrow("firstTarget is 0.5, wanted a whole number from 0");
    expect(make({ mode: "max" })).toThrow('mode is "max", wanted one of mean, flat');
    expect(make({ width: 31 })).toThrow(
      "Cannot make contexts: a context has 31 frames and 1 around it, the longest of 1",
    );
    const [early, late] = [{ start: 2, end: 9 }, { start: 9, end: 20 }];
    expect(make({ segments: [early, late] })).not.toThrow();
    expect(make({ segments: [late, early] })).toThrow("segment 1 is [2, 9), wanted some of the");
    expect(make({ segments: [{ start: 2, end: 32 }] })).toThrow("frames from 0 to 31");
    expect(make({ segments: [0, 40] })).toThrow(
      "Cannot make contexts: segment 1 has the frames from 40 up to 31",
    );
    expect(make({ segments: [1, 4] })).toThrow("Cannot make contexts: the first segment starts at");
    expect(() => contexts(fromTypedArray(values), { width: 2, lag: 1, mode: "mean" }))
      .toThrow("frames have shape [93], wanted [frames, features]");
  });

  it("names rows that do not exist", async () => {
    const view = contexts(frames, { width: 2, lag: 1, mode: "mean" });
    await expect(view.read(0, 30)).rejects.toThrow("the array has 29 rows");
  });
});
