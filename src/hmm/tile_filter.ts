/**
 * The filter, as the passes of a decode and of the search for a model's parameters share it: a pass of its own,
 * and again tile by tile, from the states that it found.
 *
 * @module
 */

import { FILTER_SUMS_HEAD, logNormaliser } from "../kernels/hmm_filter.ts";
import type { SmoothStarts } from "../kernels/hmm_smooth.ts";
import { hilbertDistance } from "../math/hilbert.ts";
import type { Lanes } from "../stream/lanes.ts";
import type { Pass, SharedBuffer, SlotBuffer, Step, Tile } from "../stream/pass.ts";
import { tileSize } from "../stream/pass.ts";
import type { Held } from "../stream/task.ts";
import type { LaneCuts } from "./lane_cuts.ts";
import type { Observation } from "./observation/observation.ts";
import { LIKELIHOOD, ROW_MAXIMUM } from "./observation/observation.ts";
import type { TimeGrid } from "./time_grid.ts";
import type { PredictedLayout, Recursion } from "./transition/recursion.ts";
import { tableBuffer } from "./transition/recursion.ts";

/** What goes from tile to tile on the host. */
export type FilterHeld = {
  /** Log-likelihood of every lane so far, natural logarithm. */
  logLikelihoods: { dtype: "float64"; length: number };
  /** Rows in which nothing that is expected agrees with what was seen. */
  impossibleRows: { dtype: "float64"; length: number };
};

/** What a filter works with. */
export interface FilterParts {
  time: TimeGrid;
  lanes: LaneCuts;
  recursion: Recursion;
  observation: Observation;
  /** Discrete states, and bytes of a row of all bins of all of them. */
  states: number;
  stateBytes: number;
  held(): Held<FilterHeld>;
}

export class TileFilter {
  readonly #parts: FilterParts;

  constructor(parts: FilterParts) {
    this.#parts = parts;
  }

  get #sumsWidth(): number {
    return FILTER_SUMS_HEAD + this.#parts.states;
  }

  /** Buffers both passes work in. */
  slotBuffers(tileRows: number): SlotBuffer[] {
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
  pass(tileRows: number): Pass {
    const { lanes, observation, recursion } = this.#parts;
    return {
      name: "filter",
      direction: "forward",
      cost: 1,
      slotBuffers: this.slotBuffers(tileRows),
      carry: { buffer: "predicted_carry", bytes: this.#parts.stateBytes },
      steps: [
        ...observation.steps(),
        recursion.filterStep(lanes.count, {
          buffer: "predicted_carry",
          rowStride: 0,
          laneStride: () => recursion.rowLength,
        }),
      ],
      ...this.reading(tileRows, 0),
      write: () => {},
    };
  }

  /** Buffers and steps that filter each tile again, from the state at its start. */
  again(
    tileRows: number,
  ): { slotBuffers: SlotBuffer[]; steps: Step[]; predicted: PredictedLayout } {
    const { lanes: { count }, observation, recursion, stateBytes } = this.#parts;
    const { rowLength } = recursion;
    const predicted: PredictedLayout = {
      rowStride: rowLength,
      laneStride: ({ start, end }) => (end - start + 1) * rowLength,
    };
    return {
      predicted,
      slotBuffers: [
        ...this.slotBuffers(tileRows).map((buffer): SlotBuffer =>
          buffer.name === ROW_MAXIMUM || buffer.name === "filter_sums"
            ? { ...buffer, role: "download" }
            : buffer
        ),
        { name: "checkpoint", bytes: count * stateBytes, role: "upload" },
        { name: "predicted", bytes: count * stateBytes * (tileRows + 1), role: "scratch" },
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
      ],
    };
  }

  /** The head of a pass that smooths: backward, each tile filtered again. `smooth` comes after `steps`. */
  smoothing(tileRows: number) {
    const { lanes: { count }, recursion: { smoothStep }, stateBytes } = this.#parts;
    const { slotBuffers, steps, predicted } = this.again(tileRows);
    return {
      direction: "backward",
      carry: { buffer: "smoothed_carry", bytes: stateBytes },
      startsFrom: { pass: "filter", upload: "checkpoint" },
      slotBuffers,
      steps,
      smooth: smoothStep(count, predicted, (tile) => this.#smoothStarts(tile)),
    } as const;
  }

  /** Where lanes of the smoother start. */
  #smoothStarts({ start, firstLane }: Tile): SmoothStarts {
    const { time, lanes: { rows: laneLength, burnInRows } } = this.#parts;
    return {
      firstEnd: time.rows - 1 - firstLane * laneLength - start,
      laneLength,
      burnInEnd: start < laneLength ? undefined : laneLength + burnInRows - 1 - start,
    };
  }

  /** How the observation reads a tile, and the host bytes of that and of writing it. */
  reading(tileRows: number, write: number): Pick<Pass, "read" | "hostBytes" | "besideBytes"> {
    const { observation } = this.#parts;
    const { read, beside } = observation.readBytes?.(tileRows) ?? { read: 0, beside: 0 };
    return {
      hostBytes: { read, write },
      besideBytes: beside,
      read: (tile, { signal }) => observation.read(tile, signal),
    };
  }

  /** Log normaliser of every row, f64, and filtered probability of every discrete state, f32. */
  sums(
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
    this.forEachRow(tile, (row, i) => {
      const [shift, inverse, ...shares] = sums.subarray(i * width, (i + 1) * width);
      normalisers[i] = evidenceOf(logNormaliser(shift!, inverse!), row, i);
      probabilities.set(shares, i * states);
    });
    return { normalisers, probabilities };
  }

  /** Adds rows from the last to the first, whatever the tiles are. */
  count(tile: Tile, normalisers: Float64Array): void {
    const { logLikelihoods, impossibleRows } = this.#parts.held();
    this.forEachRow(tile, (_row, i, lane) => {
      logLikelihoods[lane]! += normalisers[i]!;
      if (normalisers[i] === -Infinity) impossibleRows[0]!++;
    });
  }

  /** Visits the rows of a tile that are rows of the recording, every lane from its last. */
  forEachRow(
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
}

/**
 * Buffers that all passes share: tables, and what lanes carry.
 *
 * @param initial A row of wide numbers, from which every lane starts.
 */
export function filterBuffers(
  { recursion, observation, lanes }: Pick<FilterParts, "recursion" | "observation" | "lanes">,
  initial: Uint32Array,
): SharedBuffer[] {
  const starts = new Uint32Array(lanes.count * initial.length);
  for (let lane = 0; lane < lanes.count; lane++) starts.set(initial, lane * initial.length);
  return [
    ...recursion.shared(lanes.count),
    tableBuffer("pack_table", recursion.packTable),
    ...observation.shared(),
    tableBuffer("predicted_carry", starts),
    { name: "smoothed_carry", bytes: starts.byteLength, kind: "storage" },
  ];
}

/**
 * Lanes as a layout tells of them, where there are several.
 *
 * @param others What some tasks say of them besides.
 */
export function layoutLanes(lanes: LaneCuts, others: Pick<Lanes, "sums"> = {}): { lanes?: Lanes } {
  if (lanes.count === 1) return {};
  const distance = (a: Uint8Array, b: Uint8Array) => hilbertDistance(asWide(a), asWide(b));
  return { lanes: { ...lanes, distance, ...others } };
}

function asWide({ buffer, byteOffset, byteLength }: Uint8Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, byteLength / 4);
}
