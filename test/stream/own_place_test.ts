import { describe, expect, it } from "vitest";
import { collect } from "../../src/acts/collect.ts";
import { openActsSource } from "../../src/acts/stored.ts";
import { Acts } from "../../src/acts/acts.ts";
import { fromTypedArray, openArray, readAll } from "../../src/array/array.ts";
import { contexts } from "../../src/array/contexts.ts";
import { expand } from "../../src/array/expand.ts";
import { patches } from "../../src/array/patches.ts";
import { WindowView } from "../../src/array/window_view.ts";
import type { ChunkedArray } from "../../src/chunked_array.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { PCA } from "../../src/decompose/pca.ts";
import { chosenRows } from "../../src/feed/chosen.ts";
import { LogLikelihoodRows } from "../../src/hmm/observation/log_likelihoods.ts";
import { LogisticProbe, MassMeanProbe } from "../../src/probes/probes.ts";
import { MlpProbe } from "../../src/probes/mlp.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { overlapping } from "../../src/store/overlap.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";

const gpu = useGpu();
const random = seeded(21);
const points = fromTypedArray(Float32Array.from({ length: 240 }, random), [60, 4]);
const labels = Uint8Array.from({ length: 60 }, (_, i) => i % 2);

/** Stores a result with an array of two axes, and what would be made of that in its place. */
const TASKS: Record<
  string,
  {
    array: string;
    store(out: string): Promise<unknown>;
    again(array: ChunkedArray, out: string): Promise<unknown>;
  }
> = {
  "k-means": {
    array: "centroids",
    store: (out) => new KMeans({ k: 3 }).fit(gpu(), points, { out }).run(),
    again: (array, out) => new KMeans({ k: 2 }).fit(gpu(), array, { out, overwrite: true }).run(),
  },
  "ids of a k-means": {
    array: "centroids",
    store: (out) => new KMeans({ k: 3 }).fit(gpu(), points, { out }).run(),
    again: (array, out) =>
      KMeans.from(new Float64Array(8), { k: 2 }).predict(gpu(), array, { out, overwrite: true })
        .run(),
  },
  "principal components": {
    array: "components",
    store: (out) => new PCA({ components: 3 }).fit(gpu(), points, { out }).run(),
    again: (array, out) =>
      new PCA({ components: 1 }).fit(gpu(), array, { out, overwrite: true }).run(),
  },
  scores: {
    array: "scores",
    store: async (out) => {
      const pca = new PCA({ components: 2 });
      await pca.fit(gpu(), points).run();
      return await pca.transform(gpu(), points, { out }).run();
    },
    again: async (array, out) => {
      const pca = new PCA({ components: 1 });
      await pca.fit(gpu(), array).run();
      return await pca.transform(gpu(), array, { out, overwrite: true }).run();
    },
  },
  "a logistic probe": {
    array: "weights",
    store: (out) => new LogisticProbe({ c: [0.1, 1] }).fit(gpu(), points, labels, { out }).run(),
    again: (array, out) =>
      new LogisticProbe().fit(gpu(), array, [0, 1], { out, overwrite: true }).run(),
  },
  "a probe of means": {
    array: "weights",
    store: (out) => new LogisticProbe({ c: [0.1, 1] }).fit(gpu(), points, labels, { out }).run(),
    again: (array, out) =>
      new MassMeanProbe().fit(gpu(), array, [0, 1], { out, overwrite: true }).run(),
  },
  "a trained probe": {
    array: "weights",
    store: (out) => new LogisticProbe({ c: [0.1, 1] }).fit(gpu(), points, labels, { out }).run(),
    again: (array, out) =>
      new MlpProbe({ epochs: 1 }).fit(gpu(), array, [0, 1], { out, overwrite: true }).run(),
  },
  activations: {
    array: "layer_1",
    store: (out) =>
      collect({ 1: Float32Array.of(1, 2, 3, 4) }, { dims: "blh", shape: [2, 2] }).save(gpu(), out),
    again: async (_, out) =>
      await new Acts(await openActsSource(out)).cast("float16").save(gpu(), out, {
        overwrite: true,
      }),
  },
};

describe("a result never takes the place of what it is made of", () => {
  for (const [name, { array: own, store, again }] of Object.entries(TASKS)) {
    it(`as ${name} would, nor lies in it or holds it, and nothing is lost`, async () => {
      const out = `memory:own-place/${name}.zarr`;
      await store(out);
      const keys = await new MemoryStore(out.slice("memory:".length)).list("/");
      const array = await openArray(`${out}/${own}`);
      const before = await readAll(array);
      for (
        const place of [
          out,
          `${out}/`,
          `${out}/${own}`,
          `${out}/${own}/new.zarr`,
          "memory:own-place",
        ]
      ) {
        if (name === "activations" && place !== out) continue;
        await expect(again(array, place)).rejects.toThrow(`Cannot write to ${place}: ${out}`);
      }
      expect(await new MemoryStore(out.slice("memory:".length)).list("/")).toEqual(keys);
      expect(await readAll(array)).toEqual(before);
    });
  }

  it("and every view of an array knows where that is", async () => {
    const place = "memory:own-place-views.zarr";
    await new KMeans({ k: 3 }).fit(gpu(), points, { out: place }).run();
    const array = await openArray(`${place}/centroids`);
    const places = [`${place}/centroids`];
    expect(array.places).toEqual(places);
    const windows = new WindowView(array, { size: 2 });
    const views = [
      chosenRows(array, [2, 0]),
      contexts(array, { width: 1, lag: 1, mode: "flat" }),
      expand(array, { axis: 0, index: Int32Array.of(0, 2, 3), size: 5, fill: 0 }),
      patches(array, { size: 2 }),
      windows,
      windows.flatten(),
      PCA.of({
        ...{ components: new Float64Array(4), mean: new Float64Array(4), whiten: false },
        explainedVariance: Float64Array.of(1),
      } as never).project(array),
      new LogLikelihoodRows(array),
      collect(array, { dims: "bh" }).features(),
    ];
    for (const view of views) expect(view.places).toEqual(places);
  });

  it("however places are written", async () => {
    const other = async (one: string, two: string) => await overlapping(one, [two]);
    expect(await other("memory:a/b", "memory:/a//b/")).toBe("memory:/a//b/");
    expect(await other("memory:a/b", "memory:a/bc")).toBe(undefined);
    expect(await other("memory:a", "opfs:a")).toBe(undefined);
    expect(await other("memory:a", "https://example.org/a")).toBe(undefined);
  });
});
