/** k-means: fits, in memory and streamed, stopped on their way; and what fitted models say of rows. */

import type { ChunkedArray, KMeansFitOptions, KMeansOptions } from "../../../src/mod.ts";
import { contexts, KMeans } from "../../../src/mod.ts";
import { expectResumed, stopAtRead } from "./interrupt.ts";
import type { KeptRun } from "./kept.ts";
import { BATCHES, FAINT, FAR, FEATURES, LARGE, ROUND, SEGMENTS, TIES, WHOLE } from "./rows.ts";

/** Fewer than a resident fit has: rows are read again every sweep. */
const STREAMED = { tileRows: 256 };
const FLAT = contexts(ROUND, { width: 3, lag: 1, mode: "flat", segments: SEGMENTS });
const MEAN = contexts(ROUND, { width: 4, lag: 2, mode: "mean", segments: SEGMENTS });

const firstRows = async (array: ChunkedArray, count: number) =>
  Float64Array.from(await array.read(0, count) as Float32Array);

function fit(
  name: string,
  array: ChunkedArray,
  options: KMeansOptions,
  choices: Omit<KMeansFitOptions, "out"> & { budget?: string } = {},
): KeptRun {
  return {
    name: `k-means: ${name}`,
    async run({ gpu, place, withBudget }) {
      const out = place();
      const { budget, ...own } = choices;
      const device = budget === undefined ? gpu : await withBudget(budget);
      const returned = await new KMeans(options).fit(device, array, { ...own, out }).run();
      return { stores: { kmeans: out }, returned };
    },
  };
}

function resumed(
  name: string,
  array: ChunkedArray,
  options: KMeansOptions,
  { read, before, after }: { read: number; before: KMeansFitOptions; after: KMeansFitOptions },
): KeptRun {
  return {
    name: `k-means, stopped and gone on with: ${name}`,
    async run({ gpu, place }) {
      const out = place();
      const plan = (rows: ChunkedArray, choices: KMeansFitOptions) =>
        new KMeans(options).fit(gpu, rows, { ...choices, out });
      await stopAtRead(array, read, (slow) => plan(slow, before));
      const returned = expectResumed(await plan(array, after).run());
      return { stores: { kmeans: out }, returned };
    },
  };
}

/** A model of seven centroids that nothing was fitted to. */
const known = async () => KMeans.from(await firstRows(ROUND, 7), { k: 7 });

