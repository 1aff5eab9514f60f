/**
 * A stored decode, opened for reading.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { openArray, readAll } from "../array/array.ts";
import { ofType } from "../chunked_array.ts";
import { expand } from "../array/expand.ts";
import { scaleName, unpack } from "../array/unpack.ts";
import { ChunkError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { openStore } from "../store/open_store.ts";
import { childPlace } from "../store/place.ts";
import { checkedStore } from "../zarr/checksums.ts";
import { knownArrays } from "../zarr/group_writer.ts";
import type { ZarrFormat } from "../zarr/metadata.ts";
import { chunkKey, readGroupAttributes } from "../zarr/metadata.ts";
import type { OptionsOf } from "../options.ts";
import { declare, flag } from "../options.ts";
import type { Resumption } from "../stream/task.ts";
import type { MemoryBytes } from "../types.ts";
import type { PosteriorType } from "./posterior_types.ts";
import { PACKING_OF } from "./posterior_types.ts";
import type { Grid } from "./grid.ts";
import type { RowOutputChoices } from "./row_outputs.ts";
import { FORMAT, FORMAT_VERSION, positionNames } from "./row_outputs.ts";
import type { StateModel } from "./states.ts";
import type { StoredGridFacts } from "./stored_grid.ts";
import { storedGrid } from "./stored_grid.ts";
import { following } from "./time_grid.ts";

/** What a decode stored of its smoother, of its filter, or of what that expected. */
export interface StoredProbabilities {
  /**
   * `[time, state_bins]`, read as f32: p(state bin | spikes). Interior bins only. Reading it throws a
   * `ChunkError` where the decode was told not to store it.
   */
  posterior: ChunkedArray<Float32Array>;
  /**
   * `[time, full_state_bins]`, read as f32: `posterior` on every bin of the box, NaN outside the track.
   * Worked out from rows of `posterior` as they are read, and closed with it.
   */
  fullPosterior: ChunkedArray<Float32Array>;
  /** `[time, states]` f32: the posterior summed over each discrete state. */
  states: ChunkedArray<Float32Array>;
  /** `[time]` f64, seconds. */
  time: ChunkedArray<Float64Array>;
  /** Where bins lie; `undefined` where no state has positions, or there are several environments. The edges are worked out from centres. */
  grid: Grid | undefined;
  /** [state_bins] Interior bin of the grid of each; -1 of one that is nowhere. */
  places: Int32Array;
}

/** A decode. Its own probabilities are those of the smoother, given all spikes. */
export interface DecodeResult extends StoredProbabilities {
  /** Those of the filter, given the spikes up to their row, where it was told to store them. */
  causal?: StoredProbabilities;
  /** Those that were expected of a row, given the spikes before it, where it was told to store them. */
  predictive?: StoredProbabilities;
  /** Names of the discrete states. */
  stateNames: readonly string[];
  /** `[time]` f64, seconds: when rows begin and end. */
  timeBinStart: ChunkedArray<Float64Array>;
  timeBinEnd: ChunkedArray<Float64Array>;
  /** What else is stored for every row, by its name in the store: `acausal_entropy`, ... */
  summaries: Record<string, ChunkedArray>;
  /**
   * Centre of every state bin along each dimension, `[state_bins]` f64, position units; NaN for a bin that is nowhere,
   * and along dimensions that an environment does not have.
   */
  binCenters: Float64Array[];
  /**
   * Bins of the box along each dimension: the full axis is `[states, ...gridShape]` in C order, where no
   * state has a single bin.
   */
  gridShape: readonly number[];
  /** [states] Environment of each, where there are several; `gridShape` is then that of the first. */
  environments?: readonly string[];
  /**
   * Stretches of rows that are stored, ascending: a single one of all rows, unless the decode has not
   * finished. The rest is NaN.
   */
  storedRows: [from: number, to: number][];
  /**
   * Natural logarithm, summed over rows in f64; -Infinity where a row is impossible. NaN for a decode that
   * has not finished.
   */
  marginalLogLikelihood: number;
  /**
   * Rows that are impossible under the model: no bin that can be reached agrees with them. They keep the
   * prediction. NaN for a decode that has not finished.
   */
  impossibleRows: number;
  /** Spikes outside the decoded time grid. */
  droppedSpikes: number;
  /** Promised and measured bytes; 0 when nothing had to be computed. */
  projectedBytes: MemoryBytes;
  peakBytes: MemoryBytes;
  /** Seconds by stage, `<pass>.<stage>`, and `total`; empty when nothing had to be computed. */
  seconds: Record<string, number>;
  /** Where it went on, if an earlier run had been interrupted. */
  resumed?: Resumption;
  /** How time was cut into lanes, and how well their ends and starts agreed. */
  lanes: DecodeLanes;
  close(): Promise<void>;
}

