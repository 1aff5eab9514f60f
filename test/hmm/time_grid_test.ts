import { describe, expect, it } from "vitest";
import type { TimeGrid } from "../../src/hmm/time_grid.ts";
import {
  binSpikes,
  edgeOf,
  givenGrid,
  gridRange,
  missingRows,
  rateOfStep,
  rowTime,
  timeGrid,
  unevenWarnings,
} from "../../src/hmm/time_grid.ts";
import { seeded } from "../support/random.ts";
import { decoderVectors } from "../support/recordings.ts";
import { sharedDataMissing } from "../support/shared_data.ts";

const countsOf = ({ rowStarts }: { rowStarts: Uint32Array }) =>
  Array.from(rowStarts.subarray(1), (end, row) => end - rowStarts[row]!);

const binned = (times: readonly number[], grid: TimeGrid, missing?: Uint8Array) =>
  binSpikes({ times, units: times.map((_, i) => i % 3) }, grid, missing);

describe("timeGrid()", () => {
  it("has as many whole rows as there is room for, whatever rounding does to the last", () => {
    expect(timeGrid({ start: 0, stop: 1, step: 0.1 }).rows).toBe(10);
    expect(timeGrid({ start: 0, stop: 0.1, step: 0.002 }).rows).toBe(50);
    expect(timeGrid({ start: 0, stop: 0.0999, step: 0.1 / 3 }).rows).toBe(2);
    expect(timeGrid({ start: 0.3, stop: 0.9, rate: 10 }).rows).toBe(6);
    expect(timeGrid({ start: 1.7e9 + 0.1, stop: 1.7e9 + 3600.1, rate: 500 }).rows).toBe(1_800_000);
    expect(timeGrid({ start: 5, stop: 5.002 }).rows).toBe(1);
    expect(timeGrid({ start: 0, stop: 1, step: 0.3 }).rows).toBe(3);
  });

  it("has a stamp at both ends, of the kind that was", () => {
    const kind = "timestamps";
    expect(timeGrid({ kind, start: 0, stop: 1, step: 0.1 }).rows).toBe(11);
    expect(timeGrid({ kind, start: 0, stop: 0.098, step: 0.002 }).rows).toBe(50);
    expect(timeGrid({ kind, start: 5, stop: 5, step: 0.002 }).rows).toBe(1);
    expect(timeGrid({ kind, start: 0, stop: 0.0999, step: 0.1 }).rows).toBe(1);
  });

  it("takes a step for the rate it is meant to be", () => {
    expect([0.002, 0.02, 1 / 3, 1 / 30_000, 0.004, 0.1].map(rateOfStep))
      .toEqual([500, 50, 3, 30_000, 250, 10]);
    expect(rateOfStep(0.3)).toBe(1 / 0.3);
    expect(timeGrid({ start: 0, stop: 1, step: 0.02 })).toEqual(
      timeGrid({ start: 0, stop: 1, rate: 50 }),
    );
  });

  it("has edges that are quotients, and rows at the centres between them", () => {
    const grid = timeGrid({ start: 0.5, stop: 20.5, step: 0.002 });
    for (const row of [0, 1, 3, 4999, 9999, 10_000]) {
      expect(edgeOf(grid, row)).toBe(0.5 + row / 500);
    }
    expect(rowTime(grid, 3)).toBeCloseTo(0.507, 15);
    expect(rowTime({ ...grid, kind: "timestamps" }, 3)).toBe(0.506);
    expect(gridRange(grid)).toEqual([0.5, 20.5]);
  });

  it("refuses what is no grid", () => {
    expect(() => timeGrid({ start: 1, stop: 0, step: 1 })).toThrow(/start is 1 s and stop 0 s/);
    expect(() => timeGrid({ start: NaN, stop: 0, step: 1 })).toThrow(/start is NaN/);
    expect(() => timeGrid({ start: 0, stop: 1, step: -1 })).toThrow(/step is -1 s/);
    expect(() => timeGrid({ start: 0, stop: 1, rate: 0 })).toThrow(/rate is 0 Hz/);
    expect(() => timeGrid({ start: 0, stop: 1, rate: 1, step: 1 })).toThrow(/one of them/);
    expect(() => timeGrid({ start: 0, stop: 9e6, rate: 1000 })).toThrow(/use a larger step/);
    expect(() => timeGrid({ start: 1, stop: 1, step: 1 })).toThrow(/no room for a row of 1 s/);
    expect(() => timeGrid({ start: 0, stop: 1, kind: "bins" as "edges" })).toThrow(/"bins"/);
  });

  it("refuses times that f64 cannot tell apart by a hundredth of a row", () => {
    expect(() => timeGrid({ start: 1.7e9, stop: 1.7e9 + 1, rate: 500 })).not.toThrow();
    expect(() => timeGrid({ start: 1.7e9, stop: 1.7e9 + 1, rate: 30_000 }))
      .toThrow(/too coarse for rows of .*count time from a nearer origin/);
    // as 1.7e9 s in microseconds that were taken for seconds
    expect(() => timeGrid({ start: 1.7e15, stop: 1.7e15 + 1, rate: 500 })).toThrow(/too coarse/);
  });
});

