/**
 * The passes of a search for the likeliest path: from the last row to the first, and back.
 *
 * @module
 */

import { readScore, writeScore } from "../math/log_score.ts";
import {
  viterbiStep,
  viterbiStepConstants,
  viterbiStepParams,
  viterbiStepWorkgroups,
} from "../kernels/viterbi_step.ts";
import {
  viterbiTrace,
  viterbiTraceConstants,
  viterbiTraceParams,
} from "../kernels/viterbi_trace.ts";
import {
  viterbiWeigh,
  viterbiWeighConstants,
  viterbiWeighParams,
} from "../kernels/viterbi_weigh.ts";
import type { LoopKernel, LoopStep, Pass, SlotBuffer } from "../stream/pass.ts";
import type { LogRows } from "./observation/log_likelihoods.ts";
import { dimensionsOf } from "./grid.ts";
import { positionNames } from "./row_outputs.ts";
import type { StateBins } from "./state_bins.ts";
import type { PathPart } from "./transition/path_transition.ts";

/** What names of variables begin with. */
export const PATH_PREFIX = "path_";

/** What passes work with. */
interface PassParts {
  bins: StateBins;
  rows: LogRows;
  perState: boolean;
  missing: Uint8Array | undefined;
  /** Of the transition, as bindings hold them. */
  parts: readonly PathPart[];
}

export class ViterbiPasses {
  readonly #parts: PassParts;
  readonly #names: readonly string[];

  /** @param names Variables that are written row by row. */
  constructor(parts: PassParts, names: readonly string[]) {
    this.#parts = parts;
    this.#names = names;
  }

  #slotBuffers(tileRows: number): SlotBuffer[] {
    return [
      { name: "log_likelihood", bytes: 8 * this.#parts.rows.columns * tileRows, role: "upload" },
      { name: "row_best", bytes: 8 * tileRows, role: "download" },
    ];
  }

  /** Rows of a tile from the last to the first. */
  #search(next: { buffer: string; rowStride: number }): LoopStep {
    const { rows, bins, perState } = this.#parts;
    const states = bins.names.length;
    return {
      name: "viterbi",
      order: "descending",
      loop: [
        {
          kernel: viterbiWeigh,
          constants: viterbiWeighConstants(states, rows.columns),
          params: (_tile, row) => viterbiWeighParams(row, perState),
          workgroups: () => [1],
        },
        ...this.#parts.parts.map((part, i): LoopKernel => ({
          kernel: viterbiStep,
          constants: viterbiStepConstants(states),
          buffers: { next: next.buffer, entries: `entries_${i}` },
          params: (tile, row) =>
            viterbiStepParams(row, row * next.rowStride, {
              ...part,
              // the start is a source of the first row alone
              end: Math.min(part.end, bins.count + (tile.start + row === 0 ? 1 : 0)),
            }),
          workgroups: () => viterbiStepWorkgroups(part),
        })),
      ],
    };
  }

  /** Finds out what lies ahead of every tile. */
  scorePass(tileRows: number): Pass {
    return {
      name: "score",
      direction: "backward",
      cost: 1,
      carry: { buffer: "message", bytes: 8 * (this.#parts.bins.count + 1) },
      slotBuffers: this.#slotBuffers(tileRows),
      steps: [this.#search({ buffer: "row_next", rowStride: 0 })],
      ...this.#reading(tileRows),
      write: ({ start, end }, { row_best }) => {
        const scores = new Uint32Array(row_best!);
        for (let row = end - 1; row >= start; row--) {
          if (readScore(scores, 2 * (row - start))) continue;
          throw new RangeError(
            `Cannot find a path: no bin of row ${row} that agrees with it leads to one that agrees with ` +
              "the rows after it, wanted one",
          );
        }
      },
    };
  }

  /** Searches each tile again, and reads the path. */
  pathPass(tileRows: number): Pass {
    const { bins } = this.#parts;
    const stride = bins.count + 1;
    const names = this.#names;
    const rowBytes = 4 + 4 + 8 * bins.grid.dimensions;
    const reading = this.#reading(tileRows);
    const bytes = 8 * stride;
    return {
      name: "path",
      direction: "forward",
      cost: 1,
      carry: { buffer: "path_bin", bytes: 4 },
      startsFrom: { pass: "score", upload: "ahead" },
      slotBuffers: [
        ...this.#slotBuffers(tileRows),
        { name: "ahead", bytes, role: "upload" },
        { name: "next", bytes: 4 * stride * tileRows, role: "scratch" },
        { name: "path", bytes: 4 * tileRows, role: "download" },
        { name: "start", bytes: 8, role: "download" },
      ],
      steps: [
        {
          copy: { from: "ahead", to: "message" },
          ranges: () => [{ fromOffset: 0, toOffset: 0, bytes }],
        },
        this.#search({ buffer: "next", rowStride: stride }),
        {
          copy: { from: "message", to: "start" },
          ranges: () => [{ fromOffset: 8 * bins.count, toOffset: 0, bytes: 8 }],
        },
        {
          kernel: viterbiTrace,
          constants: viterbiTraceConstants,
          order: "ascending",
          params: (_tile, from, to) => viterbiTraceParams(from, to, stride),
          workgroups: () => [1],
        },
      ],
      ...reading,
      hostBytes: { ...reading.hostBytes, write: rowBytes * tileRows },
      writes: names,
      write: async (tile, { row_best, path, start }, { beside, held, store }) => {
        const rows = tile.end - tile.start;
        const scores = new Uint32Array(row_best!);
        const largest = beside.largest as Float64Array;
        const own = Int32Array.from(new Uint32Array(path!, 0, rows));
        for (let row = 0; row < rows; row++) {
          const { whole, fraction } = readScore(scores, 2 * row)!;
          held.whole![0]! += whole;
          held.fraction![0]! += fraction;
          if (largest[row] === -Infinity) held.impossibleRows![0]!++;
          else held.largest![0]! += largest[row]!;
        }
        if (tile.start === 0) {
          // by how much the best that can start lies below the best of the row
          const score = readScore(new Uint32Array(start!), 0);
          if (!score) throw new RangeError(NO_START);
          held.whole![0]! += score.whole;
          held.fraction![0]! += score.fraction;
        }
        const values = [
          own,
          own.map((bin) => bins.stateOf(bin)),
          ...positionNames(dimensionsOf(bins.grid)).map((_, d) =>
            Float64Array.from(own, (bin) => bins.centerOf(bin, d))
          ),
        ];
        for (const [i, name] of names.entries()) await store(name, tile.start, values[i]!);
      },
    };
  }

  /** Log-likelihoods of a tile relative to the largest of their row, and that. */
  #reading(tileRows: number): Pick<Pass, "read" | "hostBytes" | "besideBytes"> {
    const { rows, missing } = this.#parts;
    return {
      hostBytes: { read: rows.readBytes(tileRows) },
      besideBytes: 8 * tileRows,
      read: async ({ start, end }, { signal }) => {
        const scores = new Uint32Array(2 * rows.columns * (end - start));
        const largest = new Float64Array(end - start);
        await rows.read(start, end, signal, (values, row, at, most) => {
          if (missing?.[row]) return;
          largest[row - start] = most;
          // a row that is impossible says nothing
          if (most === -Infinity) return;
          const first = 2 * rows.columns * (row - start);
          for (let i = 0; i < rows.columns; i++) {
            writeScore(values[at + i]! - most, scores, first + 2 * i);
          }
        });
        return { log_likelihood: scores, largest };
      },
    };
  }
}

const NO_START =
  "Cannot find a path: no bin that the initial probabilities allow agrees with the first row and leads on, " +
  "wanted one";
