import { describe, expect, it } from "vitest";
import * as zarr from "zarrita";
import { openArray, readAll } from "../../src/array/array.ts";
import { openZarrArray } from "../../src/zarr/zarr_array.ts";
import { ChunkError } from "../../src/errors.ts";
import type { Store } from "../../src/store/store.ts";
import { openStore } from "../../src/store/open_store.ts";
import { countingStore } from "../../src/store/store_view.ts";
import type { ZarrArraySpec } from "../../src/zarr/metadata.ts";
import { writeArray, writeGroup } from "../../src/zarr/group_writer.ts";
import type { NumericArray } from "../../src/types.ts";

let stores = 0;
const newStore = () => openStore(`memory:zarr_test/${stores++}.zarr`);
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const counted = (length: number) => Float32Array.from({ length }, (_, i) => i + 1);

function spec(shape: number[], chunkShape: number[], dtype: ZarrArraySpec["dtype"] = "float32") {
  return { name: "x", shape, chunkShape, dtype, dims: shape.map((_, axis) => `d${axis}`) };
}

async function written(array: ZarrArraySpec, values: NumericArray): Promise<Store> {
  const store = await newStore();
  await writeGroup(store, { attributes: {}, arrays: [array] });
  await writeArray(store, array, values);
  return store;
}

/** A v2 array of raw chunks, as Python's zarr 2 writes it. */
async function writtenV2(
  metadata: Record<string, unknown>,
  chunks: Record<string, NumericArray>,
): Promise<Store> {
  const store = await newStore();
  const defaults = { zarr_format: 2, order: "C", compressor: null, filters: null };
  await store.set("/x/.zarray", json({ ...defaults, fill_value: null, ...metadata }));
  for (const [key, { buffer }] of Object.entries(chunks)) {
    await store.set(`/x/${key}`, new Uint8Array(buffer));
  }
  return store;
}

