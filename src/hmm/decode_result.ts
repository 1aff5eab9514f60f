/**
 * A stored decode, opened for reading.
 *
 * @module
 */

import type { ChunkedArray } from "../array/array.ts";
import { openArray, readAll } from "../array/array.ts";
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
import type { RowOutputChoices } from "./row_outputs.ts";
import { positionNames } from "./row_outputs.ts";

/** What a decode stored of its smoother, or of its filter. */
export interface StoredProbabilities {
  /**
   * `[time, state_bins]`, read as f32: p(state bin | spikes). Interior bins only. Reading it throws a
   * `ChunkError` where the decode was told not to store it.
   */
  posterior: ChunkedArray;
  /**
   * `[time, full_state_bins]`, read as f32: `posterior` on every bin of the box, NaN outside the track.
   * Worked out from rows of `posterior` as they are read, and closed with it.
   */
  fullPosterior: ChunkedArray;
  /** `[time, states]` f32: the posterior summed over each discrete state. */
  states: ChunkedArray;
}

/** A decode. Its own probabilities are those of the smoother, given all spikes. */
export interface DecodeResult extends StoredProbabilities {
  /** Those of the filter, given the spikes up to their row, where it was told to store them. */
  causal?: StoredProbabilities;
  /** `[time]` f64, seconds. */
  time: ChunkedArray;
  /** What else is stored for every row, by its name in the store: `acausal_entropy`, ... */
  summaries: Record<string, ChunkedArray>;
  /** Centre of every state bin along each dimension, `[state_bins]` f64, position units; NaN for a bin that is nowhere. */
  binCenters: Float64Array[];
  /**
   * Bins of the box along each dimension: the full axis is `[states, ...gridShape]` in C order, where no
   * state has a single bin.
   */
  gridShape: readonly number[];
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

/** Version of the layout written here; a reader refuses a newer one. */
export const FORMAT = "sluice.decode";
export const FORMAT_VERSION = 2;

/** What a store's attributes say of its decode, as far as readers need it. */
interface StoredParameters extends RowOutputChoices {
  time: { rows: number };
  grid: { shape: number[] };
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
  const time = await open("time");
  const summaries: Record<string, ChunkedArray> = {};
  for (const name of names) {
    if (!/_(posterior|posterior_scale|state_probabilities)$/.test(name)) {
      summaries[name] = await open(name);
    }
  }
  const binCenters = await Promise.all(
    positionNames(parameters.grid.shape.length === 1 ? 1 : 2).map(async (name) => {
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
  await index.close();
  await box.close();
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
    const states = await open(`${kind}_state_probabilities`);
    return { posterior, fullPosterior: expand(posterior, long), states };
  };
  const acausal = await probabilitiesOf("acausal");
  const causal = names.includes("causal_state_probabilities")
    ? await probabilitiesOf("causal")
    : undefined;
  return {
    ...acausal,
    ...(causal && { causal }),
    time,
    summaries,
    binCenters,
    gridShape: parameters.grid.shape,
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
      const probabilities = [acausal, ...(causal ? [causal] : [])]
        .flatMap(({ posterior, states }) => [posterior, states]);
      for (const array of [...probabilities, time, ...Object.values(summaries)]) {
        await array.close();
      }
    },
  };
}

/** Names of the variables with a row for every time. */
async function variableNames(store: Store): Promise<string[]> {
  return (await knownArrays(store)).filter((name) => /^a?causal_\w+$/.test(name));
}

/** A stored posterior as f32, undone as it is read. */
async function openPosterior(
  name: string,
  dtype: PosteriorType,
  open: (name: string) => Promise<ChunkedArray>,
): Promise<ChunkedArray> {
  const stored = await open(name);
  const packing = PACKING_OF[dtype];
  if (packing === undefined) return stored;
  return unpack(stored, packing, packing === "root" ? await open(scaleName(name)) : undefined);
}

function notStored(place: string, shape: readonly number[]): ChunkedArray {
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
  const [rows, width] = posterior.shape as [number, number];
  const means = binCenters.map(() => new Float64Array(rows));
  for (let start = 0; start < rows; start += posterior.chunkRows) {
    const end = Math.min(rows, start + posterior.chunkRows);
    const values = await posterior.read(start, end) as Float32Array;
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
