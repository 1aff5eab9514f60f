/** What is read of arrays that others may have written, and what is refused by name. */

import { describe, expect, inject, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { ChunkError } from "../../src/errors.ts";
import { crc32c } from "../../src/math/crc32c.ts";
import { openStore } from "../../src/store/open_store.ts";
import { StoreView } from "../../src/store/store_view.ts";
import { openZarrGroup } from "../../src/zarr/group.ts";
import { openZarrArray, readZarrText } from "../../src/zarr/zarr_array.ts";
import { runtime } from "../support/runtime.ts";
import { sharedDataMissing, sharedFile } from "../support/shared_data.ts";

type Json = Record<string, unknown>;
/** JSON by hand, or what becomes of it. */
type Metadata = Json | string;
type Chunks = Record<string, ArrayBufferView>;

let stores = 0;

/** The place of an array of four f32, or what `metadata` makes of it. */
async function stored(name: "zarr.json" | ".zarray", metadata: Metadata, chunks: Chunks) {
  const store = await openStore(`memory:array_metadata/${stores++}`);
  const text = typeof metadata === "string" ? metadata : JSON.stringify(metadata);
  await store.set(`/${name}`, new TextEncoder().encode(text));
  for (const [key, { buffer, byteOffset, byteLength }] of Object.entries(chunks)) {
    await store.set(`/${key}`, new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength));
  }
  return store.place;
}

const bytes = (endian = "little") => ({ name: "bytes", configuration: { endian } });
const codec = (name: string, configuration: Json = {}) => ({ name, configuration });
const V3 = {
  zarr_format: 3,
  node_type: "array",
  shape: [4],
  data_type: "float32",
  chunk_grid: codec("regular", { chunk_shape: [4] }),
  chunk_key_encoding: codec("default"),
  fill_value: 0,
  codecs: [bytes()],
};
const V2 = {
  zarr_format: 2,
  shape: [4],
  chunks: [4],
  dtype: "<f4",
  compressor: null,
  fill_value: 0,
  order: "C",
  filters: null,
};
const FOUR = Float32Array.of(1, 2, 3, 4);

const v3 = (change: Json, chunk: ArrayBufferView | undefined = FOUR) =>
  stored("zarr.json", { ...V3, ...change }, chunk ? { "c/0": chunk } : {});
const v2 = (change: Json, chunk: ArrayBufferView | undefined = FOUR) =>
  stored(".zarray", { ...V2, ...change }, chunk ? { "0": chunk } : {});
async function read(place: string | Promise<string>) {
  const array = await openArray(await place);
  const values = await readAll(array);
  await array.close();
  return values;
}

/** Bytes that others write: a shard of chunks, each raw; the index is checked or not. */
function shard(
  chunks: readonly (Uint8Array | undefined)[],
  { atStart = false, bigEndian = false, checked = true } = {},
): Uint8Array {
  const index = new DataView(new ArrayBuffer(16 * chunks.length + (checked ? 4 : 0)));
  let offset = atStart ? index.byteLength : 0;
  chunks.forEach((chunk, i) => {
    index.setBigUint64(16 * i, chunk ? BigInt(offset) : 2n ** 64n - 1n, !bigEndian);
    index.setBigUint64(16 * i + 8, chunk ? BigInt(chunk.length) : 2n ** 64n - 1n, !bigEndian);
    offset += chunk?.length ?? 0;
  });
  const told = new Uint8Array(index.buffer);
  if (checked) {
    index.setUint32(16 * chunks.length, crc32c(told.subarray(0, 16 * chunks.length)), true);
  }
  const body = chunks.flatMap((chunk) => [...chunk ?? []]);
  return Uint8Array.of(...atStart ? [...told, ...body] : [...body, ...told]);
}