/** Lanes of a decode: stretches of time that were advanced side by side. */
export interface DecodeLanes {
  count: number;
  /** Rows of a lane, and rows before it from which its start was guessed. */
  rows: number;
  burnInRows: number;
  /**
   * Largest Hilbert distance that was accepted where two lanes meet: no later probability of a lane is
   * off by a factor of more than e to it, 4e-5 more if it had been below 2^-128. NaN for a decode that has not finished.
   */
  largestDistance: number;
  /** Rows that were run again, since a lane had started wrong. */
  redoneRows: number;
}

/** What a store's attributes say of its decode, as far as readers need it. */
interface StoredParameters extends RowOutputChoices {
  time: { rows: number };
  grid: StoredGridFacts & { environments?: StoredGridFacts[] };
  states: Pick<StateModel, "environments"> & { names: string[]; oneBin?: boolean[] };
  chunk_rows: number;
  shard_chunks: number;
  lanes: { count: number; rows: number; burn_in_rows?: number };
}

/** Options of {@link openResult}. */
export const openResultOptions = declare("open a decode", {
  /** Opens a decode that is still running, or was interrupted, too. Default false. */
  unfinished: flag({
    default: false,
    stored: false,
    says: "open a decode that is still running, or was interrupted, too",
  }),
});

export type OpenResultOptions = OptionsOf<typeof openResultOptions>;

/**
 * Opens a decode. Of one that has not finished, {@link DecodeResult.storedRows} can be read already.
 *
 * @throws {ChunkError} If there is no decode at `place`, it is unfinished and that was not asked for, or
 * a newer version wrote it.
 */
export async function openResult(
  place: string,
  options: OpenResultOptions = {},
): Promise<DecodeResult> {
  const { unfinished } = openResultOptions.check(options);
  const store = await openStore(place);
  try {
    return await openFrom(await checkedStore(store), place, unfinished);
  } finally {
    await store.close();
  }
}