describe("binSpikes()", () => {
  it("counts as a histogram of its edges does: left-closed, the last one closed", () => {
    const random = seeded(2);
    for (const start of [0, -3.3, 1.7e9]) {
      for (const rows of [1, 2, 3, 10]) {
        const grid = timeGrid({ start, stop: start + rows / 4, rate: 4 });
        const edges = Array.from({ length: rows + 1 }, (_, i) => edgeOf(grid, i));
        const times = [
          start - 0.1,
          ...edges,
          ...Array.from({ length: 50 }, () => start + 3 * random()),
          start + 9,
        ].sort((a, b) => a - b);
        const wanted = new Array<number>(rows).fill(0);
        let outside = 0;
        for (const time of times) {
          const row = edges.findIndex((edge, i) =>
            i < rows && edge <= time &&
            (time < edges[i + 1]! || (i === rows - 1 && time === edges[rows]))
          );
          if (row < 0) outside++;
          else wanted[row]!++;
        }
        const bins = binned(times, grid);
        expect(countsOf(bins)).toEqual(wanted);
        expect(bins.dropped).toBe(outside);
        expect(bins.units).toEqual(
          Uint32Array.from(times.keys())
            .filter((i) => times[i]! >= edges[0]! && times[i]! <= edges[rows]!)
            .map((i) => i % 3),
        );
      }
    }
  });

  /** The older rule as it is written: digitize against the inner grid points. */
  function digitized(times: readonly number[], rows: number, step: number): number[] {
    const counts = new Array<number>(rows).fill(0);
    const grid = Array.from({ length: rows }, (_, row) => row * step);
    for (const time of times) {
      if (time < grid[0]! || time > grid.at(-1)!) continue;
      counts[grid.slice(1, -1).filter((inner) => inner <= time).length]!++;
    }
    return counts;
  }

  it("follows digitize() by stamps: the last row empty, the ends inclusive", () => {
    const random = seeded(2);
    for (const rows of [1, 2, 3, 10]) {
      const step = 0.25;
      const onGrid = Array.from({ length: rows }, (_, row) => row * step);
      const times = [-0.1, ...onGrid, ...Array.from({ length: 50 }, () => 3 * random()), 9]
        .sort((a, b) => a - b);
      const bins = binned(times, { kind: "timestamps", start: 0, rate: 4, rows });
      const counts = countsOf(bins);
      expect(counts).toEqual(digitized(times, rows, step));
      expect(bins.units.length + bins.dropped).toBe(times.length);
      if (rows > 1) expect(counts.at(-1)).toBe(0);
    }
  });

  it("has every spike at the start of a row in that row: samples at 30 kHz", () => {
    for (const start of [0, 12.345, 1.6e9]) {
      const grid = timeGrid({ start, stop: start + 20, step: 0.002 });
      // sample 60 i of a clock that starts with the recording
      const times = Array.from({ length: 10_000 }, (_, i) => start + 60 * i / 30_000);
      expect(countsOf(binned(times, grid)).every((count) => count === 1)).toBe(true);
    }
  });

  it("keeps every spike whatever the rows: binning by chunk would lose some", () => {
    const random = seeded(3);
    const times = Array.from({ length: 400 }, () => 2 * random()).sort((a, b) => a - b);
    const { dropped, units } = binned(times, timeGrid({ start: 0, stop: 2, rate: 500 }));
    expect(dropped).toBe(0);
    expect(units.length).toBe(400);
  });

  it("leaves the spikes of missing rows out, and does not call them dropped", () => {
    const grid = timeGrid({ start: 0, stop: 5, rate: 1 });
    const missing = Uint8Array.of(0, 1, 0, 0, 1);
    const bins = binned([-1, 0, 1, 1.5, 2, 2.2, 4, 5, 6], grid, missing);
    expect(countsOf(bins)).toEqual([1, 0, 2, 0, 0]);
    expect(bins.dropped).toBe(2);
    expect(bins.missing).toBe(missing);
    expect(bins.units).toEqual(Uint32Array.of(1, 1, 2));
  });

  it("meets the reference's cases", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const cases = (await decoderVectors()).time_grid;
    expect(cases.length).toBe(3);
    // the same spikes by both rules
    const { spikes } = cases[0]!;
    for (const { edges, timestamps, centers, counts } of cases) {
      const stamps = (edges ?? timestamps)!;
      if (!centers) {
        const grid = timeGrid({
          kind: edges ? "edges" : "timestamps",
          start: stamps[0]!,
          stop: stamps.at(-1)!,
          rate: 1,
        });
        expect(countsOf(binned(spikes!, grid))).toEqual(counts);
        continue;
      }
      const width = (centers.at(-1)! - centers[0]!) / (centers.length - 1);
      const grid = timeGrid({
        start: centers[0]! - width / 2,
        stop: centers.at(-1)! + width / 2,
        step: width,
      });
      expect(grid.rows).toBe(centers.length);
      edges!.forEach((edge, i) => expect(edgeOf(grid, i)).toBeCloseTo(edge, 15));
      centers.forEach((center, row) => expect(rowTime(grid, row)).toBeCloseTo(center, 15));
    }
  });
});

