import { describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { openArrayFile } from "../../src/array/file_arrays.ts";
import { ChunkError } from "../../src/errors.ts";
import { filePlace } from "../../src/files/file_place.ts";
import { decodeFloat16 } from "../../src/math/half.ts";
import type { LibraryArray } from "../support/library_files.ts";
import { libraryArrays, libraryFile, putFiles } from "../support/library_files.ts";

async function placeOf(...names: string[]): Promise<string> {
  const contents = await Promise.all(
    names.map(async (name) => [name, await libraryFile(name)] as const),
  );
  return await putFiles("library_files_test", Object.fromEntries(contents));
}

/** That an array is what its own library reads, all of it and in parts, half floats to the bit. */
async function expectArray(place: string, { dtype, shape, values }: LibraryArray): Promise<void> {
  const array = await openArray(place);
  expect([array.dtype, array.shape], place).toEqual([dtype, shape]);
  expect(await readAll(array), place).toEqual(values);
  const [rows] = shape as [number];
  const width = rows === 0 ? 0 : values.length / rows;
  const [start, end] = [Math.floor(rows / 3), rows - Math.floor(rows / 4)];
  expect(await array.read(start, end), place).toEqual(values.slice(start * width, end * width));
  if (dtype === "float16") {
    expect(decodeFloat16(await array.readBits!(0, rows)), place).toEqual(values);
  }
  await array.close();
}

describe("openArray() of a file that another library wrote", () => {
  it.each([
    ["earliest.h5", "types.h5"],
    ["latest.h5", "types.h5"],
    ["user.mat", "user.mat"],
    ["stored.npz", "npz"],
    ["deflated.npz", "npz"],
    ["piped.npz", "npz"],
    ["x.safetensors", "x.safetensors"],
    ["snappy.parquet", "parquet"],
    ["zstd.parquet", "parquet"],
    ["gzip.parquet", "parquet"],
    ["none.parquet", "parquet"],
  ])("reads all of %s as that library does", async (file, told) => {
    const place = await placeOf(file);
    for (const [name, array] of Object.entries(libraryArrays(told))) {
      await expectArray(`${place}/${file}/${name}`, array);
    }
  });

  it("reads two HDF5 files that are open at once, each as itself", async () => {
    const place = await placeOf("day1.h5", "day2.h5");
    const [first, second] = await Promise.all(
      [1, 2].map((day) => openArray(`${place}/day${day}.h5/pos`)),
    );
    expect([first!.shape, second!.shape]).toEqual([[51, 2], [52, 2]]);
    expect(await readAll(second!)).toEqual(new Float64Array(104).fill(2));
    expect(await readAll(first!)).toEqual(new Float64Array(102).fill(1));
    await first!.close();
    expect(await second!.read(50, 51)).toEqual(Float64Array.of(2, 2));
    await second!.close();
  });

  it.each([
    ["lzf", /chunks are compressed by lzf \(filter 32000\), wanted gzip or none/],
    ["short", /it holds whole numbers of 12 bits in 2 bytes, wanted a usual number format/],
    ["brain", /it holds floats of 8 exponent and 7 fraction bits in 2 bytes/],
    ["be_names", /it holds names of big-endian numbers/],
    ["records", /it holds records, wanted numbers/],
    ["complex", /it holds records, wanted numbers/],
    ["texts", /it holds texts, wanted numbers/],
    ["lists", /it holds lists, wanted numbers/],
    ["single", /it holds a single value or none/],
    ["nothing", /it holds a single value or none/],
    ["outside", /its values lie in other files \(external storage\)/],
    ["virtual", /it is put together from other datasets \(virtual storage\)/],
    ["elsewhere", /it lies in another file, "other.h5"/],
    ["broken", /it is a link to "\/missing", which is not there/],
    ["deep", /it is a group, wanted one of its datasets/],
    ["nowhere", /there is no such variable/],
    [
      "large_chunk",
      /a chunk of its shape \[1099511627776\] takes 2.00 GiB, wanted at most 512 MiB/,
    ],
    [
      "large_row",
      /a row of its shape \[3, 1099511627776\] takes 8.00 TiB/,
    ],
  ])("refuses %s of an HDF5 file by name", async (name, message) => {
    const place = await placeOf("earliest.h5", "latest.h5");
    for (const file of ["earliest.h5", "latest.h5"]) {
      const opened = openArray(`${place}/${file}/${name}`);
      await expect(opened).rejects.toThrow(ChunkError);
      await expect(opened).rejects.toThrow(message);
    }
  });

  it("refuses texts of MATLAB, and the shapes that it has in place of empty arrays", async () => {
    const place = await placeOf("user.mat");
    await expect(openArray(`${place}/user.mat/text`)).rejects.toThrow(/it holds texts/);
    await expect(openArray(`${place}/user.mat/empty`)).rejects.toThrow(/it is empty, as MATLAB/);
  });

  it("refuses to hold an array of absurd shape, and reads rows of it", async () => {
    const place = await placeOf("latest.h5");
    const array = await openArray(`${place}/latest.h5/absurd`);
    expect(array.shape).toEqual([2 ** 50, 6]);
    expect(await array.read(2 ** 49, 2 ** 49 + 1)).toEqual(new Float64Array(6));
    await expect(readAll(array)).rejects.toThrow(
      /Cannot hold an array of shape .*, wanted at most/,
    );
    await array.close();
  });

  it("lists what HDF5 files have, and goes round in no loop of groups", async () => {
    const place = await placeOf("earliest.h5");
    const file = await openArrayFile(filePlace(`${place}/earliest.h5`)!);
    const names = await file.names();
    expect(names).toContain("deep/er/gzip");
    expect(names).toContain("le_f2");
    expect(names.filter((name) => name.startsWith("deep/loop"))).toEqual([]);
    await file.close();
  });

  it.each([
    ["ragged", /row 12 of .*: it has a list of 2, the first row has one of 3/],
    ["hole", /row 20 of .*: a number is missing/],
  ])("refuses the row of the parquet column %s that does not fit", async (name, message) => {
    const place = await placeOf("zstd.parquet");
    const array = await openArray(`${place}/zstd.parquet/${name}`);
    await array.read(0, 5);
    await expect(readAll(array)).rejects.toThrow(ChunkError);
    await expect(readAll(array)).rejects.toThrow(message);
    await array.close();
  });

  it("reads what is missing among floats of parquet as NaN", async () => {
    const place = await placeOf("zstd.parquet");
    const array = await openArray(`${place}/zstd.parquet/missing`);
    expect(await array.read(2, 5)).toEqual(Float64Array.of(2, NaN, 4));
    await array.close();
  });

  it.each([
    ["text", /it holds BYTE_ARRAY UTF8, wanted numbers/],
    ["when", /it holds INT64 TIMESTAMP_MICROS, wanted numbers/],
    ["price", /DECIMAL, wanted numbers/],
    ["record", /wanted numbers/],
    ["test", /there is no such column, "text" may be meant/],
  ])("refuses the parquet column %s by name", async (name, message) => {
    const place = await placeOf("zstd.parquet");
    await expect(openArray(`${place}/zstd.parquet/${name}`)).rejects.toThrow(message);
  });

  it("refuses a parquet file whose directory does not agree with itself, or with the file", async () => {
    const whole = await libraryFile("none.parquet");
    const length = new DataView(whole.buffer).getUint32(whole.length - 8, true);
    const start = whole.length - 8 - length;
    let refused = 0;
    for (let at = start; at < whole.length - 8; at += 5) {
      // a row too many, or a place beyond the file
      const damaged = whole.slice();
      damaged[at]! ^= 0x80;
      const place = await putFiles("library_files_test", { "d.parquet": damaged });
      await openArray(`${place}/d.parquet/frame_index`).then((array) => array.read(0, 30)).then(
        (values) => expect(values.length).toBe(30),
        (error) => {
          expect(error).toBeInstanceOf(ChunkError);
          refused++;
        },
      );
    }
    expect(refused).toBeGreaterThan(length / 20);
  });

  it("asks which array is meant where a file has several, and names them", async () => {
    const place = await placeOf("stored.npz", "user.mat", "day1.h5");
    await expect(openArray(`${place}/stored.npz`)).rejects.toThrow(
      /it holds 3 arrays, wanted one of .*stored.npz\/x, .*stored.npz\/y, .*stored.npz\/deep\/z/,
    );
    await expect(openArray(`${place}/stored.npz/z`)).rejects.toThrow(/there is no array "z" in it/);
    const only = await openArray(`${place}/day1.h5`);
    expect(only.shape).toEqual([51, 2]);
    await only.close();
    await expect(openArray(`${place}/none.npz/x`)).rejects.toThrow(/there is no such file/);
    await expect(openArray(`${place}/none.h5/x`)).rejects.toThrow(/there is no file/);
  });
});

describe("openArray() of an NWB file", () => {
  const { times, position } = libraryArrays("nwb") as Record<"times" | "position", LibraryArray>;
  const series = "processing/behavior/Position/led";

  it("reads a series in its own unit, and its raw numbers by their own name", async () => {
    const place = await placeOf("stamps.nwb");
    const array = await openArray(`${place}/stamps.nwb/${series}`);
    expect([array.dtype, array.shape]).toEqual(["float64", [400]]);
    expect(await readAll(array)).toEqual(position.values);
    expect(await array.read(7, 9)).toEqual(position.values.slice(7, 9));
    await array.close();
    const raw = await openArray(`${place}/stamps.nwb/${series}/data`);
    expect(raw.dtype).toBe("int16");
    const first = Number((await raw.read(0, 1))[0]);
    expect(first * 0.02 + 2.5).toBe(position.values[0]);
    await raw.close();
  });

  it("gives times of a series that are stored, or that follow from its start and rate", async () => {
    const place = await placeOf("stamps.nwb", "steady.nwb");
    for (const file of ["stamps.nwb", "steady.nwb"]) {
      const array = await openArray(`${place}/${file}/${series}/timestamps`);
      expect(await readAll(array), file).toEqual(times.values);
      expect(await array.read(398, 400), file).toEqual(times.values.slice(398));
      await array.close();
    }
  });
});

describe("filePlace()", () => {
  it.each([
    ["a/b.npy", "npy", "a/b.npy", ""],
    ["a.npz/x", "npz", "a.npz", "x"],
    ["a.npz/deep/x.npy", "npz", "a.npz", "deep/x.npy"],
    ["C:\\data\\a.H5/g/x", "hdf5", "C:\\data\\a.H5", "g/x"],
    ["file:a.nwb/", "hdf5", "file:a.nwb", ""],
    ["a.h5/is it? #1", "hdf5", "a.h5", "is it? #1"],
    ["https://x.org/a.npz/b%20c?token=1", "npz", "https://x.org/a.npz?token=1", "b c"],
    ["https://x.org/a.npy?token=a/b.npz", "npy", "https://x.org/a.npy?token=a/b.npz", ""],
  ])("splits %s", (place, kind, file, inside) => {
    expect(filePlace(place)).toEqual({ kind, file, inside });
  });

  it("leaves other places alone", () => {
    for (const place of ["a.zarr/x", "memory:a", "npy", "a.npyx", "https://x.org/x.zarr?a=b.npy"]) {
      expect(filePlace(place), place).toBeUndefined();
    }
  });
});
