import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import type { Codes } from "../../src/cluster/codes.ts";
import { codesOf } from "../../src/cluster/codes.ts";
import type { LloydOptions } from "../../src/cluster/lloyd.ts";
import { bestOf, Lloyd, runsHeld } from "../../src/cluster/lloyd.ts";
import { Tally, tallyHeld } from "../../src/cluster/tally.ts";
import { Points } from "../../src/feed/points.ts";
import type { Tile } from "../../src/stream/pass.ts";
import { createHeld } from "../../src/stream/task.ts";

const { signal } = new AbortController();
/** Rows that lie far from being ties. */
const CLEAR = 1e6;

/** Rows of one feature, and how far the device found them from the code it gave them. */
function column(values: readonly number[], centers: readonly number[], ids: readonly number[]) {
  const points = new Points(fromTypedArray(Float64Array.from(values), [values.length, 1]), {
    action: "cluster",
    exact: true,
  });
  const nearness = new Float32Array(2 * values.length);
  values.forEach((value, row) => {
    nearness[2 * row] = (value - centers[ids[row]!]!) ** 2;
    const two = centers.map((center) => (value - center) ** 2).sort((a, b) => a - b);
    nearness[2 * row + 1] = two[1] === two[0] ? 0 : CLEAR;
  });
  const tile = { start: 0, end: values.length } as Tile;
  return { points, tile, ids: Uint32Array.from(ids), nearness };
}

/** Sums of what is left of rows, by code, as the device has them. */
function sumsOf(values: readonly number[], centers: readonly number[], ids: readonly number[]) {
  const sums = new Float32Array(centers.length);
  values.forEach((value, row) => sums[ids[row]!]! += value - centers[ids[row]!]!);
  return sums;
}

function tallyOf(points: Points, codes: Codes) {
  const held = createHeld(tallyHeld(1, codes.centers.length / points.features, points.features));
  return { tally: new Tally(points, codes, held), squared: held.squared };
}

async function tallied(values: number[], centers: number[], ids: number[]) {
  const { points, tile, nearness, ids: own } = column(values, centers, ids);
  const { tally, squared } = tallyOf(points, codesOf(Float64Array.from(centers)));
  await tally.takeRows(tile, own, nearness, signal);
  tally.takeSums(sumsOf(values, centers, ids));
  return { tally, squared };
}

describe("a tally of rows", () => {
  it("moves every code to the mean of its rows", async () => {
    const { tally, squared } = await tallied([0, 1, 2, 9, 10, 14], [0, 10], [0, 0, 0, 1, 1, 1]);
    expect([...tally.counts]).toEqual([3, 3]);
    expect([...squared]).toEqual([0 + 1 + 4, 1 + 0 + 16]);
    expect([...tally.moved(tally.counts, false).centers]).toEqual([1, 11]);
  });

  it("takes a row that is as near to two codes for the lowest, whatever the device said", async () => {
    // 5 is half way, and the device gave it to the second
    const ids = [0, 0, 0, 1, 1, 1, 1];
    const { tally, squared } = await tallied([0, 1, 2, 9, 10, 11, 5], [0, 10], ids);
    expect([...tally.counts]).toEqual([4, 3]);
    expect([...squared]).toEqual([0 + 1 + 4 + 25, 1 + 0 + 1]);
    expect([...tally.moved(tally.counts, false).centers]).toEqual([2, 10]);
  });

  it("decides anew what f32 may have turned around, and nothing else", async () => {
    // a little nearer to the second code than to the first, which the device said
    const value = 5 + 2 ** -30;
    for (const [margin, code] of [[1e-5, 1], [1, 0]] as const) {
      const { points, tile, nearness, ids } = column([value], [0, 10], [0]);
      nearness[1] = margin;
      const { tally } = tallyOf(points, codesOf(Float64Array.of(0, 10)));
      await tally.takeRows(tile, ids, nearness, signal);
      expect(tally.counts[code], `margin ${margin}`).toBe(1);
    }
  });

  it("decides anew what codes leave over of those that the device has", async () => {
    // half way lies at 5.0005, and for the device at 5
    const codes = { centers: Float64Array.of(0, 10.001), coarse: Float32Array.of(0, 10) };
    const { points, tile, nearness, ids } = column([5.0002], [0, 10], [1]);
    nearness[1] = 5.0002 ** 2 - 4.9998 ** 2;
    const { tally } = tallyOf(points, codes);
    await tally.takeRows(tile, ids, nearness, signal);
    expect([...tally.counts]).toEqual([1, 0]);
  });

  it("adds blocks up in f64", async () => {
    const { points, tile, nearness, ids } = column(Array(8).fill(0), [0, 100], Array(8).fill(0));
    const { tally } = tallyOf(points, codesOf(Float64Array.of(0, 100)));
    await tally.takeRows(tile, ids, nearness, signal);
    // f32 has no 2^24 + 1
    tally.takeSums(Float32Array.of(2 ** 24, 0));
    for (let block = 0; block < 8; block++) tally.takeSums(Float32Array.of(1, 0));
    expect([...tally.moved(tally.counts, false).centers]).toEqual([2 ** 21 + 1, 100]);
  });

  it("gives a code without rows the farthest one, which then counts for it alone", async () => {
    const { tally } = await tallied([0, 1, 2, 9, 10, 17], [0, 10, 100], [0, 0, 0, 1, 1, 1]);
    await tally.fillEmpty(signal);
    expect([...tally.counts]).toEqual([3, 2, 1]);
    expect([...tally.moved(tally.counts, false).centers]).toEqual([1, 9.5, 17]);
  });

  it("gives two codes without rows the two farthest, the farthest to the first", async () => {
    const rows = [0, 1, 2, -6, 10, 17];
    const { tally } = await tallied(rows, [0, 50, 10, 60], [0, 0, 0, 0, 2, 2]);
    await tally.fillEmpty(signal);
    expect([...tally.counts]).toEqual([3, 1, 1, 1]);
    expect([...tally.moved(tally.counts, false).centers]).toEqual([1, 17, 10, -6]);
  });

  it("moves a code by its part of all rows that were seen", async () => {
    const { tally } = await tallied([1, 2, 3], [0, 10], [0, 0, 0]);
    // three of twelve rows: a quarter of the way to their mean
    expect([...tally.moved(Float64Array.of(12, 5), false).centers]).toEqual([0.5, 10]);
  });

  it("keeps codes of length 1 when they are to have it", async () => {
    const points = new Points(fromTypedArray(Float64Array.of(3, 0, 3, 8), [2, 2]), {
      action: "cluster",
      exact: true,
    });
    const codes = codesOf(Float64Array.of(1, 0, 0, -1));
    const { tally } = tallyOf(points, codes);
    await tally.takeRows(
      { start: 0, end: 2 } as Tile,
      Uint32Array.of(0, 0),
      Float32Array.of(4, CLEAR, 68, CLEAR),
      signal,
    );
    tally.takeSums(Float32Array.of(2 + 2, 0 + 8, 0, 0));
    // the mean is (3, 4)
    expect([...tally.moved(tally.counts, true).centers]).toEqual([0.6, 0.8, 0, -1]);
  });
});

