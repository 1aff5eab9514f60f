/**
 * How well clusters of the past predict deltas: of all rows, of slices, of every speaker, and of ids that
 * are permuted.
 *
 * @module
 */

import { Pcg64 } from "../math/pcg64.ts";
import type { MeanEstimate } from "../math/student.ts";
import { estimateMean, studentTails } from "../math/student.ts";
import type { ClusterStatistics } from "./moments.ts";
import { ClusterMoments } from "./moments.ts";
import type { Is, OptionsOf } from "../options.ts";
import { custom, declare, isObject, signal, told, whole } from "../options.ts";
import type { Normalizer } from "./normalizer.ts";
import type { Rows } from "./rows.ts";
import { countRows, rowBlocks, rowCount } from "./rows.ts";

/** Clusters with enough rows to be looked at. */
export interface EffectiveClusters {
  /** Their ids, ascending. */
  ids: Int32Array;
  /** Rows of each. */
  counts: Float64Array;
}

/**
 * Clusters that have at least so many rows, at a cost that goes with the rows, whatever the ids.
 *
 * @param ids `[rows]`, from 0.
 */
export function effectiveClusters(ids: Int32Array, minClusterSize: number): EffectiveClusters {
  const sorted = ids.slice().sort();
  const kept: number[] = [];
  const counts: number[] = [];
  for (let from = 0, to = 0; from < sorted.length; from = to) {
    while (to < sorted.length && sorted[to] === sorted[from]) to++;
    if (to - from < minClusterSize) continue;
    kept.push(sorted[from]!);
    counts.push(to - from);
  }
  return { ids: Int32Array.from(kept), counts: Float64Array.from(counts) };
}

/** Where the cluster of each row is among the effective ones, -1 of those that are left out. */
function placesOf(ids: Int32Array, { ids: kept }: EffectiveClusters): Int32Array {
  return ids.map((id) => {
    let [low, high] = [0, kept.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (kept[middle]! < id) low = middle + 1;
      else high = middle;
    }
    return kept[low] === id ? low : -1;
  });
}

/** Sets of rows, made once for a split. */
export interface Slices {
  /** At most 8; what they are besides all rows. */
  names: readonly string[];
  /** `[rows]`: bit i says whether a row is in slice i. */
  members: Uint8Array;
}

const isIds = (value: unknown) => value instanceof Int32Array;

export const diagnoseOptions = declare("diagnose", {
  normalizer: custom(
    "what deltaNormalizer() gives",
    isObject as Is<Normalizer>,
    { required: true, says: "mean and deviation of deltas, as deltaNormalizer() gives them" },
  ),
  /** `[rows]` i32. */
  ids: custom("an Int32Array", isIds as Is<Int32Array>, {
    required: true,
    says: "cluster of each row",
  }),
  /** Of the train rows, for all splits. */
  effective: custom(
    "what effectiveClusters() gives",
    isObject as Is<EffectiveClusters>,
    { required: true, says: "clusters that are looked at, of the train rows for all splits" },
  ),
  slices: custom("{ names, members }", isObject as Is<Slices>, {
    says: "sets of rows that are looked at by themselves",
  }),
  /** Seed of `numpy.random.default_rng`, whose `permutation` the control's ids are. */
  permutationSeed: whole({
    required: true,
    from: 0,
    says: "seed of numpy.random.default_rng, whose permutation the control's ids are",
  }),
  /** Rows of a speaker that is looked at. Default 50. */
  minSpeakerRows: whole({ default: 50, from: 1, says: "rows of a speaker that is looked at" }),
  /** Told how many rows are done. */
  onRows: told<(rows: number) => void>("told how many rows are done"),
  signal,
});

export type DiagnoseOptions = OptionsOf<typeof diagnoseOptions>;

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

/** Numbers of each speaker that has enough rows, and what they have in common. */
export interface SpeakerNumbers {
  speakers: ({ speaker: string } & ClusterStatistics)[];
  acrossSpeakers: AcrossSpeakers;
}

/** Numbers of a split; speakers are those of all its rows. */
export interface Diagnosis extends SpeakerNumbers {
  /** Rows, those of clusters that are left out among them. */
  rows: number;
  /** By name; `all` is there always. */
  slices: Record<string, ClusterStatistics>;
  /** Of all rows, with permuted ids. */
  control: ClusterStatistics;
  /** Speakers of the slices besides `all`, by name. */
  speakerSlices: Record<string, SpeakerNumbers>;
}

