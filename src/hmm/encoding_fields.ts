/**
 * An encoding as arrays and facts, and back. Of several in one store each has a prefix.
 *
 * @module
 */

import type { Stored } from "../stream/output.ts";
import type { NumericArray } from "../types.ts";
import type { MarkEncoding } from "./clusterless_encoding.ts";
import type { Grid, TrackGraph } from "./grid.ts";
import { gridFromEdges } from "./grid.ts";
import type { EncodedPoints, Encoding, FittedRates } from "./sorted_spikes.ts";
import type { Interval } from "./time_grid.ts";
import { trackGrid } from "./track_grid.ts";

/** An encoding by what kind of spikes it is of. */
export type EncodingOfKind =
  | { model: "sortedSpikes"; encoding: Encoding }
  | { model: "clusterless"; encoding: MarkEncoding };

export interface Field {
  dims: string[];
  shape: number[];
  values: NumericArray;
}

/** Arrays by their names. */
export type Fields = Record<string, Field>;

/** What is said of an encoding beside its arrays. */
export interface EncodingFacts {
  /** Features of a spike, of those that have some. */
  features?: number;
  waveform_std?: number;
  blocks?: number;
  encoding_exposure_seconds: number;
  merged_stamps: number;
  encoding_samples: number;
  encoding_spikes: number;
  /** Where the points are stored that it was made of. */
  position_std?: number;
  /** How many knots along each dimension, of rates that were fitted. */
  glm_knots?: number[];
}

/** What is said of a grid. */
export interface GridFacts {
  bin_size: number;
  shape: number[];
  track_graph?: TrackGraph;
}

type Read = Stored["read"];

const f64 = async (read: Read, name: string) => await read(name) as Float64Array;

/** Makes arrays of one axis, or of two, called after a prefix. */
function fieldsFor(prefix: string) {
  const list = (name: string, dim: string, values: NumericArray): Fields => ({
    [`${prefix}${name}`]: { dims: [`${prefix}${dim}`], shape: [values.length], values },
  });
  const table = (name: string, dims: [string, string], rows: number, values: NumericArray) => ({
    [`${prefix}${name}`]: {
      dims: [dims[0], `${prefix}${dims[1]}`],
      shape: [rows, values.length / rows],
      values,
    },
  });
  return { list, table };
}

export function gridFields({ edges, interior }: Grid, prefix = ""): Fields {
  const { list } = fieldsFor(prefix);
  return Object.assign(
    {},
    ...edges.map((along, d) => list(`edges_${d}`, `edge_${d}`, along)),
    list("is_track_interior", "full_bins", interior),
  );
}

export async function readGrid(read: Read, facts: GridFacts, prefix = ""): Promise<Grid> {
  const { shape, track_graph: graph, bin_size: binSize } = facts;
  if (graph) return trackGrid(graph, binSize);
  const edges = await Promise.all(shape.map((_, d) => f64(read, `${prefix}edges_${d}`)));
  const interior = await read(`${prefix}is_track_interior`) as Uint8Array;
  return { ...gridFromEdges({ edges, interior }), binSize };
}

export function factsOf({ model, encoding }: EncodingOfKind): EncodingFacts {
  return {
    ...(model === "clusterless" && {
      features: encoding.featureCount,
      waveform_std: encoding.waveformStd,
      blocks: encoding.tables.blocks.length,
    }),
    encoding_exposure_seconds: encoding.exposureSeconds,
    merged_stamps: encoding.mergedStamps,
    encoding_samples: encoding.encodingSamples,
    encoding_spikes: encoding.encodingSpikes,
    ...(encoding.points && { position_std: encoding.points.positionStd }),
    ...(model === "sortedSpikes" && encoding.glm && {
      glm_knots: encoding.glm.knots.map(({ length }) => length),
    }),
  };
}

