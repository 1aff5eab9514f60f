import { describe, expect, it } from "vitest";
import { openArray, readAll, readNumbers } from "../../src/array/array.ts";
import { openStore } from "../../src/store/open_store.ts";

const FOLDER = "memory:csv_test";

async function put(name: string, text: string): Promise<string> {
  const store = await openStore(FOLDER);
  await store.set(`/${name}`, new TextEncoder().encode(text));
  await store.close();
  return `${FOLDER}/${name}`;
}

describe("columns of a table", () => {
  it("are read as f64 by their names, several beside one another", async () => {
    const place = await put(
      "path.csv",
      'time,x,"y, cm"\r\n0.1,1,2e1\r\n0.2,-1.5,\r\n0.3,NaN,+.5\r\n',
    );
    expect(await readNumbers(`${place}/time`)).toEqual(Float64Array.of(0.1, 0.2, 0.3));
    const both = await openArray(`${place}/time,x`);
    expect([both.shape, both.dtype]).toEqual([[3, 2], "float64"]);
    expect(await readAll(both)).toEqual(Float64Array.of(0.1, 1, 0.2, -1.5, 0.3, NaN));
    expect(await both.read(1, 2)).toEqual(Float64Array.of(0.2, -1.5));
    expect(await readNumbers(`${place}/y, cm`)).toEqual(Float64Array.of(20, NaN, 0.5));
    expect(await readNumbers(await put("a.tsv", "t\n1\n2\n"))).toEqual(Float64Array.of(1, 2));
  });

  it("are refused where a field is no number, or f64 does not hold it", async () => {
    for (
      const field of [
        "1.2.3",
        "fast",
        "1 2",
        "0x10",
        "1e999",
        "Infinity",
        "9007199254740993",
        '"1,5"',
      ]
    ) {
      const place = await put("bad.csv", `t,x\n0,1\n1,${field}\n`);
      await expect(readNumbers(`${place}/x`)).rejects.toThrow(
        /row 2 has ".*" as "x", wanted a number/,
      );
    }
  });

  it("need a line of names, so that no sample is taken for one", async () => {
    for (const text of ["0.1\n0.2\n", "time,-3\n1,2\n"]) {
      await expect(openArray(await put("bare.csv", text))).rejects.toThrow(
        /its first line has the number (0.1|-3), wanted names of columns/,
      );
    }
    const place = await put("some.csv", "t;x\n1;2\n");
    await expect(openArray(`${place}/t`)).rejects.toThrow(/no column "t", wanted of t;x/);
    await expect(openArray(await put("two.csv", "t,x\n1,2\n"))).rejects.toThrow(
      /it holds 2 arrays, wanted one of .*two.csv\/t, .*two.csv\/x/,
    );
  });
});
