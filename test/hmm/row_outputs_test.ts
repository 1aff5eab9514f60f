import { describe, expect, it } from "vitest";
import { RowOutputs } from "../../src/hmm/row_outputs.ts";
import { binCenter, StateBins } from "../../src/hmm/state_bins.ts";
import { SUMMARY, SUMMARY_LENGTH } from "../../src/kernels/summarize_rows.ts";
import { boxGrid } from "../support/hmm_problem.ts";

/** 2 bins of 10 along x, 3 bins of 1 from 100 on along y; the middle one of the first column is outside. */
const grid = {
  ...boxGrid([2, 3], (x, y) => !(x === 0 && y === 1)),
  edges: [Float64Array.of(0, 10, 20), Float64Array.of(100, 101, 102, 103)],
  centers: [Float64Array.of(5, 15), Float64Array.of(100.5, 101.5, 102.5)],
};
const X = [5, 5, 15, 15, 15];
const Y = [100.5, 102.5, 100.5, 101.5, 102.5];

const binsOf = (...names: string[]) => new StateBins(grid, { names });

const choices = { dtype: "f32", posterior: false, summaries: ["map", "mean"] } as const;

describe("positions of state bins in a box that is longer one way", () => {
  it("are those of x and y, bin for bin, again for each state", () => {
    expect([...binsOf("a", "b").centers(0)]).toEqual([...X, ...X]);
    expect([...binsOf("a", "b").centers(1)]).toEqual([...Y, ...Y]);
    expect([0, 1, 2, 3, 4, 5].map((bin) => binCenter(grid, bin, 0))).toEqual([5, 5, 5, 15, 15, 15]);
    expect([0, 1, 2, 3, 4, 5].map((bin) => binCenter(grid, bin, 1)))
      .toEqual([100.5, 101.5, 102.5, 100.5, 101.5, 102.5]);
  });

  it("are relative to the middle of the box on the device, x before y", () => {
    const [positions] = new RowOutputs(binsOf("a"), choices).shared();
    expect([...positions!.data as Float32Array]).toEqual([-5, -1, -5, 1, 5, -1, 5, 0, 5, 1]);
  });

  it("are stored of the likeliest bin and of the mean, each under its name", () => {
    const table = new Float32Array(2 * SUMMARY_LENGTH);
    // the first row: bin 1 of the first state; the second: bin 3 of the second one
    table[SUMMARY.mapBin] = 1;
    table[SUMMARY.peak] = 0.25;
    table[SUMMARY.mean[0]!] = -2;
    table[SUMMARY.mean[1]!] = 0.5;
    table[SUMMARY.variance[0]!] = 9;
    table[SUMMARY.variance[1]!] = 0.04;
    table[SUMMARY_LENGTH + SUMMARY.mapBin] = 8;
    const values = new RowOutputs(binsOf("a", "b"), choices).values(
      { acausal_summaries: table.buffer },
      2,
      new Float32Array(4),
      "acausal",
    );
    expect(values.map_bin).toEqual(Int32Array.of(1, 8));
    expect(values.map_probability).toEqual(Float32Array.of(0.25, 0));
    expect(values.map_x_position).toEqual(Float64Array.of(5, 15));
    expect(values.map_y_position).toEqual(Float64Array.of(102.5, 101.5));
    expect(values.mean_x_position).toEqual(Float64Array.of(8, 10));
    expect(values.mean_y_position).toEqual(Float64Array.of(102, 101.5));
    expect(values.variance_x_position).toEqual(Float32Array.of(9, 0));
    expect(values.variance_y_position).toEqual(Float32Array.of(0.04, 0));
  });
});
