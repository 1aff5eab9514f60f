/**
 * Samples and labels as nets of probes want them uploaded.
 *
 * @module
 */

import type { Samples } from "../feed/samples.ts";
import type { Net } from "../net/net.ts";
import type { SampleSource } from "../net/training_task.ts";
import type { Feed, HostItem } from "../stream/task.ts";

export interface ProbeSourceOptions {
  /** By net, then by sample: 0 or 1. Needed to train. */
  labels?: readonly Uint8Array[];
  /** Whether all rows are taken into memory once. */
  loads?: boolean;
  /** Whether values are looked at as they are read, which happens once. */
  once?: boolean;
}

export class ProbeSource implements SampleSource {
  readonly look: Feed["look"];
  readonly places: Feed["places"];
  readonly tables: readonly HostItem[];
  readonly readBytes: number;
  readonly #samples: Samples;
  readonly #net: Net;
  readonly #labels: readonly Uint8Array[];
  readonly #loads: boolean;
  readonly #once: boolean;
  /** Whether the net tells rows from samples. */
  readonly #hasRows: boolean;

  constructor(
    samples: Samples,
    net: Net,
    { labels = [], loads = false, once = false }: ProbeSourceOptions,
  ) {
    this.#samples = samples;
    this.#net = net;
    this.#labels = labels;
    this.#hasRows = net.tileInputs.some(({ axis }) => axis === "rows");
    this.#loads = loads && !samples.array.values;
    this.#once = once;
    this.places = samples.array.places;
    this.look = async (options) => once && !options.digest ? {} : await samples.look(options);
    let longest = 1;
    for (let i = 0; i < samples.count; i++) longest = Math.max(longest, samples.rowsOf(i));
    // a chunk may have to be taken whole
    const { chunkRows, shape } = samples.array;
    const mostRows = Math.min(shape[0]!, longest + 2 * chunkRows);
    this.readBytes = samples.array.values ? 0 : 8 * mostRows * samples.features;
    this.tables = [
      { what: "where samples lie, and labels", bytes: samples.tableBytes + labelBytes(labels) },
      ...(this.#loads ? [{ what: "samples", bytes: samples.loadedBytes }] : []),
    ];
  }

  async begin(signal: AbortSignal): Promise<void> {
    if (this.#loads) await this.#samples.load(signal);
  }

  rowsOf(sample: number): number {
    return this.#hasRows ? this.#samples.rowsOf(sample) : 0;
  }

  async read(
    chosen: Uint32Array,
    signal: AbortSignal,
  ): Promise<Record<string, ArrayBufferView>> {
    const samples = this.#samples;
    const rows = chosen.reduce((sum, sample) => sum + samples.rowsOf(sample), 0);
    const contents: Record<string, ArrayBufferView> = {};
    for (const { name, bytes } of this.#net.tileInputs) {
      const stride = bytes / 4;
      if (name === "x") {
        const values = new Float32Array(rows * stride);
        await samples.read(chosen, { values, stride, checks: this.#once }, signal);
        contents[name] = values;
      } else if (name === "starts") {
        const starts = new Uint32Array(chosen.length + 1);
        chosen.forEach((sample, i) => starts[i + 1] = starts[i]! + samples.rowsOf(sample));
        contents[name] = starts;
      } else if (name === "labels") {
        contents[name] = new Float32Array(chosen.length * stride).map((_, i) =>
          this.#labels[i % stride]![chosen[Math.floor(i / stride)]!]!
        );
      } else if (name === "weights") {
        contents[name] = new Float32Array(chosen.length * stride).fill(1);
      } else {
        contents[name] = this.#ofRows(name, chosen, rows, stride);
      }
    }
    return contents;
  }

  /** What every row has: whether it counts, or its place in its sample. */
  #ofRows(name: string, chosen: Uint32Array, rows: number, stride: number): ArrayBufferView {
    const samples = this.#samples;
    const [places, detected] = [new Float32Array(rows * stride), new Uint32Array(rows * stride)];
    let at = 0;
    for (const sample of chosen) {
      const start = samples.startOf(sample);
      for (let i = 0; i < samples.rowsOf(sample); i++, at += stride) {
        places[at] = i;
        detected[at] = samples.counts(start + i) ? 1 : 0;
      }
    }
    return name === "positions" ? places : detected;
  }
}

const labelBytes = (labels: readonly Uint8Array[]): number =>
  labels.reduce((sum, { byteLength }) => sum + byteLength, 0);
