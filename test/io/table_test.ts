import { describe, expect, it } from "vitest";
import { parseCsv, readTable } from "../../src/io/table.ts";
import { openStore } from "../../src/store/open_store.ts";

describe("readTable()", () => {
  it("reads CSV: names, quotes, empty fields, and lines that end either way", async () => {
    const text = '\uFEFFid,speaker,note\r\na,1,"x, ""y""\nz"\n\nb,,\nc,"3",';
    const rows = [
      { id: "a", speaker: "1", note: 'x, "y"\nz' },
      { id: "b", speaker: "", note: "" },
      { id: "c", speaker: "3", note: "" },
    ];
    expect(parseCsv(text)).toEqual(rows);
    const store = await openStore("memory:table_test", { mode: "write" });
    await store.set("/index.csv", new TextEncoder().encode(text));
    expect(await readTable("memory:table_test/index.csv")).toEqual(rows);
    await store.deleteAll();
  });

  it("says what is wrong with a table", async () => {
    expect(() => parseCsv("")).toThrow("it is empty");
    expect(() => parseCsv("a,b\n1,2\n3\n")).toThrow("row 2 has 1 fields, the first line names 2");
    expect(() => parseCsv('a,b\n1,x"y\n')).toThrow("line 2 has a quote out of place");
    await expect(readTable("memory:table_test/index.csv")).rejects.toThrow("there is no such file");
    await expect(readTable("index.txt")).rejects.toThrow(
      "wanted a name in .csv, .tsv or .parquet",
    );
  });
});
