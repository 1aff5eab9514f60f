import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import type { ChunkedArray } from "../../src/chunked_array.ts";
import type { FrameTable } from "../../src/feed/frame_table.ts";
import {
  bytesOfRead,
  createFrames,
  fingerprint as fingerprintOf,
  FrameReader,
  readsOf,
} from "../../src/feed/frame_table.ts";
import { decodeFloat16 } from "../../src/math/half.ts";

/** Rows of two elements, each row its number and a half. */
function tableOf(rows: number, change?: (values: Float32Array) => void): FrameTable {
  const values = Float32Array.from({ length: 2 * rows }, (_, i) => i / 2);
  change?.(values);
  const array = fromTypedArray(values, [rows, 2]);
  return { array, rows, width: 2, held: "float32", windowRows: 1, rowOf: (window) => window };
}

const { signal } = new AbortController();
const fingerprint = ({ array }: FrameTable) => fingerprintOf(array, signal);

describe("frames", () => {
  it("are known again by their first row, their last, and two between", async () => {
    const own = await fingerprint(tableOf(10));
    expect(await fingerprint(tableOf(10))).toBe(own);
    for (const row of [0, 3, 6, 9]) {
      for (const element of [0, 1]) {
        const other = tableOf(10, (values) => values[2 * row + element]! += 1);
        expect(await fingerprint(other), `row ${row}`).not.toBe(own);
      }
    }
    // rows are told apart by where they lie
    const swapped = tableOf(10, (values) => values.set([...values.slice(18), ...values.slice(2)]));
    expect(await fingerprint(swapped)).not.toBe(own);
  });

  it("come in order, each run where it belongs", async () => {
    const reader = new FrameReader(tableOf(10), signal, { readsAgain: false });
    const pool = new Float32Array(8);
    await reader.fill([{ row: 1, rows: 2, at: 2 }, { row: 9, rows: 1, at: 0 }], pool);
    expect([...pool]).toEqual([9, 9.5, 0, 0, 1, 1.5, 2, 2.5]);
  });

  it("are read where they belong, or into the same memory again, and not before that was used", async () => {
    const rows = 1000;
    const plain = tableOf(rows);
    for (const held of ["float32", "float16"] as const) {
      const seen = new Set<ArrayBufferLike>();
      const array: ChunkedArray = {
        ...plain.array,
        async read(start, end, options) {
          const bytes = options!.allocate!(8 * (end - start));
          seen.add(bytes.buffer);
          // later reads come first
          await new Promise((resolve) => setTimeout(resolve, start % 2 === 0 ? 2 : 0));
          const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
          values.set(await plain.array.read(start, end) as Float32Array);
          return values;
        },
      };
      const { values: _, ...hidden } = array;
      const reader = new FrameReader({ ...plain, held, array: hidden }, signal, {
        readsAgain: true,
      });
      // apart from each other: a read each, 64 of them in a group; the last come first in the pool
      const runs = Array.from(
        { length: 200 },
        (_, i) => ({ row: 5 * i, rows: 3, at: 597 - 3 * i }),
      );
      const pools = [0, 1].map(() => createFrames(held, 1200));
      for (const pool of pools) {
        await reader.fill(runs, pool);
        (pool instanceof Float32Array ? pool : decodeFloat16(pool)).forEach((value, i) => {
          const row = 5 * (199 - Math.floor(i / 6)) + Math.floor(i % 6 / 2);
          if (value !== row + i % 2 / 2) throw new Error(`element ${i} is ${value}`);
        });
      }
      expect(reader.reads).toBe(400);
      // halves are made of what lies elsewhere
      const isInPlace = pools.every(({ buffer }) => seen.has(buffer));
      expect([seen.size, isInPlace]).toEqual([2, held === "float32"]);
    }
  });

  it("that changed since they were read before are noticed", async () => {
    const values = Float32Array.from({ length: 20 }, (_, i) => i);
    const array = fromTypedArray(values, [10, 2]);
    const table = { ...tableOf(10), array };
    const reader = new FrameReader(table, signal, { readsAgain: true });
    const pool = new Float32Array(20);
    const all = [{ row: 0, rows: 10, at: 0 }];
    await reader.fill(all, pool);
    await reader.fill(all, pool);
    values[19] = 7;
    await expect(reader.fill(all, pool)).rejects.toThrow(/frame 9 changed/);
    // and not by a reader that has not seen them
    await new FrameReader(table, signal, { readsAgain: true }).fill(all, pool);
  });

  it("that all change their sign are noticed, however they are held", async () => {
    for (const held of ["float32", "float16", "bfloat16"] as const) {
      const values = Float32Array.from({ length: 64 }, (_, i) => i % 13 + 1);
      const array = fromTypedArray(values, [4, 16]);
      const table = { ...tableOf(4), array, width: 16, held };
      const reader = new FrameReader(table, signal, { readsAgain: true });
      const pool = createFrames(held, 64);
      const all = [{ row: 0, rows: 4, at: 0 }];
      await reader.fill(all, pool);
      for (let i = 32; i < 48; i++) values[i]! *= -1;
      await expect(reader.fill(all, pool), held).rejects.toThrow(/frame 2 changed/);
    }
  });

  it("of whole chunks are read a chunk at a time, once for all runs in it", () => {
    const plain = tableOf(20);
    const table = { ...plain, array: { ...plain.array, chunkRows: 5, wholeChunks: true } };
    const reads = [...readsOf(table, [
      { row: 1, rows: 2, at: 0 },
      { row: 4, rows: 3, at: 2 },
      { row: 8, rows: 2, at: 5 },
    ])];
    expect(reads).toEqual([
      { start: 1, end: 5, runs: [{ row: 1, rows: 2, at: 0 }, { row: 4, rows: 1, at: 2 }] },
      { start: 5, end: 10, runs: [{ row: 5, rows: 2, at: 3 }, { row: 8, rows: 2, at: 5 }] },
    ]);
    expect(reads.map((read) => bytesOfRead(table, read))).toEqual([40, 40]);
    // the last chunk is what there is of it
    const last = { ...table, rows: 18 };
    expect(bytesOfRead(last, { start: 16, end: 17, runs: [] })).toBe(3 * 2 * 4);
    expect(bytesOfRead(plain, { start: 16, end: 17, runs: [] })).toBe(2 * 4);
  });
});
