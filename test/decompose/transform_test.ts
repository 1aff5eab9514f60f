import { describe, expect, it } from "vitest";
import type { ChunkedArray } from "../../src/array/array.ts";
import { fromTypedArray, openArray, readAll } from "../../src/array/array.ts";
import { contexts } from "../../src/array/contexts.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { IncrementalPCA } from "../../src/decompose/incremental_pca.ts";
import type { PcaResult } from "../../src/decompose/pca.ts";
import { PCA } from "../../src/decompose/pca.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { Plan } from "../../src/stream/plan.ts";
import { blobs } from "../support/blobs.ts";
import { useGpu } from "../support/gpu.ts";
import { contents } from "../support/small_decode.ts";

const gpu = useGpu();
const [ROWS, FEATURES] = [300, 6];
const { points: values } = blobs({ rows: ROWS, features: FEATURES, blobs: 4, spread: 0.4 });
const points = fromTypedArray(values, [ROWS, FEATURES]);
/** Has a component that is projected in f64. */
const faint = fromTypedArray(
  values.map((value, i) => i % FEATURES === 0 ? 1e-4 * value : 10 * value),
  [ROWS, FEATURES],
);
const flat = contexts(points, { width: 3, lag: 1, mode: "flat", segments: [0, 150] });

let places = 0;
const place = () => `memory:transform-test/${places++}`;

interface Model extends Pick<PCA, "transform" | "project"> {
  fit(gpu: Gpu, points: ChunkedArray): Plan<PcaResult>;
}

const CASES: Record<string, { rows: ChunkedArray; model: Model }> = {
  "rows": { rows: points, model: new PCA({ components: 3 }) },
  "rows, whitened": { rows: points, model: new PCA({ components: 3, whiten: true }) },
  "rows with a faint component": { rows: faint, model: new PCA({ components: FEATURES }) },
  "flat contexts": { rows: flat, model: new PCA({ components: 4 }) },
  "rows, by batches": { rows: points, model: new IncrementalPCA({ components: 3 }) },
};

describe("transform()", () => {
  for (const [name, { rows, model }] of Object.entries(CASES)) {
    it(`stores the scores it would return: ${name}`, async () => {
      const out = place();
      await model.fit(gpu(), rows).run();
      const wanted = await model.transform(gpu(), rows).run();
      const plan = model.transform(gpu(), rows, { out, tileRows: 70 });
      const stored = await plan.run();
      expect(stored.place).toBe(out);
      expect(stored.scores.shape).toEqual([rows.shape[0], wanted.length / rows.shape[0]!]);
      expect(stored.scores.dims).toEqual(["row", "component"]);
      expect(await readAll(stored.scores)).toEqual(wanted);
      expect(stored.peakBytes.host).toBeLessThanOrEqual(stored.projectedBytes.host);
      expect(stored.peakBytes.disk).toBeLessThanOrEqual(stored.projectedBytes.disk);
      const opened = await openArray(`${out}/scores`);
      expect(await readAll(opened)).toEqual(wanted);
      const again = await model.transform(gpu(), rows, { out }).run();
      expect(again.seconds).toEqual({});
      expect(await readAll(again.scores)).toEqual(wanted);
      for (const each of [stored, again, opened]) await each.close();
    });
  }

  it("does not take the scores of other rows, or another model, for its own", async () => {
    const out = place();
    const model = new PCA({ components: 2 });
    await model.fit(gpu(), points).run();
    await model.transform(gpu(), points, { out }).run();
    const before = await contents(out);
    const others = fromTypedArray(values.map((value, i) => i === 901 ? value + 1 : value), [
      ROWS,
      FEATURES,
    ]);
    await expect(model.transform(gpu(), others, { out }).run())
      .rejects.toThrow("the result of another plan");
    const whitened = new PCA({ components: 2, whiten: true });
    await whitened.fit(gpu(), points).run();
    await expect(whitened.transform(gpu(), points, { out }).run())
      .rejects.toThrow("the result of another plan");
    expect(await contents(out)).toEqual(before);
    await whitened.transform(gpu(), points, { out, overwrite: true }).run();
    expect(await contents(out)).not.toEqual(before);
  });

  it("holds no more of the host's memory for more rows, where they are stored", async () => {
    // rows of a chunk are 65,536
    const features = 16;
    const some = Float32Array.from({ length: 4096 * features }, (_, i) => (i * i + 7 * i) % 251);
    const repeated = (rows: number): ChunkedArray => ({
      ...fromTypedArray(some, [4096, features]),
      shape: [rows, features],
      read: (start, end) =>
        Promise.resolve(
          Float32Array.from(
            { length: (end - start) * features },
            (_, i) => some[(start * features + i) % some.length]!,
          ),
        ),
    });
    const model = new PCA({ components: features });
    await model.fit(gpu(), repeated(4096)).run();
    const bytes: number[][] = [];
    for (const rows of [140_000, 280_000]) {
      const plan = model.transform(gpu(), repeated(rows), { out: place(), tileRows: 4096 });
      const { peakBytes } = await plan.run();
      expect(peakBytes.host).toBeLessThanOrEqual(plan.projected.host);
      const fit = model.fit(gpu(), repeated(rows), { scores: true, out: place(), tileRows: 512 });
      bytes.push([plan.projected.host, fit.projected.host]);
    }
    expect(bytes[1]).toEqual(bytes[0]);
    // all scores would be 18 MB
    expect(bytes[0]![0]).toBeLessThan(12e6);
  });

  it("refuses to project before a fit, and options it does not know", async () => {
    const model = new PCA({ components: 2 });
    expect(() => model.transform(gpu(), points)).toThrow("no components are fitted");
    expect(() => model.project(points)).toThrow("no components are fitted");
    await model.fit(gpu(), points).run();
    const plan = (options: object) => model.transform(gpu(), points, options);
    expect(() => plan({ output: "x" })).toThrow('there is no option "output"');
    expect(() => plan({ out: 7 })).toThrow("out is 7, wanted a place, as text");
    expect(() => plan({ overwrite: "no" })).toThrow('overwrite is "no", wanted true or false');
  });
});

