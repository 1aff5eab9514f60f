/**
 * What trained nets make of samples, in the order in which these lie: as much at a time as fits the device.
 *
 * @module
 */

import type { OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import type { Tile } from "../stream/pass.ts";
import type { Feed, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import type { Batch } from "./batch.ts";
import type { Net } from "./net.ts";
import type { SampleSource } from "./training_task.ts";
import type { Value } from "./value.ts";

/** Samples that a net takes at once, and the most rows those have. */
export interface Turns {
  samples: number;
  rows: number;
  /** As {@link Batch.longest}. */
  longest?: number;
}

export interface PredictionOptions<Result> {
  name: string;
  net: Net;
  /**
   * What is asked for, and its name in the output: `[samples, nets, width]`, without axes at the end that have a
   * length of 1.
   */
  value: Value;
  says: string;
  /** An array beside it, element by element. */
  derived?: { name: string; of(value: number): number };
  /** Nets that have learned nothing: all they say is NaN. */
  missing?: readonly boolean[];
  /** Whether a value that f32 cannot hold is kept as it comes, Infinity or NaN, and no error. */
  keepsLost?: boolean;
  parameters(): Float32Array<ArrayBuffer>;
  source: SampleSource;
  /** How many there are. */
  samples: number;
  turns: Turns;
  identity: Identity;
  output: Pick<
    OutputSpec,
    "kind" | "formatVersion" | "place" | "overwrite" | "adapter" | "attributes"
  >;
  result(stored: Stored, measured: Measured): Promise<Result>;
}

export class PredictionTask<Result> implements Task<Record<string, never>, Result> {
  readonly name: string;
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held = {};
  readonly output: OutputSpec;
  readonly #options: PredictionOptions<Result>;
  /** Of arrays of the output. */
  readonly #names: readonly string[];
  /** `[samples + 1]`: rows before each sample. */
  readonly #starts: Float64Array;

  constructor(options: PredictionOptions<Result>) {
    this.#options = options;
    const { name, identity, source, samples, says, value, net, output, derived } = options;
    this.name = name;
    this.identity = identity;
    this.feeds = [source];
    this.#starts = new Float64Array(samples + 1);
    for (let i = 0; i < samples; i++) this.#starts[i + 1] = this.#starts[i]! + source.rowsOf(i);
    const axes = [["sample", samples], ["net", net.nets], ["value", value.width]] as const;
    const width = axes.findLastIndex(([, size], i) => i === 0 || size > 1) + 1;
    const shape = axes.slice(0, width).map(([, size]) => size);
    const dims = axes.slice(0, width).map(([name]) => name);
    this.#names = [says, ...derived ? [derived.name] : []];
    this.output = {
      ...output,
      streamed: this.#names.map((name) => variable(name, "float32", shape, dims)),
      whole: [],
    };
  }

  layout(tileRows: number): TaskLayout {
    const { net, source, samples, turns, value, says, parameters } = this.#options;
    const [mostSamples, mostRows] = [Math.min(samples, tileRows), this.#mostRows(tileRows)];
    const { nets } = net;
    const wide = value.width;
    const width = nets * wide;
    const batchOf = (tile: Tile, row: number) => this.#batchOf(tile, row);
    return {
      rows: samples,
      shared: net.sharedBuffers(parameters),
      tables: [...source.tables, {
        what: "where rows of samples lie",
        bytes: this.#starts.byteLength,
      }],
      passes: [{
        name: "predict",
        direction: "forward",
        cost: 1,
        grain: turns.samples,
        slotBuffers: [
          ...net.tileInputs.map(({ name, axis, bytes }) => ({
            name,
            bytes: bytes * (axis === "rows" ? Math.max(1, mostRows) : mostSamples + 1),
            role: "upload" as const,
          })),
          { name: says, bytes: 4 * width * tileRows, role: "download" },
        ],
        steps: [{
          name: "predict",
          order: "ascending",
          turnRows: turns.samples,
          loop: [...net.forward(batchOf), ...net.store(value, says, batchOf)],
        }],
        writes: this.#names,
        hostBytes: {
          read: source.readBytes,
          write: 4 * (1 + this.#names.length) * width * tileRows,
        },
        read: ({ start, end }, { signal }) =>
          source.read(Uint32Array.from({ length: end - start }, (_, i) => start + i), signal),
        write: async ({ start, end }, downloads, { store }) => {
          const { missing, derived, keepsLost } = this.#options;
          const given = new Float32Array(downloads[says]!, 0, (end - start) * width);
          if (!keepsLost) this.#refuseLost(given, start);
          const values = missing?.includes(true)
            ? given.map((value, i) => missing[Math.floor(i / wide) % nets] ? NaN : value)
            : given;
          await store(says, start, values);
          if (derived) await store(derived.name, start, values.map(derived.of));
        },
      }],
      mostTileRows: Math.max(turns.samples, 4096),
    };
  }

  begin(_held: unknown, { signal }: { signal: AbortSignal }): Promise<void> {
    return this.#options.source.begin(signal);
  }

  finish() {
    return {};
  }

  result(stored: Stored, measured: Measured): Promise<Result> {
    return this.#options.result(stored, measured);
  }

  #batchOf({ start, end }: Tile, row: number): Batch {
    const first = start + row;
    const last = Math.min(end, first + this.#options.turns.samples);
    const starts = this.#starts;
    return {
      firstSample: row,
      samples: last - first,
      firstRow: starts[first]! - starts[start]!,
      rows: starts[last]! - starts[first]!,
      longest: this.#options.turns.longest ?? 0,
    };
  }

  /** @throws {RangeError} If a value of a net that has learned something is not finite. */
  #refuseLost(values: Float32Array, start: number): void {
    const { net: { nets }, value: { width }, missing = [], says } = this.#options;
    const lost = values.findIndex((value, i) =>
      !Number.isFinite(value) && !missing[Math.floor(i / width) % nets]
    );
    if (lost < 0) return;
    throw new RangeError(
      `Cannot predict: ${says} of sample ${start + Math.floor(lost / width / nets)} are ${
        values[lost]
      }, which f32 cannot hold, wanted samples nearer to those of the fit`,
    );
  }

  /** Rows of so many samples after one another, at most. */
  #mostRows(samples: number): number {
    return mostRowsOf(this.#starts, samples);
  }
}

/** Rows that so many samples after one another have at most. */
export function mostRowsOf(starts: Float64Array, samples: number): number {
  let most = 0;
  for (let i = 0; i + 1 < starts.length; i++) {
    most = Math.max(most, starts[Math.min(starts.length - 1, i + samples)]! - starts[i]!);
  }
  return most;
}
