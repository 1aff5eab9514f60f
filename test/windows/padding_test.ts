import { describe, expect, it } from "vitest";
import { windows } from "../../src/windows/windows.ts";
import { useGpu } from "../support/gpu.ts";
import { framesOf, hidden, keepDevice, keepHost, someFrames } from "../support/window_frames.ts";

const gpu = useGpu({ budget: "4 MiB" });

/** Frames 1, 2, 3, ... of one feature. */
const counting = (frames: number) =>
  framesOf(Float32Array.from({ length: frames }, (_, i) => i + 1), 1);

describe("padded windows", () => {
  it("have the first and the last frame of their segment again, or 0, and say which are real", async () => {
    for (const [mode, first, last] of [["edge", 4, 6], ["zero", 0, 0]] as const) {
      const view = windows(counting(6), {
        size: 3,
        segments: [0, 3],
        pad: { before: 2, after: 1, mode },
        labels: Int32Array.of(10, 20, 30, 40, 50, 60),
      });
      expect(view.shape).toEqual([8, 3, 1]);
      const wanted = [[first, first, 4], [first, 4, 5], [4, 5, 6], [5, 6, last]];
      expect([...await view.read(4, 8)]).toEqual(wanted.flat());
      for await (const batch of view.batches({ size: 8, shuffle: false })) {
        expect([...batch.frames.subarray(12)]).toEqual(wanted.flat());
        expect([...batch.mask!.subarray(12)]).toEqual([0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0]);
        expect([...batch.labels!]).toEqual([10, 20, 30, 30, 40, 50, 60, 60]);
      }
    }
  });

  it("begin at every frame of an episode, however short it is", async () => {
    // chunks of 100 in episodes of 400 lose a quarter of their starts without
    const base = framesOf(someFrames(1200, 2), 2);
    const grid = { size: 100, segments: [0, 400, 800] };
    expect(windows(base, grid).shape[0]).toBe(3 * 301);
    const view = windows(base, { ...grid, pad: { after: 99 } });
    expect(view.shape[0]).toBe(1200);
    expect(Array.from({ length: 1200 }, (_, window) => view.startOf(window)))
      .toEqual(Array.from({ length: 1200 }, (_, frame) => frame));
    // two frames in all, and windows of five
    const short = windows(counting(2), { size: 5, pad: { before: 4, after: 4, mode: "zero" } });
    const wanted = [[0, 0, 0, 0, 1], [0, 0, 0, 1, 2], [0, 0, 1, 2, 0], [0, 1, 2, 0, 0], [
      1,
      2,
      0,
      0,
      0,
    ], [2, 0, 0, 0, 0]];
    for (const framesIn of ["host", "disk", "device"] as const) {
      const options = { size: 6, shuffle: false as const, framesIn };
      if (framesIn !== "device") {
        expect([...(await keepHost(short.batches(options)))[0]!.values]).toEqual(wanted.flat());
      }
      const [kept] = await keepDevice(gpu(), short.batches(gpu(), options));
      expect([...kept!.values]).toEqual(wanted.flat());
    }
  });

  it("are the same of halves, held and handed out as they are or widened, an odd number in a row", async () => {
    const view = windows(framesOf(someFrames(40, 3), 3), {
      ...{ size: 4, segments: [0, 17], pad: { before: 3, after: 2 } },
    });
    const options = { size: 12, shuffle: 4 };
    const wanted = await keepHost(view.batches(options));
    for (const hold of ["float32", "float16"] as const) {
      for (const framesIn of ["device", "host", "disk"] as const) {
        for (const dtype of hold === "float16" ? ["float16", "float32"] as const : []) {
          const own = { ...options, framesIn, hold, dtype };
          expect(await keepDevice(gpu(), view.batches(gpu(), own))).toEqual(wanted);
          if (framesIn !== "device") expect(await keepHost(view.batches(own))).toEqual(wanted);
        }
      }
    }
  });

  it("keep within what they promise", async () => {
    const view = windows(hidden(framesOf(someFrames(300, 3), 3)), {
      ...{ size: 6, segments: [0, 100], pad: { before: 5, after: 5 } },
    });
    for (const framesIn of ["device", "host", "disk"] as const) {
      const batches = view.batches(gpu(), { size: 16, framesIn });
      await keepDevice(gpu(), batches);
      expect(batches.stats.peakBytes.gpu).toBe(batches.projected.gpu);
      expect(batches.stats.peakBytes.host).toBe(batches.projected.host);
    }
  });

  it("are refused where a window would have no real frame, or labels lie beyond", () => {
    const make = (options: object) => () => windows(counting(9), { size: 3, ...options });
    expect(make({ pad: { before: 3 } })).toThrow(
      "Cannot pad windows: before is 3, windows of 3 frames want at least one real, so at most 2",
    );
    expect(make({ pad: { after: 1 }, delay: 1, labels: new Int8Array(9) }))
      .toThrow(/after is 1 and labels come 1 frames later/);
    expect(make({ pad: { mode: "wrap" } })).toThrow(/mode is .*wrap.* edge, zero/);
    expect(() => windows(counting(9), { size: 3, pad: { before: 1 } }).starts())
      .toThrow(/Cannot list the starts of windows: padded ones/);
  });

  it("are other windows to a cursor", async () => {
    const view = (pad: object) => windows(counting(9), { size: 3, pad });
    for await (const { cursor } of view({ before: 1 }).batches({ size: 2 })) {
      for (const pad of [{ after: 1 }, { before: 1, mode: "zero" }, { before: 2 }]) {
        await expect(keepHost(view(pad).batches({ from: cursor }))).rejects
          .toThrow(/made with other windows/);
      }
      break;
    }
  });
});

