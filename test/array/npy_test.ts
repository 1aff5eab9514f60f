import { describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { encodeNpy } from "../../src/array/npy.ts";
import { ChunkError } from "../../src/errors.ts";
import { openStore } from "../../src/store/open_store.ts";
import { countingStore } from "../../src/store/store_view.ts";
import { openNpy, openNpySource } from "../../src/array/npy.ts";
import type { NumericArray } from "../../src/types.ts";

/** A file as numpy writes it: magic, version, header of any text, elements. */
function npyFile(header: string, elements: NumericArray, version = 1): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(header);
  const start = version === 1 ? 10 : 12;
  const bytes = new Uint8Array(start + text.byteLength + elements.byteLength);
  bytes.set([0x93, ...new TextEncoder().encode("NUMPY"), version, 0]);
  const view = new DataView(bytes.buffer);
  if (version === 1) view.setUint16(8, text.byteLength, true);
  else view.setUint32(8, text.byteLength, true);
  bytes.set(text, start);
  const { buffer, byteOffset, byteLength } = elements;
  bytes.set(new Uint8Array(buffer, byteOffset, byteLength), start + text.byteLength);
  return bytes;
}

const header = (descr: string, shape: string, fortran = "False") =>
  `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;
const open = (bytes: Uint8Array<ArrayBuffer>) => openArray(new File([bytes], "x.npy"));

describe("a .npy file", () => {
  const cases: [string, string, NumericArray][] = [
    ["<f4", "float32", Float32Array.of(1.5, -2, NaN)],
    ["<f8", "float64", Float64Array.of(0.1, 1e300, -0)],
    ["|i1", "int8", Int8Array.of(-128, 0, 127)],
    ["<i2", "int16", Int16Array.of(-32768, 0, 1)],
    ["<i4", "int32", Int32Array.of(-1, 0, 1)],
    ["<i8", "int64", BigInt64Array.of(-1n, 0n, 2n ** 62n)],
    ["|u1", "uint8", Uint8Array.of(0, 1, 255)],
    ["<u2", "uint16", Uint16Array.of(0, 1, 65535)],
    ["<u4", "uint32", Uint32Array.of(0, 1, 2 ** 32 - 1)],
    ["<u8", "uint64", BigUint64Array.of(0n, 1n, 2n ** 64n - 1n)],
    ["|b1", "bool", Uint8Array.of(0, 1, 1)],
  ];
  it.each(cases)("of dtype %s is read exactly", async (descr, dtype, values) => {
    for (const version of [1, 2, 3]) {
      const array = await open(npyFile(header(descr, "(3,)"), values, version));
      expect([array.dtype, array.shape]).toEqual([dtype, [3]]);
      expect(await readAll(array)).toEqual(values);
      expect(await array.read(1, 2)).toEqual(values.slice(1, 2));
    }
  });

  it("of half floats is read as f32, exactly", async () => {
    const array = await open(npyFile(header("<f2", "(3,)"), Uint16Array.of(0x3c00, 1, 0xfbff)));
    expect(array.dtype).toBe("float16");
    expect(await readAll(array)).toEqual(Float32Array.of(1, 2 ** -24, -65504));
  });

  it("comes back from encodeNpy() in its shape", async () => {
    const shapes: [number[], number][] = [[[1], 1], [[0], 0], [[0, 3], 0], [[5, 3], 15], [[
      2,
      3,
      4,
    ], 24]];
    for (const [shape, length] of shapes) {
      const values = Float32Array.from({ length }, (_, i) => i);
      const bytes = encodeNpy(values, shape);
      expect((bytes.byteLength - values.byteLength) % 64).toBe(0);
      const array = await open(bytes);
      expect(array.shape).toEqual(shape);
      expect(await readAll(array)).toEqual(values);
    }
    expect(() => encodeNpy(new Float32Array(3), [2])).toThrow(RangeError);
  });

  it("has elements from the least multiple of 64 that leaves its header room", async () => {
    const seen = new Set<number>();
    // headers of every length: the last axis grows by a digit at a time
    for (let axes = 1; axes <= 22; axes++) {
      for (let digits = 1; digits <= 3; digits++) {
        const shape = [0, ...Array(axes).fill(1), 10 ** (digits - 1)];
        const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")}), }`;
        const bytes = encodeNpy(new Float32Array(0), shape);
        // magic, version and length take 10 bytes, the line feed 1
        const needed = 10 + text.length + 1;
        seen.add(needed % 64);
        expect(bytes.byteLength % 64).toBe(0);
        expect(bytes.byteLength - needed).toBeGreaterThanOrEqual(0);
        expect(bytes.byteLength - needed).toBeLessThan(64);
        expect(new DataView(bytes.buffer).getUint16(8, true)).toBe(bytes.byteLength - 10);
        expect(bytes.at(-1)).toBe(0x0a);
        expect(new TextDecoder().decode(bytes.subarray(10)).trimEnd()).toBe(text);
      }
    }
    expect(seen).toContain(0);
  });

  it("of version 2 may have a header longer than 16 bits count to", async () => {
    const long = header("<f4", "(2,)").trimEnd().padEnd(70_000) + "\n";
    for (const version of [2, 3]) {
      const array = await open(npyFile(long, Float32Array.of(1.5, 2), version));
      expect(await readAll(array)).toEqual(Float32Array.of(1.5, 2));
    }
  });

  it("in a store is read by ranges of rows, and nothing else of it", async () => {
    const store = countingStore(await openStore("memory:npy_test"));
    const values = Float32Array.from({ length: 40_000 }, (_, i) => i);
    await store.set("/x.npy", encodeNpy(values, [10_000, 4]));
    const array = await openNpy(store, "/x.npy");
    const before = store.bytesRead;
    expect(await array.read(9_000, 9_002)).toEqual(values.slice(36_000, 36_008));
    expect(store.bytesRead - before).toBe(32);
    expect(before).toBeLessThanOrEqual(4096);

    const byPlace = await openArray("memory:npy_test/x.npy");
    expect(await byPlace.read(1, 2)).toEqual(Float32Array.of(4, 5, 6, 7));
    await byPlace.close();
    await store.deleteAll();
  });

  it("with a header longer than the first read is understood", async () => {
    const text = header("<f4", "(2,)").trim().padEnd(9000) + "\n";
    expect(await readAll(await open(npyFile(text, Float32Array.of(1, 2))))).toEqual(
      Float32Array.of(1, 2),
    );
  });

  it("that is cut short is refused when it is opened, with both byte counts", async () => {
    const bytes = encodeNpy(new Float32Array(12), [3, 4]);
    await expect(open(bytes.slice(0, -1))).rejects.toThrow(ChunkError);
    await expect(open(bytes.slice(0, -1))).rejects.toThrow(
      'Cannot open "x.npy": it is cut short, it has 175 bytes, its header of shape [3,4] wants ' +
        "176 bytes",
    );
    await expect(open(bytes.slice(0, 100))).rejects.toThrow(
      /100 bytes, its header alone wants 128/,
    );
    for (const size of [0, 5, 11]) {
      await expect(open(bytes.slice(0, size))).rejects.toThrow(/do not begin as a .npy file/);
    }
  });

  it("that shrinks after it was opened is an error, never zeros", async () => {
    const store = await openStore("memory:npy_test");
    const bytes = encodeNpy(new Float32Array(12).fill(1), [3, 4]);
    await store.set("/y.npy", bytes);
    const array = await openNpy(store, "/y.npy");
    await store.set("/y.npy", bytes.slice(0, -4));
    await expect(array.read(1, 3)).rejects.toThrow(/got 28 bytes, wanted 32 bytes/);
    await store.deleteAll();
  });

  it.each([
    ["text", header("<U12", "(1,)"), /dtype "<U12" is not supported/],
    ["complex numbers", header("<c8", "(6,)"), /dtype "<c8" is not supported/],
    ["structured", header("<f4", "(12,)").replace("'<f4'", "[('a', '<f4')]"), /are structured/],
    ["a single value", header("<f4", "()"), /a single value, wanted at least one axis/],
    ["nonsense", "{'shape': 3}", /cannot be understood/],
    ["half a header", header("<f4", "(12,").replace(", }", ""), /cannot be understood/],
    ["a negative axis", header("<f4", "(-12,)"), /cannot be understood/],
    ["a key too many", header("<f4", "(12,)").replace("}", "'x': 1}"), /cannot be understood/],
    ["a size without end", header("<f4", `(${10 ** 15}, ${10 ** 15})`), /it is cut short/],
    ["parentheses without end", "(".repeat(5000), /cannot be understood/],
  ])("of %s is refused with a clear word", async (_, text, message) => {
    const bytes = npyFile(text, new Float32Array(12));
    await expect(open(bytes)).rejects.toThrow(ChunkError);
    await expect(open(bytes)).rejects.toThrow(message);
  });

  it("in Fortran order is read in C order, in any range of rows", async () => {
    for (const shape of [[5, 2], [4, 3, 2], [2, 1, 3, 2], [3, 0]]) {
      const count = shape.reduce((product, size) => product * size, 1);
      const inOrder = Float64Array.from({ length: count }, (_, i) => i + 0.5);
      // element by element, by what the two orders mean
      const stored = new Float64Array(count);
      inOrder.forEach((value, i) => {
        let rest = i;
        const index = shape.toReversed().map((size) => {
          const own = rest % size;
          rest = (rest - own) / size;
          return own;
        }).reverse();
        let [at, stride] = [0, 1];
        index.forEach((own, axis) => {
          at += own * stride;
          stride *= shape[axis]!;
        });
        stored[at] = value;
      });
      const array = await open(npyFile(header("<f8", `(${shape.join(", ")})`, "True"), stored));
      expect(array.shape).toEqual(shape);
      expect(await readAll(array)).toEqual(inOrder);
      const row = count / shape[0]!;
      expect(await array.read(1, 2)).toEqual(inOrder.slice(row, 2 * row));
    }
    const halves = Uint16Array.of(0x3c00, 0x4000, 0x4200, 0x4400);
    const array = await open(npyFile(header("<f2", "(2, 2)", "True"), halves));
    expect(await readAll(array)).toEqual(Float32Array.of(1, 3, 2, 4));
    expect(await array.readBits!(0, 2)).toEqual(Uint16Array.of(0x3c00, 0x4200, 0x4000, 0x4400));
  });

  it("in Fortran order is read by few reads where its columns are short, and by little of long ones", async () => {
    const store = countingStore(await openStore("memory:npy_test"));
    for (const [rows, columns, most] of [[3, 50_000, 4], [100_000, 3, 3]] as const) {
      // the element of row r and column c is r + c / 65536, exactly
      const stored = Float64Array.from({ length: rows * columns }, (_, i) => {
        const row = i % rows;
        return row + (i - row) / rows / 65536;
      });
      await store.set("/f.npy", npyFile(header("<f8", `(${rows}, ${columns})`, "True"), stored));
      const array = await openNpy(store, "/f.npy");
      const [reads, bytes] = [store.reads, store.bytesRead];
      const found = await array.read(1, 3) as Float64Array;
      expect(store.reads - reads).toBeLessThanOrEqual(most);
      expect(store.bytesRead - bytes).toBeLessThanOrEqual(1.5 * found.byteLength);
      expect(
        found.findIndex((value, i) => value !== 1 + Math.floor(i / columns) + i % columns / 65536),
      ).toBe(-1);
    }
    await store.deleteAll();
  });

  it("of big-endian numbers is read, in either order of axes", async () => {
    const values = Float64Array.of(0.1, -2, 1e300, NaN, 5, -0);
    const bytes = new Uint8Array(values.slice().buffer).reverse();
    const stored = new Uint8Array(bytes);
    // last to first, and each of them turned round
    expect(await readAll(await open(npyFile(header(">f8", "(3, 2)"), stored))))
      .toEqual(values.toReversed());
    expect(await readAll(await open(npyFile(header(">f8", "(3, 2)", "True"), stored))))
      .toEqual(Float64Array.of(-0, 1e300, 5, -2, NaN, 0.1));
    const words = new Uint8Array([0x3c, 0, 0x40, 0]);
    const halves = await open(npyFile(header(">f2", "(2,)"), words));
    expect(await readAll(halves)).toEqual(Float32Array.of(1, 2));
    expect(await halves.readBits!(0, 2)).toEqual(Uint16Array.of(0x3c00, 0x4000));
    expect(await readAll(await open(npyFile(header(">i1", "(2,)"), Int8Array.of(1, -1)))))
      .toEqual(Int8Array.of(1, -1));
  });

  it("has a header in Python's own words, however they are written", async () => {
    const texts = [
      `{"descr": "<f4", "fortran_order": False, "shape": (3,)}`,
      `{ 'descr' : '<f4' , 'fortran_order' : False , 'shape' : ( 3 , ) } \n`,
      `{'shape': (3L,), 'fortran_order': False, 'descr': u'<f4'}`,
      `{'descr': '=f4', 'fortran_order': True,\n 'shape': [3]}`,
      `{'shape': (7,), 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}`,
    ];
    for (const text of texts) {
      const array = await open(npyFile(text, Float32Array.of(1, 2, 3)));
      expect(array.shape, text).toEqual([3]);
      expect(await readAll(array)).toEqual(Float32Array.of(1, 2, 3));
    }
  });

  it("whose header claims more than a header can have is refused before it is read", async () => {
    const bytes = npyFile(header("<f4", "(2,)"), Float32Array.of(1, 2), 2);
    const claim = (length: number) => new DataView(bytes.buffer).setUint32(8, length, true);
    claim(4_000_000_000);
    await expect(open(bytes)).rejects.toThrow(/its header alone wants 4000000012 bytes/);
    const reads: number[] = [];
    claim(2 ** 30);
    // as large as it says, and nothing of it there
    const large = {
      path: "large.npy",
      bytes: 2 ** 32,
      read: (offset: number, length: number) => {
        reads.push(length);
        return Promise.resolve(bytes.slice(offset, offset + length));
      },
      close: () => Promise.resolve(),
    };
    await expect(openNpySource(large)).rejects.toThrow(
      /its header has 1073741836 bytes, wanted at most 1048576/,
    );
    expect(Math.max(...reads)).toBeLessThanOrEqual(4096);
  });

  it("in Fortran order with a single long axis is read, for both orders are the same", async () => {
    const array = await open(npyFile(header("<f4", "(3, 1)", "True"), Float32Array.of(1, 2, 3)));
    expect(await readAll(array)).toEqual(Float32Array.of(1, 2, 3));
  });

  it("that is not there is a ChunkError with its place", async () => {
    const open = openArray("memory:npy_test/none.npy");
    await expect(open).rejects.toThrow('Cannot open "memory:npy_test/none.npy": there is no');
    await expect(open).rejects.toThrow(ChunkError);
  });
});