describe("a zarr array", () => {
  it("is opened by its place and read by rows across chunks", async () => {
    const values = counted(7 * 3);
    const store = await written(spec([7, 3], [2, 3]), values);
    const array = await openArray(`${store.place}/x`);
    expect(array.shape).toEqual([7, 3]);
    expect(array.dtype).toBe("float32");
    expect(array.dims).toEqual(["d0", "d1"]);
    expect(array.chunkRows).toBe(2);
    for (const [start, end] of [[0, 7], [0, 1], [6, 7], [1, 6], [2, 4], [3, 3]] as const) {
      expect(await array.read(start, end)).toEqual(values.slice(start * 3, end * 3));
    }
    await expect(array.read(6, 8)).rejects.toThrow(RangeError);
    await array.close();
  });

  it.each(
    [
      ["bool", Uint8Array.of(1, 0, 1)],
      ["int8", Int8Array.of(-1, 0, 1)],
      ["int16", Int16Array.of(-1, 0, 1)],
      ["int32", Int32Array.of(-1, 0, 1)],
      ["int64", BigInt64Array.of(-1n, 0n, 1n)],
      ["uint8", Uint8Array.of(1, 0, 255)],
      ["uint16", Uint16Array.of(1, 0, 65535)],
      ["uint32", Uint32Array.of(1, 0, 2)],
      ["uint64", BigUint64Array.of(1n, 0n, 2n)],
      ["float64", Float64Array.of(0.1, NaN, 2)],
    ] as const,
  )("of %s comes as the typed array of that type", async (dtype, values) => {
    const array = await openZarrArray(await written(spec([3], [2], dtype), values), "/x");
    expect(array.dtype).toBe(dtype);
    expect(await readAll(array)).toEqual(values);
  });

  it("of half floats comes as f32, in runtimes without Float16Array too", async () => {
    const values = Float32Array.of(0.5, 65504, -(2 ** -24));
    const store = await written(spec([5], [3], "float16"), Float32Array.of(...values, 1, 2));
    await store.delete("/x/c/1");
    const array = await openZarrArray(store, "/x");
    expect(array.dtype).toBe("float16");
    expect(await readAll(array)).toEqual(Float32Array.of(...values, NaN, NaN));
  });

  it("in format 2 is read too, with its names in _ARRAY_DIMENSIONS", async () => {
    const metadata = { shape: [3, 2], chunks: [2, 2], dtype: "<f4", fill_value: 0.5 };
    const store = await writtenV2(metadata, { "0.0": Float32Array.of(1, 2, 3, 4) });
    await store.set("/x/.zattrs", json({ _ARRAY_DIMENSIONS: ["time", "unit"] }));
    const array = await openArray(`${store.place}/x`);
    expect(array.dims).toEqual(["time", "unit"]);
    expect(await readAll(array)).toEqual(Float32Array.of(1, 2, 3, 4, 0.5, 0.5));
  });

  it("in format 2 may be half floats, big endian, in Fortran order, or without a fill value", async () => {
    const half = await writtenV2(
      { shape: [2], chunks: [2], dtype: "<f2" },
      { 0: Uint16Array.of(0x3c00, 0xc000) },
    );
    expect(await readAll(await openZarrArray(half, "/x"))).toEqual(Float32Array.of(1, -2));
    const big = await writtenV2(
      { shape: [2], chunks: [2], dtype: ">i2" },
      { 0: Uint8Array.of(0, 1, 1, 0) },
    );
    expect(await readAll(await openZarrArray(big, "/x"))).toEqual(Int16Array.of(1, 256));
    const fortran = await writtenV2(
      { shape: [3, 2], chunks: [2, 2], dtype: "<i4", order: "F" },
      { "0.0": Int32Array.of(1, 3, 2, 4), "1.0": Int32Array.of(5, 0, 6, 0) },
    );
    expect(await readAll(await openZarrArray(fortran, "/x"))).toEqual(
      Int32Array.of(1, 2, 3, 4, 5, 6),
    );
    // one whole chunk, which needs no putting together
    const firstChunk = await (await openZarrArray(fortran, "/x")).read(0, 2);
    expect(firstChunk).toEqual(Int32Array.of(1, 2, 3, 4));
    const empty = await writtenV2({ shape: [2], chunks: [2], dtype: "<i8" }, {});
    expect(await readAll(await openZarrArray(empty, "/x"))).toEqual(BigInt64Array.of(0n, 0n));
  });

  it("in chunks along every axis is put together, compressed or transposed", async () => {
    const shape = [5, 4, 3];
    const values = counted(60);
    for (
      const codecs of [
        [{ name: "bytes", configuration: { endian: "little" } }],
        [
          { name: "transpose", configuration: { order: [2, 0, 1] } },
          { name: "bytes", configuration: { endian: "little" } },
          { name: "zstd", configuration: { level: 1, checksum: false } },
        ],
      ]
    ) {
      const store = await newStore();
      const made = await zarr.create(zarr.root(store).resolve("/x"), {
        shape,
        chunkShape: [2, 3, 2],
        dtype: "float32",
        codecs,
        fillValue: 0,
      });
      await zarr.set(made, null, { data: values, shape, stride: [12, 3, 1] });
      const array = await openZarrArray(store, "/x");
      expect(await readAll(array)).toEqual(values);
      expect(await array.read(1, 4)).toEqual(values.slice(12, 48));
    }
  });

  it("with an unknown codec is refused when it is opened, naming codec and array", async () => {
    const store = await written(spec([2], [2]), counted(2));
    const metadata = JSON.parse(new TextDecoder().decode(await store.get("/x/zarr.json")));
    metadata.codecs.push({ name: "pcodec" });
    await store.set("/x/zarr.json", json(metadata));
    const open = openArray(`${store.place}/x`);
    await expect(open).rejects.toThrow(ChunkError);
    await expect(open).rejects.toThrow(`Cannot open "${store.place}/x": its codec "pcodec"`);
    const v2 = await writtenV2(
      { shape: [2], chunks: [2], dtype: "<f4", compressor: { id: "lzma" } },
      {},
    );
    await expect(openZarrArray(v2, "/x")).rejects.toThrow('its codec "lzma" is not known');
  });

  it("that is not there is a ChunkError with its path; so is a group, and text", async () => {
    const store = await written(spec([2], [2]), counted(2));
    for (const path of ["/y", "/"]) {
      const open = openZarrArray(store, path);
      await expect(open).rejects.toThrow(ChunkError);
      await expect(open).rejects.toThrow(/there is no zarr array, wanted the place of one/);
    }
    await expect(openArray(`${store.place}/y`)).rejects.toMatchObject({ path: `${store.place}/y` });
    const text = { ...spec([1], [1], "string"), name: "text" };
    await writeGroup(store, { attributes: {}, arrays: [text] });
    await expect(openZarrArray(store, "/text")).rejects.toThrow(
      /elements are string, wanted numbers/,
    );
  });

  it("with a chunk that is cut short or damaged is an error, never zeros", async () => {
    const store = await written(spec([4], [2]), counted(4));
    await store.set("/x/c/1", Uint8Array.of(1, 0, 0, 0));
    const array = await openZarrArray(store, "/x");
    expect(await array.read(0, 2)).toEqual(Float32Array.of(1, 2));
    await expect(array.read(0, 4)).rejects.toThrow(
      /chunk 1 in ".*\/x\/c\/1": .*its 4 bytes do not match their checksum/,
    );
    await store.set("/x/c/1", (await store.get("/x/c/1"))!.slice(0, 3));
    await expect(array.read(0, 4)).rejects.toThrow(/its 3 bytes do not match/);
    const raw = await writtenV2(
      { shape: [4], chunks: [2], dtype: "<f4", compressor: null },
      { 1: new Uint8Array(4) },
    );
    await expect(readAll(await openZarrArray(raw, "/x"))).rejects.toThrow(
      /chunk 1 in ".*\/x\/1": it holds 4 bytes, wanted 8/,
    );
    const zipped = await writtenV2(
      { shape: [2], chunks: [2], dtype: "<f4", compressor: { id: "gzip", level: 1 } },
      { 0: Uint8Array.of(1, 2, 3) },
    );
    await expect(readAll(await openZarrArray(zipped, "/x"))).rejects.toThrow(ChunkError);
    await store.set("/x/zarr.json", new Uint8Array(3));
    await expect(openZarrArray(store, "/x")).rejects.toThrow(/zarr.json": it is not JSON/);
  });

  it("reads the chunks that have some of the rows, and no other", async () => {
    const store = countingStore(await written(spec([7, 3], [2, 3]), counted(21)));
    const array = await openZarrArray(store, "/x");
    for (const [start, end, chunks] of [[0, 2, 1], [1, 2, 1], [1, 4, 2], [6, 7, 1], [0, 7, 4]]) {
      const before = store.reads;
      await array.read(start!, end!);
      expect(store.reads - before, `rows ${start} to ${end}`).toBe(chunks);
    }
  });

  it("stops reading when it is cancelled", async () => {
    const array = await openZarrArray(await written(spec([4], [1]), counted(4)), "/x");
    const read = array.read(0, 4, { signal: AbortSignal.abort(new Error("cancelled")) });
    await expect(read).rejects.toThrow("cancelled");
  });
});
