/**
 * What the blocks of code in README and docs speak of: files in a folder, and names that are somebody's own. Small,
 * but whole.
 */

import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeNpy } from "../../src/array/npy.ts";
import { Adam } from "../../src/net/adam.ts";
import { KeepBest } from "../../src/net/keep_best.ts";
import { Net } from "../../src/net/net.ts";
import * as sluice from "../../src/mod.ts";
import type { NumericArray } from "../../src/types.ts";
import { categoriesOf, csr, putAnnData } from "./anndata_store.ts";
import { smallCorpus, writeGroups } from "./corpus.ts";
import type { DocBlock } from "./doc_blocks.ts";
import { libraryFile } from "./library_files.ts";
import { seeded } from "./random.ts";
import { archive } from "./zip_archive.ts";

const random = seeded(18);
const floats = (length: number, of: (i: number) => number = random) =>
  Float32Array.from({ length }, (_, i) => of(i));
const FEATURES = 16;
const LATENTS = 1100;
const classes = (length: number) => Uint8Array.from({ length }, (_, i) => i % 3 === 0 ? 1 : 0);

const session = sluice.decoder.simulateSession({
  ...{ seed: 7, seconds: 24, positionRate: 60, units: 12, arena: [100, 100] },
});

/** Writes the files that pages name. */
export async function writeWorld(folder: string): Promise<void> {
  const npy = (name: string, values: NumericArray, shape?: number[]) =>
    writeFile(join(folder, `${name}.npy`), encodeNpy(values, shape));
  const { position, spikes } = session;
  const samples = position.times.length;
  for (const name of ["t", "spike_times"]) await npy(name, spikes.times);
  for (const name of ["u", "spike_units", "electrodes"]) await npy(name, spikes.units);
  for (const name of ["pt", "position_times"]) await npy(name, position.times);
  for (const name of ["p", "position_xy"]) await npy(name, position.values, [samples, 2]);
  // ways around the box of the session
  const nodes = [[0, 0], [100, 0], [100, 100], [0, 100]];
  const trackGraph = { nodes, edges: [[0, 1], [1, 2], [2, 3]], edgeSpacing: 10 };
  await writeFile(join(folder, "track.json"), JSON.stringify(trackGraph));
  await npy("t_samples", spikes.times.map((time) => Math.round(30_000 * time)));
  await npy("t_microseconds", spikes.times.map((time) => Math.round(1e6 * time)));
  await npy("pt_microseconds", position.times.map((time) => Math.round(1e6 * time)));
  await npy("pt_unix", position.times.map((time) => 1.6e9 + time));
  await npy("features", floats(2 * spikes.times.length, () => 100 * random()), [
    spikes.times.length,
    2,
  ]);
  await npy("latents", floats(LATENTS * FEATURES), [LATENTS, FEATURES]);
  await npy("more", floats(300 * FEATURES), [300, FEATURES]);
  await npy("photo", floats(32 * 40 * 3), [32, 40, 3]);
  await npy("firsts", Int32Array.of(0, 200, 450));
  await npy("frames", floats(600 * 6), [600, 6]);
  await npy("layer12", floats(90 * 6), [90, 6]);
  await npy("others", floats(40 * 6), [40, 6]);
  await npy("layer12_tokens", floats(61 * 6), [61, 6]);
  await npy("y", classes(60));
  const matrix = Float64Array.from({ length: 25 }, (_, i) => i % 6 === 0 ? 0.8 : 0.05);
  await npy("T", matrix, [5, 5]);
  for (const name of ["ll", "log_likelihoods"]) {
    await npy(name, floats(1200 * 5, () => -random()), [1200, 5]);
  }
  await writeFile(join(folder, "latents.npz"), await storedNpz(folder));
  await writeFile(join(folder, "session.nwb"), await libraryFile("stamps.nwb"));
  await writeFile(join(folder, "leds.nwb"), await libraryFile("two.nwb"));
  await writeFile(join(folder, "episode.parquet"), await libraryFile("zstd.parquet"));
  await writeSorting(folder);
  const tracked = Array.from(
    position.times,
    (time, i) => `${time},${position.values[2 * i]},${position.values[2 * i + 1]}`,
  );
  await writeFile(join(folder, "tracking.csv"), ["time,x,y", ...tracked].join("\n"));

  const corpus = smallCorpus("cycle");
  await writeGroups(corpus, join(folder, "latents.zarr"), 2);
  await cp("test/fixtures/latents_index.parquet", join(folder, "latents_index.parquet"));
  const index = corpus.utterances.map(({ id, speaker, start, end }) =>
    `${id},${speaker},${end - start}`
  );
  await writeFile(
    join(folder, "latents_index.csv"),
    ["utterance_id,speaker_id,n_frames", ...index].join("\n"),
  );
  const embeddings = await sluice.createArray(join(folder, "frames.zarr/embeddings"), {
    ...{ shape: [Infinity, 6], dtype: "float32", dims: ["frame", "feature"] },
  });
  await embeddings.append(floats(600 * 6));
  await embeddings.close();
  for (const layer of [8, 12, 16]) {
    const pooled = await sluice.createArray(join(folder, `pooled.zarr/${layer}`), {
      ...{ shape: [90, 6], dtype: "float32", dims: ["sample", "channel"] },
    });
    await pooled.append(floats(90 * 6));
    await pooled.close();
  }
}

