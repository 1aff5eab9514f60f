/**
 * A graph as a task: every layer a pass over the rows that are read of it, and an array of its own.
 *
 * @module
 */

import { POOL_BLOCK } from "../kernels/pool_tokens.ts";
import type { Coordinate, Outcome, OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import type { Pass } from "../stream/pass.ts";
import type { Feed, Held, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import { elementBytes, elementCount } from "../zarr/data_types.ts";
import type { NumericType } from "../zarr/data_types.ts";
import type { ZarrArraySpec } from "../zarr/metadata.ts";
import { copyPass, pickPass } from "./copy_pass.ts";
import type { ActsGraph } from "./graph.ts";
import { hiddenOf, layersOf } from "./graph.ts";
import { poolPass, SegmentList } from "./pool_pass.ts";
import { selectionBytes } from "./selection.ts";
import type { ActsSource } from "./source.ts";
import { storedTypeOf, TYPE_BYTES } from "./types.ts";
import type { ActsOutput, ActsWork } from "./work.ts";
import { outputsOf, pooledWidth } from "./work.ts";

/** What stored activations are. */
export const ACTS_FORMAT = { kind: "acts", formatVersion: 1 } as const;

/** Bytes of a chunk of rows: what reading one of them costs at most. */
const CHUNK_BYTES = 2 ** 20;
/** Chunks of a file. */
const SHARD_CHUNKS = 64;
/** Bytes of a tile beyond which nothing is gained. */
const TILE_BYTES = 8 * 2 ** 20;

/** What attributes say of stored activations. */
export interface ActsAttributes {
  dims: string;
  dtype: string;
  hidden: number;
  samples: number;
  layers: readonly number[] | null;
  /** Names of the arrays of values: one for each layer, where those are an axis. */
  arrays: readonly string[];
  producer: string | null;
  hook_point: string | null;
  collected: string | null;
  after_final_norm: readonly number[];
  steps: readonly string[];
}

type ActsHeld = Record<"infinities", { dtype: "float64"; length: number }>;

/** A result, still where it was put. */
export interface ActsStored {
  stored: Stored;
  measured: Measured;
}

export class ActsTask implements Task<ActsHeld, ActsStored> {
  readonly name = "acts";
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held: ActsHeld;
  readonly output: OutputSpec;
  readonly work: ActsWork;
  readonly outputs: readonly ActsOutput[];
  readonly #segments: SegmentList | undefined;

  constructor(
    work: ActsWork,
    { place, overwrite, adapter }: {
      place: string | undefined;
      overwrite: boolean;
      adapter: string;
    },
  ) {
    const { source, graph, selection } = work;
    this.work = work;
    this.outputs = outputsOf(source, graph);
    this.identity = identityOf(this.work);
    this.feeds = [{
      places: source.places,
      look: async ({ digest, signal }) =>
        digest ? { digest: await source.fingerprint({ signal }) } : {},
    }];
    this.held = { infinities: { dtype: "float64", length: this.outputs.length } };
    // of samples without a row a device has nothing to pool: they are zeros
    const isPooled = graph.tokens?.kind === "pool" && selection.map.rows > 0;
    if (isPooled) this.#segments = new SegmentList(selection.offsets);
    const { offsets } = selection;
    this.output = {
      ...ACTS_FORMAT,
      place,
      overwrite,
      adapter,
      streamed: this.#arrays(),
      whole: [],
      coordinates: place === undefined ? [] : coordinatesOf(this.work),
      attributes: { acts: attributesOf(source, graph) },
      longest: { infinities: this.outputs.map(() => Number.MAX_SAFE_INTEGER) },
      ...(isPooled && {
        // a sample without tokens is written with the last token before it
        passRow: (sample: number) => {
          const [start, end] = [offsets[sample]!, offsets[sample + 1]!];
          return end > start ? start : Math.max(0, start - 1);
        },
      }),
    };
  }

  layout(tileRows: number): TaskLayout {
    const { source, graph, selection } = this.work;
    const segments = this.#segments;
    const pool = graph.tokens?.kind === "pool" ? graph.tokens.pool : undefined;
    const passes = this.outputs.map((output, index): Pass => {
      if (segments) return poolPass(this.work, output, { index, tileRows, pool: pool!, segments });
      return keepsRows(graph)
        ? copyPass(this.work, output, tileRows)
        : pickPass(this.work, output, tileRows);
    });
    const width = this.outputs[0]!.planes.length * source.hidden;
    const rowBytes = width * Math.max(TYPE_BYTES[source.dtype], graph.before.length > 0 ? 4 : 2);
    return {
      rows: segments || keepsRows(graph) ? selection.map.rows : graph.samples.length,
      shared: segments ? segments.shared(pooledWidth(this.work, this.outputs[0]!), tileRows) : [],
      passes,
      tables: [{ what: "tokens and samples", bytes: selectionBytes(selection) }],
      notes: graph.notes,
      mostTileRows: Math.max(POOL_BLOCK, Math.min(2 ** 15, Math.floor(TILE_BYTES / rowBytes))),
    };
  }

  finish({ infinities }: Held<ActsHeld>): Outcome {
    return { facts: { infinities: [...infinities] } };
  }

  result(stored: Stored, measured: Measured): ActsStored {
    return { stored, measured };
  }

  #arrays(): ZarrArraySpec[] {
    const { source, graph, selection } = this.work;
    const rows = keepsRows(graph) ? selection.map.rows : graph.samples.length;
    const hidden = hiddenOf(source, graph);
    const dtype = storedTypeOf(graph.dtype);
    const dims = [keepsRows(graph) ? "token" : "sample", "hidden"];
    const chunkRows = Math.floor(CHUNK_BYTES / (hidden * elementBytes(dtype)));
    return this.outputs.map(({ name }) => ({
      ...{ name, dtype, shape: [rows, hidden], dims },
      chunkShape: [Math.max(1, Math.min(rows, chunkRows)), hidden],
      shardChunks: SHARD_CHUNKS,
    }));
  }
}

/** Whether rows of the result are the rows that are read. */
function keepsRows({ tokens }: ActsGraph): boolean {
  return tokens === undefined || tokens.kind === "extract";
}

/** Everything that decides a result beside what is read. */
export function identityOf({ source, graph, selection }: ActsWork): Identity {
  const { planes, before, tokens, after, dims, dtype, isFlat } = graph;
  const { layers, hidden, ids, facts } = source;
  const { map, offsets, detected } = selection;
  return {
    facts: {
      ...{ planes, before, tokens, after, dims, dtype, isFlat, layers, hidden, facts },
      // some masks, and none
      ids: ids && Array.from(graph.samples, (sample) => ids[sample]),
      masked: detected !== undefined,
    },
    arrays: [graph.samples, ...map.arrays, offsets, ...(detected ? [detected] : [])],
  };
}

export function attributesOf(source: ActsSource, graph: ActsGraph): ActsAttributes {
  const { producer, hookPoint, collected, afterFinalNorm = [] } = source.facts;
  return {
    dims: graph.dims,
    dtype: graph.dtype,
    hidden: hiddenOf(source, graph),
    samples: graph.samples.length,
    layers: layersOf(source, graph) ??
      (source.layers && graph.planes.length === 1 ? [source.layers[graph.planes[0]!]!] : null),
    arrays: outputsOf(source, graph).map(({ name }) => name),
    producer: producer ?? null,
    hook_point: hookPoint ?? null,
    collected: collected ?? null,
    after_final_norm: afterFinalNorm,
    steps: graph.notes,
  };
}

/** Names, offsets and masks, as they lie beside values. */
function coordinatesOf({ source, graph, selection }: ActsWork): Coordinate[] {
  const { samples, dims, tokens } = graph;
  const all: Coordinate[] = [];
  const add = (spec: ZarrArraySpec, data: Coordinate["data"]) => all.push({ spec, data });
  if (source.ids && tokens?.kind !== "extract") {
    const ids = Array.from(samples, (sample) => source.ids![sample]!);
    const shape = [samples.length];
    add({ name: "sample_id", dtype: "string", shape, chunkShape: shape, dims: ["sample"] }, ids);
  }
  if (dims.includes("s") || tokens?.kind === "extract") {
    const { offsets, detected } = selection;
    const numbers = BigInt64Array.from(offsets, BigInt);
    add(variable("offsets", "int64", [offsets.length], ["sample_end"]), numbers);
    if (detected && dims.includes("s")) {
      add(variable("detected", "uint8", [detected.length], ["token"]), detected);
    }
  }
  return all;
}

/** Bytes of the arrays of a result. */
export function resultBytes({ streamed }: Pick<OutputSpec, "streamed">): number {
  return streamed.reduce(
    (sum, { dtype, shape }) => sum + elementBytes(dtype as NumericType) * elementCount(shape),
    0,
  );
}
