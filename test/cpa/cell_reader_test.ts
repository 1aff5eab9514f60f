import { expect, it } from "vitest";
import { BLOCK_CELLS, CellReader, repeatedCells } from "../../src/cpa/cell_reader.ts";
import { smallShape } from "../support/small_cells.ts";
import { madeCells } from "../support/cpa_cells.ts";

it("a block of cells is given everything before the next block, each cell once", () => {
  const [cells, repeats] = [2 * BLOCK_CELLS + 3, 3];
  const all = repeatedCells(0, cells * repeats, { cells, repeats });
  const places = Array.from({ length: cells }, (_, cell) => cell);
  for (let repeat = 0; repeat < repeats; repeat++) {
    const own = all.filter((row) => row.repeat === repeat);
    expect(own.map(({ place }) => place)).toEqual(places);
  }
  expect(all.map(({ place }) => Math.floor(place / BLOCK_CELLS)))
    .toEqual(all.map(({ place }) => Math.floor(place / BLOCK_CELLS)).toSorted((a, b) => a - b));
  expect(repeatedCells(1000, 1005, { cells, repeats })).toEqual(all.slice(1000, 1005));
});

it("cells that are gone through again are read once, and are those that are read by themselves", async () => {
  const { matrix } = madeCells(3 * BLOCK_CELLS, 5);
  let read = 0;
  const counted = {
    ...matrix,
    rows: (start: number, end: number) => {
      read += end - start;
      return matrix.rows(start, end);
    },
  };
  const shape = smallShape({ genes: 5 });
  // every other cell, the last block shorter
  const cells = Uint32Array.from({ length: BLOCK_CELLS + 7 }, (_, i) => 2 * i);
  const [one, again] = [new CellReader(matrix, shape), new CellReader(counted, shape)];
  const own = await one.read(cells, undefined);
  const whole = { cells: cells.length, repeats: 2 };
  for (let start = 0; start < 2 * cells.length; start += 100) {
    const rows = repeatedCells(start, Math.min(start + 100, 2 * cells.length), whole);
    const { starts, entries } = await again.readRepeated(cells, rows, undefined);
    rows.forEach(({ place }, i) =>
      expect(entries.subarray(2 * starts[i]!, 2 * starts[i + 1]!))
        .toEqual(own.entries.subarray(2 * own.starts[place]!, 2 * own.starts[place + 1]!))
    );
  }
  // rows that two blocks lie in are read for both
  expect(read).toBeLessThan(4 * BLOCK_CELLS);
});
