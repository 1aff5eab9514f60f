import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../../src/array/array.ts";
import { highestDensity, hpdOverlap, klDivergence } from "../../../src/hmm/decoder.ts";
import type { Grid } from "../../../src/hmm/grid.ts";
import { trackGrid } from "../../../src/hmm/track_grid.ts";
import { boxGrid } from "../../support/hmm_problem.ts";

const line = boxGrid([5]);

const of = (grid: Grid, rows: number[][]) => ({
  grid,
  posterior: fromTypedArray(Float64Array.from(rows.flat()), [rows.length, rows[0]!.length]),
});

describe("highestDensity()", () => {
  it("has the likeliest bins up to a share, and all that are as likely as the last", async () => {
    const found = await highestDensity(
      of(line, [
        [0.5, 0.25, 0.125, 0.125, 0],
        [0, 0, 1, 0, 0],
        // in proportion to probabilities
        [2, 2, 2, 2, 2],
      ]),
      { coverage: 0.75 },
    );
    expect([...found.threshold]).toEqual([0.25, 1, 2]);
    expect([...found.spatialCoverage]).toEqual([2, 1, 5]);
    expect([...found.bins]).toEqual([2, 1, 5]);
  });

  it("has no bin without probability, whatever rounding leaves of a coverage of 1", async () => {
    // a third, three times, by seven: shares sum to less than 1
    const rows = [[0.1, 0.7, 0.2, 0, 0], [0.1, 0.1, 0.1, 0, 0.6], [0.3, 0.3, 0.3, 0.1, 0]];
    const found = await highestDensity(of(line, rows), { coverage: 1 });
    expect([...found.bins]).toEqual([3, 4, 4]);
    expect([...found.threshold]).toEqual([0.1, 0.1, 0.1]);
  });

  it("adds discrete states up, and leaves out those that are nowhere", async () => {
    const posterior = Float32Array.of(0.25, 0, 0, 0, 0.125, 0.5, 0.125, 0, 0, 0, 0);
    const places = [0, 1, 2, 3, 4, -1, 0, 1, 2, 3, 4];
    const found = await highestDensity({
      ...{ grid: line, places },
      posterior: fromTypedArray(posterior, [1, 11]),
    }, { coverage: 0.5 });
    expect(found.threshold[0]).toBe(0.375);
    expect(found.bins[0]).toBe(1);
  });

  it("measures bins of any width, and areas", async () => {
    const track = trackGrid({ nodes: [[0, 0], [3, 0], [3, 10]], edges: [[0, 1], [1, 2]] }, 2);
    // two bins of 1.5, then five of 2
    const probabilities = [0.4, 0, 0.6, 0, 0, 0, 0];
    expect((await highestDensity(of(track, [probabilities]))).spatialCoverage[0]).toBe(3.5);
    const box = boxGrid([2, 3], (x, y) => x + y !== 1);
    const oblong = { ...box, edges: [box.edges[0]!.map((x) => 4 * x), box.edges[1]!] };
    expect((await highestDensity(of(oblong, [[1, 1, 1, 0]]))).spatialCoverage[0]).toBe(12);
  });

  it("is NaN where a row has nothing, or is not stored", async () => {
    const found = await highestDensity(of(line, [[0, 0, 0, 0, 0], [NaN, NaN, NaN, NaN, NaN]]));
    expect([...found.threshold, ...found.spatialCoverage]).toEqual([NaN, NaN, NaN, NaN]);
    expect([...found.bins]).toEqual([0, 0]);
  });

  it("refuses several environments, and rows on all bins of the box", async () => {
    const grid = {
      ...line,
      environments: [{ name: "one", grid: line }, { name: "two", grid: line }],
    };
    await expect(highestDensity(of(grid, [[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]]))).rejects.toThrow(
      "there are several environments, wanted the grid of one",
    );
    const half = boxGrid([4], (_, y) => y % 3 > 0);
    await expect(highestDensity(of(half, [[NaN, 0.5, 0.5, NaN]]))).rejects
      .toThrow("row 0 is NaN in 2 of 4 state bins, wanted numbers in all or in none");
  });

  it("refuses another number of bins, positions that are nowhere, and bins of unknown width", async () => {
    await expect(highestDensity(of(line, [[1, 0, 0]]))).rejects.toThrow(
      "Cannot find the highest-density region: the posterior has the shape [1,3], wanted [rows, 5 bins for " +
        "every state]",
    );
    await expect(highestDensity({ ...of(line, [[1]]), grid: undefined })).rejects.toThrow(
      "no state has positions",
    );
    const single = { ...boxGrid([1]), edges: [Float64Array.of(NaN, NaN)] };
    await expect(highestDensity(of(single, [[1]]))).rejects.toThrow("the width of a single bin");
  });
});

describe("hpdOverlap()", () => {
  it("is the share of the smaller region that lies in the other", async () => {
    const one = of(line, [[0.5, 0.5, 0, 0, 0], [1, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0], [
      0,
      0,
      0,
      0,
      0,
    ]]);
    const other = of(line, [[0, 0.3, 0.4, 0.3, 0], [0.5, 0.5, 0, 0, 0], [0, 0, 0, 0.5, 0.5], [
      1,
      0,
      0,
      0,
      0,
    ]]);
    expect([...await hpdOverlap(one, other)]).toEqual([0.5, 1, 0, NaN]);
    await expect(hpdOverlap(one, of(line, [[1, 0, 0, 0, 0]]))).rejects.toThrow(
      "Cannot compare highest-density regions: one posterior has 4 rows of 5 bins, the other 1 of 5",
    );
    const centers = [line.centers[0]!.map((x) => x + 0.25)];
    const [row, aside] = [of(line, [[1, 0, 0, 0, 0]]), { ...line, centers }];
    await expect(hpdOverlap(row, of(aside, [[1, 0, 0, 0, 0]]))).rejects.toThrow(
      "the bins of one posterior lie elsewhere than those of the other, wanted the same grid",
    );
    const stored = { ...line, centers: [line.centers[0]!.map((x) => x + 1e-12)] };
    expect([...await hpdOverlap(row, of(stored, [[1, 0, 0, 0, 0]]))]).toEqual([1]);
  });
});

describe("klDivergence()", () => {
  it("is in nats, of rows brought to a sum of 1", async () => {
    const one = of(line, [[2, 2, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]);
    const other = of(line, [[0.25, 0.25, 0.5, 0, 0], [0, 1, 0, 0, 0], [1, 0, 0, 0, 0]]);
    expect([...await klDivergence(one, other)]).toEqual([Math.LN2, Infinity, NaN]);
  });
});
