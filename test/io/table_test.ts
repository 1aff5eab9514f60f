import { describe, expect, it } from "vitest";
import { parseCsv } from "../../src/files/csv.ts";
import { readTable } from "../../src/io/table.ts";
import { ChunkError } from "../../src/errors.ts";
import { openStore } from "../../src/store/open_store.ts";
import { libraryFile, putFiles } from "../support/library_files.ts";

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

  it("reads lines that end as those of old Macs do, and columns apart by tabs", async () => {
    expect(parseCsv("a,b\r1,x\r2,y\r")).toEqual([{ a: "1", b: "x" }, { a: "2", b: "y" }]);
    expect(parseCsv('a\tb\n1,5\t"x\ty"\n', "\t")).toEqual([{ a: "1,5", b: "x\ty" }]);
    const place = await putFiles("table_test", { "a.tsv": new TextEncoder().encode("a\tb\n1\t2") });
    expect(await readTable(`${place}/a.tsv`)).toEqual([{ a: "1", b: "2" }]);
  });

  it("refuses other encodings by name: two speakers must not become one", async () => {
    const latin = Uint8Array.of(...new TextEncoder().encode("id,speaker\na,"), 0xe9, 0x0a);
    // what is cut in the middle of a character, and what a replacement character would hide
    const cut = new TextEncoder().encode("id,speaker\na,\u00e9").slice(0, -1);
    const wide = (text: string) =>
      new Uint8Array(Uint16Array.from(text, (one) => one.charCodeAt(0)).buffer);
    for (
      const [bytes, message] of [
        [latin, /line 2 is not UTF-8, but looks like Latin-1 or another code page/],
        [cut, /line 2 is not UTF-8/],
        [wide("\uFEFFid,speaker\na,x\n"), /looks like UTF-16, wanted UTF-8/],
        [wide("id,speaker\na,x\n"), /looks like UTF-16/],
      ] as const
    ) {
      const place = await putFiles("table_test", { "a.csv": bytes });
      await expect(readTable(`${place}/a.csv`)).rejects.toThrow(ChunkError);
      await expect(readTable(`${place}/a.csv`)).rejects.toThrow(message);
    }
    const marked = await putFiles("table_test", {
      "a.csv": new TextEncoder().encode("id\n\uFFFD\n\u00e9\n"),
    });
    expect(await readTable(`${marked}/a.csv`)).toEqual([{ id: "\uFFFD" }, { id: "\u00e9" }]);
  });

  it("refuses two columns of one name", () => {
    expect(() => parseCsv("a,b,a\n1,2,3\n")).toThrow('two columns are named "a"');
  });

  it("reads parquet of any compression, but for columns whose text would not tell values apart", async () => {
    for (const file of ["snappy.parquet", "zstd.parquet", "gzip.parquet", "none.parquet"]) {
      const place = await putFiles("table_test", { [file]: await libraryFile(file) });
      const rows = await readTable(`${place}/${file}`);
      expect(rows.length).toBe(30);
      expect(Object.keys(rows[0]!)).toEqual([
        "timestamp",
        "frame_index",
        "count",
        "done",
        "missing",
        "hole",
        "text",
        "when",
      ]);
      expect(rows[20]).toMatchObject({
        frame_index: "20",
        count: "9223372036854775828",
        done: "false",
        hole: "",
        text: "\u00e920",
        when: "20",
      });
    }
  });
});