/** Host bytes that {@link diagnose} holds, beside the ids. */
export function diagnoseBytes(
  { rows, speakerRows, clusters, dims, slices }: {
    rows: number;
    /** Of the speaker that has most. */
    speakerRows: number;
    clusters: number;
    dims: number;
    slices: number;
  },
): number {
  const cells = 2 ** slices * clusters;
  // where rows are, and where permuted ones are
  return 8 * rows + ClusterMoments.bytes(cells, dims) + ClusterMoments.bytes(clusters, dims) +
    ClusterMoments.bytes(cells, dims, speakerRows);
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
  const { normalizer, ids, effective, permutationSeed, minSpeakerRows } = diagnoseOptions.check(
    options,
  );
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
  // a cell for every way to be in slices or not, and every cluster
  const cells = 2 ** names.length * clusters;
  const bySlices = new ClusterMoments(cells, dims);
  const bySpeaker = new ClusterMoments(cells, dims, mostRowsOfSpeaker(rows));
  const control = new ClusterMoments(clusters, dims);
  // ids that train rows do not have, or few of them, are in no cluster
  const places = placesOf(ids, effective);
  const permuted = new Pcg64(permutationSeed).shuffle(places.slice());
  const isIn = (slice: number) => (set: number) => slice < 0 || (set >> slice & 1) === 1;
  const all: SpeakerNumbers["speakers"] = [];
  const speakerSlices = names.map((): SpeakerNumbers["speakers"] => []);
  const closeSpeaker = (speaker: string | undefined) => {
    if (speaker === undefined) return;
    for (const [i, list] of [all, ...speakerSlices].entries()) {
      const statistics = bySpeaker.statisticsOf(clusters, isIn(i - 1));
      if (statistics.rows >= minSpeakerRows) list.push({ speaker, ...statistics });
    }
    bySpeaker.clear();
  };

  const { utterances } = rows;
  const order = ordered(utterances.map(({ speaker }) => speaker));
  const delta = new Float64Array(dims);
  let speaker: string | undefined;
  let done = 0;
  for await (const block of rowBlocks(rows, { ...options, order })) {
    const own = utterances[block.utterance]!.speaker;
    if (own !== speaker) closeSpeaker(speaker);
    speaker = own;
    for (let i = 0; i < block.rows; i++) {
      const row = block.row + i;
      const [place, drawn] = [places[row]!, permuted[row]!];
      if (place < 0 && drawn < 0) continue;
      for (let d = 0, at = i * dims; d < dims; d++, at++) {
        delta[d] = (block.values[at + dims]! - block.values[at]! - mean[d]!) / std[d]!;
      }
      if (drawn >= 0) control.add(drawn, delta);
      if (place < 0) continue;
      const cell = members[row]! * clusters + place;
      bySlices.add(cell, delta);
      bySpeaker.add(cell, delta);
    }
    done += block.rows;
    options.onRows?.(done);
  }
  closeSpeaker(speaker);

  const slices: Diagnosis["slices"] = { all: bySlices.statisticsOf(clusters, () => true) };
  names.forEach((name, i) => slices[name] = bySlices.statisticsOf(clusters, isIn(i)));
  const numbers = (speakers: SpeakerNumbers["speakers"]) => ({
    speakers,
    acrossSpeakers: compareSpeakers(speakers),
  });
  const diagnosis = {
    rows: count,
    slices,
    control: control.statistics(),
    ...numbers(all),
    speakerSlices: Object.fromEntries(
      names.map((name, i) => [name, numbers(speakerSlices[i]!)]),
    ),
  };
  return { diagnosis, moments: bySlices.fold(clusters) };
}

/** Rows of the speaker that has most. */
export function mostRowsOfSpeaker({ utterances, firstTarget }: Omit<Rows, "frames">): number {
  const counts = new Map<string, number>();
  for (const utterance of utterances) {
    const { speaker } = utterance;
    counts.set(speaker, (counts.get(speaker) ?? 0) + rowCount(utterance, firstTarget));
  }
  return [...counts.values()].reduce((most, count) => Math.max(most, count), 0);
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

function compareSpeakers(speakers: SpeakerNumbers["speakers"]): AcrossSpeakers {
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