async function openFrom(
  store: Store,
  place: string,
  unfinished: boolean,
): Promise<DecodeResult> {
  const group = await readGroupAttributes(store);
  if (group?.attributes.format !== FORMAT) {
    throw new ChunkError(`Cannot open ${place}: no decode is stored there`, place);
  }
  const { attributes, zarrFormat } = group;
  if ((attributes.format_version as number) > FORMAT_VERSION) {
    throw new ChunkError(
      `Cannot open ${place}: it has format version ${attributes.format_version}, this package reads ` +
        `up to ${FORMAT_VERSION}`,
      place,
    );
  }
  const complete = attributes.complete === true;
  if (!complete && !unfinished) {
    throw new ChunkError(`Cannot open ${place}: the decode has not finished, run it again`, place);
  }
  const parameters = attributes.parameters as StoredParameters;
  const { rows } = parameters.time;
  const names = await variableNames(store);
  const open = (name: string) => openArray(childPlace(place, name));
  const time = ofType(await open("time"), "float64");
  const summaries: Record<string, ChunkedArray> = {};
  for (const name of names) {
    if (!/_(posterior|posterior_scale|state_probabilities)$/.test(name)) {
      summaries[name] = await open(name);
    }
  }
  const { environments: laid = [] } = parameters.grid;
  const dimensions = Math.max(...[parameters.grid, ...laid].map(({ shape }) => shape.length));
  const binCenters = await Promise.all(
    positionNames(dimensions === 1 ? 1 : 2).map(async (name) => {
      const centers = await open(name);
      const values = await readAll(centers);
      await centers.close();
      return values as Float64Array;
    }),
  );
  const index = await open("interior_index");
  const box = await open("is_track_interior");
  const long = {
    index: await readAll(index) as Int32Array,
    size: box.shape[0]!,
    dim: box.dims![0]!,
  };
  const inside = await readAll(box) as Uint8Array;
  await index.close();
  await box.close();
  const { names: stateNames, oneBin = stateNames.map(() => false) } = parameters.states;
  // several environments share no axis
  const grid = parameters.grid.environments ? undefined : await storedGrid(parameters.grid, {
    // the first of those that have the grid's bins
    firstBin: oneBin.indexOf(false),
    inside,
    async readCenters(name) {
      const centers = await open(`full_${name}`);
      const values = await readAll(centers) as Float64Array;
      await centers.close();
      return values;
    },
  });
  const places = Int32Array.from(
    grid
      ? oneBin.flatMap((one) => one ? [-1] : [...grid.interiorIndex.keys()])
      : Array<number>(binCenters[0]!.length).fill(-1),
  );
  // points in time have no bins
  const spans = await Promise.all(
    (await knownArrays(store)).includes("time_bin_start")
      ? ["time_bin_start", "time_bin_end"].map(async (name) => ofType(await open(name), "float64"))
      : [time, following(time)],
  ) as [ChunkedArray<Float64Array>, ChunkedArray<Float64Array>];
  const posteriorOf = async (kind: string) =>
    parameters.posterior
      ? await openPosterior(`${kind}_posterior`, parameters.dtype, open)
      : notStored(place, [rows, binCenters[0]!.length]);
  const storedRows: [number, number][] = complete
    ? [[0, rows]]
    : await storedStretches(store, names, zarrFormat, parameters);
  const { lanes } = parameters;
  const fit = attributes.lanes as { largest_distance: number; redone_rows: number } | undefined;
  const nothing = () => ({ gpu: 0, host: 0, disk: 0 });
  const probabilitiesOf = async (kind: string): Promise<StoredProbabilities> => {
    const posterior = await posteriorOf(kind);
    const states = ofType(await open(`${kind}_state_probabilities`), "float32");
    return { posterior, fullPosterior: expand(posterior, long), states, time, grid, places };
  };
  const acausal = await probabilitiesOf("acausal");
  const causal = names.includes("causal_state_probabilities")
    ? await probabilitiesOf("causal")
    : undefined;
  const predictive = parameters.predictive ? await probabilitiesOf("predictive") : undefined;
  return {
    ...acausal,
    ...(causal && { causal }),
    ...(predictive && { predictive }),
    stateNames,
    timeBinStart: spans[0],
    timeBinEnd: spans[1],
    summaries,
    binCenters,
    gridShape: parameters.grid.shape,
    ...(parameters.grid.environments && { environments: parameters.states.environments! }),
    storedRows,
    marginalLogLikelihood: complete
      ? Number((attributes.marginal_log_likelihoods as unknown[])[0])
      : NaN,
    impossibleRows: complete ? attributes.impossible_rows as number ?? 0 : NaN,
    droppedSpikes: attributes.dropped_spikes as number ?? 0,
    projectedBytes: nothing(),
    peakBytes: nothing(),
    seconds: {},
    lanes: {
      count: lanes.count,
      rows: lanes.rows,
      burnInRows: lanes.burn_in_rows ?? 0,
      largestDistance: complete ? fit?.largest_distance ?? 0 : NaN,
      redoneRows: fit?.redone_rows ?? 0,
    },
    async close() {
      const probabilities = [acausal, causal, predictive].filter((one) => one !== undefined)
        .flatMap(({ posterior, states }) => [posterior, states]);
      for (const array of [...probabilities, time, ...spans, ...Object.values(summaries)]) {
        await array.close();
      }
    },
  };
}

