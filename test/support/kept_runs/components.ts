/** Principal components, at once and by batches: fits, stopped on their way, and projections. */

import type {
  ChunkedArray,
  IncrementalFitOptions,
  IncrementalPcaOptions,
  PcaFitOptions,
  PcaOptions,
} from "../../../src/mod.ts";
import { contexts, fromTypedArray, IncrementalPCA, patches, PCA } from "../../../src/mod.ts";
import { expectResumed, stopAtRead } from "./interrupt.ts";
import type { KeptRun } from "./kept.ts";
import { BATCHES, FAINT, FAR, FEATURES, ROUND, SEGMENTS, TALL, WHOLE, WIDE } from "./rows.ts";

const flat = (frames: ChunkedArray, width = 3, segments = SEGMENTS) =>
  contexts(frames, { width, lag: 1, mode: "flat", segments });
const SMALL = { tileRows: 128 };

function fit(
  name: string,
  array: ChunkedArray,
  options: PcaOptions,
  choices: Omit<PcaFitOptions, "out"> & { budget?: string } = {},
): KeptRun {
  return {
    name: `PCA: ${name}`,
    async run({ gpu, place, withBudget }) {
      const out = place();
      const { budget, ...own } = choices;
      const device = budget === undefined ? gpu : await withBudget(budget);
      const returned = await new PCA(options).fit(device, array, { scores: false, ...own, out })
        .run();
      return { stores: { pca: out }, returned };
    },
  };
}

function fitBatches(
  name: string,
  array: ChunkedArray,
  options: IncrementalPcaOptions,
  choices: Omit<IncrementalFitOptions, "out"> = {},
): KeptRun {
  return {
    name: `IncrementalPCA: ${name}`,
    async run({ gpu, place }) {
      const out = place();
      const returned = await new IncrementalPCA(options).fit(gpu, array, {
        scores: false,
        ...choices,
        out,
      }).run();
      return { stores: { pca: out }, returned };
    },
  };
}

type Fit = (
  bench: Parameters<KeptRun["run"]>[0],
  rows: ChunkedArray,
  out: string,
  last: boolean,
) => ReturnType<PCA["fit"]>;

function resumed(name: string, array: ChunkedArray, read: number, fit: Fit): KeptRun {
  return {
    name: `${name}, stopped and gone on with`,
    async run(bench) {
      const out = bench.place();
      await stopAtRead(array, read, (slow) => fit(bench, slow, out, false));
      const returned = expectResumed(await fit(bench, array, out, true).run());
      return { stores: { pca: out }, returned };
    },
  };
}

export const COMPONENTS: readonly KeptRun[] = [
  fit("scores", ROUND, { components: 3 }, { scores: true }),
  fit("whitened scores, small tiles", ROUND, { components: 2, whiten: true }, {
    scores: true,
    ...SMALL,
  }),
  fit("no scores, one slot", ROUND, { components: FEATURES }, { slots: 1, tileRows: 500 }),
  fit("f64 rows far from 0", FAR, { components: 4 }, { scores: true }),
  fit("bytes", WHOLE, { components: 2 }, { scores: true }),
  fit("tall rows with a small budget", TALL, { components: 5 }, {
    scores: true,
    budget: "1 MiB",
  }),
  fit("wide rows", WIDE, { components: 10 }, { scores: true }),
  fit("a faint component, by exact sums", FAINT, { components: FEATURES }, { scores: true }),
  fit("a faint component, by exact sums in small tiles", FAINT, { components: FEATURES }, SMALL),
  fit("flat contexts", flat(ROUND), { components: 4 }, { scores: true }),
  fit("flat contexts in small tiles, whitened", flat(ROUND, 5), { components: 3, whiten: true }, {
    scores: true,
    ...SMALL,
  }),
  fit("flat contexts of f64 frames", flat(FAR), { components: 3 }, { scores: true }),
  fit("flat contexts with a faint component", flat(FAINT), { components: 3 * FEATURES }),
  {
    name: "PCA: patches of an image",
    async run({ gpu, place }) {
      // whole numbers in a pattern
      const pixels = Uint8Array.from({ length: 60 * 50 }, (_, i) => (i * i + 13 * i) % 251);
      const image = fromTypedArray(pixels, [60, 50]);
      const out = place();
      const rows = patches(image, { size: 6, stride: 2 });
      const returned = await new PCA({ components: 5 }).fit(gpu, rows, { out, scores: true }).run();
      return { stores: { pca: out }, returned };
    },
  },
  {
    name: "PCA: scores of other rows, and rows of scores",
    async run({ gpu }) {
      const returned: unknown[] = [];
      for (const whiten of [false, true]) {
        const model = new PCA({ components: 3, whiten });
        await model.fit(gpu, ROUND).run();
        for (const rows of [ROUND, FAR, BATCHES[0]!]) {
          const scores = await model.transform(gpu, rows, SMALL).run();
          returned.push(scores, model.inverseTransform(scores));
        }
      }
      const ofFrames = new PCA({ components: 2 });
      await ofFrames.fit(gpu, flat(ROUND)).run();
      returned.push(await ofFrames.transform(gpu, flat(BATCHES[1]!, 3, [0, 120])).run());
      return { returned };
    },
  },
  resumed("PCA", TALL, 45, ({ gpu }, rows, out, last) =>
    new PCA({ components: 5 })
      .fit(gpu, rows, { out, scores: true, ...(!last && { tileRows: 64 }) })),
  resumed(
    "PCA with a faint component",
    FAINT,
    56,
    ({ gpu }, rows, out, last) =>
      new PCA({ components: FEATURES })
        .fit(gpu, rows, { out, scores: true, tileRows: last ? 300 : 128 }),
  ),
  resumed(
    "PCA of flat contexts",
    TALL,
    50,
    ({ gpu }, frames, out, last) =>
      new PCA({ components: 4 })
        .fit(gpu, flat(frames), { out, scores: false, ...(!last && { tileRows: 64 }) }),
  ),
  fitBatches("scores", ROUND, { components: 3 }, { scores: true }),
  fitBatches("whitened scores of batches of 500", ROUND, { components: 2, whiten: true }, {
    scores: true,
    batchRows: 500,
  }),
  fitBatches("nothing kept beside components", ROUND, { components: 3, keep: "components" }),
  fitBatches("ten directions kept", WIDE, { components: 4, keep: 10 }, { batchRows: 60 }),
  fitBatches("tall batches, one slot", TALL, { components: 5 }, { batchRows: 900, slots: 1 }),
  fitBatches("wide rows", WIDE, { components: 8 }, { scores: true, batchRows: 50 }),
  fitBatches("a faint component", FAINT, { components: FEATURES }, {
    scores: true,
    batchRows: 350,
  }),
  fitBatches("f64 rows far from 0", FAR, { components: 3 }, { scores: true }),
  resumed(
    "IncrementalPCA",
    TALL,
    55,
    ({ gpu }, rows, out) =>
      new IncrementalPCA({ components: 5 }).fit(gpu, rows, { out, scores: true, batchRows: 60 }),
  ),
  {
    name: "IncrementalPCA: batches one by one, and scores by them",
    async run({ gpu }) {
      const returned: unknown[] = [];
      for (const options of [{ components: 3 }, { components: 2, whiten: true, keep: 4 }]) {
        const model = new IncrementalPCA(options);
        for (const batch of BATCHES) returned.push(await model.partialFit(gpu, batch).run());
        const scores = await model.transform(gpu, ROUND).run();
        returned.push(scores, model.inverseTransform(scores));
      }
      return { returned };
    },
  },
];
