import { describe, expect, it } from "vitest";
import { cutLanes, largestDivisor } from "../../src/hmm/lane_cuts.ts";
import { Channel } from "../../src/stream/channel.ts";
import { boundaryOf, endOf, laneRows, stagesOf, startOf } from "../../src/stream/lanes.ts";
import type { Pass, Tile } from "../../src/stream/pass.ts";
import { cutRows, tilesBetween } from "../../src/stream/pass.ts";

describe("rows", () => {
  it("are cut at multiples of the tile, and of another number, wherever they begin", () => {
    expect(cutRows(0, 10, 4)).toEqual([0, 4, 8, 10]);
    expect(cutRows(0, 8, 4)).toEqual([0, 4, 8]);
    expect(cutRows(3, 10, 4)).toEqual([3, 4, 8, 10]);
    expect(cutRows(3, 10, 4, 6)).toEqual([3, 4, 6, 8, 10]);
    expect(cutRows(-5, 3, 4)).toEqual([-5, -4, 0, 3]);
    expect(cutRows(7, 7, 4)).toEqual([7]);
    expect(tilesBetween([3, 4, 8], { firstLane: 1, lanes: 2 })).toEqual([
      { start: 3, end: 4, firstLane: 1, lanes: 2 },
      { start: 4, end: 8, firstLane: 1, lanes: 2 },
    ]);
  });
});

describe("lanes", () => {
  const cut = (rows: number, lanes: number, burnInRows = 100) =>
    cutLanes(rows, 0.02, { lanes, burnInRows }, { software: false });

  it("are cut at multiples of 64 rows, of which the last has the rest", () => {
    expect(cut(1000, 3)).toMatchObject({ count: 3, rows: 384, burnInRows: 100 });
    expect(cut(1000, 1)).toMatchObject({ count: 1, rows: 1000 });
    // five of 256 would be more than there are
    expect(cut(1000, 5)).toMatchObject({ count: 4, rows: 256 });
    // a burn-in reaches no further than the lane before
    expect(cut(1000, 3, 5000).burnInRows).toBe(384);
  });

  it("are as many as keep burn-ins short, and none on software", () => {
    const auto = (software: boolean, chunkRows?: number) =>
      cutLanes(100_000, 0.02, { burnInRows: 1000 }, { software, chunkRows });
    // burn-ins of 1,000 rows are at most a quarter of a lane
    expect(auto(false)).toMatchObject({ count: 25, rows: 4032, burnInRows: 1000 });
    expect(auto(true)).toMatchObject({ count: 1, rows: 100_000 });
    // chunks divide a lane
    expect(auto(false, 1000).rows % 1000).toBe(0);
    expect(largestDivisor(12, 5)).toBe(4);
    expect(largestDivisor(13, 5)).toBe(1);
    expect(largestDivisor(6, 100)).toBe(6);
  });

  it("are burnt in, swept and repaired, from where each pass begins", () => {
    const lanes = { count: 3, rows: 64, burnInRows: 20, tolerance: 1e-5, distance: () => 0 };
    const pass = (direction: "forward" | "backward", more = {}) =>
      ({ name: direction, direction, carry: { buffer: "x", bytes: 4 }, ...more }) as Pass;
    const layout = { rows: 150, lanes, passes: [pass("forward"), pass("backward")] };
    expect(laneRows(layout)).toBe(64);
    const stages = stagesOf(layout);
    expect(stages.map(({ name, low, high }) => [name, low, high])).toEqual([
      ["forward burn-in", -20, 0],
      ["forward", 0, 64],
      ["forward repair", 0, 64],
      ["backward burn-in", 64, 84],
      ["backward", 0, 64],
      ["backward repair", 0, 64],
    ]);
    expect(stages.map((stage) => [startOf(stage), endOf(stage)])).toEqual([
      [-20, 0],
      [0, 64],
      [0, 64],
      [84, 64],
      [64, 0],
      [64, 0],
    ]);
    const tile = { start: 3, end: 9 } as Tile;
    expect([boundaryOf(pass("forward"), tile), boundaryOf(pass("backward"), tile)]).toEqual([9, 3]);
    // one lane has nothing to meet, a pass without a carry nothing to burn in
    expect(stagesOf({ ...layout, lanes: { ...lanes, count: 1 } }).map(({ name }) => name))
      .toEqual(["forward", "backward"]);
    const own = { ...pass("forward", { rows: 7 }), carry: undefined } as unknown as Pass;
    expect(stagesOf({ rows: 150, passes: [own] })).toMatchObject([{ low: 0, high: 7 }]);
  });
});

describe("a channel", () => {
  it("hands items over in order, to those who wait in theirs", async () => {
    const channel = new Channel<number>();
    channel.put(1);
    channel.put(2);
    expect([await channel.take(), await channel.take()]).toEqual([1, 2]);
    const waiting = [channel.take(), channel.take()];
    channel.put(3);
    channel.put(4);
    expect(await Promise.all(waiting)).toEqual([3, 4]);
  });

  it("fails all who wait, and who come later, for the first reason", async () => {
    const channel = new Channel<number>();
    const waiting = channel.take();
    channel.fail(new Error("first"));
    channel.fail(new Error("second"));
    channel.put(5);
    await expect(waiting).rejects.toThrow("first");
    await expect(channel.take()).rejects.toThrow("first");
  });
});