describe("missingRows()", () => {
  it("are those that own any time of a span, by asking every row", () => {
    const random = seeded(6);
    for (const kind of ["edges", "timestamps"] as const) {
      for (let i = 0; i < 50; i++) {
        const grid = timeGrid({ kind, start: -2 + random(), stop: 4, rate: 7 });
        const spans = Array.from({ length: 3 }, () => {
          const from = -4 + 10 * random();
          return [from, from + 3 * random() ** 3] as const;
        });
        const wanted = Array.from({ length: grid.rows }, (_, row) => {
          const from = edgeOf(grid, row);
          const last = row === grid.rows - 1;
          const to = last ? gridRange(grid)[1] : edgeOf(grid, row + 1);
          return spans.some(([start, stop]) => from < stop && (last ? to >= start : to > start));
        });
        const rows = missingRows(grid, spans) ?? new Uint8Array(grid.rows);
        expect([...rows].map(Boolean)).toEqual(wanted);
      }
    }
  });

  it("are not those that rounding alone lets touch", () => {
    for (const start of [0, 0.1, 1.7e9]) {
      const grid = timeGrid({ start, stop: start + 60, rate: 10 });
      const rows = missingRows(grid, [[start + 20, start + 40]])!;
      expect([rows.indexOf(1), rows.lastIndexOf(1)]).toEqual([200, 399]);
    }
  });

  it("are those that are named, too; none at all are undefined", () => {
    const grid = timeGrid({ start: 0, stop: 3, rate: 1 });
    expect(missingRows(grid, [], [false, true, false])).toEqual(Uint8Array.of(0, 1, 0));
    expect(missingRows(grid, [[2.5, 9]], [1, 0, 0])).toEqual(Uint8Array.of(1, 0, 1));
    expect(missingRows(grid, [[-Infinity, 0], [5, Infinity]])).toBeUndefined();
    expect(missingRows(grid, [], [0, 0, 0])).toBeUndefined();
    expect(() => missingRows(grid, [], [1])).toThrow(/1 entries, wanted one for each of 3 rows/);
  });
});

