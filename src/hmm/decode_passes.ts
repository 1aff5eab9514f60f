/**
 * The passes of a decode: the filter, which finds out the states that lanes have at the start of every tile, and
 * the smoother, which does everything else.
 *
 * @module
 */

import { FILTER_SUMS_HEAD, logNormaliser } from "../kernels/hmm_filter.ts";
import type { Pass, SlotBuffer, Step, Tile, WriteTurn } from "../stream/pass.ts";
import { tileSize } from "../stream/pass.ts";
import type { Held } from "../stream/task.ts";
import type { NumericArray } from "../types.ts";
import type { LaneCuts } from "./lane_cuts.ts";
import type { Observation } from "./observation/observation.ts";
import { LIKELIHOOD, ROW_MAXIMUM } from "./observation/observation.ts";
import type { RowKind, RowOutputs } from "./row_outputs.ts";
import type { TimeGrid } from "./time_grid.ts";
import type { PredictedLayout, Recursion } from "./transition/recursion.ts";

/** What goes from tile to tile on the host. */
export type DecodeHeld = {
  /** Log-likelihood of every lane so far, natural logarithm. */
  logLikelihoods: { dtype: "float64"; length: number };
  /** Rows in which nothing that is expected agrees with what was seen. */
  impossibleRows: { dtype: "float64"; length: number };
};

/** What passes work with. */
interface PassParts {
  time: TimeGrid;
  lanes: LaneCuts;
  recursion: Recursion;
  observation: Observation;
  rowOutputs: RowOutputs;
  /** Discrete states, and bytes of a row of all bins of all of them. */
  states: number;
  stateBytes: number;
  /** Whether filtered rows are stored, too. */
  causal: boolean;
  /** Names of what the smoother stores. */
  smoothed: readonly string[];
  /** Host bytes of what a row of the output takes besides the posterior. */
  smallBytes: number;
  held(): Held<DecodeHeld>;
}

/** Makes the passes of a decode. */
export class DecodePasses {
  readonly #parts: PassParts;

  constructor(parts: PassParts) {
    this.#parts = parts;
  }

