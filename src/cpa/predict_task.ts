/**
 * What a trained model makes of cells, read by rows and streamed: latents, and counts it expects.
 *
 * @module
 */

import type { CellMatrix } from "../array/anndata/matrix.ts";
import type { Value } from "../net/value.ts";
import type { OutputSpec, Stored } from "../stream/output.ts";
import type { LoopKernel, Pass, Tile } from "../stream/pass.ts";
import type { Feed, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import { StreamDigest } from "../math/digest.ts";
import type { AnnDataResult } from "./anndata_result.ts";
import type { Given } from "./asked_cells.ts";
import { factsOfRows } from "./asked_cells.ts";
import { CellReader, repeatedCells } from "./cell_reader.ts";
import type { CellFacts } from "./cell_uploads.ts";
import { cellUploads } from "./cell_uploads.ts";
import type { Draws } from "./draws.ts";
import type { CpaModel, LatentName } from "./model.ts";
import type { CellTurn, TurnOf } from "./turns.ts";
import { whenever } from "./turns.ts";
import { CELLS } from "./gene_kernels.ts";

/** What takes rows of an array one tile after the other. */
export interface RowTaker {
  /** They come from the first on; again, where the device was lost. */
  begin(): void;
  /** @param rows Not there any more when it returns. */
  take(start: number, rows: Float32Array): void;
}

export interface PredictParts<Result> {
  name: string;
  model: CpaModel;
  parameters: Record<string, Float32Array>;
  matrix: CellMatrix;
  /** Ascending. */
  cells: Uint32Array;
  facts: CellFacts;
  /** What every cell is given, one after the other, instead of what it was: rows are then of `repeatedCells()`. */
  givens: readonly (readonly Given[])[] | undefined;
  /** Arrays of the output. */
  latents: readonly LatentName[];
  /** Name of the array of expected counts, if they are wanted. */
  means: string | undefined;
  identity: Identity;
  output: OutputSpec;
  /** What the output calls an array. */
  pathOf(name: string): string;
  /** Tables of AnnData that are written, too. */
  tables: AnnDataResult | undefined;
  /** Of variational latents, over which expected counts are averaged. */
  draws: Draws | undefined;
  /** Whether means are without extra zeros, and latents a draw. */
  compat: boolean;
  /** Takes rows of expected counts instead of the output. */
  taker: RowTaker | undefined;
  result(stored: Stored, measured: Measured): Promise<Result>;
}

/** Cells that the device takes at once. */
export const TURN_CELLS = 256;
export const MOST_TILE_ROWS = 1024;

export const LATENT_ARRAYS: Record<LatentName, string> = {
  basal: "latent_basal",
  after: "latent_after",
  corrected: "latent_corrected",
  noPert: "latent_no_pert",
  noPertCorrected: "latent_no_pert_corrected",
};

/** The array of variances over draws. */
export const varianceOf = (means: string) => `${means}_variance`;

export class CpaPredictTask<Result> implements Task<Record<string, never>, Result> {
  readonly name: string;
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held = {};
  readonly output: OutputSpec;
  readonly #parts: PredictParts<Result>;
  readonly #reader: CellReader;
  readonly #arrays: { name: string; width: number; store(): LoopKernel[] }[];

  constructor(parts: PredictParts<Result>) {
    const { name, model, latents, means, identity, output, tables, draws } = parts;
    this.#parts = parts;
    this.#reader = new CellReader(parts.matrix, model.shape);
    this.name = name;
    this.identity = identity;
    this.output = output;
    this.feeds = [
      { places: parts.matrix.places, look: (options) => this.#look(options) },
      ...tables ? [tables.feed] : [],
    ];
    const turnOf = (tile: Tile, row: number, repeat?: number) => this.#turnOf(tile, row, repeat);
    this.#arrays = latents.map((latent) => ({
      name: LATENT_ARRAYS[latent],
      width: model.shape.latent,
      store: () => model.body.store(model.latents[latent]!, LATENT_ARRAYS[latent], turnOf),
    }));
    if (means) {
      const { genes: width } = model.shape;
      const array = (name: string, value: Value) => ({
        ...{ name, width },
        store: () => model.head.store(value, name, turnOf),
      });
      this.#arrays.push(array(means, draws?.means ?? model.means));
      if (draws) this.#arrays.push(array(varianceOf(means), draws.variances));
    }
  }

  layout(tileRows: number): TaskLayout {
    const { model, parameters, cells, facts, givens, tables, draws } = this.#parts;
    return {
      rows: cells.length * (givens?.length ?? 1),
      shared: [
        ...model.nets.flatMap((net) => net.sharedBuffers(() => net.pack(parameters[net.name]!))),
        ...model.sharedBuffers(),
        ...draws?.sharedBuffers() ?? [],
      ],
      tables: [{
        what: "what cells were given",
        bytes: 4 * facts.combinations.length * (2 * facts.slots + facts.covariates.length + 2) +
          4 * cells.length,
      }, ...tables ? [{ what: "tables of AnnData, at the end", bytes: tables.hostBytes }] : []],
      passes: [this.#pass(tileRows)],
      mostTileRows: MOST_TILE_ROWS,
    };
  }

  begin(): void {
    this.#parts.taker?.begin();
  }

  finish() {
    const { cells, tables } = this.#parts;
    return tables ? {} : { values: { cells } };
  }

  result(stored: Stored, measured: Measured): Promise<Result> {
    return this.#parts.result(stored, measured);
  }

  #pass(tileRows: number): Pass {
    const { model, pathOf, taker, draws, means, givens } = this.#parts;
    const turnOf = (tile: Tile, row: number, repeat?: number) => this.#turnOf(tile, row, repeat);
    const entryBytes = 8 * model.shape.genes * tileRows;
    return {
      ...{ name: "predict", direction: "forward", cost: 1, grain: TURN_CELLS },
      // what was taken is nowhere stored
      resumesAt: () => taker === undefined,
      slotBuffers: [
        { name: CELLS.entries, bytes: entryBytes, role: "upload" },
        ...model.tileInputs.map(({ name, bytes }) => ({
          ...{ name, bytes: bytes * (tileRows + 1), role: "upload" as const },
        })),
        ...model.tileOutputs.map(({ name, bytes }) => ({
          ...{ name, bytes: bytes * tileRows, role: "scratch" as const },
        })),
        ...this.#arrays.map(({ name, width }) => ({
          ...{ name, bytes: 4 * width * tileRows, role: "download" as const },
        })),
      ],
      steps: [{
        ...{ name: "predict", order: "ascending", turnRows: TURN_CELLS, mostTurns: 8 },
        loop: this.#loop(turnOf),
        ...draws && { repeats: draws.count },
      }],
      writes: this.#arrays.map(({ name }) => name),
      hostBytes: {
        // rows as they are read, packed and gathered
        read: this.#reader.readBytes + 2 * entryBytes + (givens ? this.#reader.blockBytes : 0),
      },
      read: async ({ start, end }, { signal }) => {
        const { cells, facts, starts, entries } = await this.#read(start, end, signal);
        const partners = Uint32Array.from({ length: end - start }, (_, i) => i);
        const mixed = { cells, partners, shares: new Float32Array(end - start).fill(1) };
        return {
          [CELLS.starts]: starts,
          [CELLS.entries]: entries,
          ...cellUploads(model.shape, facts, mixed, false),
        };
      },
      write: async ({ start, end }, downloads, { store }) => {
        for (const { name, width } of this.#arrays) {
          const own = new Float32Array(downloads[name]!, 0, (end - start) * width);
          if (!taker) await store(pathOf(name), start, own);
          else if (name === means) taker.take(start, own);
        }
      },
    };
  }

  /** Cells of a tile, and facts that they are places in. */
  async #read(start: number, end: number, signal: AbortSignal | undefined) {
    const { cells, facts, givens } = this.#parts;
    if (!givens) {
      const own = cells.subarray(start, end);
      return { cells: own, facts, ...await this.#reader.read(own, signal) };
    }
    const rows = repeatedCells(start, end, { cells: cells.length, repeats: givens.length });
    return {
      cells: Uint32Array.from(rows, (_, i) => i),
      facts: factsOfRows(
        facts,
        rows.map(({ place, repeat }) => ({
          cell: cells[place]!,
          given: givens[repeat]!,
        })),
      ),
      ...await this.#reader.readRepeated(cells, rows, signal),
    };
  }

  async #look(
    { digest, signal }: Parameters<Feed["look"]>[0],
  ): Promise<{ digest?: string | undefined }> {
    if (!digest) return {};
    const { cells } = this.#parts;
    const all = new StreamDigest();
    for (let start = 0; start < cells.length; start += TURN_CELLS) {
      const { starts, entries } = await this.#reader.read(
        cells.subarray(start, start + TURN_CELLS),
        signal,
      );
      await all.add(starts);
      await all.add(entries);
    }
    return { digest: await all.finish() };
  }

  /** Of several draws the last has what is stored. */
  #loop(turnOf: TurnOf): LoopKernel[] {
    const { model, means, draws, compat } = this.#parts;
    const stores = this.#arrays.flatMap(({ store }) => store());
    const decode = means ? model.decode(turnOf, { zeros: !compat }) : [];
    if (!draws) return [...model.encode(turnOf), ...decode, ...stores];
    return [
      ...whenever(model.encode(turnOf), turnOf, ({ draw }) => draw === 1),
      ...whenever(model.redraw(turnOf), turnOf, ({ draw }) => draw !== 1),
      ...decode,
      ...draws.take(turnOf),
      ...whenever(stores, turnOf, ({ draw }) => draw === draws.count),
    ];
  }

  #turnOf({ start, end }: Tile, row: number, repeat = 0): CellTurn {
    const samples = Math.min(TURN_CELLS, end - start - row);
    const turn = { firstSample: row, samples, slot: 0 };
    const { draws, compat } = this.#parts;
    if (!draws && !compat) return turn;
    // tiles are cut between turns
    return { ...turn, draw: repeat + 1, drawnFor: (start + row) / TURN_CELLS };
  }
}
