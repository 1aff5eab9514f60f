import { describe, expect, it } from "vitest";
import { speakerTable } from "../../src/condition/tables.ts";
import type { ConditionResult } from "../../src/condition/results.ts";
import { parseCsv } from "../../src/files/csv.ts";

describe("speakerTable()", () => {
  it("writes no cell that a spreadsheet would run, and keeps speakers apart", () => {
    const names = [
      '=HYPERLINK("http://x.org","y")',
      "+1",
      "-1",
      "@SUM(A1)",
      "\t=1",
      "\r=1",
      "'=1",
      "=1",
      "'",
      "a=1",
      "a,b",
    ];
    const speakers = names.map((speaker) => ({ speaker, ratio: -0.5, reduction: -1 }));
    const diagnosis = { slices: { all: {} }, control: {}, speakerSlices: {}, speakers };
    const text = speakerTable(
      [{
        lag: 1,
        condition: "=c",
        train: diagnosis,
        eval: diagnosis,
      }] as unknown as ConditionResult[],
    );
    const rows = parseCsv(text);
    expect(rows.length).toBe(2 * names.length);
    for (const { speaker, condition, ratio } of rows) {
      expect(speaker).not.toMatch(/^[=+\-@\t\r]/);
      expect(condition).toBe("'=c");
      // numbers are numbers
      expect(ratio).toBe("-0.5");
    }
    expect(new Set(rows.map(({ speaker }) => speaker)).size).toBe(names.length);
    expect(rows.map(({ speaker }) => speaker)).toContain("a=1");
  });
});
