import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as zarr from "zarrita";
import { openArray } from "../../src/array/array.ts";
import { crc32c } from "../../src/math/crc32c.ts";
import { decodeFloat16 } from "../../src/math/half.ts";
import { ChunkWriter } from "../../src/zarr/chunk_writer.ts";
import { CODECS } from "../../src/zarr/codecs.ts";
import type { Store } from "../../src/store/store.ts";
import { openStore } from "../../src/store/open_store.ts";
import { countingStore } from "../../src/store/store_view.ts";
import type { ZarrArraySpec } from "../../src/zarr/metadata.ts";
import { projectedMetadataBytes } from "../../src/zarr/metadata.ts";
import { writeArray, writeGroup, writeGroupAttributes } from "../../src/zarr/group_writer.ts";
import type { DataType, NumericArray } from "../../src/types.ts";
import { seeded } from "../support/random.ts";
import { recordNumbers } from "../support/record.ts";
import { turn } from "../support/turns.ts";

let stores = 0;
const newStore = () => openStore(`memory:zarr_writer_test/${stores++}`);

function matrix(rows: number, columns: number, chunkRows: number): ZarrArraySpec {
  return {
    name: "x",
    shape: [rows, columns],
    chunkShape: [chunkRows, columns],
    dtype: "float32",
    dims: ["time", "state"],
  };
}

const counted = (length: number) => Float32Array.from({ length }, (_, i) => i + 1);

async function readBack(store: Store, spec: ZarrArraySpec): Promise<unknown[]> {
  const array = await zarr.open.v3(zarr.root(store).resolve(`/${spec.name}`), { kind: "array" });
  expect(array.shape).toEqual(spec.shape);
  expect(array.dimensionNames).toEqual(spec.dims);
  const { data } = await zarr.get(array);
  return [...data as Iterable<unknown>];
}

/** All bytes of a store, by key. */
async function contents(store: Store): Promise<Record<string, Uint8Array>> {
  const keys = await store.list("/");
  return Object.fromEntries(
    await Promise.all(keys.map(async (key) => [key, await store.get(key)])),
  );
}

describe("writeGroup()", () => {
  it("writes metadata that zarrita reads, arrays first and the group last", async () => {
    const store = await newStore();
    const written: string[] = [];
    const set = store.set.bind(store);
    store.set = (key, bytes) => (written.push(key), set(key, bytes));
    const group = {
      attributes: { title: "decode" },
      arrays: [{ ...matrix(5, 3, 2), attributes: { units: "1" } }, matrix(1, 1, 1)],
    };
    group.arrays[1]!.name = "y";
    const bytesWritten = await writeGroup(store, group);
    expect(written).toEqual(["/x/zarr.json", "/y/zarr.json", "/zarr.json"]);
    expect(bytesWritten).toBe(projectedMetadataBytes(group));

    const consolidated = await zarr.withConsolidatedMetadata(zarr.root(store).store);
    expect(consolidated.contents().map(({ path }) => path).sort()).toEqual(["/", "/x", "/y"]);
    const root = await zarr.open.v3(consolidated, { kind: "group" });
    expect(root.attrs).toEqual({ title: "decode" });
    const x = await zarr.open.v3(root.resolve("x"), { kind: "array" });
    expect(x.attrs).toEqual({ units: "1" });
    // nothing is written yet: all is fill
    expect([...(await zarr.get(x)).data as Float32Array]).toEqual(Array(15).fill(NaN));
  });

  it("lets the attributes be replaced at the end", async () => {
    const store = await newStore();
    const group = { attributes: { complete: false }, arrays: [matrix(5, 3, 2)] };
    await writeGroup(store, group);
    await writeGroupAttributes(store, { ...group, attributes: { complete: true } });
    const root = await zarr.open.v3(await zarr.withConsolidatedMetadata(store), { kind: "group" });
    expect(root.attrs).toEqual({ complete: true });
  });

  it("refuses shapes, chunks and dims that do not belong together, and writes nothing", async () => {
    const store = await newStore();
    const wrong = [
      { ...matrix(5, 3, 2), dims: ["time"] },
      { ...matrix(5, 3, 2), chunkShape: [0, 3] },
      { ...matrix(2.5, 3, 2) },
    ];
    for (const spec of wrong) {
      await expect(writeGroup(store, { attributes: {}, arrays: [spec] })).rejects.toThrow(
        RangeError,
      );
    }
    expect(await store.list("/")).toEqual([]);
  });
});

