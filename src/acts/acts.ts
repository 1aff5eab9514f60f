/**
 * Activations of a language model, as a source and a list of what is to be done with them. Nothing is read
 * before they are realized, saved, cached, or read row by row.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import type { RaggedArray } from "../feed/ragged.ts";
import { Gpu } from "../gpu/device.ts";
import { digestOf } from "../math/digest.ts";
import { bytesOf } from "../stream/task.ts";
import { Plan } from "../stream/plan.ts";
import { storedAttributes } from "../stream/places.ts";
import { openStore } from "../store/open_store.ts";
import { childPlace } from "../store/place.ts";
import type { ActsStored } from "./acts_task.ts";
import { ActsTask, attributesOf, identityOf } from "./acts_task.ts";
import { explainGraph, readingOf } from "./explain.ts";
import type { ActsGraph, ActsOp, PoolKind } from "./graph.ts";
import { beginGraph, extendGraph, hiddenOf, layersOf } from "./graph.ts";
import { lazyRows } from "./lazy_rows.ts";
import { gatherAll, saveLive } from "./live.ts";
import type { OptionsOf } from "../options.ts";
import type { RealizeOptions, SaveOptions } from "./options.ts";
import { emaOptions, realizeOptions, rollingOptions, saveOptions } from "./options.ts";
import { openParts } from "./parts.ts";
import type { ActsValues } from "./realized.ts";
import { realizedOf } from "./realized.ts";
import type { Selection } from "./selection.ts";
import { selectionBytes, selectRows } from "./selection.ts";
import type { ActsSource } from "./source.ts";
import { joinSources, viewOf } from "./source.ts";
import { openActsSource } from "./stored.ts";
import type { ActsFacts, ActsType, CastType, Dims } from "./types.ts";
import { CAST_TYPES } from "./types.ts";
import type { ActsWork } from "./work.ts";

/** What was computed, and the same as activations to go on with. */
export interface RealizedActs extends ActsValues {
  acts: Acts;
}

/** Bytes that a graph reads. */
export interface ActsReading {
  /** Of the rows and layers that are wanted. */
  needed: number;
  /** Of all that has to be read for them: whole chunks, and layers that lie between. */
  forced: number;
}

/** Activations that are not there yet. Every method gives others, and changes none. */
export class Acts {
  readonly #source: ActsSource;
  readonly #ops: readonly ActsOp[];
  readonly #graph: ActsGraph;
  #selected: Selection | undefined;

