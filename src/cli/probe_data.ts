/**
 * What `sluice probe` fits to and predicts: layers of activations, or rows of an array.
 *
 * @module
 */

import type { Acts } from "../acts/acts.ts";
import { featuresLater } from "../acts/later.ts";
import { load } from "../acts/load.ts";
import type { OpenArrayOptions } from "../array/array.ts";
import { openArray } from "../array/array.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import type { RaggedArray } from "../feed/ragged.ts";
import type { Gpu } from "../gpu/device.ts";
import { place } from "../options.ts";
import type { SweepLayer } from "../probes/sweep.ts";
import { actsSections, layersOf, poolOf } from "./acts.ts";
import type { CommandLine } from "./usage.ts";
import { inputChoices, UsageError } from "./usage.ts";

export const dataChoices = {
  acts: place({
    otherwise: "needed without --features",
    says: "activations, as `sluice acts` takes them",
  }),
  features: place({
    otherwise: "those of --acts",
    says: "[samples, features] instead: .npy, zarr, .h5/x, ...",
  }),
  layers: actsSections.Input.layers,
  dtype: actsSections.Input.dtype,
  ...actsSections.Pool,
};

type Takes = "features" | "sequences";

/** A layer, or the only rows there are. */
interface Layer {
  layer: number | string;
  /** For a sweep, which has them made when it is their turn. */
  later: SweepLayer["features"];
  /** Rows of samples, pooled on a device. */
  features(gpu: Gpu, run: { signal: AbortSignal }): Promise<ChunkedArray>;
  tokens?: RaggedArray;
}

export class ProbeData {
  readonly #layers: readonly Layer[];
  readonly #close: () => Promise<void>;

  private constructor(layers: readonly Layer[], close: () => Promise<void>) {
    this.#layers = layers;
    this.#close = close;
  }

  /** @throws {UsageError} If flags do not belong together. */
  static async open(line: CommandLine, signal: AbortSignal): Promise<ProbeData> {
    const { acts, features } = line.read(dataChoices);
    if ((acts === undefined) === (features === undefined)) {
      throw new UsageError(
        `Cannot run: ${
          acts === undefined ? "there is neither --acts nor" : "there are both --acts and"
        } ` +
          "--features, wanted one of them",
      );
    }
    const reading = inputChoices(line, signal);
    return acts === undefined
      ? await ProbeData.#ofArray(line, features!, reading)
      : await ProbeData.#ofActs(line, acts, reading);
  }

  static async #ofArray(line: CommandLine, from: string, reading: OpenArrayOptions) {
    const { acts: _, features: __, ...own } = dataChoices;
    const [stray] = line.given(own);
    if (stray !== undefined) {
      throw new UsageError(
        `Cannot run: --${stray} is given with --features, wanted it with --acts`,
      );
    }
    const array = await openArray(from, reading);
    const layer = { layer: "features", later: array, features: () => Promise.resolve(array) };
    return new ProbeData([layer], () => array.close());
  }

  static async #ofActs(line: CommandLine, from: string, reading: OpenArrayOptions) {
    const { dtype } = line.read(dataChoices);
    const all = await load(from, { ...reading, ...(dtype && { dtype }) });
    try {
      const [pool] = line.given(actsSections.Pool);
      if (pool !== undefined && !all.dims.includes("s")) {
        throw new UsageError(
          `Cannot run: --${pool} is given, and ${from} has no tokens: its dims are ${all.dims}, pooled already`,
        );
      }
      const layers = layersOf(line.text("layers"));
      const chosen = layers ? all.selectLayers(layers) : all;
      const each: { layer: number | string; acts: Acts }[] = chosen.layers
        ? [...chosen.iterLayers()]
        : [{ layer: "all", acts: chosen }];
      return new ProbeData(
        each.map(({ layer, acts }) => layerOf(line, layer, acts)),
        () => all.close(),
      );
    } catch (error) {
      await all.close();
      throw error;
    }
  }

  /** @throws {UsageError} If a pool is named, and nothing takes what is pooled. */
  static refusePool(line: CommandLine, takes: readonly Takes[], what: string): void {
    const [pool] = line.given(actsSections.Pool);
    if (pool === undefined || takes.includes("features")) return;
    throw new UsageError(
      `Cannot run: --${pool} is given, and ${what} takes tokens as they are, wanted a probe of features`,
    );
  }

  /** All layers, for a sweep. */
  get layers(): SweepLayer[] {
    return this.#layers.map(({ layer, later, tokens }) => ({
      layer,
      ...(later && { features: later }),
      ...(tokens && { tokens }),
    }));
  }

  /** The only layer, as a kind of probe takes it. */
  async only(
    takes: Takes,
    kind: string,
    gpu: Gpu,
    run: { signal: AbortSignal },
  ): Promise<ChunkedArray | RaggedArray> {
    const [first, second] = this.#layers;
    if (second) {
      throw new UsageError(
        `Cannot run: there are layers ${
          this.#layers.map(({ layer }) => layer).join(", ")
        }, wanted one: --layers=${first!.layer} (sluice probe sweep takes all)`,
      );
    }
    const { features, tokens } = first!;
    if (takes === "features") return await features(gpu, run);
    if (tokens) return tokens;
    throw new UsageError(
      `Cannot run: a probe of kind "${kind}" wants tokens, there are rows of features`,
    );
  }

  async close(): Promise<void> {
    await this.#close();
  }
}

function layerOf(line: CommandLine, layer: number | string, acts: Acts): Layer {
  if (!acts.dims.includes("s")) {
    const rows = acts.features();
    return { layer, later: rows, features: () => Promise.resolve(rows) };
  }
  const pooled = poolOf(line, acts);
  return {
    layer,
    later: featuresLater(pooled),
    features: async (gpu, run) => (await pooled.realize(gpu, run)).acts.features(),
    tokens: acts.tokens(),
  };
}
