import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../../src/array/array.ts";
import {
  aheadBehind,
  distanceFromAnimal,
  mapPosition,
  mapSpeed,
} from "../../../src/hmm/decoder.ts";
import type { Grid } from "../../../src/hmm/grid.ts";
import { trackGrid } from "../../../src/hmm/track_grid.ts";
import { boxGrid } from "../../support/hmm_problem.ts";

/** Rows that are certain of a bin, or of none where it is -1, a second apart from 0.5 on. */
function certain(grid: Grid, bins: number[]) {
  const width = grid.interiorIndex.length;
  const posterior = new Float32Array(bins.length * width);
  bins.forEach((bin, row) => {
    if (bin >= 0) posterior[row * width + bin] = 1;
  });
  const time = Float64Array.from(bins, (_, row) => row + 0.5);
  return {
    grid,
    posterior: fromTypedArray(posterior, [bins.length, width]),
    time: fromTypedArray(time),
  };
}

/** Two bins of 2 up a stem, then a junction, and three bins of 2 to each side: 0, 1; 2, 3, 4; 5, 6, 7. */
const fork = trackGrid({
  nodes: [[0, 0], [0, 4], [-6, 4], [6, 4]],
  edges: [[0, 1], [1, 2], [1, 3]],
  edgeSpacing: 5,
}, 2);

/** A wall between two columns but for the last row. */
const walled = boxGrid([3, 4], (x, y) => x !== 1 || y === 3);

const at = (values: number[][], times = values.map((_, i) => i)) => ({
  times,
  values: values.flat(),
  shape: [values.length, values[0]!.length],
});

describe("mapPosition()", () => {
  it("is the centre of the likeliest bin of all states together, the first of equals", async () => {
    const grid = boxGrid([3]);
    const posterior = Float32Array.of(
      0.3,
      0.2,
      0,
      0,
      0.2,
      0.3,
      0.25,
      0,
      0.25,
      0,
      0.25,
      0.25,
      0,
      0,
      0,
      0,
      0,
      0,
    );
    const [found] = await mapPosition({ grid, posterior: fromTypedArray(posterior, [3, 6]) });
    expect([...found!]).toEqual([1.5, 2.5, NaN]);
  });
});

describe("mapSpeed()", () => {
  it("goes by the ways of a track, half the way from the row before to the row after", async () => {
    const speed = await mapSpeed(certain(fork, [0, 1, 5, 2, 2]), { smoothStd: 0 });
    // 2; 3 + 1 over 2; the way from bin 1 to bin 2 over 2; from 5 to 2 over 2; nothing
    expect([...speed]).toEqual([2, 2, 1, 1, 0]);
  });

  it("goes around walls, and is NaN where a row has no place, and beside it", async () => {
    const speed = await mapSpeed(certain(walled, [0, 5, -1, 0, 0]), { rate: 10, smoothStd: 0 });
    // along y to the gap, across it, and back
    const around = 2 + 2 * Math.SQRT2 + 2;
    expect(speed[0]).toBeCloseTo(10 * around, 12);
    expect([...speed.subarray(1, 4)]).toEqual([NaN, NaN, NaN]);
    expect(speed[4]).toBe(0);
  });

  it("smooths, with nothing beyond the ends", async () => {
    const places = [0, 2, 4, 6, 8, 10, 12, 14, 16];
    const grid = boxGrid([17]);
    const smooth = await mapSpeed(certain(grid, places), { smoothStd: 1 });
    const weights = Array.from({ length: 17 }, (_, i) => Math.exp(-0.5 * (i - 8) ** 2));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const inside = (row: number) =>
      places.reduce((sum, _, other) => sum + (weights[other - row + 8] ?? 0), 0) / total;
    places.forEach((_, row) => expect(smooth[row]).toBeCloseTo(2 * inside(row), 12));
  });

  it("of a single row is NaN, and wants a rate where there are no times", async () => {
    expect([...await mapSpeed(certain(fork, [0]))]).toEqual([NaN]);
    const { time: _, ...bare } = certain(fork, [0, 1]);
    await expect(mapSpeed(bare)).rejects.toThrow("the posterior has no times, wanted `rate`");
  });
});

describe("distanceFromAnimal()", () => {
  it("is straight on a line and in a box, or around walls", async () => {
    const position = at([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]);
    const source = certain(walled, [5, -1]);
    expect([...await distanceFromAnimal(source, { position })]).toEqual([2, NaN]);
    const [around] = await distanceFromAnimal(source, { position, aroundWalls: true });
    expect(around).toBeCloseTo(4 + 2 * Math.SQRT2, 12);
    // behind it in its own bin: no way at all, and no -0
    const own = { ...source, posterior: certain(walled, [0, 0]).posterior };
    const ahead = at([[0.75, 0.5], [0.75, 0.5], [0.75, 0.5]]);
    const signed = { position: ahead, direction: [0, 0, 0], aroundWalls: true };
    expect([...await aheadBehind(own, signed)]).toEqual([0, 0]);
    const line = { times: [0, 1, 2, 3], values: [0, 1, 2, 3] };
    expect([...await distanceFromAnimal(certain(boxGrid([9]), [0, 8, 2]), { position: line })])
      .toEqual([0, 7, 0]);
  });

  it("is NaN in gaps, before and after the animal was tracked, and beside unknown positions", async () => {
    const times = [2, 3, 4, 5, 30, 31, 32];
    const values = [1, 1, NaN, 1, 1, 1, 1];
    const bins = Array.from({ length: 36 }, () => 0);
    const found = await distanceFromAnimal(certain(boxGrid([9]), bins), {
      position: { times, values },
    });
    const known = [...found.keys()].filter((row) => !Number.isNaN(found[row]!));
    // rows are centred at half seconds, and a stretch goes on for half an interval
    expect(known).toEqual([1, 2, 5, 29, 30, 31, 32].filter((row) => found[row] === 0.5));
    expect(known).toContain(2);
    expect(known).not.toContain(3);
    expect(known).not.toContain(10);
  });
});

