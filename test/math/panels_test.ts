import { describe, expect, it } from "vitest";
import { panelElements, panelIndex, toPanels, twoParts } from "../../src/math/panels.ts";

describe("panels", () => {
  it("hold 64 rows each, feature by feature, and 0 past the last row", () => {
    const [rows, features] = [70, 3];
    // every value tells its row and feature
    const values = Array.from(
      { length: rows * features },
      (_, i) => 10 * Math.floor(i / features) + i % features + 1,
    );
    const panels = toPanels(values, features);
    expect(panels.length).toBe(2 * 64 * 3);
    expect(panelElements(64, 3)).toBe(64 * 3);
    expect(panelElements(65, 3)).toBe(2 * 64 * 3);
    // the first two rows of each feature of the first panel, and its last row
    expect([panels[0], panels[1], panels[63]]).toEqual([1, 11, 631]);
    expect([panels[64], panels[65], panels[127]]).toEqual([2, 12, 632]);
    expect([panels[128], panels[129], panels[191]]).toEqual([3, 13, 633]);
    // rows 64 to 69, then nothing
    expect([...panels.subarray(192, 199)]).toEqual([641, 651, 661, 671, 681, 691, 0]);
    expect(panels.filter((value) => value !== 0).length).toBe(rows * features);
    expect(panelIndex(65, 2, 3)).toBe(192 + 2 * 64 + 1);
  });

  it("have what f32 leaves over of a row behind what it has", () => {
    const small = 2 ** -40;
    expect([...twoParts([1 + small, 2, 3 - small, 0.5], 2)])
      .toEqual([1, 2, small, 0, 3, 0.5, -small, 0]);
  });
});