describe("writeArray()", () => {
  const cases: [ZarrArraySpec["dtype"], NumericArray | string[], unknown[]][] = [
    ["float64", Float64Array.of(0.1, -1e300, NaN), [0.1, -1e300, NaN]],
    ["int32", Int32Array.of(-1, 0, 2 ** 31 - 1), [-1, 0, 2 ** 31 - 1]],
    ["bool", Uint8Array.of(1, 0, 1), [true, false, true]],
    ["uint8", Uint8Array.of(0, 9, 255), [0, 9, 255]],
    ["uint16", Uint16Array.of(0, 9, 65535), [0, 9, 65535]],
    ["int64", BigInt64Array.of(-1n, 0n, 2n ** 60n), [-1n, 0n, 2n ** 60n]],
    ["string", ["Continuous", "", "Fragmented Zürich 🐀"], [
      "Continuous",
      "",
      "Fragmented Zürich 🐀",
    ]],
  ];
  it.each(cases)("writes %s coordinates that zarrita reads", async (dtype, data, wanted) => {
    const store = await newStore();
    const spec = { name: "states", shape: [3], chunkShape: [3], dtype, dims: ["states"] };
    await writeGroup(store, { attributes: {}, arrays: [spec] });
    await writeArray(store, spec, data);
    expect(await readBack(store, spec)).toEqual(wanted);
  });

  it("takes half floats as their bits, or rounds f32 to them", async () => {
    const values = Float32Array.of(0.1, 1, 65504);
    const spec = { ...matrix(3, 1, 2), dtype: "float16" as const };
    const rounded = await newStore();
    await writeArray(rounded, spec, values);
    const raw = await newStore();
    await writeArray(raw, spec, Uint16Array.of(0x2e66, 0x3c00, 0x7bff));
    expect(await contents(raw)).toEqual(await contents(rounded));
    const chunk = await raw.get("/x/c/1/0");
    // the padding is NaN, and a checksum follows
    expect(decodeFloat16(new Uint16Array(chunk!.buffer, 0, 2))).toEqual(
      Float32Array.of(65504, NaN),
    );
  });

  it("writes no chunk for an array without rows", async () => {
    const store = await newStore();
    expect(await writeArray(store, matrix(0, 3, 1), new Float32Array(0))).toBe(0);
    expect(await store.list("/")).toEqual([]);
  });

  it("refuses data of another length or kind", async () => {
    const store = await newStore();
    const short = writeArray(store, matrix(5, 3, 5), new Float32Array(14));
    await expect(short).rejects.toThrow(/got 14 elements, its shape \[5,3\] has 15/);
    const other = writeArray(store, matrix(5, 3, 5), new Float64Array(15));
    await expect(other).rejects.toThrow(/got a Float64Array, float32 wants a Float32Array/);
  });
});

