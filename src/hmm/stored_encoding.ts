/**
 * Encodings at a place: what spikes tell of positions, kept apart from the recording that it was learnt from.
 *
 * @module
 */

import { ChunkError, OutputConflictError } from "../errors.ts";
import { digestOf } from "../math/digest.ts";
import { openStore } from "../store/open_store.ts";
import type { Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import { openStored, storedAttributes, storeResult } from "../stream/places.ts";
import type { NumericArray } from "../types.ts";
import type { MarkEncoding } from "./clusterless_encoding.ts";
import type { Grid, TrackGraph } from "./grid.ts";
import { gridFacts, gridFromEdges } from "./grid.ts";
import type { EncodedPoints, Encoding, FittedRates } from "./sorted_spikes.ts";
import type { Interval } from "./time_grid.ts";
import { trackGrid } from "./track_grid.ts";

/** What a stored encoding is. */
export const ENCODING_FORMAT = { kind: "encoding", formatVersion: 1 } as const;

/** An encoding with what it speaks of: bins, and units or electrodes by their names. */
export type EncodedWorld =
  & { grid: Grid; unitIds: readonly number[] }
  & ({ model: "sortedSpikes"; encoding: Encoding } | {
    model: "clusterless";
    encoding: MarkEncoding;
  });

type Field = { dims: string[]; values: NumericArray };

const list = (dim: string, values: NumericArray): Field => ({ dims: [dim], values });

/**
 * Stores an encoding; one that is there already is left as it is.
 *
 * @throws {OutputConflictError} If the place holds something else, or another encoding that is not to be replaced.
 */
export async function storeEncoding(
  place: string,
  world: EncodedWorld,
  { overwrite }: { overwrite: boolean },
): Promise<void> {
  const { grid, encoding, unitIds } = world;
  const fields = fieldsOf(world);
  const parameters = {
    model: world.model,
    grid: gridFacts(grid),
    units: unitIds.length,
    ...(world.model === "clusterless" && {
      features: world.encoding.featureCount,
      waveform_std: world.encoding.waveformStd,
      blocks: world.encoding.tables.blocks.length,
    }),
    encoding_exposure_seconds: encoding.exposureSeconds,
    merged_stamps: encoding.mergedStamps,
    encoding_samples: encoding.encodingSamples,
    encoding_spikes: encoding.encodingSpikes,
    ...(encoding.points && { position_std: encoding.points.positionStd }),
    ...(world.model === "sortedSpikes" && world.encoding.glm && {
      glm_knots: world.encoding.glm.knots.map(({ length }) => length),
    }),
  };
  const hash = await digestOf([
    JSON.stringify(parameters),
    ...Object.entries(fields).flatMap(([name, { values }]) => [name, values]),
  ]);
  if (await isStored(place, hash, overwrite)) return;
  await storeResult(
    {
      ...ENCODING_FORMAT,
      ...{ place, adapter: "none", streamed: [] },
      whole: Object.entries(fields).map(([name, { dims, values }]) =>
        variable(name, dtypeOf(values), shapeOf(dims, values, world), dims)
      ),
      attributes: { parameters, rate_units: "Hz", time_units: "seconds" },
    },
    hash,
    {
      values: Object.fromEntries(
        Object.entries(fields).map(([name, { values }]) => [name, values]),
      ),
    },
  );
}

/**
 * Reads an encoding.
 *
 * @throws {ChunkError} If there is none, or a newer version wrote it.
 */
export async function readEncoding(place: string): Promise<EncodedWorld> {
  const stored = await openStored(place, ENCODING_FORMAT);
  const parameters = stored.attributes.parameters as StoredParameters;
  const f64 = async (name: string) => await stored.read(name) as Float64Array;
  const edges = await Promise.all(
    parameters.grid.shape.map((_, dimension) => f64(`edges_${dimension}`)),
  );
  const interior = await stored.read("is_track_interior") as Uint8Array;
  const bounds = await f64("intervals");
  const shared = {
    exposureSeconds: parameters.encoding_exposure_seconds,
    mergedStamps: parameters.merged_stamps,
    encodingSamples: parameters.encoding_samples,
    encodingSpikes: parameters.encoding_spikes,
    ...await readPoints(stored, parameters),
    intervals: Array.from(
      { length: bounds.length / 2 },
      (_, i): Interval => [bounds[2 * i]!, bounds[2 * i + 1]!],
    ),
  };
  const base = {
    grid: parameters.grid.track_graph
      ? trackGrid(parameters.grid.track_graph, parameters.grid.bin_size)
      : { ...gridFromEdges({ edges, interior }), binSize: parameters.grid.bin_size },
    unitIds: [...await f64("unit_ids")],
  };
  if (parameters.model === "clusterless") {
    return {
      ...base,
      model: "clusterless",
      encoding: { ...shared, ...await readMarks(stored, parameters) },
    };
  }
  if (parameters.model !== "sortedSpikes") {
    throw new ChunkError(
      `Cannot open ${place}: it is an encoding by "${parameters.model}", wanted sortedSpikes or clusterless`,
      place,
    );
  }
  return {
    ...base,
    model: "sortedSpikes",
    encoding: {
      ...shared,
      rates: await f64("rates"),
      occupancy: await f64("occupancy"),
      unitCount: parameters.units,
      ...await readFit(stored, parameters),
    },
  };
}

async function readFit(
  { read }: Stored,
  { glm_knots: counts }: StoredParameters,
): Promise<{ glm?: FittedRates }> {
  if (!counts) return {};
  const f64 = async (name: string) => await read(name) as Float64Array;
  return {
    glm: {
      knots: await Promise.all(
        counts.map((count, d) => count === 0 ? new Float64Array(0) : f64(`knots_${d}`)),
      ),
      coefficients: await f64("coefficients"),
    },
  };
}

interface StoredParameters {
  model: string;
  grid: { bin_size: number; shape: number[]; track_graph?: TrackGraph };
  units: number;
  features: number;
  waveform_std: number;
  blocks: number;
  encoding_exposure_seconds: number;
  merged_stamps: number;
  encoding_samples: number;
  encoding_spikes: number;
  /** Where the points are stored that it was made of. */
  position_std?: number;
  /** How many knots along each dimension, of rates that were fitted. */
  glm_knots?: number[];
}

async function readPoints(
  { read }: Stored,
  { position_std: positionStd, features }: StoredParameters,
): Promise<{ points?: EncodedPoints }> {
  if (positionStd === undefined) return {};
  const f64 = async (name: string) => await read(name) as Float64Array;
  return {
    points: {
      positionStd,
      samplePlaces: await f64("sample_places"),
      sampleSeconds: await f64("sample_seconds"),
      spikePlaces: await f64("spike_places"),
      spikeWeights: await f64("spike_weights"),
      spikeUnits: await read("spike_units") as Uint32Array,
      ...(features && { spikeFeatures: await f64("spike_features") }),
    },
  };
}

function fieldsOf({ grid, unitIds, ...own }: EncodedWorld): Record<string, Field> {
  const { intervals, points } = own.encoding;
  const fields: Record<string, Field> = {
    ...Object.fromEntries(
      grid.edges.map((edges, d) => [`edges_${d}`, list(`edge_${d}`, edges)]),
    ),
    is_track_interior: list("full_bins", grid.interior),
    unit_ids: list("units", Float64Array.from(unitIds)),
    intervals: { dims: ["intervals", "ends"], values: Float64Array.from(intervals.flat()) },
    ...(points && {
      sample_places: list("sample_coordinates", points.samplePlaces),
      sample_seconds: list("samples", points.sampleSeconds),
      spike_places: list("spike_coordinates", points.spikePlaces),
      spike_weights: list("spikes", points.spikeWeights),
      spike_units: list("spikes", points.spikeUnits),
      ...(points.spikeFeatures && { spike_features: list("spike_numbers", points.spikeFeatures) }),
    }),
  };
  if (own.model === "sortedSpikes") {
    const { rates, occupancy, glm } = own.encoding;
    return {
      ...fields,
      ...(glm && {
        ...Object.fromEntries(
          glm.knots.flatMap((along, d) =>
            along.length > 0 ? [[`knots_${d}`, list(`knots_${d}`, along)]] : []
          ),
        ),
        coefficients: { dims: ["units", "spline_functions"], values: glm.coefficients },
      }),
      rates: { dims: ["units", "bins"], values: rates },
      occupancy: list("bins", occupancy),
    };
  }
  const { ground, featureMeans, tables } = own.encoding;
  const { blocks, places, logTime } = tables;
  return {
    ...fields,
    ground: list("bins", ground),
    feature_means: list("features", featureMeans),
    ...Object.fromEntries(places.map((values, d) => [`places_${d}`, list("bins", values)])),
    log_time: list("bins", logTime),
    ...Object.fromEntries(blocks.flatMap(({ electrodeStarts, encoding }, block) => [
      [`electrode_starts_${block}`, list("electrode_ends", electrodeStarts)],
      [`encoding_${block}`, list(`encoding_${block}_numbers`, encoding)],
    ])),
  };
}

async function readMarks(
  { read }: Stored,
  { features, waveform_std, blocks, grid: { shape } }: StoredParameters,
): Promise<
  Pick<MarkEncoding, "ground" | "featureCount" | "featureMeans" | "waveformStd" | "tables">
> {
  const f64 = async (name: string) => await read(name) as Float64Array;
  return {
    ground: await f64("ground"),
    featureCount: features,
    featureMeans: await f64("feature_means"),
    waveformStd: waveform_std,
    tables: {
      blocks: await Promise.all(
        Array.from({ length: blocks }, async (_, block) => ({
          electrodeStarts: await read(`electrode_starts_${block}`) as Uint32Array<ArrayBuffer>,
          encoding: await read(`encoding_${block}`) as Float32Array<ArrayBuffer>,
        })),
      ),
      places: await Promise.all(shape.map((_, d) => f64(`places_${d}`))),
      logTime: await f64("log_time"),
    },
  };
}

const DTYPES = [
  [Float64Array, "float64"],
  [Float32Array, "float32"],
  [Uint32Array, "uint32"],
  [Uint8Array, "uint8"],
] as const;

function dtypeOf(values: NumericArray) {
  return DTYPES.find(([kind]) => values instanceof kind)![1];
}

function shapeOf(
  dims: readonly string[],
  values: NumericArray,
  { unitIds }: EncodedWorld,
): number[] {
  if (dims.length === 1) return [values.length];
  return dims[1] === "ends"
    ? [values.length / 2, 2]
    : [unitIds.length, values.length / unitIds.length];
}

/** Whether this very encoding is there. */
async function isStored(place: string, hash: string, overwrite: boolean): Promise<boolean> {
  const attributes = await storedAttributes(place);
  const isOurs = attributes?.format === `sluice.${ENCODING_FORMAT.kind}`;
  if (isOurs && attributes.plan_hash === hash) return true;
  if (isOurs && overwrite) return false;
  const store = await openStore(place, { mode: "write" });
  const isEmpty = await store.list("/").then(({ length }) => length === 0).finally(() =>
    store.close()
  );
  if (isEmpty) return false;
  throw new OutputConflictError(
    `Cannot write to ${place}: it holds ${
      isOurs ? "another encoding, allow overwriting" : "something else"
    } or name another place`,
    place,
  );
}
