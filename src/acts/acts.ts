/**
 * Activations of a language model, as a source and a list of what is to be done with them. Nothing is read
 * before they are realized, saved, cached, or read row by row.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import type { RaggedArray } from "../feed/ragged.ts";
import { displayed } from "../display.ts";
import type { Gpu } from "../gpu/device.ts";
import { openStore } from "../store/open_store.ts";
import { storedAttributes } from "../stream/places.ts";
import { attributesOf } from "./acts_task.ts";
import { cachePlace, planWork, realizeWork, saveWork } from "./compute.ts";
import { ActsChain } from "./chain.ts";
import type { ActsOp } from "./graph.ts";
import { joinActs } from "./join.ts";
import { featureRows, tokenRows } from "./lazy_rows.ts";
import { gatherAll, saveLive } from "./live.ts";
import type { RealizeOptions, SaveOptions } from "./options.ts";
import { realizeOptions, saveOptions } from "./options.ts";
import { openParts } from "./parts.ts";
import type { ActsValues } from "./realized.ts";
import type { ActsSource } from "./source.ts";
import { openActsSource } from "./stored.ts";

export type { EmaOptions, RollingOptions } from "./chain.ts";
export type { ActsReading } from "./described.ts";

/** What was computed, and the same as activations to go on with. */
export interface RealizedActs extends ActsValues {
  acts: Acts;
}

/** Activations that are not there yet. Every method gives others, and changes none. */
export interface Acts {
  /** As a notebook shows it. */
  toHTML(): string;
}

export class Acts extends ActsChain<Acts> {
  /** Use `collect()` or `load()`. */
  constructor(source: ActsSource, ops: readonly ActsOp[] = []) {
    super(source, ops);
  }

  /**
   * These samples, and then those of others.
   *
   * @throws {RangeError} If they differ in layers, type, producer or hook point, in what is to be done with
   * them, or if a sample id comes twice.
   */
  cat(...others: Acts[]): Acts {
    const { source, ops } = joinActs([this, ...others]);
    return new Acts(source, ops);
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
    const told = this.describe();
    if (!gpu) return told;
    const where = { place: "memory:explained", overwrite: false };
    return `${told}\n${planWork(gpu, this.work("explain"), where).plan.explain()}`;
  }

  /**
   * Computes all of it, in memory.
   *
   * @throws {BudgetError} Before anything is read, if the result or what makes it exceeds the budget.
   * @throws {RangeError} If a token that counts is NaN, or infinite where that is no maximum; names it.
   */
  async realize(gpu: Gpu, options: RealizeOptions = {}): Promise<RealizedActs> {
    const { signal, ...told } = realizeOptions.check(options);
    const { live } = this.source;
    if (live) return await new Acts(await gatherAll(live, signal), this.ops).realize(gpu, options);
    const work = this.work("compute activations");
    const { values, source } = await realizeWork(gpu, work, { signal, ...told });
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
   * @throws {RangeError} If it is, holds or lies in where they are read from.
   */
  async save(gpu: Gpu, place: string, options: SaveOptions = {}): Promise<Acts> {
    const told = saveOptions.check(options);
    const { live } = this.source;
    if (!live) {
      return new Acts(await saveWork(gpu, this.work("compute activations"), place, told));
    }
    const wanted = attributesOf(this.source, this.graph);
    await saveLive(live, place, told, wanted, async (source, part) => {
      const work = new Acts(source, this.ops).work("compute activations");
      await (await saveWork(gpu, work, part, { ...told, overwrite: true })).close();
    });
    const store = await openStore(place);
    try {
      return new Acts(await openParts(place, await store.list("/"), { unfinished: true }));
    } finally {
      await store.close();
    }
  }

  /**
   * As {@link save}, in a folder of results that are found again: by source, layers, samples, masks, steps and
   * types. What is there is not computed again, on whichever adapter it was made.
   */
  async cache(gpu: Gpu, folder: string, options: SaveOptions = {}): Promise<Acts> {
    const { signal, overwrite } = saveOptions.check(options);
    const place = await cachePlace(this.work("cache activations"), folder, signal);
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
    return featureRows(this.work("read features"));
  }

  /**
   * Tokens of samples, read when they are asked for: what probes of sequences take.
   *
   * @throws {RangeError} If there are no tokens, several layers, or layers yet to be pooled.
   */
  tokens(): RaggedArray {
    return tokenRows(this.work("read tokens"));
  }

  protected override with(op: ActsOp): Acts {
    return new Acts(this.source, [...this.ops, op]);
  }
}

displayed(Acts.prototype, (acts) => ({
  title: `activations [${acts.dims}] ${acts.dtype}, ${acts.samples} samples of ${acts.place}`,
  text: acts.explain(),
}));