describe("stores of every kind", () => {
  const ROWS = 29;
  const bytes = seededBytes(ROWS * 3 * 8);
  const values: Partial<Record<DataType, NumericArray>> = {
    float64: Float64Array.from({ length: ROWS * 3 }, (_, i) => bytes[i]! / 7),
    float32: Float32Array.from({ length: ROWS * 3 }, (_, i) => bytes[i]! / 7),
    float16: Uint16Array.from({ length: ROWS * 3 }, (_, i) => bytes[i]! << 4),
    int32: new Int32Array(bytes.buffer, 0, ROWS * 3),
    uint32: new Uint32Array(bytes.buffer, 0, ROWS * 3),
    uint16: new Uint16Array(bytes.buffer, 0, ROWS * 3),
    uint8: bytes.slice(0, ROWS * 3),
    bool: bytes.slice(0, ROWS * 3).map((byte) => byte & 1),
  };

  for (const format of [2, 3] as const) {
    for (const codec of CODECS) {
      it(`open in zarrita with equal hashes: version ${format}, codec ${codec}`, async () => {
        const store = await newStore();
        const arrays = (Object.keys(values) as DataType[]).map((dtype): ZarrArraySpec => ({
          name: dtype,
          shape: [ROWS, 3],
          chunkShape: [4, 3],
          ...(format === 3 && { shardChunks: 3 }),
          dtype,
          dims: ["time", "state"],
          codec,
        }));
        const text: ZarrArraySpec = {
          name: "text",
          shape: [3],
          chunkShape: [3],
          dtype: "string",
          stringLength: 8,
          dims: ["state"],
        };
        const group = { zarrFormat: format, attributes: { a: 1 }, arrays: [...arrays, text] };
        await writeGroup(store, group);
        await writeArray(store, text, ["Zürich 🐀", "", "b"], format);
        for (const spec of arrays) {
          const writer = new ChunkWriter(store, spec, { format, descending: true });
          const data = values[spec.dtype]!;
          for (let end = ROWS; end > 0; end -= 5) {
            const start = Math.max(0, end - 5);
            await writer.write(start, data.slice(3 * start, 3 * end));
          }
          await writer.finish();
          expect(writer.bytesWritten).toBeLessThanOrEqual(
            ChunkWriter.projectedDiskBytes(spec, format),
          );
        }
        const files = (await store.list("/")).filter((key) => key.startsWith("/float32/c/"));
        if (format === 3) {
          expect(files).toEqual(["/float32/c/0/0", "/float32/c/1/0", "/float32/c/2/0"]);
        }

        const root = await zarr.open(zarr.root(store), { kind: "group" });
        expect(root.attrs).toEqual({ a: 1 });
        const hashes: number[] = [];
        for (const { name, dtype } of arrays) {
          // zarrita has half floats only where the runtime does
          if (dtype === "float16") continue;
          const { data } = await zarr.get(await zarr.open(root.resolve(name), { kind: "array" }));
          const wanted = dtype === "bool"
            ? [...values.bool as Uint8Array].map(Boolean)
            : values[dtype];
          expect([...data as Iterable<unknown>]).toEqual([...wanted as Iterable<unknown>]);
          const read = data as Float32Array;
          hashes.push(crc32c(new Uint8Array(read.buffer, read.byteOffset, read.byteLength)));
        }
        const half = await openArray(`${store.place}/float16`);
        expect(await half.read(0, ROWS)).toEqual(decodeFloat16(values.float16 as Uint16Array));
        const { data } = await zarr.get(await zarr.open(root.resolve("text"), { kind: "array" }));
        expect([...data as Iterable<unknown>]).toEqual(["Zürich 🐀", "", "b"]);
        // files as well, but where the runtime's own gzip wrote them
        for (const key of codec === "gzip" ? [] : await store.list("/")) {
          hashes.push(crc32c((await store.get(key))!));
        }
        await recordNumbers(`store_hashes_v${format}_${codec}`, hashes);
      });
    }
  }
});

/** Bytes that look random, the same everywhere. */
function seededBytes(length: number): Uint8Array<ArrayBuffer> {
  const random = seeded(11);
  return Uint8Array.from({ length }, () => Math.floor(256 * random()));
}

