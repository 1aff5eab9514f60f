/**
 * What is stored of every row: probabilities of bins, of discrete states, and summaries. Gathered,
 * rounded and summarised on the device, for the filter, its predictions and the smoother alike.
 *
 * @module
 */

import { scaleName } from "../array/unpack.ts";
import * as encode from "../kernels/encode_rows.ts";
import * as peaks from "../kernels/find_peaks.ts";
import * as pack from "../kernels/pack_rows.ts";
import * as sums from "../kernels/sum_states.ts";
import * as summarize from "../kernels/summarize_rows.ts";
import { SUMMARY, SUMMARY_LENGTH } from "../kernels/summarize_rows.ts";
import { rootScales } from "../math/quantize.ts";
import type { KernelStep, SharedBuffer, SlotBuffer } from "../stream/pass.ts";
import { tileSize } from "../stream/pass.ts";
import type { DataType, NumericArray } from "../types.ts";
import type { NumericType } from "../zarr/data_types.ts";
import { createElements } from "../zarr/data_types.ts";
import type { PosteriorType } from "./posterior_types.ts";
import { ENCODING_OF, PACKING_OF, POSTERIOR_TYPES, STORED_TYPE } from "./posterior_types.ts";
import type { StateBins } from "./state_bins.ts";
import { tableBuffer } from "./transition/recursion.ts";

/** What a stored decode is, and the version of its layout: a reader refuses a newer one. */
export const FORMAT = "sluice.decode";
export const FORMAT_VERSION = 2;

/**
 * Numbers that summarise a row: `map`, the likeliest bin, its probability and position; `mean`,
 * mean and variance of position; `entropy`, nats; `hpd`, probability at the edge of the
 * highest-density region of 95 %, and how many bins it has; `logNormaliser`, of the filter alone,
 * log p(spikes of the row | all spikes before), nats.
 */
export type Summary = "map" | "mean" | "entropy" | "hpd" | "logNormaliser";

export const SUMMARIES: readonly Summary[] = ["map", "mean", "entropy", "hpd", "logNormaliser"];

/** Mass of the highest-density region. */
const HPD_COVERAGE = 0.95;

export interface RowOutputChoices {
  dtype: PosteriorType;
  /** Whether probabilities of bins are stored at all. */
  posterior: boolean;
  summaries: readonly Summary[];
  /** Whether predictions are stored. */
  predictive?: true;
}

/** Rows of the filter, of the smoother, or of what the filter expects of a row before it has seen it. */
export type RowKind = "causal" | "acausal" | "predictive";

/** A stored variable with a row for every time; its name lacks `causal_`, `acausal_` or `predictive_`. */
export interface RowVariable {
  name: string;
  dtype: DataType;
  /** Length and dim of the second axis, where there is one. */
  columns?: readonly [length: number, dim: string];
  attributes?: Record<string, unknown>;
}

/** Names of the coordinates of state bins. */
export function positionNames(dimensions: 1 | 2): string[] {
  return dimensions === 1 ? ["position"] : ["x_position", "y_position"];
}

/** The stored variables of a decode, and how they come about. */
export class RowOutputs {
  readonly choices: RowOutputChoices;
  readonly variables: readonly RowVariable[];
  /** What the filter alone stores. */
  readonly filterVariables: readonly RowVariable[];
  readonly #summaries: readonly SummaryColumn[];
  readonly #bins: StateBins;
  readonly #width: number;
  /** Middle of the grid along each dimension: what positions on the device are relative to. */
  readonly #middle: number[];