export const CLUSTERS: readonly KeptRun[] = [
  fit("drawn, ten runs, all defaults", ROUND, { k: 7 }),
  fit("drawn, streamed", ROUND, { k: 7, seed: 3, inits: 3 }, STREAMED),
  fit("drawn, streamed by its budget", LARGE, { k: 20, inits: 2, maxIterations: 5 }, {
    budget: "1 MiB",
  }),
  fit("drawn, resident", LARGE, { k: 20, inits: 2, maxIterations: 5 }),
  fit("one slot and odd tiles", ROUND, { k: 5, inits: 2 }, { tileRows: 333, slots: 1 }),
  fit("more clusters than differ from a blob", ROUND, { k: 60, inits: 1, seed: 8 }),
  fit("one cluster", ROUND, { k: 1, inits: 1 }),
  fit("no iteration", ROUND, { k: 7, inits: 2, maxIterations: 0 }),
  fit("spherical", ROUND, { k: 6, inits: 3, spherical: true }),
  fit("f64 rows far from 0", FAR, { k: 7, inits: 2 }),
  fit("f64 rows far from 0, streamed", FAR, { k: 7, inits: 2 }, STREAMED),
  fit("rows with ties", TIES, { k: 9, inits: 3 }),
  fit("rows with ties, streamed", TIES, { k: 9, inits: 3 }, STREAMED),
  fit("bytes", WHOLE, { k: 7, inits: 2, tolerance: 0 }),
  fit("rows of uneven features", FAINT, { k: 5, inits: 2 }),
  fit("flat contexts", FLAT, { k: 6, inits: 2 }),
  fit("mean contexts", MEAN, { k: 6, inits: 2 }, STREAMED),
  {
    name: "k-means: from given centroids",
    async run({ gpu, place }) {
      const out = place();
      const init = await firstRows(ROUND, 7);
      const model = new KMeans({ k: 7, init, maxIterations: 12, tolerance: 0 });
      const returned = await model.fit(gpu, ROUND, { out }).run();
      return { stores: { kmeans: out }, returned };
    },
  },
  {
    name: "k-means: spherical from given centroids",
    async run({ gpu, place }) {
      const out = place();
      const model = new KMeans({ k: 4, init: await firstRows(ROUND, 4), spherical: true });
      const returned = await model.fit(gpu, ROUND, { out, ...STREAMED }).run();
      return { stores: { kmeans: out }, returned };
    },
  },
  {
    name: "k-means: from centroids of which some get no rows",
    async run({ gpu }) {
      const init = new Float64Array(5 * FEATURES).fill(3);
      init.set(await firstRows(ROUND, 3));
      return { returned: await new KMeans({ k: 5, init }).fit(gpu, ROUND).run() };
    },
  },
  resumed("while centroids are drawn", ROUND, { k: 12, seed: 3, inits: 2, maxIterations: 3 }, {
    read: 45,
    before: STREAMED,
    after: STREAMED,
  }),
  resumed("in its iterations, then resident", ROUND, { k: 3, seed: 3, inits: 2, tolerance: 0 }, {
    read: 80,
    before: STREAMED,
    after: {},
  }),
  {
    name: "k-means: nearest centroids of rows, in tiles of several sizes",
    async run({ gpu }) {
      const model = await known();
      const returned: unknown[] = [];
      for (const choices of [{}, STREAMED, { tileRows: 77, slots: 1 }]) {
        returned.push(await model.predict(gpu, ROUND, choices).run());
      }
      for (const rows of [FAR, TIES, WHOLE, BATCHES[0]!]) {
        returned.push(await model.predict(gpu, rows).run());
      }
      return { returned };
    },
  },
  {
    name: "k-means: nearest centroids of rows, by direction",
    async run({ gpu }) {
      const model = KMeans.from(await firstRows(ROUND, 5), { k: 5, spherical: true });
      return { returned: await model.predict(gpu, ROUND, STREAMED).run() };
    },
  },
  {
    name: "k-means: rows shared out to several centroids",
    async run({ gpu }) {
      const model = await known();
      const returned: unknown[] = [];
      for (
        const options of [{ topK: 1 }, { topK: 3, temperature: 0.5 }, { topK: 7, ...STREAMED }]
      ) {
        returned.push(await model.predict(gpu, ROUND, options).run());
      }
      returned.push(await model.predict(gpu, FAR, { topK: 2, temperature: 1e12 }).run());
      return { returned };
    },
  },
  {
    name: "k-means: distances to all centroids",
    async run({ gpu }) {
      const model = await known();
      const returned = [ROUND, FAR, TIES].map((rows) => model.transform(gpu, rows, STREAMED));
      const ran: unknown[] = [];
      for (const plan of returned) ran.push(await plan.run());
      return { returned: ran };
    },
  },
  {
    name: "k-means: batches, from drawn centroids and from given ones",
    async run({ gpu }) {
      const returned: Float64Array[] = [];
      const init = await firstRows(ROUND, 7);
      for (const options of [{ k: 7, seed: 5 }, { k: 7, init }, { k: 4, spherical: true }]) {
        const model = new KMeans(options);
        for (const batch of BATCHES) {
          returned.push((await model.partialFit(gpu, batch).run()).slice());
        }
      }
      return { returned };
    },
  },
  {
    name: "k-means: a batch after a fit",
    async run({ gpu }) {
      const model = new KMeans({ k: 7, inits: 1 });
      await model.fit(gpu, ROUND).run();
      await model.partialFit(gpu, BATCHES[1]!, { tileRows: 100 }).run();
      return {
        returned: {
          centroids: model.centroids,
          prediction: await model.predict(gpu, BATCHES[0]!).run(),
        },
      };
    },
  },
];
