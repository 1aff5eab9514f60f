import { describe, expect, it } from "vitest";
import type { KMeansOptions } from "../../src/cluster/kmeans.ts";
import { openKMeans } from "../../src/cluster/kmeans.ts";
import { openPca } from "../../src/decompose/pca.ts";
import { kmeans } from "../reference/kmeans.ts";
import { stopKey } from "../../src/parts/markers.ts";
import { principalComponents } from "../reference/principal_components.ts";
import type { FitAt } from "../support/fits.ts";
import {
  contextsAt,
  FIT_FEATURES,
  FIT_PARTS,
  FIT_ROWS,
  fitValues,
  kmeansAt,
  pcaAt,
} from "../support/fits.ts";
import { useGpu } from "../support/gpu.ts";
import { filesAt, PartsAt } from "../support/parts.ts";

const gpu = useGpu();
let opened = 0;
const somewhere = () => `memory:parts_fits_test/${opened++}`;
const submit = async (fit: FitAt, count = 3, place = somewhere()) => ({
  place,
  parts: await PartsAt.submit(place, count, () => fit(place)),
});

/** Fits alone and in parts, whose stages these are. */
async function expectSame(fit: FitAt, stages: readonly string[], counts = FIT_PARTS) {
  const first = somewhere();
  await fit(first).run();
  const alone = await filesAt(first);
  for (const count of counts) {
    const { place, parts } = await submit(fit, count);
    expect(await parts.runAll()).toEqual(["begin", ...stages, "finish"]);
    expect(await filesAt(place), `${count} parts`).toEqual(alone);
    expect(await parts.store.list("/results")).toEqual([]);
  }
}

const turns = (pass: string, count: number) =>
  Array.from({ length: count }, (_, i) => [`rows/${pass}/${i}`, `merge/${pass}/${i}`]).flat();

const first = (rows: number) => fitValues.slice(0, rows * FIT_FEATURES);
/** Nearer than others to no row: each gets the row that is farthest from its own. */
const empty = Float32Array.from([...first(2), ...[5, 6, 7].flatMap((x) => [9, x, x, x])]);

const FITS: Record<string, { options: KMeansOptions; stages: string[] }> = {
  "k-means from its own centres, of two starts": {
    options: { k: 3, inits: 2, maxIterations: 4, tolerance: 0, seed: 2 },
    // the last measures what the last centres came to
    stages: ["rows/seed", ...turns("iterate", 5), "rows/assign"],
  },
  "k-means from given centres, some of which no row is near": {
    options: { k: 5, init: empty, maxIterations: 3, tolerance: 0 },
    stages: [...turns("iterate", 3), "rows/assign"],
  },
  "k-means by directions, which ends when centres hardly move": {
    options: { k: 3, inits: 1, seed: 2, spherical: true, tolerance: 1e-2 },
    stages: ["rows/seed", ...turns("iterate", 2), "rows/assign"],
  },
};

