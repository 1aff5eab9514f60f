/**
 * How well clusters of the past predict deltas: of all rows, of slices, of every speaker, and of ids that
 * are permuted.
 *
 * @module
 */

import type { ReadOptions } from "../array/array.ts";
import { Pcg64 } from "../math/pcg64.ts";
import type { MeanEstimate } from "../math/student.ts";
import { estimateMean, studentTails } from "../math/student.ts";
import type { ClusterStatistics } from "./moments.ts";
import { ClusterMoments } from "./moments.ts";
import type { Normalizer } from "./normalizer.ts";
import type { Rows } from "./rows.ts";
import { countRows, rowBlocks } from "./rows.ts";

/** Clusters with enough rows to be looked at. */
export interface EffectiveClusters {
  /** Their ids, ascending. */
  ids: Int32Array;
  /** Rows of each. */
  counts: Float64Array;
  /** Place among `ids` of every id, -1 of those that are left out. */
  places: Int32Array;
}

/**
 * Clusters that have at least so many rows.
 *
 * @param ids `[rows]`, from 0.
 */
export function effectiveClusters(ids: Int32Array, minClusterSize: number): EffectiveClusters {
  const most = ids.reduce((largest, id) => Math.max(largest, id), -1);
  const counts = new Float64Array(most + 1);
  for (const id of ids) counts[id]!++;
  const kept = [...counts.keys()].filter((id) => counts[id]! >= minClusterSize);
  const places = new Int32Array(most + 1).fill(-1);
  kept.forEach((id, place) => places[id] = place);
  return {
    ids: Int32Array.from(kept),
    counts: Float64Array.from(kept, (id) => counts[id]!),
    places,
  };
}

/** Sets of rows, made once for a split. */
export interface Slices {
  /** At most 8; what they are besides all rows. */
  names: readonly string[];
  /** `[rows]`: bit i says whether a row is in slice i. */
  members: Uint8Array;
}

export interface DiagnoseOptions extends ReadOptions {
  normalizer: Normalizer;
  /** `[rows]` i32. */
  ids: Int32Array;
  /** Of the train rows, for all splits. */
  effective: EffectiveClusters;
  slices?: Slices;
  /** Seed of `numpy.random.default_rng`, whose `permutation` the control's ids are. */
  permutationSeed: number;
  /** Rows of a speaker that is looked at. Default 50. */
  minSpeakerRows?: number;
  /** Told how many rows are done. */
  onRows?: (rows: number) => void;
}

/** What speakers have in common, each counting once. */
export interface AcrossSpeakers {
  ratio: MeanEstimate;
  /** Mean of what their ratios are on average where ids say nothing. */
  expectedRatio: number;
  reductionNats: MeanEstimate;
  reduction: MeanEstimate;
  /** Student's test that `ratio` is `expectedRatio` on average, two-sided. */
  test: { t: number; degrees: number; p: number };
}

/** Numbers of a split. */
export interface Diagnosis {
  /** Rows, those of clusters that are left out among them. */
  rows: number;
  /** By name; `all` is there always. */
  slices: Record<string, ClusterStatistics>;
  /** Of all rows, with permuted ids. */
  control: ClusterStatistics;
  speakers: ({ speaker: string } & ClusterStatistics)[];
  acrossSpeakers: AcrossSpeakers;
}

/** Host bytes that {@link diagnose} holds. */
export function diagnoseBytes(
  { rows, clusters, dims, slices }: {
    rows: number;
    clusters: number;
    dims: number;
    slices: number;
  },
): number {
  // a table for every way to be in slices or not, one of a slice, of a speaker, and of the control
  return 4 * rows + (2 ** slices + 3) * ClusterMoments.bytes(clusters, dims);
}

/**
 * Reads the rows of a split once, and takes all its numbers.
 *
 * @returns Also the moments of all rows by place among the effective clusters.
 * @throws {RangeError} If ids, slices and rows differ in number.
 */
