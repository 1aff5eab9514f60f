/**
 * Opens any result that this package stored, by what it says it is.
 *
 * @module
 */

import { Acts } from "./acts/acts.ts";
import { openActsSource } from "./acts/stored.ts";
import type { ChunkedArray } from "./chunked_array.ts";
import type { StoredKMeans } from "./cluster/kmeans.ts";
import { openKMeans } from "./cluster/kmeans.ts";
import type { TrainedCpa } from "./cpa/trained.ts";
import { openTrained as openCpa } from "./cpa/trained.ts";
import type { StoredPca } from "./decompose/pca.ts";
import { openPca } from "./decompose/pca.ts";
import { displayedArray, displayedResult } from "./display.ts";
import { ChunkError } from "./errors.ts";
import type { DecodeResult, OpenResultOptions } from "./hmm/decode_result.ts";
import { openResult, openResultOptions } from "./hmm/decode_result.ts";
import type { StoredEncoding } from "./hmm/open_encoding.ts";
import { openEncoding } from "./hmm/open_encoding.ts";
import type { StoredProbe } from "./probes/probes.ts";
import { openTrained } from "./probes/trained.ts";
import type { StoredTrainedProbe } from "./probes/trained_probe.ts";
import { LogisticProbe, MassMeanProbe } from "./probes/probes.ts";
import { openStore } from "./store/open_store.ts";
import { openStored, storedAttributes } from "./stream/places.ts";
import { checkedStore } from "./zarr/checksums.ts";
import { knownArrays } from "./zarr/group_writer.ts";
import { readMetadata } from "./zarr/read_metadata.ts";
import { readZarrText } from "./zarr/zarr_array.ts";

/** A result, and of which kind it is. */
export type OpenedResult =
  | { kind: "acts"; acts: Acts; close(): Promise<void> }
  | ({ kind: "decode" } & DecodeResult)
  | { kind: "encoding"; encoding: StoredEncoding; close(): Promise<void> }
  | ({ kind: "kmeans" } & StoredKMeans)
  | ({ kind: "pca" } & StoredPca)
  | { kind: "cpa"; model: TrainedCpa; close(): Promise<void> }
  | ({ kind: "probe" } & (StoredProbe | StoredTrainedProbe))
  | OpenedArrays;

/** A result that is arrays alone: predictions, scores, distances, paths, models of a conditioning. */
export interface OpenedArrays {
  kind: "arrays";
  /** What attributes call it, as `sluice.pca.scores`. */
  format: string;
  attributes: Record<string, unknown>;
  /** By their names in the store: those of numbers. */
  arrays: Record<string, ChunkedArray>;
  /** Those of texts, such as names of states; all of each. */
  texts: Record<string, readonly string[]>;
  close(): Promise<void>;
}

/** `unfinished` opens a decode that is still running, or was interrupted, too: as far as it is stored. */
export type OpenOptions = OpenResultOptions;

const OURS = "sluice.";

type Opener = (place: string, options: OpenOptions) => Promise<OpenedResult>;

const OPENERS: Record<string, Opener> = {
  "sluice.acts": async (place) => {
    const acts = new Acts(await openActsSource(place));
    return { kind: "acts", acts, close: () => acts.close() };
  },
  "sluice.decode": async (place, options) => ({
    kind: "decode",
    ...await openResult(place, options),
  }),
  // all of it is in memory
  "sluice.cpa.model": async (place) => ({
    ...{ kind: "cpa", model: await openCpa(place) },
    close: () => Promise.resolve(),
  }),
  // all of it is in memory
  "sluice.encoding": async (place) => ({
    ...{ kind: "encoding", encoding: await openEncoding(place) },
    close: () => Promise.resolve(),
  }),
  "sluice.kmeans": async (place) => ({ kind: "kmeans", ...await openKMeans(place) }),
  "sluice.pca": async (place) => ({ kind: "pca", ...await openPca(place) }),
  "sluice.probe.logistic": async (place) => ({
    kind: "probe",
    ...await LogisticProbe.open(place),
  }),
  "sluice.probe.mass_mean": async (place) => ({
    kind: "probe",
    ...await MassMeanProbe.open(place),
  }),
  "sluice.probe.trained": async (place) => ({ kind: "probe", ...await openTrained(place) }),
};

/**
 * Opens a stored result: a decode to be read, a k-means whose `model` predicts, a PCA whose `model`
 * transforms, probes and models of perturbations whose `model` predicts, activations. Close it when it is not
 * needed any more.
 *
 * @example
 * ```ts
 * const fit = await open("latents.pca.zarr");
 * if (fit.kind === "pca") await fit.model.transform(gpu, others, { out: "scores.zarr" }).run();
 * ```
 *
 * @throws {ChunkError} If there is none at `place`, it is not finished, or a newer version wrote it.
 */
export async function open(place: string, options: OpenOptions = {}): Promise<OpenedResult> {
  const told = openResultOptions.check(options);
  const format = (await storedAttributes(place))?.format;
  const opener = OPENERS[String(format)];
  if (opener) return displayedResult(`${place}: ${format}`, await opener(place, told));
  if (typeof format === "string" && format.startsWith(OURS)) return await openArrays(place, format);
  throw new ChunkError(
    `Cannot open ${place}: ${
      format === undefined ? "no result is stored there" : `it holds "${format}"`
    }, wanted a result of this package`,
    place,
  );
}

async function openArrays(place: string, format: string): Promise<OpenedArrays> {
  const kind = format.slice(OURS.length);
  const { attributes, open } = await openStored(place, { kind, formatVersion: 1 });
  // where others lie beside them, a result names its own
  const own = attributes.arrays as string[] | undefined;
  const store = await openStore(place);
  const arrays: Record<string, ChunkedArray> = {};
  const texts: Record<string, readonly string[]> = {};
  const close = async () => {
    for (const array of Object.values(arrays)) await array.close();
  };
  try {
    const checked = await checkedStore(store);
    for (const name of own ?? await knownArrays(store)) {
      const { elements } = await readMetadata(checked, `/${name}`);
      if (elements.kind === "text") texts[name] = await readZarrText(checked, `/${name}`);
      else arrays[name] = await open(name);
    }
  } catch (error) {
    await close();
    throw error;
  } finally {
    await store.close();
  }
  for (const array of Object.values(arrays)) displayedArray(array);
  return displayedResult(`${place}: ${format}`, {
    ...{ kind: "arrays", format, attributes, arrays, texts, close },
  } as OpenedArrays);
}