  /** Use `collect()` or `load()`. */
  constructor(source: ActsSource, ops: readonly ActsOp[] = []) {
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

  /**
   * Some layers, in this order; a number alone takes the axis away.
   *
   * @throws {RangeError} If there is no such layer, or no layer axis.
   */
  selectLayers(layers: number | readonly number[]): Acts {
    return this.#with({ kind: "selectLayers", layers });
  }

  /**
   * Some samples: by their numbers, or from one to before another.
   *
   * @throws {RangeError} If there are no such samples.
   */
  sliceBatch(samples: ArrayLike<number>): Acts;
  sliceBatch(start: number, end?: number): Acts;
  sliceBatch(first: number | ArrayLike<number>, end = this.samples): Acts {
    if (typeof first === "number") {
      if (!(first >= 0 && end >= first && end <= this.samples)) {
        throw new RangeError(
          `Cannot slice samples: got ${first} to ${end}, wanted a part of 0 to ${this.samples}`,
        );
      }
      first = Array.from({ length: end - first }, (_, i) => (first as number) + i);
    }
    return this.#with({ kind: "sliceBatch", samples: Array.from(first) });
  }

  /** Mean of the detected tokens of each sample, or over layers; zeros where no token is detected. */
  meanPool(dim: "s" | "l" = "s"): Acts {
    return this.#pool("mean", dim);
  }

  /** Maximum of the detected tokens of each sample, or over layers; zeros where no token is detected. */
  maxPool(dim: "s" | "l" = "s"): Acts {
    return this.#pool("max", dim);
  }

  /** Sum of the detected tokens of each sample, or over layers. */
  sumPool(dim: "s" | "l" = "s"): Acts {
    return this.#pool("sum", dim);
  }

  /** The last detected token of each sample; zeros where there is none. */
  lastPool(dim: "s" = "s"): Acts {
    if (dim !== "s") {
      throw new RangeError(
        `Cannot take the last of "${dim}": tokens have an order, wanted "s", or selectLayers()`,
      );
    }
    return this.#with({ kind: "selectToken", index: -1 });
  }

  /**
   * The largest of moving averages s = (1 - alpha) s + alpha x over detected tokens, from s = 0.
   */
  ema(options: EmaOptions = {}): Acts {
    const { alpha } = emaOptions.check(options);
    // which is exact
    const pool = alpha === 1 ? { kind: "max" } as const : { kind: "ema", alpha } as const;
    return this.#with({ kind: "poolTokens", pool, says: `ema with alpha ${alpha}` });
  }

  /**
   * The largest mean of the detected tokens in windows. A sample is pooled alone: windows end at its own
   * tokens, detected or not; with `ends: "detected"` at detected ones.
   */
  rolling(options: RollingOptions = {}): Acts {
    const { window, ends } = rollingOptions.check(options);
    return this.#with({
      ...{ kind: "poolTokens", pool: { kind: "rolling", window, ends } },
      says: `rolling means of ${window} tokens that end at ${
        ends === "any" ? "any" : "detected ones"
      }`,
    });
  }

  /**
   * One token of each sample: -1 is the last detected one, any other counts all tokens, negative ones from the
   * end; zeros where there is none. Or one layer.
   */
  select(dim: "s" | "l", index: number): Acts;
  /** @deprecated Use `selectLayers()`. */
  select(choice: { layer: number | readonly number[] }): Acts;
  select(dim: "s" | "l" | { layer: number | readonly number[] }, index?: number): Acts {
    if (typeof dim === "object") return this.selectLayers(dim.layer);
    if (dim === "l") return this.selectLayers(index!);
    if (dim === "s") return this.#with({ kind: "selectToken", index: index! });
    throw new RangeError(`Cannot select along "${dim}": wanted "s" or "l"`);
  }

  /** Layers side by side, as channels. */
  flatten(): Acts {
    return this.#with({ kind: "flatten" });
  }

  /**
   * Another type. Rounding comes where it is said: before a pool of tokens, those are rounded.
   *
   * @throws {TypeError} If the type is not known.
   */
  cast(dtype: CastType): Acts {
    if (!CAST_TYPES.includes(dtype)) {
      throw new TypeError(
        `Cannot cast activations: got "${dtype}", wanted one of ${CAST_TYPES.join(", ")}`,
      );
    }
    return this.#with({ kind: "cast", dtype });
  }

  /** As {@link cast}: where activations are is decided by whatever reads them, so there are no devices here. */
  to(dtype: CastType): Acts {
    if (!CAST_TYPES.includes(dtype)) {
      throw new TypeError(
        `Cannot move activations to "${dtype}": what they are made of stays where it is and pools run on ` +
          `the GPU that realize(), save() and cache() are given, wanted a type: ${
            CAST_TYPES.join(", ")
          }`,
      );
    }
    return this.cast(dtype);
  }

  /** Detected tokens as rows: b counts tokens from here on; `counts` says how many each sample has. */
  extractTokens(): Acts {
    return this.#with({ kind: "extractTokens" });
  }

  /**
   * These samples, and then those of others.
   *
   * @throws {RangeError} If they differ in layers, type, producer or hook point, in what is to be done with
   * them, or if a sample id comes twice.
   */
  cat(...others: Acts[]): Acts {
    const all = [this, ...others];
    for (const acts of all) acts.#work("join activations");
    const rest = ({ ops }: Acts) =>
      ops.filter(({ kind }) => kind !== "selectLayers" && kind !== "sliceBatch");
    const wanted = JSON.stringify(rest(this));
    const other = all.findIndex((acts) => JSON.stringify(rest(acts)) !== wanted);
    if (other >= 0) {
      throw new RangeError(
        `Cannot join activations: what is to be done with those of position ${other} differs from that of ` +
          "the first, wanted the same; realize() or cache() them first",
      );
    }
    const views = all.map((acts) => {
      const { samples, planes } = acts.#graph;
      const axis = acts.#ops.some(({ kind, ...op }) =>
          kind === "selectLayers" && typeof (op as { layers: unknown }).layers === "number"
        )
        ? false
        : acts.#source.layers !== undefined;
      return viewOf(acts.#source, samples, planes, { hasLayers: axis });
    });
    return new Acts(joinSources(views), rest(this));
  }

  /** One layer after the other: nothing of the others is read. */
  *iterLayers(): Generator<{ layer: number; acts: Acts }> {
    const { layers } = this;
    if (!layers) {
      throw new RangeError(
        `Cannot go through layers: dims are ${this.dims}, there is no layer axis, wanted blh or blsh`,
      );
    }
    for (const layer of layers) yield { layer, acts: this.selectLayers(layer) };
  }

  /** Samples in batches of at most so many. */
  *iterBatches(size: number): Generator<Acts> {
    if (!(Number.isInteger(size) && size >= 1)) {
      throw new RangeError(
        `Cannot go through batches: size is ${size}, wanted a whole number from 1`,
      );
    }
    for (let start = 0; start < this.samples; start += size) {
      yield this.sliceBatch(start, Math.min(this.samples, start + size));
    }
  }

  /** What will be read and made; with a GPU, what a plan that saves it will hold, too. */
  explain(gpu?: Gpu): string {
    const told = explainGraph(this.#source, this.#graph, this.#selection);
    if (!gpu) return told;
    return `${told}\n${this.#plan(gpu, { place: "memory:explained", overwrite: false }).explain()}`;
  }

  /** Bytes that will be read. */
  reading(): ActsReading {
    return readingOf(this.#source, this.#graph, this.#selection);
  }

  /**
   * Computes all of it, in memory.
   *
   * @throws {BudgetError} Before anything is read, if the result or what makes it exceeds the budget.
   * @throws {RangeError} If a token that counts is NaN, or infinite where that is no maximum; names it.
   */
  async realize(gpu: Gpu, options: RealizeOptions = {}): Promise<RealizedActs> {
    const { signal, onProgress, ...choices } = realizeOptions.check(options);
    const { live } = this.#source;
    if (live) return await new Acts(await gatherAll(live, signal), this.#ops).realize(gpu, options);
    const task = this.#task(gpu, { place: undefined, overwrite: false });
    const plan = new Plan<ActsStored>(gpu, task, choices);
    const stored = await plan.run({ ...(signal && { signal }), ...(onProgress && { onProgress }) });
    const { values, source } = await realizedOf(task, stored);
    return Object.defineProperties({} as RealizedActs, {
      ...Object.getOwnPropertyDescriptors(values),
      acts: { value: new Acts(source), enumerable: true },
    });
  }

  /**
   * Computes all of it, layer by layer, into a zarr group with an array for each layer. An interrupted run
   * goes on there when it is run again; a finished result of the same is opened. Of a model that runs, a folder
   * of such groups: several writers may fill it, and samples that are there are not taken again.
   *
   * @throws {BudgetError} Before anything is read, if it does not fit.
   * @throws {OutputConflictError} If something else is there.
   */
  async save(gpu: Gpu, place: string, options: SaveOptions = {}): Promise<Acts> {
    const { signal, onProgress, overwrite, ...choices } = saveOptions.check(options);
    const { live } = this.#source;
    if (live) {
      const wanted = attributesOf(this.#source, this.#graph);
      await saveLive(live, place, { overwrite, signal }, wanted, async (source, part) => {
        const saved = await new Acts(source, this.#ops).save(gpu, part, {
          ...options,
          overwrite: true,
        });
        await saved.close();
      });
      const store = await openStore(place);
      try {
        return new Acts(await openParts(place, await store.list("/"), { unfinished: true }));
      } finally {
        await store.close();
      }
    }
    const plan = this.#plan(gpu, { place, overwrite }, choices);
    await plan.run({ ...(signal && { signal }), ...(onProgress && { onProgress }) });
    return new Acts(await openActsSource(place));
  }

  /**
   * As {@link save}, in a folder of results that are found again: by source, layers, samples, masks, steps and
   * types. What is there is not computed again, on whichever adapter it was made.
   */
  async cache(gpu: Gpu, folder: string, options: SaveOptions = {}): Promise<Acts> {
    const { signal, overwrite } = saveOptions.check(options);
    const work = this.#work("cache activations");
    const { facts, arrays = [] } = identityOf(work);
    const hash = await digestOf([
      JSON.stringify(facts),
      ...arrays.map(bytesOf),
      await this.#source.fingerprint(signal ? { signal } : {}),
    ]);
    const place = childPlace(folder, `${hash.slice(0, 32)}.zarr`);
    const found = await storedAttributes(place);
    if (found?.complete === true && !overwrite) return new Acts(await openActsSource(place));
    return await this.save(gpu, place, options);
  }

  /**
   * Rows `[samples, hidden]`, read when they are asked for: what probes of features take.
   *
   * @throws {RangeError} If there are tokens or layers left, or they are yet to be pooled on a device.
   */
  features(): ChunkedArray {
    this.#checkRows("read features", "bh");
    return lazyRows(this.#work("read features"));
  }

  /**
   * Tokens of samples, read when they are asked for: what probes of sequences take.
   *
   * @throws {RangeError} If there are no tokens, several layers, or layers yet to be pooled.
   */
  tokens(): RaggedArray {
    this.#checkRows("read tokens", "bsh");
    const work = this.#work("read tokens");
    const { offsets, detected } = work.selection;
    return { rows: lazyRows(work), offsets, ...(detected && { detected }) };
  }

  /** Host bytes of what is held while it is not read: offsets, masks and lists. */
  get heldBytes(): number {
    return selectionBytes(this.#selection);
  }

  /** Closes what it was opened from, for all that was made of it. */
  async close(): Promise<void> {
    await this.#source.close();
  }

  /** Rows that are read, found when they are first asked for. */
  get #selection(): Selection {
    return this.#selected ??= selectRows(this.#source, this.#graph);
  }

  #with(op: ActsOp): Acts {
    return new Acts(this.#source, [...this.#ops, op]);
  }

  #pool(how: PoolKind, dim: "s" | "l"): Acts {
    if (dim === "l") return this.#with({ kind: "poolLayers", how });
    if (dim === "s") {
      return this.#with({ kind: "poolTokens", pool: { kind: how }, says: `${how} over tokens` });
    }
    throw new RangeError(`Cannot take the ${how} over "${dim}": wanted "s" or "l"`);
  }

  /** @throws {TypeError} If they are those of a model that runs. */
  #work(action: string): ActsWork {
    if (this.#source.live) {
      throw new TypeError(
        `Cannot ${action}: a model brings them once, wanted save(gpu, place) or realize(gpu) first`,
      );
    }
    const [source, graph] = [this.#source, this.#graph];
    return { source, graph, selection: selectRows(source, graph) };
  }

  #checkRows(action: string, wanted: "bh" | "bsh"): void {
    if (this.dims !== wanted) {
      const { layers } = this;
      const remedy = layers
        ? 'selectLayers() of one, flatten() or a pool over "l"'
        : wanted === "bh"
        ? "a pool of tokens, select() or extractTokens()"
        : "tokens that are not pooled";
      throw new RangeError(
        `Cannot ${action}: dims are ${this.dims}, wanted ${wanted}: ${remedy}`,
      );
    }
    if (this.#graph.tokens?.kind === "pool") {
      throw new RangeError(
        `Cannot ${action}: tokens are yet to be pooled on a device, wanted realize(gpu), save(gpu, place) or ` +
          "cache(gpu, folder) first",
      );
    }
  }

  #task(gpu: Gpu, where: { place: string | undefined; overwrite: boolean }): ActsTask {
    if (!(gpu instanceof Gpu)) {
      throw new TypeError("Cannot compute activations: no GPU was given, wanted that of openGpu()");
    }
    return new ActsTask(this.#work("compute activations"), { ...where, adapter: gpu.adapter.name });
  }

  #plan(
    gpu: Gpu,
    where: { place: string | undefined; overwrite: boolean },
    choices = {},
  ): Plan<ActsStored> {
    return new Plan<ActsStored>(gpu, this.#task(gpu, where), choices);
  }
}

export type EmaOptions = OptionsOf<typeof emaOptions>;
export type RollingOptions = OptionsOf<typeof rollingOptions>;