  get #sumsWidth(): number {
    return FILTER_SUMS_HEAD + this.#parts.states;
  }

  /** Buffers both passes work in. */
  #slotBuffers(tileRows: number): SlotBuffer[] {
    const { lanes, observation, recursion: { cells, rowLength } } = this.#parts;
    const rows = lanes.count * tileRows;
    const uploads = observation.uploads(tileRows);
    const scratch = (name: string, rowBytes: number): SlotBuffer[] =>
      rowBytes === 0 || uploads.some((upload) => upload.name === name)
        ? []
        : [{ name, bytes: rowBytes * rows, role: "scratch" }];
    return [
      ...uploads,
      ...scratch(LIKELIHOOD, 16 * cells),
      { name: "filtered", bytes: 4 * rowLength * rows, role: "scratch" },
      ...scratch(ROW_MAXIMUM, observation.rowMaximumBytes),
      { name: "filter_sums", bytes: 4 * this.#sumsWidth * rows, role: "scratch" },
    ];
  }

  /** Finds out the states that lanes have at the start of every tile. Everything else comes after. */
  filterPass(tileRows: number): Pass {
    const { lanes, observation, recursion } = this.#parts;
    return {
      name: "filter",
      direction: "forward",
      cost: 1,
      slotBuffers: this.#slotBuffers(tileRows),
      carry: { buffer: "predicted_carry", bytes: this.#parts.stateBytes },
      steps: [
        ...observation.steps(),
        recursion.filterStep(lanes.count, {
          buffer: "predicted_carry",
          rowStride: 0,
          laneStride: () => recursion.rowLength,
        }),
      ],
      ...this.#reading(tileRows, 0),
      write: () => {},
    };
  }

  /** Filters each tile again, from the state at its start, and smooths it. */
  smoothPass(tileRows: number): Pass {
    const { time, lanes, observation, recursion } = this.#parts;
    const { states, stateBytes, causal, rowOutputs, smoothed } = this.#parts;
    const { rowLength } = recursion;
    const { rows: laneLength, count, burnInRows } = lanes;
    const rows = count * tileRows;
    const predicted: PredictedLayout = {
      rowStride: rowLength,
      laneStride: ({ start, end }) => (end - start + 1) * rowLength,
    };
    const outputs: RowKind[] = causal ? ["causal", "acausal"] : ["acausal"];
    const rowSteps = (kind: RowKind): Step[] =>
      outputs.includes(kind) ? rowOutputs.steps(rowLength, kind) : [];
    return {
      name: "smooth",
      direction: "backward",
      cost: 3,
      carry: { buffer: "smoothed_carry", bytes: stateBytes },
      startsFrom: { pass: "filter", upload: "checkpoint" },
      slotBuffers: [
        ...this.#slotBuffers(tileRows).map((buffer): SlotBuffer =>
          buffer.name === ROW_MAXIMUM || buffer.name === "filter_sums"
            ? { ...buffer, role: "download" }
            : buffer
        ),
        { name: "checkpoint", bytes: count * stateBytes, role: "upload" },
        { name: "predicted", bytes: count * stateBytes * (tileRows + 1), role: "scratch" },
        { name: "smooth_sums", bytes: 4 * states * rows, role: "download" },
        ...outputs.flatMap((kind) => rowOutputs.slotBuffers(rows, kind)),
      ],
      steps: [
        {
          copy: { from: "checkpoint", to: "predicted" },
          ranges: (tile) =>
            Array.from({ length: tile.lanes }, (_, lane) => ({
              fromOffset: lane * stateBytes,
              toOffset: lane * (tile.end - tile.start + 1) * stateBytes,
              bytes: stateBytes,
            })),
        },
        ...observation.steps(),
        recursion.filterStep(count, predicted),
        ...rowSteps("causal"),
        recursion.smoothStep(count, predicted, ({ start, firstLane }) => ({
          firstEnd: time.rows - 1 - firstLane * laneLength - start,
          laneLength,
          burnInEnd: start < laneLength ? undefined : laneLength + burnInRows - 1 - start,
        })),
        ...rowSteps("acausal"),
      ],
      writes: smoothed,
      ...this.#reading(tileRows, this.#writeBytes(rows)),
      write: async (tile, downloads, { beside, store }) => {
        const rows = tileSize(tile);
        const { normalisers, probabilities } = this.#filterSums(tile, downloads, beside);
        // a lane that is smoothed again was filtered rightly
        if (!tile.again) {
          this.#countLogLikelihood(tile, normalisers);
          await this.#store("causal", tile, {
            ...(causal && rowOutputs.values(downloads, rows, probabilities, "causal")),
            ...(rowOutputs.filterVariables.length > 0 && { log_normaliser: normalisers }),
          }, store);
        }
        const shares = new Float32Array(downloads.smooth_sums!, 0, rows * states);
        const values = rowOutputs.values(downloads, rows, shares, "acausal");
        await this.#store("acausal", tile, values, store);
      },
    };
  }

  /** How the observation reads a tile, and the host bytes of that and of writing it. */
  #reading(tileRows: number, write: number): Pick<Pass, "read" | "hostBytes" | "besideBytes"> {
    const { observation } = this.#parts;
    const { read, beside } = observation.readBytes?.(tileRows) ?? { read: 0, beside: 0 };
    return {
      hostBytes: { read, write },
      besideBytes: beside,
      read: (tile, { signal }) => observation.read(tile, signal),
    };
  }

  /** Host bytes of normalisers, probabilities of states and summaries of so many rows. */
  #writeBytes(rows: number): number {
    const { states, smallBytes } = this.#parts;
    return rows * (8 + 4 * states + smallBytes);
  }

  /** Log normaliser of every row, f64, and filtered probability of every discrete state, f32. */
  #filterSums(
    tile: Tile,
    downloads: Record<string, ArrayBuffer>,
    beside: Record<string, ArrayBufferView>,
  ): { normalisers: Float64Array; probabilities: Float32Array } {
    const { observation } = this.#parts;
    const states = this.#parts.states;
    const rows = tileSize(tile);
    const width = this.#sumsWidth;
    const evidenceOf = observation.evidence(downloads[ROW_MAXIMUM], beside);
    const sums = new Float32Array(downloads.filter_sums!, 0, rows * width);
    const probabilities = new Float32Array(rows * states);
    const normalisers = new Float64Array(rows);
    this.#forEachRow(tile, (row, i) => {
      const [shift, inverse, ...shares] = sums.subarray(i * width, (i + 1) * width);
      normalisers[i] = evidenceOf(logNormaliser(shift!, inverse!), row, i);
      probabilities.set(shares, i * states);
    });
    return { normalisers, probabilities };
  }

  /** Adds rows from the last to the first, whatever the tiles are. */
  #countLogLikelihood(tile: Tile, normalisers: Float64Array): void {
    const { logLikelihoods, impossibleRows } = this.#parts.held();
    this.#forEachRow(tile, (_row, i, lane) => {
      logLikelihoods[lane]! += normalisers[i]!;
      if (normalisers[i] === -Infinity) impossibleRows[0]!++;
    });
  }

  /** Visits the rows of a tile that are rows of the recording, every lane from its last. */
  #forEachRow(
    { start, end, firstLane, lanes }: Tile,
    visit: (row: number, index: number, lane: number) => void,
  ): void {
    const { rows: laneRows } = this.#parts.lanes;
    for (let own = 0; own < lanes; own++) {
      const first = (firstLane + own) * laneRows + start;
      const present = Math.min(end - start, this.#parts.time.rows - first);
      for (let i = present - 1; i >= 0; i--) {
        visit(first + i, own * (end - start) + i, firstLane + own);
      }
    }
  }

  /** Stores what a tile has of every variable, lane by lane. */
  async #store(
    kind: RowKind,
    tile: Tile,
    values: Record<string, NumericArray>,
    store: WriteTurn["store"],
  ): Promise<void> {
    const { start, end, firstLane, lanes } = tile;
    for (let own = 0; own < lanes; own++) {
      const first = (firstLane + own) * this.#parts.lanes.rows + start;
      const present = Math.min(end - start, this.#parts.time.rows - first);
      if (present <= 0) continue;
      for (const [name, all] of Object.entries(values)) {
        const width = all.length / tileSize(tile);
        const from = own * (end - start) * width;
        await store(`${kind}_${name}`, first, all.subarray(from, from + present * width));
      }
    }
  }
}