describe("segments", () => {
  const wanted = [{ start: 0, end: 3 }, { start: 3, end: 7 }];
  const of = (segments: never) => windows(counting(7), { size: 2, segments }).segments;

  it("are told by first frames, ends, pairs and ids", () => {
    for (const given of [[0, 3], Int32Array.of(0, 3), [[0, 3], [3, 7]], { ends: [3, 7] }]) {
      expect(of(given as never)).toEqual(wanted);
    }
    const ids = { ids: BigInt64Array.of(8n, 8n, 8n, 5n, 5n, 5n, 5n) };
    expect(of(ids as never)).toEqual([{ ...wanted[0], id: 8 }, { ...wanted[1], id: 5 }]);
    const some = windows(counting(7), { size: 2, segments: [[1, 3], [4, 6]] });
    expect([...some.starts()]).toEqual([1, 4]);
    // numbers that f64 does not tell apart
    const [one, other] = [2n ** 53n, 2n ** 53n + 1n];
    expect(of({ ids: BigInt64Array.of(one, one, one, other, other, other, other) } as never))
      .toEqual([
        { ...wanted[0], id: String(one) },
        { ...wanted[1], id: String(other) },
      ]);
    const named = windows(counting(7), { size: 2, segments: ids });
    expect(named.select([5]).segments).toEqual([{ ...wanted[1], id: 5 }]);
    expect(named.split([8])[1].segments[0]!.id).toBe(5);
    expect(() => named.select([1])).toThrow(
      /Cannot choose segment 1: there are 2, with ids from 8 to 5/,
    );
  });

  it("are refused where they overlap, leave the frames or come twice", () => {
    const refused = (segments: unknown) => () => of(segments as never);
    expect(refused({ ends: [3, 6] })).toThrow(
      "the last segment ends at frame 6, there are 7 frames",
    );
    expect(refused({ ends: [3, 3, 7] })).toThrow(/segment 1 has the frames from 3 up to 3/);
    expect(refused([[0, 3], [2, 7]])).toThrow(/segment 1 is \[2,7\], wanted .* frames from 3 to 7/);
    expect(refused([[0, 8]])).toThrow(/segment 0 is \[0,8\]/);
    expect(refused([[0, 3, 4]])).toThrow(/segment 0 is \[0,3,4\]/);
    expect(refused([[0.5, 3]])).toThrow(/segment 0 is/);
    expect(refused({ ids: [1, 1, 2, 2, 1, 1, 1] })).toThrow(/frame 4 has the id 1 again/);
    expect(refused({ ids: [1] })).toThrow(/got 1 ids, there are 7 frames/);
    expect(refused({ ends: [] })).toThrow(/ends of segments are empty/);
  });
});
