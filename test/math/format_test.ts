import { describe, expect, it } from "vitest";
import {
  formatBytes,
  formatCount,
  formatSeconds,
  formatTable,
  parseBytes,
  printable,
  printableJson,
  wantedNames,
} from "../../src/math/format.ts";

describe("parseBytes()", () => {
  it("reads bytes and every unit, in any case, with or without a space", () => {
    expect(parseBytes(4096)).toBe(4096);
    expect(parseBytes("4096")).toBe(4096);
    expect(parseBytes("512MiB")).toBe(2 ** 29);
    expect(parseBytes("1.5 gb")).toBe(1.5e9);
    expect(parseBytes("2 KIB")).toBe(2048);
  });

  it("refuses what is no size", () => {
    for (const text of ["", "MiB", "-1", "1 XB", "1e3 MB", "lots"]) {
      expect(() => parseBytes(text)).toThrow(`Cannot read a size: got "${text}"`);
    }
  });
});

describe("formatting", () => {
  it("writes sizes with three digits", () => {
    expect([0, 1023, 1024, 17.3 * 2 ** 20, 999.6 * 2 ** 20, 78.41 * 2 ** 30].map(formatBytes))
      .toEqual(["0 B", "1023 B", "1.00 KiB", "17.3 MiB", "999.6 MiB", "78.4 GiB"]);
  });

  it("writes durations as people say them", () => {
    expect([0.24, 41, 185, 7800].map(formatSeconds))
      .toEqual(["0.2 s", "41 s", "3 min 05 s", "2 h 10 min"]);
  });

  it("writes tables whose columns line up", () => {
    expect(formatTable([["a", "bytes"], ["long name", "1"]]))
      .toBe("a          bytes\n---------  -----\nlong name      1");
  });

  it("writes tables for narrow terminals: words below each other, or a paragraph for each row", () => {
    const table = [
      ["", "tiles", "rows a tile", "GPU"],
      ["  a pass that has a long name", "3", "100", "1 MiB"],
      ["the result", "", "", "2 MiB"],
    ];
    expect(formatTable(table, 48).split("\n")).toEqual([
      "                       tiles  rows a tile    GPU",
      "---------------------  -----  -----------  -----",
      "  a pass that has a        3          100  1 MiB",
      "    long name",
      "the result                                 2 MiB",
    ]);
    expect(formatTable(table, 40).split("\n")).toEqual([
      "  a pass that has a long name",
      "  tiles 3, rows a tile 100, GPU 1 MiB",
      "the result",
      "  GPU 2 MiB",
    ]);
    for (const columns of [80, 200, Infinity]) {
      expect(formatTable(table, columns).split("\n")[1]).toBe(
        [29, 5, 11, 5].map((width) => "-".repeat(width)).join("  "),
      );
    }
  });

  it("writes counts with their thousands apart", () => {
    expect([0, 999, 1000, 1976441].map(formatCount)).toEqual(["0", "999", "1,000", "1,976,441"]);
  });
});

describe("wantedNames()", () => {
  const names = ["summaries", "causal", "dtype", "out"];
  it("says which name may be meant, where few letters are to be changed", () => {
    expect(wantedNames("summary", names)).toBe(
      '"summaries" may be meant, wanted one of summaries, causal, dtype, out',
    );
    expect(wantedNames("casual", names)).toMatch(/^"causal" may be meant/);
    expect(wantedNames("DTYPE", names)).toMatch(/^"dtype" may be meant/);
    expect(wantedNames("ou", names)).toMatch(/^"out" may be meant/);
    // letters that changed places are one change
    expect(wantedNames("otu", names)).toMatch(/^"out" may be meant/);
    expect(wantedNames("tou", names)).not.toMatch(/may be meant/);
  });

  it("guesses nothing where none is near", () => {
    for (const name of ["colour", "xyz", "", 7, undefined]) {
      expect(wantedNames(name, names)).toBe("wanted one of summaries, causal, dtype, out");
    }
  });
});

describe("printable()", () => {
  it("writes out control characters and marks of direction, but no line feeds and tabs", () => {
    expect(printable("a\x1b[31mb\n\tc\r\x07\x7f\u009b\u202ed\u2066")).toBe(
      "a\\u001b[31mb\n\tc\\u000d\\u0007\\u007f\\u009b\\u202ed\\u2066",
    );
    expect(printable("é 猫 😀")).toBe("é 猫 😀");
  });

  it("leaves JSON what it says", () => {
    const value = { "a\u009b\u202e": "\x1b\n" };
    expect(printableJson(value)).not.toMatch(/[\u009b\u202e\n]/);
    expect(JSON.parse(printableJson(value))).toEqual(value);
  });
});