describe("a ChunkWriter", () => {
  it.each([[1, 1, 1], [1, 3, 4], [7, 3, 7], [8, 3, 7], [7, 5, 2], [6, 1, 2]])(
    "writes %i rows of %i in chunks of %i that zarrita reads",
    async (rows, columns, chunkRows) => {
      const store = countingStore(await newStore());
      const spec = matrix(rows, columns, chunkRows);
      await writeGroup(store, { attributes: {}, arrays: [spec] });
      const metadataBytes = store.bytesWritten;
      const writer = new ChunkWriter(store, spec);
      const values = counted(rows * columns);
      await writer.write(0, values);
      await writer.finish();
      expect(await readBack(store, spec)).toEqual([...values]);
      expect(writer.bytesWritten).toBe(ChunkWriter.projectedDiskBytes(spec));
      expect(store.bytesWritten - metadataBytes).toBe(writer.bytesWritten);
    },
  );

  it("writes the same bytes for any blocks, ascending or descending, in two buffers", async () => {
    const partition = fc.record({
      rows: fc.integer({ min: 1, max: 40 }),
      chunkRows: fc.integer({ min: 1, max: 12 }),
      cuts: fc.array(fc.nat(39), { maxLength: 12 }),
      descending: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(partition, async ({ rows, chunkRows, cuts, descending }) => {
        const spec = matrix(rows, 2, chunkRows);
        const values = counted(rows * 2);
        const whole = await newStore();
        await writeArray(whole, spec, values);

        const store = await newStore();
        const writer = new ChunkWriter(store, spec, { descending });
        const bounds = [...new Set([0, ...cuts.filter((cut) => cut < rows), rows])]
          .sort((a, b) => a - b);
        const blocks = bounds.slice(1).map((end, i): [number, number] => [bounds[i]!, end]);
        if (descending) blocks.reverse();
        for (const [start, end] of blocks) {
          const block = values.slice(start * 2, end * 2);
          await writer.write(start, block);
          // as memory of the driver does, the block vanishes
          block.fill(-1);
          expect(writer.hostBytes).toBeLessThanOrEqual(ChunkWriter.projectedHostBytes(spec));
        }
        await writer.finish();
        expect(writer.hostBytes).toBe(0);
        expect(await contents(store)).toEqual(await contents(whole));
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  it("fills one chunk while the one before is stored, and holds no third", async () => {
    const store = await newStore();
    const spec = matrix(9, 1, 2);
    const writer = new ChunkWriter(store, spec);
    const set = store.set.bind(store);
    let storing = 0;
    let peakBytes = 0;
    let goOn = () => {};
    let held: Promise<void> | undefined = new Promise((resolve) => goOn = resolve);
    store.set = async (key, bytes) => {
      storing++;
      await held;
      peakBytes = Math.max(peakBytes, writer.hostBytes);
      await set(key, bytes);
      storing--;
    };
    await writer.write(0, counted(3));
    expect(storing).toBe(1);
    const more = writer.write(3, counted(6));
    await turn();
    expect(storing).toBe(1);
    goOn();
    held = turn();
    await more;
    await writer.finish();
    expect(storing).toBe(0);
    expect(peakBytes).toBe(ChunkWriter.projectedHostBytes(spec));
    expect(writer.bytesWritten).toBe(5 * (8 + 4));
  });

  it("stores edge chunks whole, padded with the fill value", async () => {
    const store = await newStore();
    const spec = { ...matrix(3, 1, 2), dtype: "int32" as const, fillValue: -7 };
    await writeArray(store, spec, Int32Array.of(1, 2, 3));
    const chunk = (await store.get("/x/c/1/0"))!;
    expect(new Int32Array(chunk.buffer, 0, 2)).toEqual(Int32Array.of(3, -7));
    expect(new DataView(chunk.buffer).getUint32(8, true)).toBe(crc32c(chunk.subarray(0, 8)));
  });

  it("refuses rows outside the array, rows that came before, and rows that do not adjoin", async () => {
    const writer = new ChunkWriter(await newStore(), matrix(10, 2, 4));
    const write = (start: number, rows: number) => writer.write(start, counted(rows * 2));
    await expect(write(9, 2)).rejects.toThrow(/rows 9 to 11 of "x": the array has 10 rows/);
    await expect(write(-1, 2)).rejects.toThrow(RangeError);
    await expect(writer.write(0, counted(3))).rejects.toThrow(/3 elements, wanted a multiple of 2/);
    await write(0, 2);
    await expect(write(1, 1)).rejects.toThrow(/came before/);
    await expect(write(3, 1)).rejects.toThrow(/rows 0 to 2 wait for the rest of their chunk/);
    await expect(write(8, 2)).rejects.toThrow(/rows 0 to 2 wait for the rest of their chunk/);
    await write(2, 2);
    await expect(write(3, 1)).rejects.toThrow(/came before/);
  });

  it.each([
    [[[0, 3]], "rows 3 to 10"],
    [[[0, 4], [8, 2]], "rows 4 to 8"],
    [[[7, 3]], "rows 0 to 7"],
    [[[0, 4], [5, 2]], "rows 4 to 5"],
  ])("names the first missing rows when it is finished after %j", async (blocks, missing) => {
    const descending = blocks[0]![0] !== 0;
    const writer = new ChunkWriter(await newStore(), matrix(10, 2, 4), { descending });
    for (const [start, rows] of blocks as [number, number][]) {
      await writer.write(start, counted(rows * 2));
    }
    await expect(writer.finish()).rejects.toThrow(`${missing} never came, wanted all 10 rows`);
  });

  it("tells which file is not what commits told: missing, of another size, or damaged", async () => {
    const store = await newStore();
    const spec = { ...matrix(7, 3, 1), shardChunks: 4 };
    const writer = new ChunkWriter(store, spec);
    await writer.write(0, counted(18));
    const { chunks } = await writer.commit();
    await writer.close();
    const problem = async (given = chunks) =>
      (await new ChunkWriter(store, spec).verify(given))?.message;
    expect(await problem()).toBeUndefined();

    // the first shard is finished: its four chunks of 12 bytes and checksums, and an index
    const whole = (await store.get("/x/c/0/0"))!;
    expect(whole.byteLength).toBe(4 * 16 + 4 * 16 + 4);
    await store.set("/x/c/0/0", whole.subarray(0, 131));
    expect(await problem()).toMatch(/x\/c\/0\/0": it holds 131 bytes, wanted 132/);
    await store.delete("/x/c/0/0");
    expect(await problem()).toMatch(/x\/c\/0\/0": it is missing, wanted 64 bytes/);
    await store.set("/x/c/0/0", whole);

    // the second is not: what it has is read
    const begun = (await store.get("/x/c/1/0.partial"))!;
    const replace = async (bytes: Uint8Array) => {
      const appender = await store.append("/x/c/1/0");
      await appender.append(bytes);
      await appender.close();
    };
    await replace(begun.subarray(0, 31));
    expect(await problem()).toMatch(/x\/c\/1\/0": it holds 31 bytes, wanted 32/);
    for (let at = 0; at < 32; at++) {
      const flipped = begun.slice();
      flipped[at]! ^= 1;
      await replace(flipped);
      // of a chunk whose own checksum is damaged the log has another
      if (at % 16 < 12) expect(await problem()).toMatch(/its chunk [45] is damaged/);
    }
    await replace(begun);
    expect(await problem()).toBeUndefined();

    const loose = { ...matrix(2, 3, 1), name: "y" };
    const alone = new ChunkWriter(store, loose);
    await alone.write(0, counted(6));
    const own = (await alone.commit()).chunks;
    await store.set("/y/c/1/0", new Uint8Array(15));
    expect((await new ChunkWriter(store, loose).verify(own))?.message)
      .toMatch(/y\/c\/1\/0": it holds 15 bytes, wanted 16/);
  });

  it("refuses chunks that cut rows", async () => {
    const store = await newStore();
    const spec = { ...matrix(4, 6, 2), chunkShape: [2, 3] };
    expect(() => new ChunkWriter(store, spec)).toThrow(/chunks of \[2,3\] cut rows of \[6\]/);
  });

  it("reports a failed store with the next call, and at the end", async () => {
    const store = await newStore();
    store.set = () => Promise.reject(new Error("disk full"));
    const writer = new ChunkWriter(store, matrix(9, 1, 1));
    await writer.write(0, counted(1));
    await expect(writer.write(1, counted(4))).rejects.toThrow("disk full");
    await expect(writer.finish()).rejects.toThrow("disk full");
  });

  it("stops when it is cancelled", async () => {
    const writer = new ChunkWriter(await newStore(), matrix(4, 1, 2));
    const write = writer.write(0, counted(4), AbortSignal.abort(new Error("cancelled")));
    await expect(write).rejects.toThrow("cancelled");
    expect(writer.bytesWritten).toBe(0);
  });

  it("replaces whole files when rows come again, and tells of them when they are whole", async () => {
    const store = await newStore();
    const spec = { ...matrix(8, 1, 2), shardChunks: 2 };
    await writeGroup(store, { zarrFormat: 3, attributes: {}, arrays: [spec] });
    const writer = new ChunkWriter(store, spec, { descending: true });
    await writer.write(0, counted(8));
    expect((await writer.commit()).chunks).toHaveLength(4);
    const stored = writer.bytesWritten;

    writer.redo("all");
    await writer.write(6, Float32Array.of(70, 80));
    // its file has another chunk to come: the stored one counts
    expect(await writer.commit()).toMatchObject({ chunks: [], replacing: true });
    expect(await readBack(store, spec)).toEqual([...counted(8)]);
    writer.redo("begun");
    await writer.write(0, Float32Array.of(-1, -2, -3, -4, 50, 60));
    const { chunks, replacing } = await writer.commit();
    expect(chunks.map(([index]) => index).sort()).toEqual([2, 3]);
    expect(replacing).toBe(false);
    // rows of files that were not begun again stay as they are
    expect(await readBack(store, spec)).toEqual([1, 2, 3, 4, 50, 60, 70, 80]);
    expect(writer.bytesWritten).toBe(stored);
    await writer.finish();
  });
});