describe("project()", () => {
  for (const [name, { rows, model }] of Object.entries(CASES)) {
    it(`gives the scores that transform() finds: ${name}`, async () => {
      const { explainedVariance } = await model.fit(gpu(), rows).run();
      const wanted = await model.transform(gpu(), rows).run();
      const view = model.project(rows);
      const count = rows.shape[0]!;
      expect(view.shape).toEqual([count, wanted.length / count]);
      const scores = await readAll(view) as Float32Array;
      const unit = name === "rows, whitened" ? 1 : Math.sqrt(explainedVariance[0]!);
      const most = name === "rows with a faint component" ? 0 : 2e-6 * unit;
      scores.forEach((score, i) => expect(Math.abs(score - wanted[i]!)).toBeLessThanOrEqual(most));
      // whatever is read with a row
      const [, width] = view.shape as [number, number];
      for (const [start, end] of [[0, 1], [149, 153], [count - 1, count], [7, 7]] as const) {
        expect(await view.read(start, end)).toEqual(scores.subarray(start * width, end * width));
      }
      await expect(view.read(0, count + 1)).rejects.toThrow(`the array has ${count} rows`);
    });
  }

  it("reads no more rows at once than fit a mebibyte", async () => {
    const model = new PCA({ components: 2 });
    await model.fit(gpu(), points).run();
    const rows = 200_000;
    let most = 0;
    const zeros: ChunkedArray = {
      ...points,
      shape: [rows, FEATURES],
      read: (start, end) => {
        most = Math.max(most, end - start);
        return Promise.resolve(new Float32Array((end - start) * FEATURES));
      },
    };
    const scores = await readAll(model.project(zeros)) as Float32Array;
    expect(most).toBe(Math.floor(2 ** 20 / (8 * FEATURES)));
    expect(scores.every((score, i) => score === scores[i % 2])).toBe(true);
  });

  it("is an input of another fit, with no store between", async () => {
    const model = new PCA({ components: 3 });
    const { scores } = await model.fit(gpu(), flat, { scores: true }).run();
    const view = model.project(flat);
    const stored = fromTypedArray(await readAll(view), view.shape);
    const [onView, onStored] = await Promise.all(
      [view, stored].map((rows) => new PCA({ components: 2 }).fit(gpu(), rows).run()),
    );
    expect(onView!.components).toEqual(onStored!.components);
    const kmeans = async (rows: ChunkedArray) =>
      (await new KMeans({ k: 4, seed: 3, inits: 2 }).fit(gpu(), rows).run()).ids;
    const ids = await kmeans(fromTypedArray(scores!, view.shape));
    expect(await kmeans(view)).toEqual(ids);
    expect(new Set(ids).size).toBe(4);
  });

  it("refuses rows of other features", async () => {
    const model = new PCA({ components: 2 });
    await model.fit(gpu(), points).run();
    expect(() => model.project(flat)).toThrow("points have 18 features, the components have 6");
  });
});