describe("edges of rows that are given", () => {
  const even = (rows: number, start = 0, step = 0.002) =>
    Float64Array.from({ length: rows + 1 }, (_, i) => start + i * step);

  it("own times up to the next, the last row its end too, as those that are laid", () => {
    const grid = givenGrid(Float64Array.from({ length: 13 }, (_, i) => i));
    const spikes = Array.from({ length: 13 }, (_, i) => i);
    expect(countsOf(binned(spikes, grid))).toEqual([...new Array<number>(11).fill(1), 2]);
    const laid = timeGrid({ start: 5, stop: 8, rate: 500 });
    const given = givenGrid(
      Float64Array.from({ length: laid.rows + 1 }, (_, edge) => edgeOf(laid, edge)),
    );
    const random = seeded(3);
    const times = Array.from({ length: 500 }, () => 4.9 + 3.2 * random()).sort((a, b) => a - b);
    const own = binned(times, given);
    expect(own.rowStarts).toEqual(binned(times, laid).rowStarts);
    expect(own.dropped).toBe(binned(times, laid).dropped);
    expect(rowTime(given, 7)).toBe(rowTime(laid, 7));
    expect(missingRows(given, [[5.5, 6]])).toEqual(missingRows(laid, [[5.5, 6]]));
  });

  it("are followed where they drift away from even ones", () => {
    // a camera that is slower in the end: 40 rows late by then, a row never longer by more than 0.1 %
    const edges = even(100_000);
    for (let i = 1; i < edges.length; i++) {
      edges[i] = edges[i - 1]! + 0.002 * (1 + (i < 50_000 ? -8e-4 : 8e-4));
    }
    const grid = givenGrid(edges);
    expect(countsOf(binned([edges[50_000]!], grid)).indexOf(1)).toBe(50_000);
    const missing = missingRows(grid, [[edges[50_000]!, edges[50_003]!]])!;
    expect([missing.indexOf(1), missing.lastIndexOf(1)]).toEqual([50_000, 50_002]);
    expect(unevenWarnings(grid)[0]).toMatch(/uneven by up to 0.08 %/);
    expect(unevenWarnings(givenGrid(even(1000, 1.7e9, 0.02)))).toEqual([]);
  });

  it("are refused by entry where they make no rows, or rows of several lengths", () => {
    const refused = (edges: ArrayLike<number>, told: RegExp) =>
      expect(() => givenGrid(edges)).toThrow(told);
    refused([1], /timeEdges has 1 entries/);
    refused([0, 1, NaN], /timeEdges\[2\] is NaN/);
    refused([0, 1, 1, 2], /timeEdges\[2\] is 1 s after 1 s/);
    refused([0, 1, 2, 3.01], /last from 1 to 1.00\d+ s, as row 2 does/);
    // rows after it are shorter by a rounding
    const withGap = Array.from({ length: 101 }, (_, i) => 1 + i * 0.02 + (i > 50 ? 0.5 : 0));
    refused(withGap, /to 0.52\d* s, as row 50 does/);
    refused(Float32Array.from(even(100, 1.7e9, 1)), /too coarse|after/);
    refused(Float32Array.from(even(20_000, 40)), /stored .* apart, which is too coarse/);
    expect(() => givenGrid(even(3), {})).toThrow(/and time does, too/);
    expect(() => givenGrid(even(3), undefined, "timestamps")).toThrow(/and timeGrid does, too/);
  });
});