/** A `.npz` whose only array is stored as it is. */
async function storedNpz(folder: string): Promise<Uint8Array> {
  const data = new Uint8Array(await readFile(join(folder, "latents.npy")));
  return await archive([{ name: "embeddings.npy", content: data }]);
}

async function writeSorting(folder: string): Promise<void> {
  const phy = join(folder, "phy_folder");
  await mkdir(phy);
  const { times, units } = session.spikes;
  const samples = Array.from(times, (time) => BigInt(Math.round(30_000 * time)));
  await writeFile(join(phy, "spike_times.npy"), encodeNpy(BigInt64Array.from(samples)));
  await writeFile(join(phy, "spike_clusters.npy"), encodeNpy(Int32Array.from(units, Number)));
  await writeFile(join(phy, "params.py"), "sample_rate = 30000.0\n");
}

/** Results that pages read and do not make. */
export async function makeResults(
  page: string,
  folder: string,
  gpu: sluice.Gpu,
): Promise<void> {
  const out = (name: string) => join(folder, name);
  const acts = (samples: number) =>
    sluice.collect(floats(samples * 3 * 4 * 6), {
      ...{ dims: "blsh", shape: [samples, 3, 4, 6], layers: [8, 12, 16] },
      attentionMask: Array.from({ length: samples * 4 }, (_, i) => i % 4 < 3 ? 1 : 0),
    });
  if (/README|activations|probes/.test(page)) {
    await (await acts(60).save(gpu, out("acts.zarr"))).close();
    await (await acts(20).save(gpu, out("others.zarr"))).close();
  }
  if (/results|pictures/.test(page)) {
    const rows = await sluice.openArray(out("latents.npy"));
    await (await new sluice.KMeans({ k: 4, inits: 1 }).fit(gpu, rows, { out: out("kmeans.zarr") })
      .run())
      .close();
    await rows.close();
    const model = sluice.decoder.sortedSpikes({ ...session, binSize: 10 });
    const time = { rate: 50 };
    await (await model.smooth(gpu, { time, out: out("decode.zarr"), zarrFormat: 2 }).run()).close();
    await (await model.viterbi(gpu, { time, out: out("path.zarr") }).run()).close();
  }
  if (/decoding/.test(page)) {
    const model = sluice.decoder.sortedSpikes({ ...session, binSize: 10 });
    const options = { time: { rate: 50 }, dtype: "u16", zarrFormat: 2 } as const;
    await (await model.smooth(gpu, { ...options, out: out("ds.zarr") }).run()).close();
  }
}

