import { describe, expect, it } from "vitest";
import { openAnnData } from "../../src/array/anndata/anndata.ts";
import type { PackedRows } from "../../src/cpa/counts.ts";
import { HeldCells } from "../../src/cpa/held_cells.ts";
import { csr, putAnnData } from "../support/anndata_store.ts";
import { seeded } from "../support/random.ts";

const GENES = 17;

async function matrixOf(rows: number[][]) {
  return await (await openAnnData(await putAnnData("held", { x: csr(rows) }))).matrix();
}

function someRows(cells: number): number[][] {
  const random = seeded(cells);
  return Array.from(
    { length: cells },
    () => Array.from({ length: GENES }, () => random() < 0.7 ? 0 : Math.floor(300 * random())),
  );
}

/** Rows of packed entries. */
function dense({ form, starts, entries }: PackedRows): number[][] {
  const words = form === "narrow" ? 1 : 2;
  const values = form === "float" ? new Float32Array(entries.buffer) : entries;
  return Array.from({ length: starts.length - 1 }, (_, row) => {
    const own = new Array<number>(GENES).fill(0);
    for (let i = starts[row]!; i < starts[row + 1]!; i++) {
      if (form === "narrow") own[entries[i]! & 0xffff] = entries[i]! >>> 16;
      else own[entries[words * i]!] = values[words * i + 1]!;
    }
    return own;
  });
}

describe("HeldCells", () => {
  const order = [2050, 0, 1023, 1024, 1025, 0, 2099];

  it("gives cells in any order, across what was read at once", async () => {
    const rows = someRows(2100);
    const held = await HeldCells.read(await matrixOf(rows), { counts: true, mostBytes: 1e6 });
    const gathered = held.gather(order);
    expect([held.form, dense(gathered)]).toEqual(["narrow", order.map((cell) => rows[cell]!)]);
    expect([...gathered.librarySizes]).toEqual(
      order.map((cell) => rows[cell]!.reduce((sum, count) => sum + count, 0)),
    );
    // an entry takes 4 bytes
    const entries = rows.flat().filter((count) => count > 0).length;
    expect(held.bytes).toBeLessThan(4 * entries + 21 * 2100);
    expect(held.gather([])).toMatchObject({ entries: new Uint32Array(0) });
  });

  it("gives all cells in two words where one has a count beyond 16 bits", async () => {
    const rows = someRows(2100);
    rows[2050]![3] = 70_000;
    const held = await HeldCells.read(await matrixOf(rows), { counts: true, mostBytes: 1e6 });
    expect([held.form, dense(held.gather(order))]).toEqual([
      "wide",
      order.map((cell) => rows[cell]!),
    ]);
  });

  it("holds numbers of any kind for Gaussian models", async () => {
    const rows = [[-0.5, 2], [0, 1.25]].map((row) => [...row, ...new Array(GENES - 2).fill(0)]);
    const held = await HeldCells.read(await matrixOf(rows), { counts: false, mostBytes: 1e6 });
    expect([held.form, dense(held.gather([1, 0]))]).toEqual(["float", [rows[1], rows[0]]]);
  });

  it("refuses what is no count, what takes too much, and cells that are not there", async () => {
    const matrix = await matrixOf([[1, 0.5], [1, 2]]);
    await expect(HeldCells.read(matrix, { counts: true, mostBytes: 1e6 })).rejects.toThrow(
      "cell 0 has 0.5 of gene 1",
    );
    const more = await matrixOf(someRows(1100));
    await expect(HeldCells.read(more, { counts: true, mostBytes: 100 })).rejects.toThrow(
      /^Cannot hold 1100 cells: the first \d+ take \d+\.\d KiB, wanted at most 100 B$/,
    );
    const held = await HeldCells.read(more, { counts: true, mostBytes: 1e6 });
    for (const cell of [1100, 5000, -1, 0.5]) {
      expect(() => held.gather([cell])).toThrow(`Cannot gather cell ${cell}: there are 1100 cells`);
    }
  });
});