describe("aheadBehind()", () => {
  it("goes by the way on a track, and by the end of the edge that the head points to", async () => {
    const source = certain(fork, [1, 0, 4, 7, 0, 7]);
    const position = at([[0, 1], [0, 1], [0, 1], [0, 1], [-2, 4.5], [-2, 4], [-2, 4], [-2, 4]], [
      0,
      1,
      2,
      3,
      4,
      5,
      6,
      7,
    ]);
    const up = Array.from({ length: 8 }, () => Math.PI / 2);
    const ahead = await aheadBehind(source, { position, direction: up });
    // from (0, 1): to 3; on it; 3 + 5; half way to (-2, 4.5) in the last
    expect([...ahead.subarray(0, 3)].map((value) => Number(value.toFixed(12)))).toEqual([2, 0, 8]);
    const west = Array.from({ length: 8 }, () => Math.PI);
    const behind = await aheadBehind(source, { position, direction: west });
    expect(behind[4]).toBe(-5);
    expect(behind[5]).toBe(-7);
    const east = west.map(() => 0);
    expect((await aheadBehind(source, { position, direction: east }))[5]).toBe(7);
    expect([...await distanceFromAnimal(source, { position })]).toEqual([...ahead].map(Math.abs));
  });

  it("has all behind it at the end of a track that the head points off", async () => {
    const bent = trackGrid({ nodes: [[0, 0], [5, 0], [5, 6]], edges: [[0, 1], [1, 2]] }, 2);
    // beyond the first node
    const position = at(Array.from({ length: 4 }, () => [-1, 0.3]));
    const source = certain(bent, [0, 2, 3]);
    const ways = [5 / 6, 5 / 6 * 5, 6];
    for (const [head, sign] of [[Math.PI, -1], [0, 1]] as const) {
      const found = await aheadBehind(source, { position, direction: [head, head, head, head] });
      ways.forEach((way, row) => expect(found[row]).toBeCloseTo(sign * way, 12));
    }
  });

  it("is told by a quarter turn in a box, and by the sign on a line", async () => {
    const source = certain(boxGrid([9, 9]), [80, 0, 40]);
    const position = at([[4.5, 4.5], [4.5, 4.5], [4.5, 4.5], [4.5, 4.5]]);
    const direction = [0, 0, 0, 0];
    const far = Math.hypot(4, 4);
    expect([...await aheadBehind(source, { position, direction })]).toEqual([far, -far, 0]);
    const line = { times: [0, 1, 2, 3], values: [4.5, 4.5, 4.5, 4.5] };
    const on = certain(boxGrid([9]), [8, 0, 4]);
    expect([...await aheadBehind(on, { position: line, direction })]).toEqual([4, -4, 0]);
    const back = direction.map(() => Math.PI);
    expect([...await aheadBehind(on, { position: line, direction: back })]).toEqual([-4, 4, 0]);
  });

  it("turns by the shorter way between samples, and is NaN beside unknown directions", async () => {
    const line = { times: [0, 1, 2, 3], values: [4.5, 4.5, 4.5, 4.5] };
    const on = certain(boxGrid([9]), [8, 8, 8]);
    // half way between 170 and -170 degrees is 180, between -170 and 0 it is -85
    const turn = 170 / 180 * Math.PI;
    expect(
      [...await aheadBehind(on, { position: line, direction: [turn, -turn, 0, NaN] })].map(
        Math.sign,
      ),
    )
      .toEqual([-1, 1, NaN]);
  });

  it("is NaN where there is no way", async () => {
    const apart = trackGrid(
      { nodes: [[0, 0], [4, 0], [0, 9], [4, 9]], edges: [[0, 1], [2, 3]] },
      2,
    );
    const found = await aheadBehind(certain(apart, [3, 1]), {
      position: at([[1, 0], [1, 0], [1, 0]]),
      direction: [0, 0, 0],
    });
    expect([...found]).toEqual([NaN, 2]);
  });

  it("refuses what does not belong together", async () => {
    const source = certain(fork, [0]);
    const position = at([[0, 1], [0, 1]]);
    await expect(aheadBehind(source, { position, direction: [0] })).rejects.toThrow(
      "there are 1 directions, wanted one for each of 2 samples",
    );
    await expect(distanceFromAnimal(source, { position: { times: [0, 1], values: [0, 1] } }))
      .rejects.toThrow("the position has 1 dimensions, wanted 2");
    await expect(distanceFromAnimal(source, { position, aroundWalls: true })).rejects.toThrow(
      "aroundWalls is for boxes, and positions lie on a track",
    );
    const { time: _, ...timeless } = source;
    await expect(distanceFromAnimal(timeless, { position })).rejects.toThrow("has no times");
  });
});
