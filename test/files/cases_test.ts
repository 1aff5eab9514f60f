/** Files that went wrong elsewhere. Kinds of them with data of our own: library_files_test.ts, table_test.ts. */

import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { readTable } from "../../src/io/table.ts";
import { putFiles } from "../support/library_files.ts";
import { sharedDataMissing, sharedFile } from "../support/shared_data.ts";

const FILES = [
  "matlab_2d.npy",
  "hd_dquote.npy",
  "hd_spaces.npy",
  "types.h5",
  "user512.mat",
  "ext.h5",
  "two_h5/day1.h5",
  "two_h5/day2.h5",
  "polars_zstd.parquet",
  "latin1.csv",
  "utf16.csv",
  "cr.csv",
];
const missing = sharedDataMissing();

async function bytesOf(file: string): Promise<Uint8Array> {
  const source = await sharedFile(`cases/formats/${file}`);
  if (typeof source !== "string") return new Uint8Array(await source.arrayBuffer());
  return new Uint8Array(await (await import("node:fs/promises")).readFile(source));
}

describe("files that went wrong", () => {
  let place: string;

  beforeAll(async () => {
    if (missing) return;
    const contents = await Promise.all(
      FILES.map(async (file) => [file, await bytesOf(file)] as const),
    );
    place = await putFiles("cases_test", Object.fromEntries(contents));
  });

  beforeEach((context) => {
    if (missing) context.skip(missing);
  });

  // the element [7, 3] and the last one, as numpy and h5py read them
  it.each<[string, string, number[], number, number]>([
    ["matlab_2d.npy", "float64", [7, 3], -0.2155971630897659, 0.9577587029597641],
    ["hd_dquote.npy", "float32", [7, 3], -0.21559716761112213, 0.9577587246894836],
    ["hd_spaces.npy", "float32", [7, 3], -0.21559716761112213, 0.9577587246894836],
  ])("reads %s", async (file, dtype, shape, one, another) => {
    const array = await openArray(`${place}/${file}`);
    expect([array.dtype, array.shape]).toEqual([dtype, shape]);
    const values = await readAll(array);
    expect([values[1 * 3 + 2], values[6 * 3]]).toEqual([one, another]);
  });

  it.each<[string, string, number, number]>([
    ["types.h5/t_f2", "float16", -8.3828125, 3.021484375],
    ["types.h5/t_f4", "float32", -8.381669998168945, 3.022242307662964],
    ["types.h5/t_f8", "float64", -8.381669607156745, 3.0222423421292293],
    ["types.h5/t_bef2", "float16", -8.3828125, 3.021484375],
    ["types.h5/t_bef4", "float32", -8.381669998168945, 3.022242307662964],
    ["types.h5/t_bef8", "float64", -8.381669607156745, 3.0222423421292293],
    ["types.h5/t_bool", "bool", 1, 1],
    ...["i1", "i2", "i4", "i8", "bei2", "bei4", "bei8"].map((
      kind,
    ): [string, string, number, number] => [
      `types.h5/t_${kind}`,
      `int${8 * Number(kind.at(-1))}`,
      -8,
      3,
    ]),
    ...["u1", "u2", "u4", "u8", "beu2", "beu4", "beu8"].map((
      kind,
    ): [string, string, number, number] => [
      `types.h5/t_${kind}`,
      `uint${8 * Number(kind.at(-1))}`,
      8,
      3,
    ]),
    ...[
      "types.h5/g/sub/x",
      "types.h5/lead",
      "types.h5/soft",
      "types.h5/sp ace#1",
      "user512.mat",
      "ext.h5/inside",
    ]
      .map((
        name,
      ): [string, string, number, number] => [
        name,
        "float64",
        -0.8381669607156745,
        0.30222423421292294,
      ]),
  ])("reads %s as h5py does", async (name, dtype, one, last) => {
    const array = await openArray(`${place}/${name}`);
    expect([array.dtype, array.shape]).toEqual([dtype, [40, 6]]);
    const values = await readAll(array);
    expect([values[7 * 6 + 3], values.at(-1)].map(Number)).toEqual([one, last]);
    await array.close();
  });

  it.each([
    ["types.h5/cmp", /it holds records/],
    ["types.h5/t_c8", /it holds records/],
    ["types.h5/fstr", /it holds texts/],
    ["types.h5/vlen", /it holds lists/],
    ["types.h5/nullspace", /it holds a single value or none/],
    ["ext.h5/ext", /its values lie in other files \(external storage\)/],
    ["ext.h5/vds", /put together from other datasets \(virtual storage\)/],
  ])("refuses %s by name", async (name, message) => {
    await expect(openArray(`${place}/${name}`)).rejects.toThrow(message);
  });

  it("reads two files with the same number at once", async () => {
    const [first, second] = await Promise.all([
      openArray(`${place}/two_h5/day1.h5/pos`),
      openArray(`${place}/two_h5/day2.h5/pos`),
    ]);
    expect(await readAll(first)).toEqual(new Float64Array(1000).fill(1));
    expect(await readAll(second)).toEqual(new Float64Array(1400).fill(2));
    await first.close();
    await second.close();
  });

  it("reads what polars compressed by zstd", async () => {
    const rows = await readTable(`${place}/polars_zstd.parquet`);
    expect(rows.length).toBe(5000);
    expect(rows[4321]).toEqual({
      utterance_id: "utt_4321",
      speaker_id: "s2",
      n_frames: "4322",
      f: "1440.3333333333333",
      f32: "1440.3333740234375",
      b: "false",
      maybe: "m4321",
      i32: "4321",
      u64: "",
    });
    const column = await openArray(`${place}/polars_zstd.parquet/n_frames`);
    expect(await column.read(4321, 4323)).toEqual(BigInt64Array.of(4322n, 4323n));
    await column.close();
  });

  it("reads lines that end as on old Macs, and refuses other encodings", async () => {
    expect(await readTable(`${place}/cr.csv`)).toEqual([
      { utterance_id: "a", n_frames: "1", speaker_id: "x" },
      { utterance_id: "b", n_frames: "2", speaker_id: "y" },
    ]);
    await expect(readTable(`${place}/latin1.csv`)).rejects.toThrow(/line 2 is not UTF-8/);
    await expect(readTable(`${place}/utf16.csv`)).rejects.toThrow(/it looks like UTF-16/);
  });
});