export function encodingFields(own: EncodingOfKind, units: number, prefix = ""): Fields {
  const { list, table } = fieldsFor(prefix);
  const { intervals, points } = own.encoding;
  const fields: Fields = {
    [`${prefix}intervals`]: {
      dims: [`${prefix}intervals`, "ends"],
      shape: [intervals.length, 2],
      values: Float64Array.from(intervals.flat()),
    },
    ...(points && {
      ...list("sample_places", "sample_coordinates", points.samplePlaces),
      ...list("sample_seconds", "samples", points.sampleSeconds),
      ...list("spike_places", "spike_coordinates", points.spikePlaces),
      ...list("spike_weights", "spikes", points.spikeWeights),
      ...list("spike_units", "spikes", points.spikeUnits),
      ...(points.spikeFeatures && list("spike_features", "spike_numbers", points.spikeFeatures)),
    }),
  };
  if (own.model === "sortedSpikes") {
    const { rates, occupancy, glm } = own.encoding;
    return Object.assign(
      fields,
      ...glm?.knots.map((along, d) =>
        along.length > 0 ? list(`knots_${d}`, `knots_${d}`, along) : {}
      ) ?? [],
      glm && table("coefficients", ["units", "spline_functions"], units, glm.coefficients),
      table("rates", ["units", "bins"], units, rates),
      list("occupancy", "bins", occupancy),
    );
  }
  const { ground, featureMeans, tables: { blocks, places, logTime } } = own.encoding;
  return Object.assign(
    fields,
    list("ground", "bins", ground),
    list("feature_means", "features", featureMeans),
    ...places.map((values, d) => list(`places_${d}`, "bins", values)),
    list("log_time", "bins", logTime),
    ...blocks.map(({ electrodeStarts, encoding }, block) => ({
      ...list(`electrode_starts_${block}`, "electrode_ends", electrodeStarts),
      ...list(`encoding_${block}`, `encoding_${block}_numbers`, encoding),
    })),
  );
}

/**
 * @param model Of what kind of spikes it is.
 * @param units How many of them, or electrodes.
 */
export async function readFields(
  read: Read,
  model: EncodingOfKind["model"],
  facts: EncodingFacts & { units: number; dimensions: number },
  prefix = "",
): Promise<EncodingOfKind> {
  const own = (name: string) => read(`${prefix}${name}`);
  const bounds = await f64(own, "intervals");
  const shared = {
    exposureSeconds: facts.encoding_exposure_seconds,
    mergedStamps: facts.merged_stamps,
    encodingSamples: facts.encoding_samples,
    encodingSpikes: facts.encoding_spikes,
    ...await readPoints(own, facts),
    intervals: Array.from(
      { length: bounds.length / 2 },
      (_, i): Interval => [bounds[2 * i]!, bounds[2 * i + 1]!],
    ),
  };
  if (model === "clusterless") {
    return { model, encoding: { ...shared, ...await readMarks(own, facts) } };
  }
  return {
    model,
    encoding: {
      ...shared,
      rates: await f64(own, "rates"),
      occupancy: await f64(own, "occupancy"),
      unitCount: facts.units,
      ...await readFit(own, facts),
    },
  };
}

async function readFit(
  read: Read,
  { glm_knots: counts }: EncodingFacts,
): Promise<{ glm?: FittedRates }> {
  if (!counts) return {};
  return {
    glm: {
      knots: await Promise.all(
        counts.map((count, d) => count === 0 ? new Float64Array(0) : f64(read, `knots_${d}`)),
      ),
      coefficients: await f64(read, "coefficients"),
    },
  };
}

async function readPoints(
  read: Read,
  { position_std: positionStd, features }: EncodingFacts,
): Promise<{ points?: EncodedPoints }> {
  if (positionStd === undefined) return {};
  return {
    points: {
      positionStd,
      samplePlaces: await f64(read, "sample_places"),
      sampleSeconds: await f64(read, "sample_seconds"),
      spikePlaces: await f64(read, "spike_places"),
      spikeWeights: await f64(read, "spike_weights"),
      spikeUnits: await read("spike_units") as Uint32Array,
      ...(features && { spikeFeatures: await f64(read, "spike_features") }),
    },
  };
}

async function readMarks(
  read: Read,
  { features, waveform_std, blocks, dimensions }: EncodingFacts & { dimensions: number },
): Promise<
  Pick<MarkEncoding, "ground" | "featureCount" | "featureMeans" | "waveformStd" | "tables">
> {
  return {
    ground: await f64(read, "ground"),
    featureCount: features!,
    featureMeans: await f64(read, "feature_means"),
    waveformStd: waveform_std!,
    tables: {
      blocks: await Promise.all(
        Array.from({ length: blocks! }, async (_, block) => ({
          electrodeStarts: await read(`electrode_starts_${block}`) as Uint32Array<ArrayBuffer>,
          encoding: await read(`encoding_${block}`) as Float32Array<ArrayBuffer>,
        })),
      ),
      places: await Promise.all(
        Array.from({ length: dimensions }, (_, d) => f64(read, `places_${d}`)),
      ),
      logTime: await f64(read, "log_time"),
    },
  };
}
