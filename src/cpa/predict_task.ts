/**
 * What a trained model makes of cells, read by rows and streamed: latents, and counts it expects.
 *
 * @module
 */

import type { CellMatrix } from "../array/anndata/matrix.ts";
import type { OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import type { LoopKernel, Pass, Tile } from "../stream/pass.ts";
import type { Feed, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import { StreamDigest } from "../math/digest.ts";
import type { CellFacts } from "./cell_uploads.ts";
import { cellUploads } from "./cell_uploads.ts";
import type { PackedRows } from "./counts.ts";
import { packCounts, packNumbers } from "./counts.ts";
import type { CpaModel, LatentName } from "./model.ts";
import { CELLS } from "./model.ts";

export interface PredictParts<Result> {
  name: string;
  model: CpaModel;
  parameters: Record<string, Float32Array>;
  matrix: CellMatrix;
  /** Ascending. */
  cells: Uint32Array;
  facts: CellFacts;
  /** Arrays of the output. */
  latents: readonly LatentName[];
  /** Name of the array of expected counts, if they are wanted. */
  means?: string;
  identity: Identity;
  output: Pick<
    OutputSpec,
    "kind" | "formatVersion" | "place" | "overwrite" | "adapter" | "attributes"
  >;
  result(stored: Stored, measured: Measured): Promise<Result>;
}

/** Cells that the device takes at once. */
export const TURN_CELLS = 256;
const MOST_TILE_ROWS = 1024;
/** Rows of the matrix that are read at once, about. */
const STEP = 256;

export const LATENT_ARRAYS: Record<LatentName, string> = {
  basal: "latent_basal",
  after: "latent_after",
  corrected: "latent_corrected",
  noPert: "latent_no_pert",
  noPertCorrected: "latent_no_pert_corrected",
};

export class CpaPredictTask<Result> implements Task<Record<string, never>, Result> {
  readonly name: string;
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held = {};
  readonly output: OutputSpec;
  readonly #parts: PredictParts<Result>;
  readonly #arrays: { name: string; width: number; store(): LoopKernel[] }[];

  constructor(parts: PredictParts<Result>) {
    const { name, model, latents, means, cells, identity, output } = parts;
    this.#parts = parts;
    this.name = name;
    this.identity = identity;
    this.feeds = [{ look: (options) => this.#look(options) }];
    const turnOf = (tile: Tile, row: number) => this.#turnOf(tile, row);
    this.#arrays = latents.map((latent) => ({
      name: LATENT_ARRAYS[latent],
      width: model.shape.latent,
      store: () => model.body.store(model.latents[latent]!, LATENT_ARRAYS[latent], turnOf),
    }));
    if (means) {
      this.#arrays.push({
        name: means,
        width: model.shape.genes,
        store: () => [
          ...model.decode(turnOf, { zeros: true }),
          ...model.head.store(model.means, means, turnOf),
        ],
      });
    }
    this.output = {
      ...output,
      streamed: this.#arrays.map(({ name, width }) =>
        variable(name, "float32", [cells.length, width], [
          "cell",
          width === model.shape.genes && name === means ? "gene" : "latent",
        ])
      ),
      whole: [variable("cells", "uint32", [cells.length], ["cell"])],
    };
  }

  layout(tileRows: number): TaskLayout {
    const { model, parameters, cells, facts } = this.#parts;
    return {
      rows: cells.length,
      shared: [
        ...model.nets.flatMap((net) => net.sharedBuffers(() => net.pack(parameters[net.name]!))),
        ...model.sharedBuffers(),
      ],
      tables: [{
        what: "what cells were given",
        bytes: 4 * facts.combinations.length * (2 * facts.slots + facts.covariates.length + 2) +
          4 * cells.length,
      }],
      passes: [this.#pass(tileRows)],
      mostTileRows: MOST_TILE_ROWS,
    };
  }

  finish() {
    return { values: { cells: this.#parts.cells } };
  }

  result(stored: Stored, measured: Measured): Promise<Result> {
    return this.#parts.result(stored, measured);
  }

  #pass(tileRows: number): Pass {
    const { model, cells, facts } = this.#parts;
    const turnOf = (tile: Tile, row: number) => this.#turnOf(tile, row);
    const entryBytes = 8 * model.shape.genes * tileRows;
    return {
      ...{ name: "predict", direction: "forward", cost: 1, grain: TURN_CELLS },
      slotBuffers: [
        { name: CELLS.entries, bytes: entryBytes, role: "upload" },
        ...model.tileInputs.map(({ name, bytes }) => ({
          ...{ name, bytes: bytes * (tileRows + 1), role: "upload" as const },
        })),
        ...this.#arrays.map(({ name, width }) => ({
          ...{ name, bytes: 4 * width * tileRows, role: "download" as const },
        })),
      ],
      steps: [{
        ...{ name: "predict", order: "ascending", turnRows: TURN_CELLS },
        loop: [...model.encode(turnOf), ...this.#arrays.flatMap(({ store }) => store())],
      }],
      writes: this.#arrays.map(({ name }) => name),
      hostBytes: {
        // rows as they are read, packed and gathered
        read: 40 * model.shape.genes * this.#step + 2 * entryBytes,
      },
      read: async ({ start, end }, { signal }) => {
        const own = cells.subarray(start, end);
        const { starts, entries } = await this.#gather(own, signal);
        const places = Uint32Array.from(own, (_, i) => i);
        const mixed = {
          ...{ cells: own, partners: places, shares: new Float32Array(own.length).fill(1) },
          partnersInBatch: places.map((place) => place % TURN_CELLS),
        };
        return {
          [CELLS.starts]: starts,
          [CELLS.entries]: entries,
          ...cellUploads(model.shape, facts, mixed, false),
        };
      },
      write: async ({ start, end }, downloads, { store }) => {
        for (const { name, width } of this.#arrays) {
          await store(name, start, new Float32Array(downloads[name]!, 0, (end - start) * width));
        }
      },
    };
  }

  get #step(): number {
    const { chunkRows } = this.#parts.matrix;
    return Math.ceil(STEP / chunkRows) * chunkRows;
  }

  #pack(rows: Awaited<ReturnType<CellMatrix["rows"]>>): PackedRows {
    const { genes, head } = this.#parts.model.shape;
    return head === "gauss" ? packNumbers(rows) : packCounts(rows, genes);
  }

  /** Two words an entry, whatever the rows have. */
  async #gather(
    cells: Uint32Array,
    signal: AbortSignal,
  ): Promise<Pick<PackedRows, "starts" | "entries">> {
    const { matrix } = this.#parts;
    const starts = new Uint32Array(cells.length + 1);
    const parts: Uint32Array[] = [];
    for (let at = 0; at < cells.length;) {
      const first = cells[at]!;
      const end = Math.min(matrix.shape[0], first - first % this.#step + this.#step);
      const packed = this.#pack(await matrix.rows(first, end, { signal }));
      for (; at < cells.length && cells[at]! < end; at++) {
        const row = cells[at]! - first;
        const [from, to] = [packed.starts[row]!, packed.starts[row + 1]!];
        parts.push(widened(packed, from, to));
        starts[at + 1] = starts[at]! + to - from;
      }
    }
    const entries = new Uint32Array(2 * starts.at(-1)!);
    let at = 0;
    for (const part of parts) {
      entries.set(part, at);
      at += part.length;
    }
    return { starts, entries };
  }

  async #look(
    { digest, signal }: Parameters<Feed["look"]>[0],
  ): Promise<{ digest?: string | undefined }> {
    if (!digest) return {};
    const { cells } = this.#parts;
    const all = new StreamDigest();
    for (let start = 0; start < cells.length; start += TURN_CELLS) {
      const { starts, entries } = await this.#gather(
        cells.subarray(start, start + TURN_CELLS),
        signal,
      );
      await all.add(starts);
      await all.add(entries);
    }
    return { digest: await all.finish() };
  }

  #turnOf({ start, end }: Tile, row: number) {
    const samples = Math.min(TURN_CELLS, end - start - row);
    return { firstSample: row, samples, slot: 0 };
  }
}

function widened({ form, entries }: PackedRows, from: number, to: number): Uint32Array {
  if (form !== "narrow") return entries.slice(2 * from, 2 * to);
  const wide = new Uint32Array(2 * (to - from));
  for (let entry = from, at = 0; entry < to; entry++, at += 2) {
    wide[at] = entries[entry]! & 0xffff;
    wide[at + 1] = entries[entry]! >>> 16;
  }
  return wide;
}