describe("an array of version 3 is read", () => {
  const readable: [what: string, change: Json, chunk: ArrayBufferView, wanted: ArrayBufferView][] =
    [
      ["without attributes", {}, FOUR, FOUR],
      ["with null among its dimension names", { dimension_names: [null] }, FOUR, FOUR],
      [
        "with codecs that are names alone",
        {
          data_type: "int8",
          codecs: ["bytes", "crc32c"],
          chunk_key_encoding: "default",
        },
        withChecksum(Uint8Array.of(1, 2, 3, 4)),
        Int8Array.of(1, 2, 3, 4),
      ],
      [
        "with what says that it may be ignored",
        {
          hint: { name: "hint", must_understand: false },
          storage_transformers: [],
        },
        FOUR,
        FOUR,
      ],
      [
        "of big-endian bool",
        { data_type: "bool", fill_value: false, codecs: [bytes("big")] },
        Uint8Array.of(1, 0, 1, 1),
        Uint8Array.of(1, 0, 1, 1),
      ],
      [
        "of big-endian numbers",
        { data_type: "int16", codecs: [bytes("big")] },
        Uint8Array.of(0, 1, 1, 0, 255, 255, 128, 0),
        Int16Array.of(1, 256, -1, -32768),
      ],
      [
        "of differences of half floats",
        {
          data_type: "float16",
          codecs: [codec("numcodecs.delta", { dtype: "<f2" }), bytes()],
        },
        Uint16Array.of(0x3c00, 0x3c00, 0x3c00, 0x3c00),
        FOUR,
      ],
      [
        "of differences that are big-endian",
        {
          data_type: "int16",
          codecs: [codec("numcodecs.delta", { dtype: ">i2", astype: "|i1" }), codec("bytes")],
        },
        Int8Array.of(100, 100, 100, -1),
        Int16Array.of(100, 200, 300, 299),
      ],
    ];

  it.each(readable)("%s", async (_, change, chunk, wanted) => {
    expect(await read(v3(change, chunk))).toEqual(wanted);
  });

  it("transposed twice in a row", async () => {
    const change = {
      shape: [2, 1, 3],
      data_type: "uint8",
      chunk_grid: codec("regular", { chunk_shape: [2, 1, 3] }),
      codecs: [
        codec("transpose", { order: [2, 0, 1] }),
        codec("transpose", { order: [1, 0, 2] }),
        codec("bytes"),
      ],
    };
    const metadata = { ...V3, ...change };
    // (2, 1, 3) becomes (3, 2, 1), and that (2, 3, 1): where it was
    const place = stored("zarr.json", metadata, { "c/0/0/0": Uint8Array.of(1, 2, 3, 4, 5, 6) });
    expect(await read(place)).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 6));
    const thrice = {
      ...metadata,
      codecs: [codec("transpose", { order: [2, 1, 0] }), ...metadata.codecs],
    };
    const turned = stored("zarr.json", thrice, { "c/0/0/0": Uint8Array.of(1, 2, 3, 4, 5, 6) });
    // (2, 1, 3) becomes (3, 1, 2), that (2, 3, 1), and that (3, 2, 1)
    expect(await read(turned)).toEqual(Uint8Array.of(1, 3, 5, 2, 4, 6));
  });

  it.each([
    { atStart: true },
    { bigEndian: true },
    { checked: false },
    { atStart: true, bigEndian: true, checked: false },
  ])("in shards that are transposed, the index %o", async (options) => {
    const { atStart, bigEndian, checked = true } = options as Partial<Record<string, boolean>>;
    const metadata = {
      ...V3,
      shape: [4, 2],
      data_type: "uint8",
      fill_value: 9,
      chunk_grid: codec("regular", { chunk_shape: [4, 2] }),
      codecs: [
        codec("transpose", { order: [1, 0] }),
        codec("sharding_indexed", {
          chunk_shape: [1, 2],
          codecs: [codec("bytes")],
          index_codecs: [bytes(bigEndian ? "big" : "little"), ...checked ? [codec("crc32c")] : []],
          ...atStart && { index_location: "start" },
        }),
      ],
    };
    const chunks = [Uint8Array.of(1, 3), Uint8Array.of(5, 7), Uint8Array.of(2, 4), undefined];
    const place = stored("zarr.json", metadata, { "c/0/0": shard(chunks, options) });
    expect(await read(place)).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 9, 7, 9));
  });

  it("with every form of fill value, exactly", async () => {
    const forms: [dtype: string, json: string, wanted: ArrayBufferView][] = [
      ["float32", '"NaN"', Float32Array.of(NaN)],
      ["float32", '"0x7fc00000"', Float32Array.of(NaN)],
      ["float32", '"0x3FC00000"', Float32Array.of(1.5)],
      ["float64", '"-Infinity"', Float64Array.of(-Infinity)],
      ["float64", '"0x3ff8000000000000"', Float64Array.of(1.5)],
      ["float64", "-0.0", Float64Array.of(-0)],
      ["float16", '"0x3e00"', Float32Array.of(1.5)],
      ["float16", "NaN", Float32Array.of(NaN)],
      // in f32 this is the tie between two halves
      ["float16", "1.00048828126", Float32Array.of(1.0009765625)],
      ["int64", "9007199254740993", BigInt64Array.of(9007199254740993n)],
      ["int64", "-9223372036854775808", BigInt64Array.of(-(2n ** 63n))],
      ["uint64", "18446744073709551615", BigUint64Array.of(2n ** 64n - 1n)],
      ["bool", "true", Uint8Array.of(1)],
    ];
    for (const [data_type, json, wanted] of forms) {
      const metadata = JSON.stringify({ ...V3, shape: [1], data_type, fill_value: "FILL" });
      const place = stored("zarr.json", metadata.replace('"FILL"', json), {});
      expect(await read(place), `${data_type} ${json}`).toEqual(wanted);
    }
  });
});

