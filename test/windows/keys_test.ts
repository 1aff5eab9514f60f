import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import { BudgetError } from "../../src/errors.ts";
import { encodeFloat16 } from "../../src/math/half.ts";
import type { KeyOptions } from "../../src/windows/keys.ts";
import { windows } from "../../src/windows/windows.ts";
import { useGpu } from "../support/gpu.ts";
import { framesOf, hidden, keepHost, readBackBeside } from "../support/window_frames.ts";

const gpu = useGpu({ budget: "4 MiB" });

/** Frames 1, 2, 3, ... of one feature. */
const counting = (frames: number) =>
  framesOf(Float32Array.from({ length: frames }, (_, i) => i + 1), 1);

describe("keys", () => {
  const frames = counting(7);
  const action = Int16Array.from({ length: 14 }, (_, i) => 100 + i);

  it("give action chunks and observations at offsets of their own, with masks", async () => {
    const view = windows(frames, {
      ...{ size: 1, segments: [0, 4] },
      keys: {
        action: { values: action, offsets: [0, 1, 2], outside: "zero" },
        seen: {
          values: Float64Array.from({ length: 7 }, (_, i) => i),
          offsets: [-0.2, 0],
          rate: 10,
        },
      },
    });
    for await (const { keys, windows: list } of view.batches({ size: 7, shuffle: false })) {
      expect(list.length).toBe(7);
      const { action, seen } = keys as Required<typeof keys> & object;
      expect(action!.shape).toEqual([7, 3, 2]);
      expect(action!.values).toBeInstanceOf(Int16Array);
      // frames 2 and 3 are the last of the first segment
      expect([...action!.values.subarray(12, 24)])
        .toEqual([104, 105, 106, 107, 0, 0, 106, 107, 0, 0, 0, 0]);
      expect([...action!.mask.subarray(6, 12)]).toEqual([1, 1, 0, 1, 0, 0]);
      expect([...seen!.values]).toEqual([0, 0, 0, 1, 0, 2, 1, 3, 4, 4, 4, 5, 4, 6]);
      expect([...seen!.mask]).toEqual([0, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1, 1, 1]);
    }
  });

  it("label every frame of a window, where that is asked for", async () => {
    const offsets = [-2, -1, 0];
    const view = windows(frames, { size: 3, keys: { y: { values: frames, offsets } } });
    for await (const batch of view.batches(gpu(), { size: 4, shuffle: 2 })) {
      for (const [i, window] of batch.windows.entries()) {
        const own = [...batch.keys!.y!.values.subarray(3 * i, 3 * i + 3)];
        expect(own).toEqual([0, 1, 2].map((w) => view.startOf(window) + w + 1));
      }
    }
  });

  it("come beside the first of several arrays by name, at the frames of its windows", async () => {
    const reward = Float64Array.from({ length: 7 }, (_, i) => i);
    const view = windows(
      { seen: frames, action: { values: action, offsets: [0, 1] }, reward },
      { size: 3, segments: [0, 4], pad: { before: 1, after: 2 } },
    );
    for await (const batch of view.batches({ size: 4, shuffle: false })) {
      const { action, reward } = batch.keys as Required<typeof batch.keys> & object;
      // frames -1 to 1, 0 to 2, 1 to 3 and 2 to 4, of which 3 is the last
      expect([...reward!.values]).toEqual([0, 0, 1, 0, 1, 2, 1, 2, 3, 2, 3, 3]);
      expect([...reward!.mask]).toEqual([0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
      expect(reward!.mask).toEqual(batch.mask);
      expect(reward!.offsets).toEqual([-2, -1, 0]);
      expect(reward!.dims).toEqual(["windows", "offsets"]);
      expect(action!.shape).toEqual([4, 2, 2]);
      expect(action!.dims).toBeUndefined();
      expect([...action!.values.subarray(12)]).toEqual([106, 107, 106, 107]);
      break;
    }
    const named = { ...fromTypedArray(reward), dims: ["frame"] };
    const both = windows({ seen: named, reward: named }, { size: 2 });
    for await (const { dims, keys } of both.batches()) {
      expect(dims).toEqual(["windows", "frame"]);
      expect(keys!.reward!.dims).toEqual(["windows", "offsets"]);
    }
  });

  it("have rows at a rate of their own: the last up to a time, within segments of their own", async () => {
    // 10 frames a second, 25 rows a second
    const keys = {
      touch: {
        values: Int32Array.from({ length: 11 }, (_, i) => i),
        rate: 10,
        sampled: 25,
        segments: [0, 6],
        offsets: [-0.1, 0, 0.04],
      },
    };
    const view = windows(counting(4), { size: 1, segments: [0, 2], keys });
    for await (const batch of view.batches({ shuffle: false })) {
      // at 0 and 0.1 s of both segments: rows 0 and 2.5; a row later at 0.04 s
      expect([...batch.keys!.touch!.values]).toEqual([0, 0, 1, 0, 2, 3, 6, 6, 7, 6, 8, 9]);
      expect([...batch.keys!.touch!.mask]).toEqual([0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1]);
    }
  });

  it("are left on disk, narrowed and put on the device, where that is asked for", async () => {
    const values = Float64Array.from({ length: 14 }, (_, i) => 0.1 + i);
    const keys: Record<string, KeyOptions> = {
      wide: { values, offsets: [0, 1], dtype: "float32", onDevice: true },
      half: {
        ...{ values: hidden(fromTypedArray(values, [7, 2])), offsets: [0], rowsIn: "disk" },
        ...{ dtype: "float16", onDevice: true },
      },
      number: {
        values: Int32Array.from({ length: 7 }, (_, i) => -i),
        offsets: [-1],
        onDevice: true,
      },
    };
    const view = windows(frames, { size: 1, segments: [0, 4], keys });
    const batches = view.batches(gpu(), { size: 3, shuffle: 4, prefetch: 0 });
    for await (const batch of batches) {
      for (const key of Object.values(batch.keys!)) {
        const { values, buffer } = key;
        const bytes = Math.ceil(values.byteLength / 4) * 4;
        const read = await readBackBeside(gpu(), buffer!, 0, bytes);
        expect(new Uint8Array(read, 0, values.byteLength))
          .toEqual(new Uint8Array(values.buffer as ArrayBuffer, 0, values.byteLength));
      }
      const { wide, half, number } = batch.keys as Required<typeof batch.keys> & object;
      batch.windows.forEach((window, i) => {
        expect(wide!.values[4 * i]).toBe(Math.fround(0.1 + 2 * window));
        expect(half!.values[2 * i]).toBe(encodeFloat16(Float32Array.of(0.1 + 2 * window))[0]);
        expect(number!.values[i]).toBe(-Math.max(window < 4 ? 0 : 4, window - 1) + 0);
      });
    }
    expect(batches.stats.peakBytes.gpu).toBe(batches.projected.gpu);
    const large = { values: BigInt64Array.from({ length: 7 }, () => 2n ** 60n + 1n), offsets: [0] };
    const wrong = windows(frames, { size: 1, keys: { large: { ...large, dtype: "float32" } } });
    await expect(keepHost(wrong.batches())).rejects
      .toThrow(/row \d of key "large" as float32: it has 1152921504606846977, a whole number/);
    const onDevice = (key: KeyOptions) => () =>
      windows(frames, { size: 1, keys: { y: { ...key, onDevice: true } } }).batches(gpu());
    expect(onDevice(large)).toThrow(/key "y" on the device: it is int64, wanted float32, int32/);
    expect(() => view.batches()).toThrow(/"wide" on the device: batches are made without a GPU/);
  });

  it("count in what batches promise", () => {
    const many = hidden(fromTypedArray(new Float32Array(80_000), [8000, 10]));
    const host = (keys: Record<string, KeyOptions>) =>
      windows(counting(8000), { size: 1, keys }).batches({ size: 10, prefetch: 0 }).projected.host;
    const keys = { y: { values: many, offsets: [0, 1] } };
    expect(host(keys) - host({})).toBeGreaterThanOrEqual(4 * 80_000 + 10 * 2 * 41);
    const view = windows(counting(8000), { size: 1, keys });
    expect(() => view.batches({ budget: 200_000, framesIn: "disk" })).toThrow(BudgetError);
  });

  it("are refused between frames, without a row for each frame, and of no offset", () => {
    const make = (key: object) => () =>
      windows(frames, { size: 1, keys: { y: { values: frames, offsets: [0], ...key } } });
    expect(make({ offsets: [0.5] })).toThrow(/an offset is 0.5, wanted whole frames, or seconds/);
    expect(make({ offsets: [0.25], rate: 10 })).toThrow(
      /at 0.25 s: at 10 frames a second that is 2.5/,
    );
    expect(make({ offsets: [NaN] })).toThrow(/an offset is NaN/);
    expect(make({ offsets: [] })).toThrow(/offsets is empty/);
    expect(make({ values: new Float32Array(6) })).toThrow(
      /got 6 elements, .* each of the 7 frames/,
    );
    expect(make({ values: counting(8) })).toThrow(/it has 8 rows, there are 7 frames/);
    expect(make({ outside: "wrap" })).toThrow(/outside is/);
    expect(make({ sampled: 5 })).toThrow(/5 rows a second, wanted a rate/);
    expect(make({ segments: [0] })).toThrow(/segments of its own, wanted sampled/);
    expect(make({ values: counting(14), rate: 1, sampled: 3 }))
      .toThrow(/it has 14 rows, there are 7 frames: wanted 21 rows, or segments/);
    expect(make({ values: counting(9), rate: 1, sampled: 3, segments: [0, 4] }))
      .toThrow(/it has 2 segments, wanted the 1 that frames have/);
    const odd = { y: { values: new Int8Array(7), offsets: [0], rate: 2, sampled: 1 } };
    expect(() => windows(counting(14), { size: 1, segments: [0, 5], keys: odd }))
      .toThrow(/frames from 0 up to 5 are rows from 0 up to 2.5, wanted whole ones/);
    expect(() => windows({}, { size: 1 })).toThrow(/there is no key/);
    expect(() => windows({ y: { values: frames, offsets: [0] } }, { size: 1 }))
      .toThrow(/key "y" comes first, so that windows are made of it/);
    expect(() => windows({ x: frames, y: frames }, { size: 1, keys: { y: { values: frames } } }))
      .toThrow(/key "y" is given twice/);
  });
});
