import { describe, expect, it } from "vitest";
import type { ChunkedArray } from "../../src/chunked_array.ts";
import { chosenRows, chosenSamples } from "../../src/feed/chosen.ts";
import { seeded } from "../support/random.ts";

const ROWS = 700;
const random = seeded(4);
/** Every fifth is missing, some come twice, the order is any. */
const chosen = Uint32Array.from({ length: ROWS }, (_, i) => i).filter((i) => i % 5 !== 2);
const mixed = chosen.map((_, i) => chosen[Math.floor(random() * (i + 1))]!);

/** Two columns of the row's number, in chunks of 100, and what is asked of it. */
function counted(wholeChunks: boolean) {
  const asked: [start: number, end: number][] = [];
  const values = Float32Array.from({ length: 2 * ROWS }, (_, i) => Math.floor(i / 2));
  const array: ChunkedArray = {
    ...{ shape: [ROWS, 2], dtype: "float32", dims: undefined, chunkRows: 100, wholeChunks },
    read: (start, end) => {
      asked.push([start, end]);
      return Promise.resolve(values.slice(2 * start, 2 * end));
    },
    close: () => Promise.resolve(),
  };
  return { array, asked };
}

/** All rows, in pieces. */
async function readIn(array: ChunkedArray, pieceRows: number): Promise<number[]> {
  const all: number[] = [];
  for (let start = 0; start < array.shape[0]!; start += pieceRows) {
    const end = Math.min(array.shape[0]!, start + pieceRows);
    all.push(...await array.read(start, end) as Float32Array);
  }
  return all;
}

describe("chosen rows", () => {
  for (const wholeChunks of [true, false]) {
    it(`are those of the array in any order and any pieces, of ${wholeChunks ? "whole chunks" : "rows"}`, async () => {
      for (const rows of [chosen, mixed]) {
        const wanted = [...rows].flatMap((row) => [row, row]);
        for (const pieceRows of [1, 37, 100, ROWS]) {
          expect(await readIn(chosenRows(counted(wholeChunks).array, rows), pieceRows))
            .toEqual(wanted);
        }
      }
    });
  }

  it("cost every chunk once where a row costs its chunk, and no other row where it does not", async () => {
    const whole = counted(true);
    const own = chosenRows(whole.array, chosen);
    expect([own.wholeChunks, own.chunkRows]).toEqual([true, 100]);
    await readIn(own, 64);
    expect(whole.asked).toEqual([0, 1, 2, 3, 4, 5, 6].map((i) => [100 * i, 100 * i + 100]));
    const inAnyOrder = counted(true);
    await readIn(chosenRows(inAnyOrder.array, mixed), ROWS);
    expect(inAnyOrder.asked).toEqual(whole.asked);
    const single = counted(false);
    await readIn(chosenRows(single.array, chosen), ROWS);
    expect(single.asked.reduce((rows, [start, end]) => rows + end - start, 0)).toBe(chosen.length);
  });

  it("of samples go with their tokens and masks", async () => {
    const { array } = counted(true);
    const detected = Uint8Array.from({ length: ROWS }, (_, i) => i % 3 === 0 ? 1 : 0);
    const data = { rows: array, offsets: Float64Array.of(0, 150, 150, 400, ROWS), detected };
    const own = chosenSamples(data, [3, 1, 0]);
    expect([...own.offsets]).toEqual([0, 300, 300, 450]);
    const rows = [...Array(300).keys()].map((i) => 400 + i).concat([...Array(150).keys()]);
    expect(await readIn(own.rows, 128)).toEqual(rows.flatMap((row) => [row, row]));
    expect([...own.detected!]).toEqual(rows.map((row) => row % 3 === 0 ? 1 : 0));
  });
});