describe("an array of version 2 is read", () => {
  const readable: [what: string, change: Json, chunk: ArrayBufferView, wanted: ArrayBufferView][] =
    [
      ["with keys that the format has readers ignore", { note: 1 }, FOUR, FOUR],
      ["without filters and compressor", { filters: undefined, compressor: undefined }, FOUR, FOUR],
      [
        "shuffled by the default of four bytes",
        {
          dtype: "<i2",
          filters: [{ id: "shuffle" }],
        },
        Uint8Array.of(1, 3, 0, 0, 2, 4, 0, 0),
        Int16Array.of(1, 2, 3, 4),
      ],
      [
        "of differences of half floats",
        {
          dtype: "<f2",
          filters: [{ id: "delta", dtype: "<f2", astype: "<f2" }],
        },
        Uint16Array.of(0x3c00, 0x3c00, 0x3c00, 0x3c00),
        FOUR,
      ],
      [
        "of differences as narrower numbers",
        {
          dtype: "<i8",
          filters: [{ id: "delta", dtype: "<i8", astype: ">i2" }],
        },
        Uint8Array.of(0, 1, 255, 255, 1, 0, 0, 0),
        BigInt64Array.of(1n, 0n, 256n, 256n),
      ],
      [
        "scaled",
        {
          filters: [{
            id: "fixedscaleoffset",
            scale: 10,
            offset: 1000,
            dtype: "<f4",
            astype: "|u1",
          }],
        },
        Uint8Array.of(0, 1, 2, 255),
        Float32Array.of(1000, 1000.1, 1000.2, 1025.5),
      ],
    ];

  it.each(readable)("%s", async (_, change, chunk, wanted) => {
    expect(await read(v2(change, chunk))).toEqual(wanted);
  });

  it("with whole fill values beyond 2^53, and NaN among its attributes", async () => {
    const metadata = JSON.stringify({ ...V2, dtype: "<u8" })
      .replace('"fill_value":0', '"fill_value":9007199254740993');
    const place = await stored(".zarray", metadata, {});
    const store = await openStore(place);
    const attributes = '{ "_ARRAY_DIMENSIONS": ["time"], "missing": NaN, "NaN": "NaN, -Infinity" }';
    await store.set("/.zattrs", new TextEncoder().encode(attributes));
    const array = await openArray(place);
    expect(array.dims).toEqual(["time"]);
    expect(await readAll(array)).toEqual(new BigUint64Array(4).fill(9007199254740993n));
  });
});