describe("a fit in parts", () => {
  for (const [name, { options, stages }] of Object.entries(FITS)) {
    it(`comes to the same as alone: ${name}`, async () => {
      await expectSame(kmeansAt(gpu(), options), stages);
    });
  }

  const moments = ["rows/moments", "merge/moments"];
  const exact = turns("exact-moments", 3);
  const COMPONENTS: Record<string, [fit: () => FitAt, stages: string[], counts?: number[]]> = {
    "PCA by sums in f32": [() => pcaAt(gpu(), 2), [...moments, "rows/project/0"]],
    "PCA by exact sums": [
      () => pcaAt(gpu(), 4),
      [...moments, ...exact, "rows/exact-project/0"],
    ],
    "PCA without scores": [
      () => pcaAt(gpu(), 4, { scores: false }),
      [...moments, ...exact],
    ],
    "PCA of contexts, whose ends one part sums": [
      () => contextsAt(gpu(), 2),
      [...moments, "rows/ends-of-segments", "rows/project/0"],
    ],
    "PCA of contexts by exact sums": [
      () => contextsAt(gpu(), 8),
      [...moments, "rows/ends-of-segments", ...exact, "rows/exact-project/0"],
      [2],
    ],
  };
  for (const [name, [fit, ...told]] of Object.entries(COMPONENTS)) {
    it(`comes to the same as alone: ${name}`, async () => {
      await expectSame(fit(), ...told);
    });
  }

  const kmeansByDefinition = async () => {
    const init = first(4);
    const { place, parts } = await submit(
      kmeansAt(gpu(), { k: 4, init, maxIterations: 3, tolerance: 0 }),
    );
    await parts.runAll();
    const twin = kmeans(fitValues, init, FIT_FEATURES, { maxIterations: 3, tolerance: 0 });
    const { ids, centroids, inertia, close } = await openKMeans(place);
    expect([...await ids.read(0, FIT_ROWS)]).toEqual([...twin.ids]);
    // means of differences, of 1 at most, that are f32
    twin.centroids.forEach((value, i) =>
      expect(Math.abs(centroids[i]! - value)).toBeLessThan(2 ** -24)
    );
    // distances are f32
    expect(Math.abs(inertia - twin.inertia)).toBeLessThan(1e-6 * twin.inertia);
    await close();
  };

  const componentsByDefinition = async () => {
    const { place, parts } = await submit(pcaAt(gpu(), 4));
    await parts.runAll();
    const twin = principalComponents(fitValues, FIT_FEATURES);
    const { explainedVariance, mean, close } = await openPca(place);
    twin.mean.forEach((value, d) => expect(Math.abs(mean[d]! - value)).toBeLessThan(1e-9));
    twin.variances.forEach((value, i) =>
      expect(Math.abs(explainedVariance[i]! / value - 1)).toBeLessThan(1e-5)
    );
    await close();
  };

  const DEFINITIONS = { "k-means": kmeansByDefinition, components: componentsByDefinition };
  for (const [name, test] of Object.entries(DEFINITIONS)) {
    it(`comes to what there is by definition: ${name}`, test);
  }

  it("has all rows looked at once, for every part", async () => {
    const fits = [
      kmeansAt(gpu(), { k: 3, spherical: true }),
      pcaAt(gpu(), 2),
      contextsAt(gpu(), 2),
    ];
    for (const fit of fits) {
      const lookOf = (known?: unknown, signal = new AbortController().signal) =>
        fit(somewhere()).made.task.feeds[0]!.look({ digest: true, signal, known });
      const { digest, told } = await lookOf();
      // whoever read anything would hear of it
      const again = await lookOf(JSON.parse(JSON.stringify(told)), AbortSignal.abort());
      expect(again.digest).toBe(digest);
      await expect(lookOf(undefined, AbortSignal.abort())).rejects.toThrow(/abort/);
    }
  });

  it("comes to the same whatever tiles each part has", async () => {
    const fit = kmeansAt(gpu(), { k: 3, inits: 1, maxIterations: 2, tolerance: 0 });
    const place = somewhere();
    await fit(place, 4096).run();
    const other = somewhere();
    let tileRows = 640;
    const parts = await PartsAt.submit(other, 2, () => fit(other, tileRows += 64));
    await parts.runAll();
    expect(await filesAt(other)).toEqual(await filesAt(place));
  });

  it("may be done twice, half, and by a twin that comes after its turn: what was first counts", async () => {
    const fit = kmeansAt(gpu(), { k: 3, inits: 1, maxIterations: 3, tolerance: 0 });
    const { place, parts } = await submit(fit);
    await parts.runAll("rows/iterate/1");
    // what is held, and nothing that it was made of
    const [held, ...others] = await parts.store.list("/results");
    expect([held, others]).toEqual([
      expect.stringMatching(/^\/results\/merge\/iterate\/0\/0\//),
      [],
    ]);
    // least distances of rows, which seeding alone needs, are not in it
    expect((await parts.store.get(held!))!.byteLength).toBeLessThan(2000);
    const stop = new AbortController();
    const half = () => {
      stop.abort();
      return fit(place);
    };
    await expect(parts.run("rows/iterate/1", 0, half, stop.signal)).rejects.toThrow(/abort/);
    const twins = await Promise.all([1, 1].map((part) => parts.run("rows/iterate/1", part)));
    expect(twins.map(({ isOwn }) => isOwn).sort()).toEqual([false, true]);
    await expect(parts.run("merge/iterate/1")).rejects.toThrow(
      'of "rows/iterate/1" 2 parts are missing (0, 2), wanted all before it',
    );
    // ones that are at work all the while, and end after the end
    let goOn!: () => void;
    const end = new Promise<void>((resolve) => goOn = resolve);
    const late = (stage: string) =>
      parts.run(stage, 0, () => {
        const plan = fit(place);
        const { feeds } = plan.made.task;
        const look = feeds[0]!.look.bind(feeds[0]);
        const slow: typeof look = async (told) => await end.then(() => look(told));
        Object.assign(plan.made.task, { feeds: [{ ...feeds[0], look: slow }] });
        return plan;
      });
    const rows = late("rows/iterate/1");
    await parts.runAll("merge/iterate/1");
    const merge = late("merge/iterate/1");
    await parts.runAll();
    goOn();
    expect((await rows).isOwn).toBe(false);
    expect((await merge).isOwn).toBe(false);
    expect((await parts.run("merge/iterate/0")).isOwn).toBe(false);
    expect(await parts.run("rows/iterate/3")).toEqual({ marker: undefined, isOwn: false });
    const alone = somewhere();
    await fit(alone).run();
    expect(await filesAt(place)).toEqual(await filesAt(alone));
    expect(await parts.store.list("/results")).toEqual([]);
  });

  it("iterates no further where what said that it ended is lost", async () => {
    const { options, stages } = FITS["k-means from given centres, some of which no row is near"]!;
    const { place, parts } = await submit(kmeansAt(gpu(), options));
    await parts.runAll("rows/assign");
    await parts.store.delete(stopKey("iterate"));
    await expect(parts.runAll()).rejects.toThrow(
      /Cannot run "rows\/iterate\/3": .*\/stop\/iterate was missing, .* ended after turn 2/,
    );
    expect(await parts.runAll()).toEqual([...stages.slice(-1), "finish"]);
    const alone = somewhere();
    await kmeansAt(gpu(), options)(alone).run();
    expect(await filesAt(place)).toEqual(await filesAt(alone));
  });

  it("is refused in more parts than any of its passes can be cut into", async () => {
    const { parts } = await submit(pcaAt(gpu(), 2), 9);
    await expect(parts.run("begin")).rejects.toThrow(
      `Cannot run "pca" in 9 parts: its ${FIT_ROWS} rows are ${
        Math.ceil(FIT_ROWS / 4096)
      } times 4096`,
    );
  });

  it("is refused where rows change what is no sum of theirs", async () => {
    const fit: FitAt = (out) => {
      const plan = pcaAt(gpu(), 2)(out);
      const { task } = plan.made;
      const { layout } = task;
      task.layout = (tileRows) => {
        const { passes, ...others } = layout.call(task, tileRows);
        const changing = passes.map((pass) => ({
          ...pass,
          write: async (...told: Parameters<typeof pass.write>) => {
            told[2].held.progress![0]! += 1;
            await pass.write(...told);
          },
        }));
        return { ...others, passes: changing };
      };
      return plan;
    };
    const { parts } = await submit(fit);
    await parts.run("begin");
    await expect(parts.run("rows/moments", 1)).rejects.toThrow(
      'Cannot run a part of "pca": pass "moments" changes "progress"',
    );
  });
});