  /**
   * @throws {RangeError} If a choice is not known, or nothing but state probabilities would be stored
   * without having been asked for.
   */
  constructor(bins: StateBins, choices: RowOutputChoices) {
    checkChoices(bins, choices);
    this.choices = choices;
    this.#bins = bins;
    this.#width = bins.count;
    this.#middle = bins.grid.edges.map((edges) => (edges[0]! + edges.at(-1)!) / 2);
    this.#summaries = choices.summaries
      .flatMap((summary) => summaryColumns(summary, bins, this.#middle));
    this.variables = this.#variables();
    this.filterVariables = choices.summaries.includes("logNormaliser")
      ? [{ name: "log_normaliser", dtype: "float64", attributes: { units: "nat" } }]
      : [];
  }

  /** Tables on the device. */
  shared(): SharedBuffer[] {
    return [
      ...(this.#summaries.length > 0 ? [this.#positions()] : []),
      ...(this.choices.predictive
        ? [tableBuffer("state_starts", Uint32Array.from(this.#bins.starts))]
        : []),
    ];
  }

  #positions(): SharedBuffer {
    const positions = new Float32Array(2 * this.#width);
    this.#middle.forEach((middle, dimension) =>
      this.#bins.centers(dimension).forEach((center, i) => {
        // bins without a position go into no mean
        positions[2 * i + dimension] = Number.isNaN(center) ? 0 : center - middle;
      })
    );
    return tableBuffer("positions", positions);
  }

  /**
   * What so many rows are gathered, rounded and summarised in.
   *
   * @param kind Keeps the buffers of the filter, the smoother and the predictions apart.
   */
  slotBuffers(rows: number, kind: RowKind): SlotBuffer[] {
    const { dtype, posterior } = this.choices;
    const raw = posterior && dtype === "f32";
    const buffers: SlotBuffer[] = [
      { name: "packed", bytes: 4 * this.#width * rows, role: raw ? "download" : "scratch" },
    ];
    if (posterior && !raw) {
      buffers.push(
        { name: "row_peaks", bytes: 4 * rows, role: "scratch" },
        { name: "encoded", bytes: encode.encodedBytes(rows, this.#width), role: "download" },
      );
    }
    if (this.#summaries.length > 0) {
      buffers.push({ name: "summaries", bytes: 4 * SUMMARY_LENGTH * rows, role: "download" });
    }
    if (kind === "predictive") {
      buffers.push({
        name: "state_shares",
        bytes: 4 * this.#bins.names.length * rows,
        role: "download",
      });
    }
    // scratch is used up before the other kind's begins
    return buffers.map((buffer) =>
      buffer.role === "download" ? { ...buffer, name: `${kind}_${buffer.name}` } : buffer
    );
  }

  /** @param sourceStride f32 elements of a row of `filtered`, and of `predicted`, in which rows come in cells. */
  steps(sourceStride: number, kind: RowKind): KernelStep[] {
    const { dtype, posterior } = this.choices;
    const width = this.#width;
    const raw = posterior && dtype === "f32";
    const packed = raw ? `${kind}_packed` : "packed";
    const steps: KernelStep[] = [{
      kernel: pack.packRows,
      constants: pack.packRowsConstants,
      buffers: { unpacked: kind === "predictive" ? "predicted" : "filtered", packed },
      order: "any",
      params: ({ start, end }, from, to) => {
        // a lane's last prediction is of the row after it
        const laneRows = kind === "predictive" ? end - start : 0;
        return pack.packRowsParams(from, to, sourceStride, width, laneRows);
      },
      workgroups: (rows) => pack.packRowsWorkgroups(rows, width),
    }];
    if (posterior && dtype !== "f32") {
      const encoding = ENCODING_OF[dtype];
      if (encoding === "root") {
        steps.push({
          kernel: peaks.findPeaks,
          constants: peaks.findPeaksConstants,
          order: "any",
          params: (_tile, from, to) => peaks.findPeaksParams(from, to, width),
          workgroups: peaks.findPeaksWorkgroups,
        });
      }
      steps.push({
        kernel: encode.encodeRows,
        constants: encode.encodeRowsConstants(encoding),
        buffers: { encoded: `${kind}_encoded` },
        order: "any",
        params: (tile, from, to) => encode.encodeRowsParams(from, to, width, tileSize(tile)),
        workgroups: (rows) => encode.encodeRowsWorkgroups(rows, width),
      });
    }
    if (kind === "predictive") steps.push(sumStep(this.#bins.names.length, width, packed));
    if (this.#summaries.length > 0) {
      steps.push({
        kernel: summarize.summarizeRows,
        constants: summarize.summarizeRowsConstants(HPD_COVERAGE),
        buffers: { packed, summaries: `${kind}_summaries` },
        order: "any",
        params: (_tile, from, to) => summarize.summarizeRowsParams(from, to, width),
        workgroups: summarize.summarizeRowsWorkgroups,
      });
    }
    return steps;
  }

  /** The rows of a tile as they are stored, by variable; some are views of the driver's memory. */
  values(
    downloads: Record<string, ArrayBuffer>,
    rows: number,
    stateProbabilities: Float32Array,
    kind: RowKind,
  ): Record<string, NumericArray> {
    const { dtype, posterior } = this.choices;
    const elements = rows * this.#width;
    const values: Record<string, NumericArray> = { state_probabilities: stateProbabilities };
    if (posterior && dtype === "f32") {
      values.posterior = new Float32Array(downloads[`${kind}_packed`]!, 0, elements);
    } else if (posterior) {
      const stored = new Uint16Array(downloads[`${kind}_encoded`]!, 0, elements);
      values.posterior = stored;
      if (dtype === "u16") values[scaleName("posterior")] = rootScales(stored, this.#width);
    }
    if (this.#summaries.length === 0) return values;
    const table = new Float32Array(downloads[`${kind}_summaries`]!, 0, rows * SUMMARY_LENGTH);
    for (const { variable, from, value } of this.#summaries) {
      const stored = createElements(variable.dtype as NumericType, rows);
      for (let row = 0; row < rows; row++) stored[row] = value(table[row * SUMMARY_LENGTH + from]!);
      values[variable.name] = stored;
    }
    return values;
  }

  #variables(): RowVariable[] {
    const { dtype, posterior } = this.choices;
    const variables: RowVariable[] = [];
    const packing = PACKING_OF[dtype];
    if (posterior) {
      variables.push({
        name: "posterior",
        dtype: STORED_TYPE[dtype],
        columns: [this.#width, "state_bins"],
        ...(packing && {
          attributes: {
            packing,
            // xarray and others undo it by this
            ...(packing === "linear" && { scale_factor: 1 / 65535 }),
          },
        }),
      });
      if (packing === "root") {
        variables.push({ name: scaleName("posterior"), dtype: "float32" });
      }
    }
    variables.push({
      name: "state_probabilities",
      dtype: "float32",
      columns: [this.#bins.names.length, "states"],
    });
    return [...variables, ...this.#summaries.map(({ variable }) => variable)];
  }
}

/** Adds up what was expected of discrete states; the filter and the smoother tell their own. */
function sumStep(states: number, width: number, packed: string): KernelStep {
  return {
    kernel: sums.sumStates,
    constants: sums.sumStatesConstants(states),
    buffers: { packed, state_shares: "predictive_state_shares" },
    order: "any",
    params: (_tile, from, to) => sums.sumStatesParams(from, to, width),
    workgroups: sums.sumStatesWorkgroups,
  };
}

/** A number of a summary, and where it is in the device's table. */
interface SummaryColumn {
  variable: RowVariable;
  from: number;
  /** What is stored of the number there. */
  value(number: number): number;
}

function column(
  variable: RowVariable,
  from: number,
  value = (number: number) => number,
): SummaryColumn {
  return { variable, from, value };
}

function summaryColumns(
  summary: Summary,
  bins: StateBins,
  middle: readonly number[],
): SummaryColumn[] {
  const names = positionNames(bins.grid.dimensions);
  switch (summary) {
    case "map":
      return [
        column({ name: "map_bin", dtype: "int32" }, SUMMARY.mapBin),
        column({ name: "map_probability", dtype: "float32" }, SUMMARY.peak),
        // positions are as exact as the grid's, however far from 0 it lies
        ...names.map((name, d) =>
          column(
            { name: `map_${name}`, dtype: "float64" },
            SUMMARY.mapBin,
            (bin) => bins.centerOf(bin, d),
          )
        ),
      ];
    case "mean":
      return [
        ...names.map((name, d) =>
          column(
            { name: `mean_${name}`, dtype: "float64" },
            SUMMARY.mean[d]!,
            (fromMiddle) => fromMiddle + middle[d]!,
          )
        ),
        ...names.map((name, d) =>
          column({ name: `variance_${name}`, dtype: "float32" }, SUMMARY.variance[d]!)
        ),
      ];
    case "entropy":
      return [
        column(
          { name: "entropy", dtype: "float32", attributes: { units: "nat" } },
          SUMMARY.entropy,
        ),
      ];
    case "hpd": {
      const [threshold, size] = [{ coverage: HPD_COVERAGE }, { units: "bins" }];
      return [
        column(
          { name: "hpd_threshold", dtype: "float32", attributes: threshold },
          SUMMARY.hpdThreshold,
        ),
        column({ name: "hpd_size", dtype: "int32", attributes: size }, SUMMARY.hpdSize),
      ];
    }
    case "logNormaliser":
      // the filter's own
      return [];
  }
}

function checkChoices(bins: StateBins, { dtype, summaries }: RowOutputChoices): void {
  if (summaries.includes("mean") && !bins.areOnGrid) {
    const state = bins.names.find((_, state) => bins.isOneBin(state));
    throw new RangeError(
      `Cannot plan a decode: the summary "mean" is of positions, and state "${state}" has none, wanted ` +
        "states over the grid, or other summaries",
    );
  }
  if (summaries.includes("mean") && bins.grid.environments) {
    throw new RangeError(
      `Cannot plan a decode: the summary "mean" is of positions, and there are ${bins.grid.environments.length} ` +
        "environments, between which there is no mean, wanted other summaries",
    );
  }
  if (!POSTERIOR_TYPES.includes(dtype)) {
    throw new RangeError(
      `Cannot plan a decode: dtype is "${dtype}", wanted one of ${POSTERIOR_TYPES.join(", ")}`,
    );
  }
  for (const summary of summaries) {
    if (!SUMMARIES.includes(summary)) {
      throw new RangeError(
        `Cannot plan a decode: got the summary "${summary}", wanted some of ${
          SUMMARIES.join(", ")
        }`,
      );
    }
  }
}