export async function diagnose(
  rows: Rows,
  options: DiagnoseOptions,
): Promise<{ diagnosis: Diagnosis; moments: ClusterMoments }> {
  const { normalizer, ids, effective, permutationSeed, minSpeakerRows = 50 } = options;
  const { names, members } = options.slices ?? { names: [], members: new Uint8Array(ids.length) };
  const count = countRows(rows);
  if (ids.length !== count || members.length !== count) {
    throw new RangeError(
      `Cannot diagnose: there are ${count} rows, ${ids.length} ids and ${members.length} rows in ` +
        "slices, wanted as many of each",
    );
  }
  const { mean, std } = normalizer;
  const dims = mean.length;
  const clusters = effective.ids.length;
  const bySlices = new ClusterMoments(2 ** names.length * clusters, dims);
  const bySpeaker = new ClusterMoments(clusters, dims);
  const permuted = new Pcg64(permutationSeed).shuffle(ids.slice());
  const control = new ClusterMoments(clusters, dims);
  const speakers: Diagnosis["speakers"] = [];
  const closeSpeaker = (speaker: string | undefined) => {
    if (speaker === undefined) return;
    const statistics = bySpeaker.statistics();
    if (statistics.rows >= minSpeakerRows) speakers.push({ speaker, ...statistics });
    bySpeaker.clear();
  };

  const { utterances } = rows;
  const order = ordered(utterances.map(({ speaker }) => speaker));
  const delta = new Float64Array(dims);
  // ids that train rows never had are in no cluster
  const placeOf = (id: number) => effective.places[id] ?? -1;
  let speaker: string | undefined;
  let done = 0;
  for await (const block of rowBlocks(rows, { ...options, order })) {
    const own = utterances[block.utterance]!.speaker;
    if (own !== speaker) closeSpeaker(speaker);
    speaker = own;
    for (let i = 0; i < block.rows; i++) {
      const row = block.row + i;
      const [place, drawn] = [placeOf(ids[row]!), placeOf(permuted[row]!)];
      if (place < 0 && drawn < 0) continue;
      for (let d = 0, at = i * dims; d < dims; d++, at++) {
        delta[d] = (block.values[at + dims]! - block.values[at]! - mean[d]!) / std[d]!;
      }
      if (drawn >= 0) control.add(drawn, delta);
      if (place < 0) continue;
      bySlices.add(members[row]! * clusters + place, delta);
      bySpeaker.add(place, delta);
    }
    done += block.rows;
    options.onRows?.(done);
  }
  closeSpeaker(speaker);

  const moments = sliceMoments(bySlices, clusters, () => true);
  const slices: Diagnosis["slices"] = { all: moments.statistics() };
  names.forEach((name, i) => {
    slices[name] = sliceMoments(bySlices, clusters, (set) => (set >> i & 1) === 1).statistics();
  });
  const acrossSpeakers = compareSpeakers(speakers);
  return {
    diagnosis: { rows: count, slices, control: control.statistics(), speakers, acrossSpeakers },
    moments,
  };
}

/** Numbers of utterances, those of a speaker together, speakers in the order they first appear. */
function ordered(speakers: readonly string[]): number[] {
  const bySpeaker = new Map<string, number[]>();
  speakers.forEach((speaker, i) => {
    const own = bySpeaker.get(speaker);
    if (own) own.push(i);
    else bySpeaker.set(speaker, [i]);
  });
  return [...bySpeaker.values()].flat();
}

function sliceMoments(
  all: ClusterMoments,
  clusters: number,
  isPart: (set: number) => boolean,
): ClusterMoments {
  const moments = new ClusterMoments(clusters, all.dims);
  for (let i = 0; i < all.clusters; i++) {
    if (isPart(Math.floor(i / clusters))) moments.addCluster(i % clusters, all, i);
  }
  return moments;
}

function compareSpeakers(speakers: Diagnosis["speakers"]): AcrossSpeakers {
  const estimate = (numbers: (statistics: ClusterStatistics) => number) =>
    estimateMean(speakers.map(numbers).filter(Number.isFinite));
  const gain = estimate(({ ratio, expectedRatio }) => ratio - expectedRatio);
  const degrees = gain.count - 1;
  const t = gain.mean / (gain.std / Math.sqrt(gain.count));
  return {
    ratio: estimate(({ ratio }) => ratio),
    expectedRatio: estimate(({ expectedRatio }) => expectedRatio).mean,
    reductionNats: estimate(({ reductionNats }) => reductionNats),
    reduction: estimate(({ reduction }) => reduction),
    test: { t, degrees, p: degrees > 0 ? studentTails(t, degrees) : NaN },
  };
}
