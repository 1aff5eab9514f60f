import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import { checkRagged } from "../../src/feed/ragged.ts";

describe("samples of any length", () => {
  const rows = fromTypedArray(new Float32Array(10), [5, 2]);
  const check = (offsets: number[], detected?: Uint8Array) => () =>
    checkRagged(
      { rows, offsets: Float64Array.from(offsets), ...(detected && { detected }) },
      "fit a probe",
    );

  it("may be empty", () => {
    for (const offsets of [[0, 5], [0, 0, 3, 3, 5, 5], [0, 1, 2, 3, 4, 5]]) {
      expect(check(offsets, new Uint8Array(5))).not.toThrow();
    }
  });

  it("are refused where they overlap, leave rows out or have another mask", () => {
    expect(check([0, 3, 2, 5])).toThrow(
      "Cannot fit a probe: sample 1 begins at row 3 and ends at row 2, wanted offsets that ascend",
    );
    expect(check([0, NaN, 5])).toThrow("sample 0");
    expect(check([1, 5])).toThrow("offsets go from 1 to 5, wanted from 0 to the 5 rows");
    expect(check([0, 4])).toThrow("from 0 to 4");
    expect(check([])).toThrow("from nothing to nothing");
    expect(check([0, 5], new Uint8Array(4))).toThrow(
      "the mask has 4 elements, the samples have 5 rows",
    );
  });
});
