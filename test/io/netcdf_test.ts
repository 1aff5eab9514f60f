import { afterEach, describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { ChunkError, OutputConflictError } from "../../src/errors.ts";
import { openNetcdf } from "../../src/files/hdf5_array.ts";
import type { ExportProgress } from "../../src/io/netcdf_export.ts";
import { exportNetcdf } from "../../src/io/netcdf_export.ts";
import { crc32c } from "../../src/math/crc32c.ts";
import { fromRootScaled, fromUint16, toRootScaled, toUint16 } from "../../src/math/quantize.ts";
import type { H5Dataset, H5File } from "../../src/files/h5wasm.ts";
import { H5Access } from "../../src/files/h5wasm.ts";
import { openFile } from "../../src/files/sync_file.ts";
import { openStore } from "../../src/store/open_store.ts";
import type { Store } from "../../src/store/store.ts";
import { writeArray, writeGroup } from "../../src/zarr/group_writer.ts";
import { seeded } from "../support/random.ts";
import { NUMERIC_TYPES, writeSmallGroup } from "../support/small_group.ts";

const IN = "memory:netcdf-test/in.zarr";
const OUT = "memory:netcdf-test/out/a.nc";

afterEach(async () => {
  for (const place of [IN, "memory:netcdf-test/out"]) {
    const store = await openStore(place);
    await store.deleteAll();
    await store.close();
  }
});

/** A group with an array `x` of bytes, each of them telling its row and column. */
async function writeBytes(rows: number, width: number, chunkRows: number): Promise<Uint8Array> {
  const values = Uint8Array.from(
    { length: rows * width },
    (_, i) => i + 31 * Math.floor(i / width),
  );
  const store = await openStore(IN, { mode: "write" });
  const x = {
    name: "x",
    shape: [rows, width],
    chunkShape: [chunkRows, width],
    dtype: "uint8",
    dims: ["time", "bins"],
  } as const;
  await writeGroup(store, { attributes: {}, arrays: [x] });
  await writeArray(store, x, values);
  await store.close();
  return values;
}

/** A group with the packed array `x`, and scales beside it where its packing has them. */
async function writePacked(packing: string) {
  const random = seeded(3);
  const values = Float32Array.from({ length: 30 * 4 }, () => random() / 3);
  const rows = packing === "root"
    ? toRootScaled(values, 4)
    : { stored: toUint16(values), scales: new Float32Array(30) };
  const store = await openStore(IN, { mode: "write" });
  const x = {
    name: "x",
    shape: [30, 4],
    chunkShape: [7, 4],
    dtype: "uint16",
    dims: ["time", "bins"],
    attributes: { packing, scale_factor: 1 / 65535 },
  } as const;
  const scale = {
    name: "x_scale",
    shape: [30],
    chunkShape: [7],
    dtype: "float32",
    dims: ["time"],
  } as const;
  const arrays = packing === "root" ? [x, scale] : [x];
  await writeGroup(store, { attributes: {}, arrays });
  await writeArray(store, x, rows.stored);
  if (packing === "root") await writeArray(store, scale, rows.scales);
  await store.close();
  return rows;
}

/** A group of version 2 of another writer, not consolidated, with an array `v` whose chunks are not there. */
async function writeForeign(
  metadata: Record<string, unknown>,
  attributes: Record<string, unknown>,
): Promise<Store> {
  const store = await openStore(IN, { mode: "write" });
  await store.deleteAll();
  const common = { zarr_format: 2, compressor: null, filters: null, order: "C" };
  for (
    const [key, value] of [
      ["/.zgroup", { zarr_format: 2 }],
      ["/v/.zarray", { ...common, ...metadata }],
      ["/v/.zattrs", attributes],
    ] as const
  ) await store.set(key, new TextEncoder().encode(toJson(value)));
  return store;
}

/** JSON with whole numbers of all their digits. */
function toJson(value: unknown): string {
  const marked = (_: string, own: unknown) => typeof own === "bigint" ? `whole ${own}` : own;
  return JSON.stringify(value, marked).replace(/"whole (-?\d+)"/g, "$1");
}

/** Reads of a variable what h5wasm tells: its value, or an attribute. */
async function withH5<Value>(read: (file: H5File) => Value): Promise<Value> {
  const access = await H5Access.open(await openFile(OUT), "r");
  try {
    return read(access.file);
  } finally {
    access.close();
  }
}

function fillOf(name: string): Promise<unknown> {
  return withH5((file) => {
    const value = (file.get(name) as H5Dataset).attrs._FillValue?.value as ArrayLike<unknown>;
    return typeof value === "object" ? value[0] : value;
  });
}

function valueOf(name: string): Promise<unknown> {
  return withH5((file) => (file.get(name) as unknown as { value: unknown }).value);
}

async function readVariable(name: string, file = OUT) {
  const array = await openNetcdf(file, name);
  try {
    return { ...array, values: await readAll(array) };
  } finally {
    await array.close();
  }
}

describe("exportNetcdf()", () => {
  for (const [zarrFormat, deflate, chunkRows] of [[3, 0, 200], [2, 0, 1], [3, 4, 97]] as const) {
    it(`writes what openNetcdf() reads: zarr ${zarrFormat}, deflate ${deflate}`, async () => {
      const rows = 30 * chunkRows + 11;
      await writeSmallGroup(IN, { zarrFormat, chunkRows, rows });
      const { variables, fileBytes } = await exportNetcdf(IN, OUT, { deflate });
      expect(variables).toBe(24);
      if (deflate === 0) expect(fileBytes).toBeGreaterThan(rows * 12 * 4);
      const names = ["acausal_posterior", "time", "interior_index", "is_track_interior"];
      for (const name of [...names, ...NUMERIC_TYPES.map((dtype) => `a_${dtype}`)]) {
        const source = await openArray(`${IN}/${name}`);
        const found = await readVariable(name);
        expect(found.shape, name).toEqual(source.shape);
        expect(found.dims, name).toEqual(source.dims);
        expect(found.dtype, name).toBe(source.dtype === "float16" ? "float32" : source.dtype);
        expect(found.values, name).toEqual(await readAll(source));
        await source.close();
      }
    });
  }

  it("writes chunks in pieces where they are larger than those of the file", async () => {
    // chunks of 4 rows have 4.4 MB, those of the file at most 4 MiB
    const [rows, width] = [6, 1_100_000];
    const wanted = await writeBytes(rows, width, 4);
    await exportNetcdf(IN, OUT);
    const { values, chunkRows } = await readVariable("x");
    expect(chunkRows).toBe(2);
    for (let row = 0; row < rows; row++) {
      const own = (all: ArrayLike<number>) =>
        crc32c((all as Uint8Array).subarray(row * width, (row + 1) * width));
      expect(own(values as Uint8Array), `row ${row}`).toBe(own(wanted));
    }
  });

  it("expands state bins to the whole box: NaN outside the track, all coordinates", async () => {
    const { acausal_posterior, interior_index } = await writeSmallGroup(IN, { rows: 5000 });
    const { variables } = await exportNetcdf(IN, OUT, { expand: true });
    expect(variables).toBe(20);
    const { values, shape, dims } = await readVariable("acausal_posterior");
    expect(shape).toEqual([5000, 22]);
    expect(dims).toEqual(["time", "state_bins"]);
    const expected = new Float32Array(5000 * 22).fill(NaN);
    (acausal_posterior as Float32Array).forEach((value, i) => {
      const bin = (interior_index as Int32Array)[i % 12]!;
      expected[Math.floor(i / 12) * 22 + bin] = value;
    });
    expect(values).toEqual(expected);
    const bins = Array.from({ length: 22 }, (_, bin) => bin);
    expect(await readVariable("state_ind")).toMatchObject({
      dims: ["state_bins"],
      values: Int32Array.from(bins, (bin) => bin < 11 ? 0 : 1),
    });
    expect((await readVariable("position")).values).toEqual(
      Float64Array.from(bins, (bin) => 0.5 + bin % 11),
    );
    expect((await readVariable("is_track_interior")).dims).toEqual(["state_bins"]);
    for (const name of ["interior_index", "full_position", "full_state_ind"]) {
      await expect(openNetcdf(OUT, name)).rejects.toThrow(/there is no such variable/);
    }
  });

  for (const packing of ["linear", "root"] as const) {
    it(`writes ${packing} packed probabilities as f32, and no scales`, async () => {
      const { stored, scales } = await writePacked(packing);
      await exportNetcdf(IN, OUT);
      const { values, dtype } = await readVariable("x");
      expect(dtype).toBe("float32");
      expect(values).toEqual(
        packing === "linear" ? fromUint16(stored) : fromRootScaled({ stored, scales }),
      );
      await expect(openNetcdf(OUT, "x_scale")).rejects.toThrow(/there is no such variable/);
    });
  }

  it("says when it cannot undo a packing", async () => {
    await writePacked("tight");
    await expect(exportNetcdf(IN, OUT)).rejects.toThrow(
      `"x" has the packing "tight", wanted "linear", or "root" and its scales in "x_scale"`,
    );
  });

  it("reports every variable, up to all of it", async () => {
    await writeSmallGroup(IN);
    const seen: ExportProgress[] = [];
    await exportNetcdf(IN, OUT, { onProgress: (progress) => seen.push({ ...progress }) });
    expect(new Set(seen.map(({ variable }) => variable)).size).toBe(21);
    expect(seen.at(-1)!.fraction).toBe(1);
    expect(seen.at(-1)!.variableCount).toBe(24);
  });

  it("leaves nothing when it is aborted", async () => {
    await writeSmallGroup(IN);
    const cancel = new AbortController();
    const stopped = exportNetcdf(IN, OUT, {
      signal: cancel.signal,
      onProgress: () => cancel.abort(),
    });
    await expect(stopped).rejects.toThrow(/abort/i);
    await expect(openNetcdf(OUT, "time")).rejects.toThrow(ChunkError);
  });

  it("replaces a file only when that is allowed", async () => {
    await writeSmallGroup(IN);
    await exportNetcdf(IN, OUT);
    await expect(exportNetcdf(IN, OUT)).rejects.toThrow(OutputConflictError);
    await exportNetcdf(IN, OUT, { overwrite: true });
  });

  it("is alone at its file: of two at once the second is refused", async () => {
    await writeSmallGroup(IN);
    const first = exportNetcdf(IN, OUT);
    await expect(exportNetcdf(IN, OUT, { overwrite: true })).rejects.toThrow(/is at work there/);
    await first;
    await exportNetcdf(IN, OUT, { overwrite: true });
    expect((await readVariable("time")).shape).toEqual([103]);
  });

  it("refuses a result with holes, and reads them as the fill value elsewhere", async () => {
    await writeSmallGroup(IN);
    const store = await openStore(IN);
    await store.delete("/acausal_posterior/c/1/0");
    await expect(exportNetcdf(IN, OUT)).rejects.toThrow(
      `"${IN}/acausal_posterior/c/1/0" is missing; see what sluice check says`,
    );
    await writeSmallGroup(IN, { attributes: { format: "other", complete: undefined } });
    await store.delete("/acausal_posterior/c/1/0");
    await exportNetcdf(IN, OUT);
    const { values } = await readVariable("acausal_posterior");
    const [from, to] = [20 * 12, 40 * 12];
    expect((values as Float32Array).slice(from, to)).toEqual(new Float32Array(to - from).fill(NaN));
    await store.close();
  });

  it("keeps missing values missing, whichever way a group says what they are", async () => {
    const base64 = btoa(String.fromCharCode(...new Uint8Array(Float64Array.of(-999).buffer)));
    for (
      const [metadata, attributes, wanted] of [
        [{ dtype: "<f4", fill_value: -999 }, {}, -999],
        [{ dtype: "<i2", fill_value: -32767 }, { scale_factor: 0.01, add_offset: 1 }, -32767],
        [{ dtype: "<i8", fill_value: -(2n ** 63n) }, {}, -(2n ** 63n)],
        [{ dtype: "<f8", fill_value: "-Infinity" }, {}, -Infinity],
        [{ dtype: "<f8", fill_value: null }, {}, NaN],
        [{ dtype: "<f4", fill_value: 0 }, { _FillValue: base64 }, -999],
        [{ dtype: "<u1", fill_value: null }, {}, undefined],
      ] as const
    ) {
      await writeForeign({ ...metadata, shape: [3], chunks: [3] }, {
        ...attributes,
        _ARRAY_DIMENSIONS: ["t"],
      });
      await exportNetcdf(IN, OUT, { overwrite: true });
      expect(await fillOf("v"), metadata.dtype).toEqual(wanted);
    }
    await writeForeign({ dtype: "<u8", fill_value: 2n ** 64n, shape: [3], chunks: [3] }, {
      _ARRAY_DIMENSIONS: ["t"],
    });
    await expect(exportNetcdf(IN, OUT, { overwrite: true })).rejects.toThrow(
      /\/v": its fill value 18446744073709551616 is no uint64/,
    );
  });

  it("writes single values, of groups without consolidated metadata, too", async () => {
    const store = await writeForeign({ dtype: "<f4", fill_value: null, shape: [], chunks: [] }, {
      grid_mapping_name: "mercator",
    });
    await store.set("/v/0", new Uint8Array(Float32Array.of(1.5).buffer));
    await exportNetcdf(IN, OUT, { overwrite: true });
    expect(await valueOf("v")).toBe(1.5);
    await writeForeign({ dtype: "|O", fill_value: null, shape: [2], chunks: [2] }, {
      _ARRAY_DIMENSIONS: ["t"],
    });
    await expect(exportNetcdf(IN, OUT, { overwrite: true })).rejects.toThrow(/\/v".*(object|\|O)/);
    await writeForeign({ dtype: "<M8[ns]", fill_value: 0, shape: [2], chunks: [2] }, {
      _ARRAY_DIMENSIONS: ["t"],
    });
    await expect(exportNetcdf(IN, OUT, { overwrite: true })).rejects.toThrow(/\/v".*M8/);
    await store.close();
  });

  it("says what it cannot export", async () => {
    await expect(exportNetcdf(IN, OUT)).rejects.toThrow(/there is no zarr group/);
    await writeSmallGroup(IN, { attributes: { complete: false } });
    await expect(exportNetcdf(IN, OUT)).rejects.toThrow(/has not finished, run it again/);
    await writeSmallGroup(IN);
    await expect(exportNetcdf(IN, OUT, { deflate: 10 })).rejects.toThrow(
      "Cannot export: deflate is 10, wanted a whole number from 0 to 9",
    );
    const store = await openStore(IN);
    await store.deleteAll("/interior_index");
    await expect(exportNetcdf(IN, OUT, { expand: true })).rejects.toThrow(
      /interior_index\/zarr.json" is missing/,
    );
    await writeSmallGroup(IN, { attributes: { format: "other", complete: undefined } });
    await store.deleteAll("/interior_index");
    await expect(exportNetcdf(IN, OUT, { expand: true })).rejects.toThrow(/Cannot expand/);
    await store.delete("/acausal_posterior/c/1/0");
    await store.set("/acausal_posterior/c/1/0", new Uint8Array(7));
    await expect(exportNetcdf(IN, OUT)).rejects.toThrow(ChunkError);
    await store.close();
    await expect(openNetcdf(OUT, "time")).rejects.toThrow(/there is no file/);
  });
});

describe("openNetcdf()", () => {
  it("reads any rows", async () => {
    const { time } = await writeSmallGroup(IN, { rows: 9001 });
    await exportNetcdf(IN, OUT, { deflate: 1 });
    const array = await openNetcdf(OUT, "time");
    for (const [start, end] of [[0, 1], [19, 21], [4000, 8999], [9001, 9001], [0, 9001]] as const) {
      expect(await array.read(start, end)).toEqual((time as Float64Array).slice(start, end));
    }
    await expect(array.read(0, 9002)).rejects.toThrow(RangeError);
    await array.close();
    await expect(array.read(0, 1)).rejects.toThrow(/it was closed/);
  });

  it("reads rows across chunks of the file, from the middle of one to the middle of another", async () => {
    const width = 80_000;
    const wanted = await writeBytes(30, width, 7);
    await exportNetcdf(IN, OUT);
    const array = await openNetcdf(OUT, "x");
    expect(array.chunkRows).toBe(7);
    for (const [start, end] of [[3, 25], [6, 8], [7, 14], [28, 30]] as const) {
      const values = await array.read(start, end) as Uint8Array;
      expect(values.length).toBe((end - start) * width);
      for (let row = start; row < end; row++) {
        const at = (row - start) * width;
        expect(crc32c(values.subarray(at, at + width)), `row ${row} of ${start} to ${end}`)
          .toBe(crc32c(wanted.subarray(row * width, (row + 1) * width)));
      }
    }
    await array.close();
  });

  it("says what it cannot open", async () => {
    await writeSmallGroup(IN);
    await exportNetcdf(IN, OUT);
    await expect(openNetcdf(OUT, "speed")).rejects.toThrow(/there is no such variable/);
    await expect(openNetcdf(OUT, "states")).rejects.toThrow(/wanted numbers/);
    const store = await openStore("memory:netcdf-test/out");
    await store.set("/b.nc", new Uint8Array(10_000));
    await store.set("/c.nc", (await store.get("/a.nc"))!.subarray(0, 5000));
    await store.close();
    for (const [file, reason] of [["b", /it is no HDF5 file$/], ["c", /cut short$/]] as const) {
      const opened = openNetcdf(`memory:netcdf-test/out/${file}.nc`, "time");
      await expect(opened).rejects.toThrow(ChunkError);
      await expect(opened).rejects.toThrow(reason);
    }
  });
});