/** What pages call their own. */
export async function ownNames(page: string, folder: string): Promise<Record<string, unknown>> {
  const open = (name: string) => sluice.openArray(join(folder, name));
  const { position, spikes } = session;
  const shared = {
    ...{ onProgress() {}, signal: new AbortController().signal },
    ...{ spikeTimes: spikes.times, times: position.times, values: position.values },
    others: await open("more.npy"),
  };
  if (page === "README.md") {
    return {
      ...shared,
      ...{ units: spikes.units, segments: [0, 200, 450], labels: classes(600) },
      ...{ features: await open("layer12.npy") },
    };
  }
  if (page === "docs/decoding.md") {
    const units = Uint32Array.from(position.times, (_, i) => i % 5);
    const features = floats(2 * position.times.length, () => 100 * random());
    return {
      ...{ ...shared, ...sluice, units, electrodes: units, features },
      ...{ transitionMatrix: floats(25, (i) => i % 6 === 0 ? 0.8 : 0.05) },
      initialProbs: [0.2, 0.2, 0.2, 0.2, 0.2],
      ...{ position, direction: new Float64Array(position.times.length) },
    };
  }
  if (page === "docs/probes.md") {
    const column = (shift: number) =>
      Uint8Array.from({ length: 90 }, (_, i) => (i + shift) % 3 ? 1 : 0);
    const tokens = () => ({
      rows: sluice.fromTypedArray(floats(270 * 6), [270, 6]),
      offsets: Float64Array.from({ length: 91 }, (_, i) => 3 * i),
    });
    return {
      ...{ ...sluice, labels: column(0), otherLabels: classes(40), honest: column(0) },
      ...{ fluent: column(1), french: column(2), others: await open("others.npy") },
      ...{ mask: new Uint8Array(61).fill(1), openTokens: () => Promise.resolve(tokens()) },
      otherTokens: {
        rows: sluice.fromTypedArray(floats(12 * 6), [12, 6]),
        offsets: Float64Array.of(0, 5, 12),
      },
    };
  }
  if (page === "docs/windows.md") {
    const of = (columns: number) => sluice.fromTypedArray(floats(600 * columns), [600, columns]);
    return {
      ...{ ...sluice, segments: [0, 200, 450], labels: classes(600), seed: 7 },
      ...{ episodeIndex: Int32Array.from({ length: 600 }, (_, i) => Math.floor(i / 50)) },
      ...{ trainList: [0, 1, 2, 5, 9], observations: of(4), actions: of(2), states: of(3) },
      ...{ step() {}, validate: () => Promise.resolve() },
    };
  }
  if (page === "docs/conditioning.md") {
    const config = JSON.parse(await readFile(join(folder, "phase0.json"), "utf8"));
    config.input.latents = join(folder, config.input.latents);
    config.input.index = join(folder, config.input.index);
    config.out = join(folder, config.out);
    return {
      ...{ ...shared, config, frames: await open("latents.npy"), segments: [0, 200, 450] },
    };
  }
  if (page === "docs/net.md") {
    const rows = { first: 0, rows: 64, samples: 16 };
    return {
      Net,
      Adam,
      KeepBest,
      seeds: Array.from({ length: 16 }, (_, i) => i),
      batchOf: () => rows,
    };
  }
  if (page === "docs/clustering.md") return { ...shared, ...sluice, segments: [0, 200, 450] };
  if (page === "docs/activations.md") return { ...shared, fit() {}, labels: classes(60) };
  return { ...sluice, ...shared, model: shortRecording() };
}

/** Names that mean something else in a block than on the rest of its page. */
export function namesOfBlock({ page, code }: DocBlock): Record<string, unknown> {
  if (code.includes("model.viterbi(")) return { model: shortRecording() };
  if (page === "README.md" && code.includes("LogisticProbe")) return { labels: classes(60) };
  if (code.includes("metrics.bootstrap(")) return { logits: floats(40) };
  if (code.includes("new AttentionProbe")) return { labels: [0, 1, 1, 0] };
  return {};
}

/** The package, as a page has it: what would take hours is told to be short. */
export async function packageFor(page: string): Promise<typeof sluice> {
  if (page !== "docs/perturbation.md") return sluice;
  const place = await putCells();
  return {
    ...sluice,
    async openAnnData() {
      const adata = await sluice.openAnnData(place);
      const matrix = adata.matrix.bind(adata);
      // the stand-in has its counts in X
      return Object.assign(adata, { matrix: () => matrix("X") });
    },
    cpa: {
      ...sluice.cpa,
      train: (gpu, cells, table, options) =>
        sluice.cpa.train(gpu, cells, table, { epochs: 2, ...options }),
    },
  } as typeof sluice;
}

/** Cells that were given A, B, both or nothing, in a memory place. */
async function putCells(): Promise<string> {
  const given = Array.from({ length: 120 }, (_, i) => ["ctrl", "A", "B", "A+B"][i % 4]!);
  const counts = given.map((_, i) =>
    Array.from({ length: 20 }, (_, gene) => Math.floor(6 * random()) + (gene === i % 4 ? 9 : 0))
  );
  const splits = given.map((_, i) => i % 12 === 3 ? "ood" : i % 5 === 0 ? "test" : "train");
  return await putAnnData("norman", {
    x: csr(counts),
    obs: {
      condition: categoriesOf(given),
      dose: categoriesOf(given.map((own) => own.includes("+") ? "1.0+0.5" : "1.0")),
      cell_type: categoriesOf(given.map(() => "T")),
      split: categoriesOf(splits),
    },
  });
}

/** A model of sorted spikes. */
function shortRecording() {
  return sluice.decoder.sortedSpikes({ ...session, binSize: 20 });
}
