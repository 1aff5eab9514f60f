/**
 * What activations are, before anything is computed: axes, layers, samples, and what is to be done.
 *
 * @module
 */

import { explainGraph, readingOf } from "./explain.ts";
import type { ActsGraph, ActsOp } from "./graph.ts";
import { beginGraph, extendGraph, hiddenOf, layersOf } from "./graph.ts";
import type { Selection } from "./selection.ts";
import { selectionBytes, selectRows } from "./selection.ts";
import type { ActsSource } from "./source.ts";
import type { ActsFacts, ActsType, Dims } from "./types.ts";
import type { ActsWork } from "./work.ts";

/** Bytes that a graph reads. */
export interface ActsReading {
  /** Of the rows and layers that are wanted. */
  needed: number;
  /** Of all that has to be read for them: whole chunks, and layers that lie between. */
  forced: number;
}

/** A source, and a list of steps. */
export abstract class DescribedActs {
  readonly #source: ActsSource;
  readonly #ops: readonly ActsOp[];
  readonly #graph: ActsGraph;
  #selected: Selection | undefined;

  constructor(source: ActsSource, ops: readonly ActsOp[]) {
    this.#source = source;
    this.#ops = ops;
    this.#graph = ops.reduce<ActsGraph>(
      (graph, op) => extendGraph(source, graph, op),
      beginGraph(source),
    );
  }

  /** Axes: b samples, l layers, s tokens, h channels. */
  get dims(): Dims {
    return this.#graph.dims;
  }

  /** Of an element; pooled ones are `float32`. */
  get dtype(): ActsType {
    return this.#graph.dtype;
  }

  /** Channels. */
  get hidden(): number {
    return hiddenOf(this.#source, this.#graph);
  }

  /** Ids of the layers that are an axis: outputs of blocks from 0, -1 the embeddings. */
  get layers(): readonly number[] | undefined {
    return layersOf(this.#source, this.#graph);
  }

  get samples(): number {
    return this.#graph.samples.length;
  }

  /** Where they lie, or what they are made of. */
  get place(): string {
    return this.#source.name;
  }

  /** Tokens of these samples, detected or not; where there is no token axis, one each. */
  get tokenCount(): number {
    const { tokens } = this.#source;
    if (!tokens || !this.dims.includes("s")) return this.samples;
    return this.#graph.samples.reduce(
      (sum, sample) => sum + tokens.offsets[sample + 1]! - tokens.offsets[sample]!,
      0,
    );
  }

  /** A name for each sample, where they have some. */
  get ids(): readonly string[] | undefined {
    const { ids } = this.#source;
    return ids && Array.from(this.#graph.samples, (sample) => ids[sample]!);
  }

  /** What is known of where they came from. */
  get facts(): ActsFacts {
    return { ...this.#source.facts };
  }

  /** What is to be done, in the order it was said. */
  get ops(): readonly ActsOp[] {
    return this.#ops;
  }

  /** Detected tokens of each sample, of those that are read: what `extractTokens()` gives, sample by sample. */
  get counts(): Float64Array {
    return this.#selection.counts;
  }

  /** Bytes that were read of the source so far, by whatever was made of it. */
  get bytesRead(): number {
    return this.#source.count.bytes;
  }

  /** Bytes that will be read. */
  reading(): ActsReading {
    return readingOf(this.#source, this.#graph, this.#selection);
  }

  /** What will be read and made. */
  describe(): string {
    return explainGraph(this.#source, this.#graph, this.#selection);
  }

  /** Host bytes of what is held while it is not read: offsets, masks and lists. */
  get heldBytes(): number {
    return selectionBytes(this.#selection);
  }

  /** Closes what it was opened from, for all that was made of it. */
  async close(): Promise<void> {
    await this.#source.close();
  }

  /** What they are made of. */
  protected get source(): ActsSource {
    return this.#source;
  }

  /** What is to be done, in its normal form. */
  protected get graph(): ActsGraph {
    return this.#graph;
  }

  /**
   * What is to be done, with the rows that are read for it.
   *
   * @throws {TypeError} If they are those of a model that runs.
   */
  work(action: string): ActsWork {
    if (this.#source.live) {
      throw new TypeError(
        `Cannot ${action}: a model brings them once, wanted save(gpu, place) or realize(gpu) first`,
      );
    }
    return { source: this.#source, graph: this.#graph, selection: this.#selection };
  }

  /** Rows that are read, found when they are first asked for. */
  get #selection(): Selection {
    return this.#selected ??= selectRows(this.#source, this.#graph);
  }
}
