import { describe, expect, it } from "vitest";
import type { ChunkedArray } from "../../src/array/array.ts";
import { fromTypedArray, readAll } from "../../src/array/array.ts";
import { openNpyBlob } from "../../src/array/npy.ts";
import { WindowView } from "../../src/array/window_view.ts";
import { npyHeader } from "../support/window_frames.ts";

/** Frames [frames, features] whose elements are their own index. */
const counted = (frames: number, features = 1) =>
  fromTypedArray(Float32Array.from({ length: frames * features }, (_, i) => i), [frames, features]);

/** First frames of all windows, as the definition says. */
function brute(bounds: readonly number[], size: number, stride: number, before = 0, after = 0) {
  const starts: number[] = [];
  for (let segment = 0; segment + 1 < bounds.length; segment++) {
    const [first, end] = [bounds[segment]! + before, bounds[segment + 1]! - after];
    for (let start = first; start + size <= end; start += stride) starts.push(start);
  }
  return starts;
}

const CASES = [
  { bounds: [0, 10], size: 3, stride: 1 },
  { bounds: [0, 10], size: 10, stride: 1 },
  { bounds: [0, 10], size: 1, stride: 4 },
  { bounds: [0, 4, 5, 12, 14, 20], size: 3, stride: 1 },
  { bounds: [0, 4, 5, 12, 14, 20], size: 2, stride: 3 },
  { bounds: [0, 7, 20], size: 3, stride: 2, before: 1, after: 2 },
];

describe("a view of windows", () => {
  for (const { bounds, size, stride, before = 0, after = 0 } of CASES) {
    const name =
      `${size} frames every ${stride} of segments at ${bounds}, ${before} + ${after} spare`;

    it(`has the windows that lie in one segment: ${name}`, () => {
      const frames = bounds.at(-1)!;
      const segments = bounds.slice(0, -1);
      const view = new WindowView(counted(frames), { size, stride, segments, before, after });
      const wanted = brute(bounds, size, stride, before, after);
      expect(view.shape).toEqual([wanted.length, size, 1]);
      expect([...view.starts()]).toEqual(wanted);
      expect([...view.starts(1, wanted.length)]).toEqual(wanted.slice(1));
      wanted.forEach((start, window) => {
        expect(view.startOf(window)).toBe(start);
        const { start: first, end } = view.segments[view.segmentOf(window)]!;
        expect(start).toBeGreaterThanOrEqual(first + before);
        expect(start + size + after).toBeLessThanOrEqual(end);
      });
    });

    it(`reads each window as a slice of the frames: ${name}`, async () => {
      const frames = bounds.at(-1)!;
      const base = counted(frames, 3);
      const segments = bounds.slice(0, -1);
      const view = new WindowView(base, { size, stride, segments, before, after });
      const starts = brute(bounds, size, stride, before, after);
      const slices = await Promise.all(starts.map((start) => base.read(start, start + size)));
      const whole = slices.flatMap((slice) => [...slice as Float32Array]);
      expect([...await readAll(view) as Float32Array]).toEqual(whole);
      const part = [...await view.read(1, starts.length) as Float32Array];
      expect(part).toEqual(whole.slice(3 * size));
      const flat = view.flatten();
      expect(flat.shape).toEqual([starts.length, 3 * size]);
      expect([...await readAll(flat) as Float32Array]).toEqual(whole);
    });
  }

  it("reads windows that overlap or adjoin at once, and no frame between those that do not", async () => {
    const frames = fromTypedArray(Float32Array.from({ length: 20 }, (_, i) => i), [20, 1]);
    for (
      const [stride, wanted] of [
        [2, [[0, 9]]],
        [3, [[0, 12]]],
        [5, [[0, 3], [5, 8], [10, 13], [15, 18]]],
      ] as const
    ) {
      const reads: number[][] = [];
      const watched: ChunkedArray = {
        ...frames,
        read: (start, end, options) => {
          reads.push([start, end]);
          return frames.read(start, end, options);
        },
      };
      const view = new WindowView(watched, { size: 3, stride });
      const values = await view.read(0, 4);
      expect([...values]).toEqual(
        [0, 1, 2, 3].flatMap((window) => [0, 1, 2].map((i) => window * stride + i)),
      );
      expect(reads, `stride ${stride}`).toEqual(wanted);
    }
  });

  it("composes: windows of windows", async () => {
    const inner = new WindowView(counted(6), { size: 2 });
    const outer = new WindowView(inner, { size: 2, stride: 2 });
    expect(outer.shape).toEqual([2, 2, 2, 1]);
    expect([...await readAll(outer) as Float32Array]).toEqual([0, 1, 1, 2, 2, 3, 3, 4]);
  });

  it("keeps the bits of halves, and reads them as numbers too", async () => {
    const halves = Uint16Array.of(0x3c00, 0x0001, 0x7e00, 0xfc00);
    const view = new WindowView(await halfFrames(halves), { size: 2 });
    expect(view.dtype).toBe("float16");
    const wanted = [0x3c00, 1, 1, 0x7e00, 0x7e00, 0xfc00];
    expect([...await view.readBits!(0, 3)]).toEqual(wanted);
    expect([...await view.read(0, 1) as Float32Array]).toEqual([1, 2 ** -24]);
  });

  it("counts the segments that are too short", () => {
    const view = new WindowView(counted(9), { size: 3, segments: [0, 2, 3, 6] });
    expect(view.shape[0]).toBe(2);
    expect(view.shortSegments).toBe(2);
  });

  it("refuses what cannot be", () => {
    const make = (grid: Partial<ConstructorParameters<typeof WindowView>[1]>) => () =>
      new WindowView(counted(10), { size: 3, ...grid });
    expect(make({ size: 0 })).toThrow(/size is 0, wanted a whole number from 1/);
    expect(make({ size: 2.5 })).toThrow(/size is 2.5/);
    expect(make({ stride: 0 })).toThrow(/stride is 0, wanted a whole number from 1/);
    expect(make({ size: 11 })).toThrow(/a window has 11 frames, the longest of 1 segments has 10/);
    expect(make({ size: 5, segments: [0, 3, 6] })).toThrow(/the longest of 3 segments has 4/);
    expect(make({ size: 8, after: 3 })).toThrow(/a window has 8 frames and 3 around it/);
    expect(make({ segments: [0, 4, 4] })).toThrow(/segment 1 has the frames from 4 up to 4/);
    expect(make({ segments: [0, 10] })).toThrow(/segment 1 has the frames from 10 up to 10/);
    expect(make({ segments: [0, 6, 4] })).toThrow(/segment 1 has the frames from 6 up to 4/);
    expect(make({ segments: [2, 4] })).toThrow(/the first segment starts at frame 2, wanted 0/);
    expect(make({ segments: [] })).toThrow(/segments is empty, wanted/);
  });

  it("refuses windows that are not there", async () => {
    const view = new WindowView(counted(10), { size: 3 });
    expect(() => view.startOf(8)).toThrow(/window 8: there are 8 windows, numbered from 0/);
    expect(() => view.startOf(-1)).toThrow(RangeError);
    await expect(view.read(7, 9)).rejects.toThrow(/rows 7 to 9: the array has 8 rows/);
  });
});

function halfFrames(bits: Uint16Array) {
  return openNpyBlob(
    new Blob([npyHeader("<f2", [bits.length, 1]), new Uint8Array(bits.buffer)] as BlobPart[]),
  );
}
