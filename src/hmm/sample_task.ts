/**
 * Paths drawn from the posterior of all rows together: the filter, and a pass back in which every path chooses a bin
 * of each row, given the one after it.
 *
 * @module
 */

import { jsonNumber } from "../math/format.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import { ofType } from "../chunked_array.ts";
import { samplePaths, samplePathsConstants, samplePathsParams } from "../kernels/sample_paths.ts";
import { toWideRow } from "../math/wide.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import type { Pass } from "../stream/pass.ts";
import type { Feed, Held, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import { binCoordinates, rowCoordinates } from "./coordinates.ts";
import { dimensionsOf, gridArrays, gridFacts } from "./grid.ts";
import type { DecodeParts, ModelParts } from "./decode_task.ts";
import { withoutMatrices, withoutPrior } from "./decode_task.ts";
import { StateBins } from "./state_bins.ts";
import type { FilterHeld } from "./tile_filter.ts";
import { filterBuffers, TileFilter } from "./tile_filter.ts";
import { timeArrays, timeFacts } from "./time_grid.ts";
import { tableBuffer } from "./transition/recursion.ts";
import type { TransitionColumns } from "./transition/transition_columns.ts";

/** Paths that were drawn. */
export interface SampledPaths extends Measured {
  /** `[time, samples]` i32: state bin of every row of every path, among those of all states. */
  stateBins: ChunkedArray<Int32Array>;
  /** Centre of every state bin along each dimension, position units; NaN for a bin that is nowhere. */
  binCenters: Float64Array[];
  /** Natural, of the rows; -Infinity where one is impossible. */
  marginalLogLikelihood: number;
  close(): Promise<void>;
}

export interface SampleParts extends ModelParts, Pick<DecodeParts, "warnings"> {
  columns: TransitionColumns;
  samples: number;
  seed: number;
  out: string | undefined;
  overwrite: boolean | undefined;
}

const FORMAT_VERSION = 1;
const NAME = "sampled_state_bin";

export class SampleTask implements Task<FilterHeld, SampledPaths> {
  readonly name = "samples";
  readonly feeds: readonly Feed[];
  readonly held: FilterHeld = {
    logLikelihoods: { dtype: "float64", length: 1 },
    impossibleRows: { dtype: "float64", length: 1 },
  };
  readonly identity: Identity;
  readonly output: OutputSpec;
  readonly #parts: SampleParts;
  readonly #bins: StateBins;
  /** A row of wide numbers. */
  readonly #initial: Uint32Array<ArrayBuffer>;
  readonly #filter: TileFilter;
  #held!: Held<FilterHeld>;

  constructor(parts: SampleParts) {
    this.#parts = parts;
    const { grid, model, time, lanes, recursion, observation, samples, seed, missing } = parts;
    const bins = new StateBins(grid, model);
    this.#bins = bins;
    this.feeds = observation.feeds;
    const initial = bins.initialProbs(model, parts.initialProbs);
    this.#initial = toWideRow(
      recursion.toRow((state, bin) => initial[bins.starts[state]! + bin]!),
    );
    const parameters = {
      states: withoutMatrices(withoutPrior(model)),
      operator: parts.operator.kind,
      time: timeFacts(time),
      grid: gridFacts(grid),
      ...{ samples, seed },
    };
    this.identity = {
      facts: parameters,
      arrays: [
        ...observation.inputs,
        ...recursion.inputs,
        ...[this.#initial, parts.columns.entries, ...gridArrays(grid)],
        ...timeArrays(time),
      ],
    };
    this.output = {
      kind: "samples",
      formatVersion: FORMAT_VERSION,
      place: parts.out,
      overwrite: parts.overwrite,
      adapter: parts.adapter,
      streamed: [variable(NAME, "int32", [time.rows, samples], ["time", "samples"])],
      whole: [],
      coordinates: [...rowCoordinates(time, missing), ...binCoordinates(bins)],
      attributes: { parameters, time_units: "seconds" },
      longest: {
        marginal_log_likelihoods: [-Number.MAX_VALUE],
        impossible_rows: Number.MAX_VALUE,
      },
      descending: true,
    };
    this.#filter = new TileFilter({
      ...{ time, lanes, recursion, observation, states: model.names.length },
      stateBytes: this.#initial.byteLength,
      held: () => this.#held,
    });
  }

  layout(tileRows: number): TaskLayout {
    const { time, recursion, observation, columns, samples, missing } = this.#parts;
    const { lanes, operator, warnings } = this.#parts;
    const bins = this.#bins.count;
    return {
      rows: time.rows,
      shared: [
        ...filterBuffers({ recursion, observation, lanes }, this.#initial),
        tableBuffer("path_tables", columns.table(recursion.packTable)),
        tableBuffer("path_entries", columns.entries),
        { name: "weights", bytes: 4 * samples * bins, kind: "storage", scratch: true },
        // nothing comes after the last row
        tableBuffer("ahead", new Uint32Array(samples).fill(bins)),
      ],
      passes: [this.#filter.pass(tileRows), this.#samplePass(tileRows)],
      tables: [{
        what: "tables",
        bytes: observation.hostBytes + recursion.hostBytes + columns.bytes +
          this.#initial.byteLength + 4 * samples + (missing?.byteLength ?? 0),
      }],
      notes: [
        `transition by ${operator.reason}`,
        ...warnings.map((warning) => `warning: ${warning}`),
      ],
    };
  }

  #samplePass(tileRows: number): Pass {
    const { samples, seed } = this.#parts;
    const states = this.#bins.names.length;
    const { slotBuffers, steps } = this.#filter.again(tileRows);
    const reading = this.#filter.reading(
      tileRows,
      (8 + 4 * states) * tileRows + 4 * samples * tileRows,
    );
    return {
      name: "sample",
      direction: "backward",
      cost: 2,
      carry: { buffer: "ahead", bytes: 4 * samples },
      startsFrom: { pass: "filter", upload: "checkpoint" },
      slotBuffers: [
        ...slotBuffers,
        { name: "drawn", bytes: 4 * samples * tileRows, role: "download" },
      ],
      steps: [...steps, {
        kernel: samplePaths,
        constants: samplePathsConstants(states),
        buffers: { tables: "path_tables", entries: "path_entries" },
        order: "descending",
        params: (tile, from, to) =>
          samplePathsParams(from, to, {
            ...{ samples, seed, tileStart: tile.start },
            stride: this.#initial.length,
            bins: this.#bins.count,
          }),
        workgroups: () => [samples],
      }],
      writes: [NAME],
      ...reading,
      write: async (tile, downloads, { beside, store }) => {
        this.#filter.count(tile, this.#filter.sums(tile, downloads, beside).normalisers);
        const drawn = new Int32Array(downloads.drawn!, 0, samples * (tile.end - tile.start));
        await store(NAME, tile.start, drawn.slice());
      },
    };
  }

  begin(held: Held<FilterHeld>): void {
    this.#held = held;
  }

  finish({ logLikelihoods, impossibleRows }: Held<FilterHeld>): Outcome {
    const [logLikelihood] = logLikelihoods;
    return {
      facts: {
        marginal_log_likelihoods: [jsonNumber(logLikelihood!)],
        impossible_rows: impossibleRows[0],
      },
    };
  }

  async result({ attributes, open }: Stored, measured: Measured): Promise<SampledPaths> {
    const stateBins = ofType(await open(NAME), "int32");
    return {
      ...measured,
      stateBins,
      binCenters: Array.from(
        { length: dimensionsOf(this.#bins.grid) },
        (_, dimension) => this.#bins.centers(dimension),
      ),
      marginalLogLikelihood: Number((attributes.marginal_log_likelihoods as unknown[])[0]),
      close: () => stateBins.close(),
    };
  }
}