/** A run from these centres. */
function runFrom(points: Points, centers: readonly number[], options: LloydOptions): Lloyd {
  const held = createHeld(runsHeld(1, centers.length, points.features));
  held.centers.set(centers);
  const run = new Lloyd(points, held, 0, options);
  run.start();
  return run;
}

const factsOf = ({ iterations, moving, converged, inertia }: Lloyd) => ({
  iterations,
  moving,
  converged,
  inertia,
});

describe("a run of Lloyd's algorithm", () => {
  const options = { maxIterations: 5, tolerance: 4, spherical: false };

  async function sweep(run: Lloyd, values: number[], ids: number[]): Promise<void> {
    const centers = [...run.codes.centers];
    const { tile, nearness, ids: own } = column(values, centers, ids);
    run.beginSweep();
    await run.tally.takeRows(tile, own, nearness, signal);
    run.tally.takeSums(sumsOf(values, [...run.codes.coarse], ids));
    await run.update(signal);
  }

  it("ends when all codes together move by no more than the tolerance, squared", async () => {
    const values = [-1, 3, 9, 13];
    const ids = [0, 0, 1, 1];
    // by 4, by 6.25, and by 4 + 1
    for (const [first, second, isOver] of [[-1, 11, true], [-1.5, 11, false], [-1, 12, false]]) {
      const { points } = column(values, [0, 10], ids);
      const run = runFrom(points, [first as number, second as number], options);
      await sweep(run, values, ids);
      expect([run.converged, run.moving]).toEqual([isOver, !isOver]);
      expect([...run.codes.centers]).toEqual([1, 11]);
    }
  });

  it("ends after so many iterations, and has no inertia of codes that moved", async () => {
    const values = [0, 2, 10, 12];
    const ids = [0, 0, 1, 1];
    const { points } = column(values, [0, 10], ids);
    const run = runFrom(points, [-5, 20], { ...options, maxIterations: 1 });
    await sweep(run, values, ids);
    const facts = { iterations: 1, moving: false, converged: false };
    expect(factsOf(run)).toEqual({ ...facts, inertia: NaN });
    expect(run.active).toBe(true);
    // a sweep more measures it
    await sweep(run, values, ids);
    expect(factsOf(run)).toEqual({ ...facts, inertia: 4 });
    expect(run.active).toBe(false);
  });

  it("leaves the centres of other runs alone, and the first of the best is the best", async () => {
    const values = [0, 2, 10, 12];
    const ids = [0, 0, 1, 1];
    const { points } = column(values, [0, 10], ids);
    const held = createHeld(runsHeld(2, 2, 1));
    held.centers.set([0, 10, 3, 30]);
    const runs = [0, 1].map((run) => new Lloyd(points, held, run, options));
    for (const run of runs) run.start();
    expect([...runs[1]!.codes.centers]).toEqual([3, 30]);
    await sweep(runs[0]!, values, ids);
    expect([...held.centers]).toEqual([1, 11, 3, 30]);
    expect(runs.map(({ iterations }) => iterations)).toEqual([1, 0]);
    const equal = [5, 3, 3, 4].map((inertia) => ({ inertia }) as Lloyd);
    expect(bestOf(equal)).toBe(equal[1]);
  });
});
