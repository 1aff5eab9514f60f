import { describe, expect, it } from "vitest";
import { openCellMatrix } from "../../src/array/anndata/matrix.ts";
import type { Tree } from "../../src/array/anndata/tree.ts";
import { fromTypedArray } from "../../src/array/array.ts";
import { keepingChunk } from "../../src/array/kept_chunk.ts";
import type { ChunkedArray } from "../../src/chunked_array.ts";
import { CellReader } from "../../src/cpa/cell_reader.ts";
import type { NumericArray } from "../../src/types.ts";
import { csr } from "../support/anndata_store.ts";
import { Random } from "../../src/math/random.ts";
import { smallShape } from "../support/small_cells.ts";

/** Rows that cost the chunks they lie in. */
function chunked(values: NumericArray, width: number, chunkRows: number) {
  const rows = values.length / width;
  const cost = { elements: 0 };
  const plain = fromTypedArray(values, width === 1 ? [rows] : [rows, width]);
  const array: ChunkedArray = {
    ...{ shape: plain.shape, dtype: plain.dtype, dims: undefined, chunkRows, wholeChunks: true },
    read(start, end) {
      for (let at = start - start % chunkRows; at < end; at += chunkRows) {
        cost.elements += width * (Math.min(rows, at + chunkRows) - at);
      }
      return Promise.resolve(values.slice(start * width, end * width));
    },
    close: () => Promise.resolve(),
  };
  return { array, cost };
}

describe("keepingChunk()", () => {
  it("gives the rows of the array, read on, back, across chunks and to the end", async () => {
    const random = new Random(6);
    for (const chunkRows of [1, 3, 7, 40]) {
      const values = Int32Array.from({ length: 60 }, (_, i) => i);
      const { array, cost } = chunked(values, 2, chunkRows);
      const kept = keepingChunk(array);
      for (let read = 0; read < 30; read++) {
        const start = random.integer(31);
        const end = start + random.integer(31 - start);
        expect(await kept.read(start, end)).toEqual(values.slice(2 * start, 2 * end));
      }
      cost.elements = 0;
      const again = keepingChunk(array);
      for (let start = 0; start < 30; start += 4) await again.read(start, Math.min(30, start + 4));
      expect(cost.elements).toBe(60);
      await expect(kept.read(29, 31)).rejects.toThrow("Cannot read rows 29 to 31");
    }
  });

  it("leaves arrays alone whose rows cost no chunks", () => {
    const array = fromTypedArray(Float32Array.of(1, 2, 3));
    expect(keepingChunk(array)).toBe(array);
  });
});

describe("cells in ascending order", () => {
  const [cells, genes] = [2000, 6];
  const random = new Random(2);
  const rows = Array.from(
    { length: cells },
    () => Array.from({ length: genes }, () => random.poisson(0.7)),
  );
  const parts = csr(rows);
  const shape = smallShape({ genes });

  /** A matrix whose chunks are of so many entries, or rows, and what it costs. */
  async function matrixOf(layout: "csr" | "dense", chunk: number) {
    const costs: { elements: number }[] = [];
    const kinds: Record<string, NumericArray> = {
      ...{ "X/data": parts.data, "X/indices": parts.indices, "X/indptr": parts.indptr },
      X: Float32Array.from(rows.flat()),
    };
    const tree: Tree = {
      place: "made",
      node: () =>
        Promise.resolve({
          ...{ isGroup: layout === "csr", isText: false, shape: [cells, genes] },
          attributes: layout === "csr"
            ? { "encoding-type": "csr_matrix", shape: [cells, genes] }
            : { "encoding-type": "array" },
        }),
      keys: () => Promise.resolve([]),
      numbers(path) {
        const { array, cost } = chunked(kinds[path]!, path === "X" ? genes : 1, chunk);
        costs.push(cost);
        return Promise.resolve(array);
      },
      texts: () => Promise.resolve([]),
      close: () => Promise.resolve(),
    };
    const matrix = await openCellMatrix(tree, "X", [cells, genes], { transposeBytes: 0 });
    const spent = () => costs.reduce((sum, { elements }) => sum + elements, 0);
    return { matrix, spent, opening: spent() };
  }

  const entries = parts.data.length;
  it.each(
    [
      ["csr", 1e6, "one chunk"],
      ["csr", 1500, "chunks that end within cells"],
      ["csr", 100, "chunks far smaller than what is read"],
      ["dense", 1e6, "one chunk"],
      ["dense", 900, "chunks far larger than what is read"],
    ] as const,
  )("cost their chunks once: %s, %d, %s", async (layout, chunk, _) => {
    const { matrix, spent, opening } = await matrixOf(layout, chunk);
    const reader = new CellReader(matrix, shape);
    let read = 0;
    for (let start = 0; start < cells; start += 256) {
      const own = Uint32Array.from(
        { length: Math.min(256, cells - start) },
        (_, i) => start + i,
      );
      read += (await reader.read(own, undefined)).entries.length / 2;
    }
    expect(read).toBe(entries);
    const needed = layout === "csr" ? 2 * entries + cells + 1 : cells * genes;
    // starts of rows have one more, which is read at the end of each read and the beginning of the next
    expect((spent() - opening) / needed).toBeGreaterThanOrEqual(1);
    expect((spent() - opening) / needed).toBeLessThan(1.1);
  });

  it("take the memory of a few chunks, whatever these have room for", async () => {
    const whole = new CellReader((await matrixOf("csr", 1e6)).matrix, shape).readBytes;
    const small = new CellReader((await matrixOf("csr", 100)).matrix, shape).readBytes;
    // 4 bytes of values and 4 of indices; indptr, too
    expect(whole - small).toBeLessThanOrEqual(3 * (8 * entries + 4 * (cells + 1)));
    expect(small).toBeGreaterThan(40 * genes * 256);
  });
});