/** Names of the variables with a row for every time. */
async function variableNames(store: Store): Promise<string[]> {
  return (await knownArrays(store)).filter((name) => /^(a?causal|predictive)_\w+$/.test(name));
}

/** A stored posterior as f32, undone as it is read. */
async function openPosterior(
  name: string,
  dtype: PosteriorType,
  open: (name: string) => Promise<ChunkedArray>,
): Promise<ChunkedArray<Float32Array>> {
  const stored = await open(name);
  const packing = PACKING_OF[dtype];
  if (packing === undefined) return ofType(stored, "float16", "float32");
  return unpack(stored, packing, packing === "root" ? await open(scaleName(name)) : undefined);
}

function notStored(place: string, shape: readonly number[]): ChunkedArray<Float32Array> {
  return {
    shape,
    dtype: "float32",
    dims: ["time", "state_bins"],
    chunkRows: 1,
    read: () =>
      Promise.reject(
        new ChunkError(
          `Cannot read the posterior of ${place}: it was decoded with posterior: false`,
          place,
        ),
      ),
    close: () => Promise.resolve(),
  };
}

/** Every lane goes backward: its rows from which on files of all variables are there. */
async function storedStretches(
  store: Store,
  names: readonly string[],
  format: ZarrFormat,
  { time, posterior, chunk_rows, shard_chunks, lanes }: StoredParameters,
): Promise<[number, number][]> {
  const fileRows = chunk_rows * shard_chunks;
  const axes = (name: string) =>
    /_state_probabilities$/.test(name) || (posterior && /_posterior$/.test(name)) ? 2 : 1;
  const isStored = async (file: number) => {
    for (const name of names) {
      const key = chunkKey({ name }, axes(name) === 2 ? [file, 0] : [file], format);
      if (await store.size(key) === undefined) return false;
    }
    return true;
  };
  const stretches: [number, number][] = [];
  for (let lane = 0; lane < lanes.count; lane++) {
    const start = lane * lanes.rows;
    const end = Math.min(time.rows, start + lanes.rows);
    let first = end;
    while (first > start) {
      const file = Math.ceil(first / fileRows) - 1;
      if (!await isStored(file)) break;
      first = file * fileRows;
    }
    if (first < end) stretches.push([first, end]);
  }
  return stretches;
}

/**
 * Mean of the smoothed position in every row, read one chunk at a time; of states that have positions alone.
 *
 * @returns One array for each dimension, `[time]` f64, position units.
 */
export async function posteriorMean(result: DecodeResult): Promise<Float64Array[]> {
  const { posterior, binCenters } = result;
  if (result.environments) {
    throw new RangeError(
      "Cannot take the mean of positions: there are several environments, between which there is none, wanted one",
    );
  }
  const [rows, width] = posterior.shape as [number, number];
  const means = binCenters.map(() => new Float64Array(rows));
  for (let start = 0; start < rows; start += posterior.chunkRows) {
    const end = Math.min(rows, start + posterior.chunkRows);
    const values = await posterior.read(start, end);
    for (let row = start; row < end; row++) {
      const at = (row - start) * width;
      binCenters.forEach((centers, dimension) => {
        let mass = 0;
        let sum = 0;
        for (let bin = 0; bin < width; bin++) {
          if (Number.isNaN(centers[bin]!)) continue;
          mass += values[at + bin]!;
          sum += values[at + bin]! * centers[bin]!;
        }
        means[dimension]![row] = sum / mass;
      });
    }
  }
  return means;
}
