import { describe, expect, it } from "vitest";
import { binSpikes, timeGrid } from "../../src/hmm/time_grid.ts";
import { seeded } from "../support/random.ts";

describe("timeGrid()", () => {
  it("counts both ends, whatever rounding does to the last step", () => {
    expect(timeGrid({ start: 0, stop: 1, step: 0.1 }).rows).toBe(11);
    expect(timeGrid({ start: 0, stop: 0.098, step: 0.002 }).rows).toBe(50);
    expect(timeGrid({ start: 5, stop: 5, step: 0.002 }).rows).toBe(1);
    expect(timeGrid({ start: 0, stop: 0.0999, step: 0.1 }).rows).toBe(1);
  });

  it("refuses what is no grid", () => {
    expect(() => timeGrid({ start: 1, stop: 0, step: 1 })).toThrow(/start is 1 s and stop 0 s/);
    expect(() => timeGrid({ start: NaN, stop: 0, step: 1 })).toThrow(/start is NaN/);
    expect(() => timeGrid({ start: 0, stop: 1, step: -1 })).toThrow(/step is -1 s/);
    expect(() => timeGrid({ start: 0, stop: 1e9, step: 1e-9 })).toThrow(/use a larger step/);
  });
});

describe("binSpikes()", () => {
  /** The rule as it is written: digitize against the inner grid points. */
  function digitized(times: readonly number[], rows: number, step: number): number[] {
    const counts = new Array<number>(rows).fill(0);
    const grid = Array.from({ length: rows }, (_, row) => row * step);
    for (const time of times) {
      if (time < grid[0]! || time > grid.at(-1)!) continue;
      counts[grid.slice(1, -1).filter((inner) => inner <= time).length]!++;
    }
    return counts;
  }

  it("follows digitize(): left-closed rows, the last row empty, the ends inclusive", () => {
    const random = seeded(2);
    for (const rows of [1, 2, 3, 10]) {
      const step = 0.25;
      const onGrid = Array.from({ length: rows }, (_, row) => row * step);
      const times = [-0.1, ...onGrid, ...Array.from({ length: 50 }, () => 3 * random()), 9]
        .sort((a, b) => a - b);
      const units = times.map((_, i) => i % 3);
      const bins = binSpikes({ times, units }, { start: 0, step, rows });
      const counts = Array.from(
        { length: rows },
        (_, row) => bins.rowStarts[row + 1]! - bins.rowStarts[row]!,
      );
      expect(counts).toEqual(digitized(times, rows, step));
      expect(bins.units.length + bins.dropped).toBe(times.length);
      if (rows > 1) expect(counts.at(-1)).toBe(0);
    }
  });

  it("keeps every spike whatever the rows: binning by chunk would lose some", () => {
    const random = seeded(3);
    const times = Array.from({ length: 400 }, () => 1.998 * random()).sort((a, b) => a - b);
    const { dropped, units } = binSpikes(
      { times, units: times.map(() => 0) },
      { start: 0, step: 0.002, rows: 1000 },
    );
    expect(dropped).toBe(0);
    expect(units.length).toBe(400);
  });
});
