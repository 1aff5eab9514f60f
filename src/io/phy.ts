/**
 * Folders of sorted spikes as Kilosort writes and phy edits them.
 *
 * @module
 */

import { openNpy } from "../array/npy.ts";
import { toNumbers } from "../chunked_array.ts";
import { ChunkError } from "../errors.ts";
import { openStore } from "../store/open_store.ts";
import type { Store } from "../store/store.ts";
import { decodeText, parseCsv } from "../files/csv.ts";

/** What a folder holds. */
export interface PhyFolder {
  /** [spikes] samples since the start of the recording. */
  times: Float64Array;
  /** [spikes] id of the cluster of each. */
  clusters: Float64Array;
  /** Samples a second. */
  sampleRate: number;
  /** What clusters were called, such as `good`, and in which file. */
  labels: { file: string; byCluster: ReadonlyMap<number, string> } | undefined;
}

/** Whether a place is such a folder. */
export async function isPhyFolder(place: string): Promise<boolean> {
  const store = await openStore(place);
  try {
    return await store.size("/spike_times.npy") !== undefined &&
      await store.size("/params.py") !== undefined;
  } finally {
    await store.close();
  }
}

/** Files with labels, and their columns: what people said counts before what a program did. */
const LABELS = [
  ["cluster_group.tsv", ["group"]],
  ["cluster_info.tsv", ["group"]],
  ["cluster_KSLabel.tsv", ["KSLabel", "group"]],
] as const;

/**
 * Reads spike times, clusters, the sampling rate and labels of a folder.
 *
 * @throws {ChunkError} If a file is missing, or they do not fit one another.
 */
export async function readPhy(place: string): Promise<PhyFolder> {
  const store = await openStore(place);
  const refuse = (reason: string) => new ChunkError(`Cannot read "${place}": ${reason}`, place);
  try {
    const times = await readColumn(store, "spike_times.npy", refuse);
    // phy keeps merged and split clusters apart from the templates that Kilosort found
    const isSplit = await store.size("/spike_clusters.npy") !== undefined;
    const name = isSplit ? "spike_clusters.npy" : "spike_templates.npy";
    const clusters = await readColumn(store, name, refuse);
    const stray = times.find((time) => !Number.isSafeInteger(time));
    if (stray !== undefined) {
      throw refuse(`spike_times.npy has ${stray}, wanted whole samples`);
    }
    if (clusters.length !== times.length) {
      throw refuse(`it has ${times.length} spike times and ${clusters.length} clusters of spikes`);
    }
    const params = await readText(store, "params.py");
    if (params === undefined) throw refuse("there is no params.py, which tells the sampling rate");
    return {
      times,
      clusters,
      sampleRate: rateOf(params, refuse),
      labels: await readLabels(store, refuse),
    };
  } finally {
    await store.close();
  }
}

type Refuse = (reason: string) => ChunkError;

/** [spikes], or [spikes, 1] as older versions write it. */
async function readColumn(store: Store, name: string, refuse: Refuse): Promise<Float64Array> {
  const array = await openNpy(store, `/${name}`);
  const [rows, ...inner] = array.shape as [number, ...number[]];
  if (inner.some((size) => size !== 1)) {
    throw refuse(`${name} has shape [${array.shape.join(", ")}], wanted [spikes]`);
  }
  return Float64Array.from(toNumbers(await array.read(0, rows)));
}

async function readText(store: Store, name: string): Promise<string | undefined> {
  const bytes = await store.get(`/${name}`);
  return bytes && decodeText(bytes);
}

/** The last line of Python that sets it, as a plain number. */
function rateOf(params: string, refuse: Refuse): number {
  const [line] = params.split(/\r?\n/).filter((line) => /^\s*sample_rate\s*=/.test(line)).slice(-1);
  const text = line?.replace(/^\s*sample_rate\s*=\s*/, "").replace(/\s*(#.*)?$/, "");
  const rate = text && /^\d[\d_]*\.?\d*(e[+-]?\d+)?$/i.test(text)
    ? Number(text.replaceAll("_", ""))
    : NaN;
  if (rate > 0 && Number.isFinite(rate)) return rate;
  throw refuse(
    text === undefined
      ? "params.py sets no sample_rate"
      : `params.py sets sample_rate to ${JSON.stringify(text)}, wanted a positive number`,
  );
}

async function readLabels(store: Store, refuse: Refuse): Promise<PhyFolder["labels"]> {
  for (const [file, columns] of LABELS) {
    const text = await readText(store, file);
    const rows = text === undefined ? [] : parseCsv(text, "\t");
    const idColumn = ["cluster_id", "id"].find((name) => rows[0] && name in rows[0]);
    const column = columns.find((name) => rows[0] && name in rows[0]);
    if (idColumn === undefined || column === undefined) continue;
    const byCluster = new Map<number, string>();
    rows.forEach((row, i) => {
      const id = /^\d+$/.test(row[idColumn]!) ? Number(row[idColumn]) : NaN;
      if (!Number.isSafeInteger(id) || byCluster.has(id)) {
        throw refuse(
          `row ${i + 1} of ${file} names ${JSON.stringify(row[idColumn])}, wanted an id of its own`,
        );
      }
      byCluster.set(id, row[column]!.trim().toLowerCase());
    });
    return { file, byCluster };
  }
  return undefined;
}