describe("an array is refused", () => {
  const inShards = (options: Json, behind: Json[] = []) => ({
    codecs: [
      codec("sharding_indexed", {
        chunk_shape: [2],
        codecs: [bytes()],
        index_codecs: [bytes(), codec("crc32c")],
        ...options,
      }),
      ...behind,
    ],
  });
  const delta = codec("numcodecs.delta", { dtype: "<f4" });

  it.each<[what: string, place: () => Promise<string>, message: string]>([
    [
      "for a key it must be understood by",
      () => v3({ rotated: { name: "rotated", must_understand: true } }),
      'an unknown "rotated"',
    ],
    ["for a key that says nothing", () => v3({ rotated: 1 }), 'an unknown "rotated"'],
    [
      "for storage transformers",
      () => v3({ storage_transformers: [codec("twice")] }),
      'its storage transformers [{"name":"twice"',
    ],
    [
      "for another chunk grid",
      () => v3({ chunk_grid: codec("rectilinear", {}) }),
      'its chunk grid "rectilinear" is not known',
    ],
    [
      "for an option of the grid",
      () => v3({ chunk_grid: codec("regular", { chunk_shape: [4], origin: [1] }) }),
      'its chunk grid "regular" has an unknown "origin"',
    ],
    [
      "for other chunk keys",
      () => v3({ chunk_key_encoding: codec("flat") }),
      'its chunk key encoding "flat" is not known',
    ],
    [
      "for a separator",
      () => v3({ chunk_key_encoding: codec("default", { separator: "-" }) }),
      'joined by "-", wanted "." or "/"',
    ],
    [
      "without a byte order",
      () => v3({ codecs: [codec("bytes")] }),
      'its codec "bytes" lacks the endian',
    ],
    [
      "for a byte order",
      () => v3({ codecs: [bytes("middle")] }),
      'its codec "bytes" has the endian "middle"',
    ],
    [
      "for an option of a codec",
      () => v3({ codecs: [bytes(), codec("gzip", { window: 3 })] }),
      'its codec "gzip" has an unknown "window"',
    ],
    [
      "for a key beside a codec's options",
      () => v3({ codecs: [{ ...bytes(), mode: 1 }] }),
      'its codec "bytes" has an unknown "mode"',
    ],
    [
      "without a codec that makes bytes",
      () => v3({ codecs: [] }),
      'its codecs have nothing where "bytes" should stand',
    ],
    [
      "for a codec in the wrong place",
      () => v3({ codecs: [codec("crc32c"), bytes()] }),
      'its codecs have "crc32c" where "bytes"',
    ],
    [
      "for a codec behind bytes that takes elements",
      () => v3({ codecs: [bytes(), codec("transpose", { order: [0] })] }),
      'its codec "transpose" is not known',
    ],
    [
      "for a codec it may not ignore",
      () => v3({ codecs: [bytes(), { name: "pcodec", must_understand: false }] }),
      'its codec "pcodec" is not known',
    ],
    [
      "for a name of objects",
      () => v3({ codecs: [bytes(), codec("constructor")] }),
      'its codec "constructor" is not known',
    ],
    [
      "for an order that is none",
      () => v3({ codecs: [codec("transpose", { order: [1] }), bytes()] }),
      'its codec "transpose" has the order [1]',
    ],
    [
      "transposed behind differences",
      () => v3({ codecs: [delta, codec("transpose", { order: [0] }), bytes()] }),
      '"transpose" stands behind a filter',
    ],
    [
      "for differences of other elements",
      () => v3({ data_type: "int32", codecs: [delta, bytes()] }),
      "its filter takes float32, it is given int32",
    ],
    [
      "for differences in another byte order",
      () => v3({ codecs: [delta, bytes("big")] }),
      "another byte order",
    ],
    [
      "for shards in shards",
      () => v3(inShards({ codecs: inShards({ chunk_shape: [1] }).codecs })),
      "its shards hold shards",
    ],
    [
      "for gzip around shards",
      () => v3(inShards({}, [codec("gzip", { level: 1 })])),
      '"gzip" stands behind "sharding_indexed"',
    ],
    [
      "for checksums around shards",
      () => v3(inShards({}, [codec("crc32c")])),
      '"crc32c" stands behind "sharding_indexed"',
    ],
    [
      "for differences around shards",
      () => v3({ codecs: [delta, ...inShards({}).codecs] }),
      'its filter stands before "sharding_indexed"',
    ],
    [
      "for a compressed index",
      () => v3(inShards({ index_codecs: [bytes(), codec("zstd")] })),
      'its codec of indexes, "zstd", is not known',
    ],
    [
      "for an index in the middle",
      () => v3(inShards({ index_location: "middle" })),
      'has the index_location "middle"',
    ],
    [
      "for chunks that shards cannot hold",
      () => v3(inShards({ chunk_shape: [3] })),
      "no multiple of its chunks, [3]",
    ],
    [
      "for chunks of 0 in shards",
      () => v3(inShards({ chunk_shape: [0] })),
      "wanted 1 at least along each axis",
    ],
    [
      "for chunks of 0",
      () => v3({ chunk_grid: codec("regular", { chunk_shape: [0] }) }),
      "wanted 1 at least along each axis",
    ],
    [
      "for chunks of another rank",
      () => v3({ chunk_grid: codec("regular", { chunk_shape: [4, 1] }) }),
      "its chunk shape is [4,1], its shape [4]",
    ],
    [
      "for a shape of fractions",
      () => v3({ shape: [1.5] }),
      "its shape is [1.5], wanted whole numbers",
    ],
    ["for a negative shape", () => v3({ shape: [-4] }), "its shape is [-4], wanted whole numbers"],
    ["without a fill value", () => v3({ fill_value: undefined }), "its fill value is missing"],
    [
      "for a fill value of too few digits",
      () => v3({ fill_value: "0x7fc0" }),
      'its fill value "0x7fc0" is no float32',
    ],
    [
      "for a fill value that is too large",
      () => v3({ data_type: "int8", fill_value: 128 }),
      "its fill value 128 is no int8",
    ],
    [
      "for a fill value in words",
      () => v3({ fill_value: "none" }),
      'its fill value "none" is no float32',
    ],
    [
      "for complex numbers",
      () => v3({ data_type: "complex64" }),
      "its elements are complex64, wanted numbers",
    ],
    [
      "for structures",
      () => v3({ data_type: codec("structured", { fields: [] }) }),
      "its elements are structures",
    ],
    ["for a name too many", () => v3({ dimension_names: ["x", "y"] }), "wanted one for each of 1"],
    ["for another version", () => v3({ zarr_format: 4 }), "its zarr_format is 4, wanted 3"],
    [
      "for structures of version 2",
      () => v2({ dtype: [["a", "<i4"], ["b", "<f8"]] }),
      'its elements are structures [["a","<i4"],["b","<f8"]], wanted numbers',
    ],
    ["for dates", () => v2({ dtype: "<M8[ns]" }), "its elements are <M8[ns], wanted numbers"],
    [
      "for objects",
      () => v2({ dtype: "|O", filters: [{ id: "pickle" }] }),
      "its elements are |O, wanted numbers",
    ],
    ["for long doubles", () => v2({ dtype: "<f16" }), "its elements are <f16, wanted numbers"],
    [
      "for chunks of 0 in version 2",
      () => v2({ chunks: [0] }),
      "its chunk shape is [0], wanted 1 at least along each axis",
    ],
    [
      "for an order that it does not know",
      () => v2({ order: "K" }),
      'its order is "K", wanted "C" or "F"',
    ],
    [
      "for a filter that is not known",
      () => v2({ filters: [{ id: "packbits" }] }),
      'its codec "packbits" is not known',
    ],
    [
      "for an option of a filter",
      () => v2({ filters: [{ id: "shuffle", elementsize: 4, bits: 1 }] }),
      'its codec "shuffle" has an unknown "bits"',
    ],
    [
      "for differences of bool",
      () => v2({ dtype: "|b1", filters: [{ id: "delta", dtype: "|b1" }] }),
      'its codec "delta" takes bool to bool',
    ],
    ["for another separator", () => v2({ dimension_separator: "-" }), 'joined by "-"'],
    [
      "for a list in place of metadata",
      () => stored(".zarray", "[]", {}),
      "it is not JSON of an array",
    ],
  ])("%s", async (_, place, message) => {
    const opening = openArray(await place());
    await expect(opening).rejects.toThrow(ChunkError);
    await expect(opening).rejects.toThrow(message);
    await expect(opening).rejects.toThrow(/^Cannot open "memory:array_metadata/);
  });

  it("for the group it is in, where that must be understood", async () => {
    const store = await openStore(`memory:array_metadata/${stores++}`);
    const group = { zarr_format: 3, node_type: "group", attributes: {}, link: { name: "link" } };
    await store.set("/zarr.json", new TextEncoder().encode(JSON.stringify(group)));
    await expect(openZarrGroup(store)).rejects.toThrow('its metadata has an unknown "link"');
  });
});

describe("a chunk is refused", () => {
  it.each<[what: string, place: () => Promise<string>, message: string]>([
    [
      "that is longer than declared",
      () => v2({}, Float32Array.of(1, 2, 3, 4, 5)),
      "it holds 20 bytes, wanted 16",
    ],
    [
      "that is shorter than declared",
      () => v3({}, Float32Array.of(1)),
      "it holds 4 bytes, wanted 16",
    ],
    [
      "of bool that holds a 2",
      () => v2({ dtype: "|b1" }, Uint8Array.of(0, 1, 2, 1)),
      "it holds 2 where bool has 0 and 1 alone",
    ],
    [
      "of shuffled elements that are cut",
      () => v2({ filters: [{ id: "shuffle", elementsize: 5 }] }),
      "it holds 16 bytes of shuffled elements of 5 each",
    ],
  ])("%s", async (_, place, message) => {
    const reading = read(await place());
    await expect(reading).rejects.toThrow(ChunkError);
    await expect(reading).rejects.toThrow(message);
  });

  it("that a shard does not have where its index says, or whose index is damaged", async () => {
    const change = {
      data_type: "uint8",
      codecs: [codec("sharding_indexed", {
        chunk_shape: [2],
        codecs: [codec("bytes")],
        index_codecs: [bytes()],
      })],
    };
    const whole = shard([Uint8Array.of(1, 2), Uint8Array.of(3, 4)], { checked: false });
    expect(await read(v3(change, whole))).toEqual(Uint8Array.of(1, 2, 3, 4));
    const far = whole.slice();
    new DataView(far.buffer).setBigUint64(4, 1000n, true);
    await expect(read(v3(change, far))).rejects.toThrow("its shard has 0 bytes of it");
    const long = whole.slice();
    new DataView(long.buffer).setBigUint64(12, 2n ** 62n, true);
    await expect(read(v3(change, long))).rejects.toThrow(
      /its shard has it at byte 0, with \d+ bytes/,
    );
    await expect(read(v3(change, whole.slice(10)))).rejects.toThrow("its index has 32");
    const checked = {
      ...change,
      codecs: [codec("sharding_indexed", {
        ...change.codecs[0]!.configuration,
        index_codecs: [bytes(), codec("crc32c")],
      })],
    };
    const gap = shard([new Uint8Array(100), undefined], { checked: false });
    await expect(read(v3(change, gap))).rejects.toThrow(
      "its index says 100 bytes, wanted 2 at most",
    );
    const sealed = shard([Uint8Array.of(1, 2), undefined]);
    sealed[4]! ^= 1;
    await expect(read(v3(checked, sealed))).rejects.toThrow(
      "its index do not match their checksum",
    );
  });

  it("that would be larger than any reader can hold, and is filled in where it is missing", async () => {
    const rows = 2 ** 30;
    const change = { shape: [rows], chunks: [rows], dtype: "<f8", fill_value: 7 };
    const missing = await openArray(await stored(".zarray", { ...V2, ...change }, {}));
    expect(await missing.read(rows - 2, rows)).toEqual(Float64Array.of(7, 7));
    const there = await openArray(await v2(change));
    await expect(there.read(0, 1)).rejects.toThrow(
      /its chunks are 8.* GiB, wanted 2.* GiB at most/,
    );
  });

  it("of an index that was waited for, by who let it be alone", async () => {
    const store = await openStore(`memory:array_metadata/${stores++}`);
    const metadata = {
      ...V3,
      data_type: "uint8",
      codecs: [codec("sharding_indexed", {
        chunk_shape: [2],
        codecs: [codec("bytes")],
        index_codecs: [bytes()],
      })],
    };
    await store.set("/zarr.json", new TextEncoder().encode(JSON.stringify(metadata)));
    const whole = shard([Uint8Array.of(1, 2), Uint8Array.of(3, 4)], { checked: false });
    await store.set("/c/0", whole);
    const slow = new StoreView(store);
    slow.getRange = async (key, range, options) => {
      await new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, 20);
        options?.signal?.addEventListener("abort", () => {
          clearTimeout(timer);
          reject(options.signal!.reason);
        });
      });
      return await store.getRange(key, range);
    };
    const array = await openZarrArray(slow);
    const cancel = new AbortController();
    const cancelled = array.read(0, 2, { signal: cancel.signal });
    const patient = array.read(0, 4);
    cancel.abort(new Error("cancelled"));
    await expect(cancelled).rejects.toThrow("cancelled");
    expect(await patient).toEqual(Uint8Array.of(1, 2, 3, 4));
  });

  it("never, of an array without elements", async () => {
    const none = { shape: [0, 3], chunks: [0, 3] };
    expect(await read(v2(none))).toEqual(new Float32Array(0));
  });
});

