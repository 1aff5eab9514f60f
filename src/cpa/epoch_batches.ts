/**
 * Rows of an epoch: batches that are learned from, then those that validate, if it is their turn. Where they lie in a tile, and what the
 * device is told of their cells.
 *
 * @module
 */

import { permutation } from "../feed/order.ts";
import type { Tile } from "../stream/pass.ts";
import type { MixedCells } from "./cell_uploads.ts";
import type { Schedule } from "./schedule.ts";
import type { CellTurn } from "./turns.ts";

export interface EpochParts {
  schedule: Schedule;
  /** Cells that validate. */
  validation: Uint32Array;
  validateEvery: number;
  epochs: number;
  /** Most cells of a batch that validates, and, where they are to lie by category, that of each. */
  judged: { most: number; categories?: Uint32Array };
  seed: number;
}

/** A batch of an epoch, in its tile. */
export interface PlacedTurn extends CellTurn {
  validates: boolean;
}

interface Batch {
  cells: Uint32Array;
  partners: Uint32Array;
  validates: boolean;
  share: number;
}

// keeps the order of cells that validate apart from other uses of a seed
const STREAM = 0xc9a4;

export class EpochBatches {
  readonly #parts: EpochParts;
  readonly #validation: readonly Uint32Array[];
  #places: { epoch: number; start: number; end: number; turns: PlacedTurn[] } | undefined;

  constructor(parts: EpochParts) {
    this.#parts = parts;
    const { validation, judged: { most, categories }, seed } = parts;
    const count = Math.ceil(validation.length / most);
    const order = permutation(validation.length, seed, 0, STREAM);
    const at = (i: number) => categories ? order.at(i) : i;
    this.#validation = Array.from({ length: count }, (_, batch) => {
      // as even as can be: a cell alone has no neighbours
      const [first, end] = [batch, batch + 1].map((i) => Math.floor(i * validation.length / count));
      const cells = Uint32Array.from(
        { length: end! - first! },
        (_, i) => validation[at(first! + i)]!,
      );
      if (!categories) return cells;
      if (cells.length < 2) {
        throw new RangeError(
          `Cannot judge by neighbours: of ${validation.length} cells that validate, in batches of at most ${most}, ` +
            "one would be alone, wanted 2 at least",
        );
      }
      return cells.sort((a, b) => categories[a]! - categories[b]! || a - b);
    });
  }

  /** Batches of an epoch, those that validate among them. */
  get rows(): number {
    return this.#parts.schedule.batches + this.#validation.length;
  }

  get validates(): boolean {
    return this.#validation.length > 0;
  }

  /** Cells of a row. */
  batch(epoch: number, row: number): Batch {
    const { schedule, validateEvery, epochs } = this.#parts;
    if (row < schedule.batches) return { ...schedule.at(epoch, row), validates: false };
    const due = (epoch + 1) % validateEvery === 0 || epoch + 1 === epochs;
    const cells = due ? this.#validation[row - schedule.batches]! : new Uint32Array();
    return { cells, partners: cells.map((_, i) => i), share: 1, validates: true };
  }

  batches(epoch: number, { start, end }: Tile): Batch[] {
    return Array.from({ length: end - start }, (_, i) => this.batch(epoch, start + i));
  }

  /** What a row of a tile is for, and where its cells lie. */
  turn(epoch: number, { start, end }: Pick<Tile, "start" | "end">, row: number): PlacedTurn {
    const known = this.#places;
    if (known?.epoch !== epoch || known.start !== start || known.end !== end) {
      let firstSample = 0;
      const turns = Array.from({ length: end - start }, (_, slot) => {
        const { cells, partners: _partners, ...turn } = this.batch(epoch, start + slot);
        const own = { ...turn, firstSample, samples: cells.length, slot };
        firstSample += cells.length;
        return own;
      });
      this.#places = { epoch, start, end, turns };
    }
    return this.#places!.turns[row]!;
  }
}

/** Cells of batches that follow each other, and with whom each is mixed. */
export function mixedCells(batches: readonly Batch[]): MixedCells {
  const count = batches.reduce((sum, { cells }) => sum + cells.length, 0);
  const cells = new Uint32Array(count);
  const partners = new Uint32Array(count);
  const shares = new Float32Array(count);
  let at = 0;
  for (const batch of batches) {
    cells.set(batch.cells, at);
    partners.set(batch.partners.map((partner) => at + partner), at);
    shares.fill(batch.share, at, at + batch.cells.length);
    at += batch.cells.length;
  }
  return { cells, partners, shares };
}
