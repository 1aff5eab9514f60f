import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import type { ChunkedArray } from "../../src/chunked_array.ts";
import { readTogether } from "../../src/plot/blocks.ts";
import { Columns, LineColumns, ruleOf, SeriesColumns } from "../../src/plot/columns.ts";
import { Extent, Histogram, Plane } from "../../src/plot/scatter.ts";
import { classSections, rocPoints } from "../../src/plot/curves.ts";
import { auroc } from "../../src/math/classification.ts";
import { seeded } from "../support/random.ts";

const random = seeded(4);
const rows = 1009;
const values = Float64Array.from({ length: rows }, () => random() - 0.5);
const range = { low: -0.5, high: rows - 0.5 };

describe("rows as columns", () => {
  it("have the mean, the least and the largest of all rows that fall on them", () => {
    for (const count of [1, 7, 100, rows, 3 * rows]) {
      const columns = new Columns(range, count);
      const series = new SeriesColumns(columns);
      values.forEach((value, row) => series.add(row, value));
      const own = Array.from({ length: count }, (): number[] => []);
      values.forEach((value, row) =>
        own[Math.floor((row + 0.5) / rows * count + 1e-9)]!.push(value)
      );
      own.forEach((some, column) => {
        const mean = some.reduce((sum, value) => sum + value, 0) / some.length;
        if (some.length === 0) expect(series.means[column]).toBeNaN();
        else expect(series.means[column]).toBeCloseTo(mean, 12);
        expect(series.low[column]).toBe(some.length ? Math.min(...some) : NaN);
        expect(series.high[column]).toBe(some.length ? Math.max(...some) : NaN);
      });
      expect(series.isThinned).toBe(count < rows);
    }
  });

  it("leave out what is no number, and what lies outside", () => {
    const series = new SeriesColumns(new Columns({ low: 0, high: 2 }, 2));
    for (const [x, value] of [[0.5, 1], [0.6, NaN], [-1, 9], [2.1, 9]] as const) {
      series.add(x, value);
    }
    expect([...series.means]).toEqual([1, NaN]);
    expect([...series.high]).toEqual([1, NaN]);
  });

  it("keep the first, lowest, highest and last point of a line, and its gaps", () => {
    const line = new LineColumns(new Columns({ low: 0, high: 10 }, 1));
    [3, 5, 1, 2, 4, NaN, 7, 6].forEach((y, x) => line.add(x, y));
    const { x, y } = line.points;
    expect([...x]).toEqual([0, 1, 2, 4, 5, 6, 7]);
    expect([...y]).toEqual([3, 5, 1, 4, NaN, 7, 6]);
  });

  it("say what became of the rows", () => {
    expect(ruleOf(10, 10, "rows")).toBe("All 10 rows are drawn.");
    expect(ruleOf(20_000, 2200, "rows")).toContain(
      "20,000 rows are drawn as 2,200 columns at most",
    );
  });
});

/** Rows that are made as they are read; tells the most that was held. */
function virtual(count: number, width: number, wholeChunks = false) {
  const held = { most: 0 };
  const array: ChunkedArray = {
    ...{ shape: [count, width], dtype: "float32", dims: undefined, chunkRows: 1000, wholeChunks },
    read(start, end) {
      held.most = Math.max(held.most, 4 * width * (end - start));
      return Promise.resolve(new Float32Array((end - start) * width));
    },
    close: () => Promise.resolve(),
  };
  return { array, held };
}

describe("readTogether()", () => {
  it("reads every row once, in blocks that do not grow with the array", async () => {
    const seen: number[] = [];
    for (const count of [10_000, 100_000]) {
      const { array, held } = virtual(count, 300);
      const other = fromTypedArray(Int32Array.from({ length: count }, (_, i) => i));
      let next = 17;
      await readTogether([other, array], [17, count - 5], (start, end, [ids, own]) => {
        expect(start).toBe(next);
        expect(ids![0]).toBe(start);
        expect([ids!.length, own!.length]).toEqual([end - start, 300 * (end - start)]);
        next = end;
      });
      expect(next).toBe(count - 5);
      seen.push(held.most);
    }
    expect(seen[1]).toBe(seen[0]);
    expect(seen[0]).toBeLessThanOrEqual(8 * 2 ** 20);
  });

  it("reads whole chunks where a part costs as much", async () => {
    const { array } = virtual(5500, 3000, true);
    const starts: number[] = [];
    await readTogether([array], [300, 5500], (start) => starts.push(start));
    expect(starts).toEqual([300, 1000, 2000, 3000, 4000, 5000]);
  });

  it("stops when it is told to", async () => {
    const { array } = virtual(100_000, 300);
    const cancel = new AbortController();
    const reading = readTogether([array], [0, 100_000], () => cancel.abort(), {
      signal: cancel.signal,
    });
    await expect(reading).rejects.toThrow(/abort/i);
  });
});

describe("points of a plane", () => {
  it("are all counted, drawn one by one or not", () => {
    for (const count of [2999, 3001]) {
      const plane = new Plane({ low: 0, high: 1 }, { low: 0, high: 1 });
      for (let i = 0; i < count; i++) plane.add(random(), random());
      plane.add(NaN, 0);
      expect(plane.isCrowded).toBe(count > 3000);
      expect(plane.rule).toContain(`All ${count.toLocaleString("en-US")} rows are`);
      expect(plane.rule).toContain("1 rows without a number are not drawn");
    }
  });

  it("and numbers of a histogram, the largest among them", () => {
    const histogram = new Histogram({ low: 0, high: 3 }, 3);
    [0, 0.5, 1, 2, 3].forEach((value) => histogram.add(value));
    expect([...histogram.counts]).toEqual([2, 1, 2]);
  });
});

describe("rocPoints()", () => {
  it("has the area that AUROC has, ties included", () => {
    const labels = Array.from({ length: 300 }, () => random() < 0.4 ? 1 : 0);
    const scores = labels.map((label) => Math.round(10 * (random() + 0.3 * label)) / 10);
    const { x, y } = rocPoints(labels, scores);
    let area = 0;
    for (let i = 1; i < x.length; i++) area += (x[i]! - x[i - 1]!) * (y[i]! + y[i - 1]!) / 2;
    expect(area).toBeCloseTo(auroc(labels, scores)!, 12);
    expect([x[0], y[0], x.at(-1), y.at(-1)]).toEqual([0, 0, 1, 1]);
  });
});

describe("classes that a probe tells apart", () => {
  it("are ranked by logits, also where all probabilities round to 1", () => {
    const logits = [30, 31, 32, 33];
    const probabilities = Float32Array.from(logits, (logit) => 1 / (1 + Math.exp(-logit)));
    expect([...new Set(probabilities)]).toEqual([1]);
    const { text } = classSections("Classes", [0, 0, 1, 1], { logits, probabilities });
    expect(text).toEqual(["4 rows. AUROC 1.0000."]);
  });
});

describe("Extent and Histogram", () => {
  it("span what has a number, and say how many rows have none", () => {
    const ends = new Extent();
    const histogram = new Histogram({ low: 0, high: 1 }, 2);
    for (const value of [0.25, NaN, 1, Infinity, -Infinity, 0.75]) {
      ends.add(value);
      histogram.add(value);
    }
    expect([ends.low, ends.high]).toEqual([0.25, 1]);
    expect([...histogram.counts]).toEqual([1, 2]);
    expect(histogram.ruleOf(6)).toBe(
      "3 rows are counted, in 2 cells of equal width. 3 rows without a number are not.",
    );
  });
});