describe("a single value", () => {
  it("is refused, or a row of one", async () => {
    for (
      const [name, metadata, key] of [
        ["zarr.json", { ...V3, shape: [], chunk_grid: codec("regular", { chunk_shape: [] }) }, "c"],
        [".zarray", { ...V2, shape: [], chunks: [] }, "0"],
      ] as const
    ) {
      const place = await stored(name, metadata, { [key]: Float32Array.of(1.5) });
      await expect(openArray(place)).rejects.toThrow("a single value, wanted at least one axis");
      const row = await openZarrArray(await openStore(place), "/", "row");
      expect(row.shape).toEqual([1]);
      expect(await readAll(row)).toEqual(Float32Array.of(1.5));
    }
    const text = await stored(".zarray", { ...V2, shape: [], chunks: [], dtype: "|S2" }, {
      0: Uint8Array.of(0x61, 0x62),
    });
    expect(await readZarrText(await openStore(text), "")).toEqual(["ab"]);
  });
});

describe("strings are read", () => {
  const text = async (change: Json, chunk: ArrayBufferView | undefined) => {
    const store = await openStore(await v2(change, chunk));
    return await readZarrText(store, "");
  };

  it("of fixed and of any length, in both byte orders", async () => {
    const points = Uint32Array.of(0x61, 0x1f600, 0x62, 0);
    expect(await text({ shape: [2], chunks: [2], dtype: "<U2" }, points)).toEqual(["a😀", "b"]);
    const swapped = new Uint8Array(points.slice().buffer);
    for (let at = 0; at < swapped.length; at += 4) swapped.subarray(at, at + 4).reverse();
    expect(await text({ shape: [2], chunks: [2], dtype: ">U2" }, swapped)).toEqual(["a😀", "b"]);
    const utf8 = Uint8Array.of(0x61, 0, 0xc3, 0xa9);
    expect(await text({ shape: [2], chunks: [2], dtype: "|S2" }, utf8)).toEqual(["a", "é"]);
    const variable = { shape: [2], chunks: [2], dtype: "|O", filters: [{ id: "vlen-utf8" }] };
    const chunk = Uint8Array.of(2, 0, 0, 0, 1, 0, 0, 0, 0x61, 0, 0, 0, 0);
    expect(await text(variable, chunk)).toEqual(["a", ""]);
    await expect(text(variable, chunk.slice(0, 9))).rejects.toThrow("end in a string");
    await expect(text(variable, Uint8Array.of(9, ...chunk.slice(1)))).rejects.toThrow(
      "it holds 9 strings, wanted 2",
    );
  });

  it("as their fill value where a chunk is missing, which bytes have in base64", async () => {
    const missing = { shape: [2], chunks: [1] };
    const store = async (change: Json) =>
      await readZarrText(
        await openStore(await stored(".zarray", { ...V2, ...missing, ...change }, {})),
        "",
      );
    expect(await store({ dtype: "<U2", fill_value: "x" })).toEqual(["x", "x"]);
    expect(await store({ dtype: "|S3", fill_value: "YWIA" })).toEqual(["ab", "ab"]);
    expect(await store({ dtype: "|S3", fill_value: null })).toEqual(["", ""]);
    await expect(store({ dtype: "<U2", fill_value: 5 })).rejects.toThrow("no string stands for it");
  });
});

function withChecksum(body: Uint8Array): Uint8Array {
  const checksum = new Uint8Array(Uint32Array.of(crc32c(body)).buffer);
  return Uint8Array.of(...body, ...checksum);
}

/** Arrays that went wrong elsewhere: their files, and what is right. */
const CASES: Record<string, { files: string[]; wanted: ArrayBufferView | string | undefined }> = {
  "blosc_cut.zarr": {
    files: [".zarray", "0"],
    wanted: "it holds 3844 bytes, its header says 7688",
  },
  "shuffle_default.zarr": { files: [".zarray", "0"], wanted: Int16Array.of(1, 2, 3, 4) },
  "delta_f2.zarr": { files: [".zarray", "0"], wanted: FOUR },
  "hex_fill.zarr": { files: ["zarr.json"], wanted: Float32Array.of(NaN, NaN, NaN, NaN) },
  "must_understand.zarr": { files: ["zarr.json", "c/0"], wanted: 'an unknown "rotated"' },
  "storage_transformers.zarr": { files: ["zarr.json", "c/0"], wanted: '{"name":"foo"}' },
  "no_attributes.zarr": { files: ["zarr.json", "c/0"], wanted: FOUR },
  "tr_sh.zarr": { files: ["zarr.json", "c/0/0/0"], wanted: Uint16Array.of(56694, 37505, 41050) },
  "sh_start.zarr": { files: ["zarr.json", "c/0/0/0"], wanted: Uint16Array.of(56694, 37505, 41050) },
  ...Object.fromEntries(
    Object.entries({ x: 0, "x#2": 1, "x?3": 2, "a b": 5, "plus+": 6 }).map(([name, value]) => [
      `names.zarr/${name}`,
      { files: [".zarray", "0"], wanted: new Float32Array(5).fill(value) },
    ]),
  ),
};

describe("arrays that went wrong elsewhere", () => {
  it.for(Object.entries(CASES))("are right or refused: %s", async ([name, own], { skip }) => {
    const missing = sharedDataMissing();
    if (missing) skip(missing);
    const { files, wanted } = own;
    const reading = (async () => {
      const array = await openArray(await casePlace(name, files));
      const values = await readAll(array);
      await array.close();
      return values;
    })();
    if (typeof wanted === "string") return await expect(reading).rejects.toThrow(wanted);
    const values = await reading;
    const { length } = wanted as Float32Array;
    expect((values as Float32Array).slice(0, length)).toEqual(wanted);
  });
});

/** Where the case lies; a browser gets a copy. */
async function casePlace(name: string, files: readonly string[]): Promise<string> {
  const path = `cases/formats/${name}`;
  if (runtime !== "chromium") return await sharedFile(path) as string;
  const { commands } = await import("vitest/browser");
  const store = await openStore(`memory:array_metadata/cases/${name}`);
  for (const file of files) {
    // the server of test files takes names for addresses
    const text = await commands.readFile(`${inject("sharedData")}/${path}/${file}`, "base64");
    await store.set(`/${file}`, Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
  }
  return store.place;
}
