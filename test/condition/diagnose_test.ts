import { describe, expect, it } from "vitest";
import type { ChunkedArray } from "../../src/array/array.ts";
import { fromTypedArray } from "../../src/array/array.ts";
import { decide } from "../../src/condition/decision.ts";
import type { Diagnosis } from "../../src/condition/diagnose.ts";
import { diagnose, effectiveClusters } from "../../src/condition/diagnose.ts";
import type { ClusterStatistics } from "../../src/condition/moments.ts";
import { ClusterMoments } from "../../src/condition/moments.ts";
import { deltaNormalizer } from "../../src/condition/normalizer.ts";
import { quartileEdges, quartileIds } from "../../src/condition/quartiles.ts";
import type { Rows } from "../../src/condition/rows.ts";
import { countRows } from "../../src/condition/rows.ts";
import { medianEnergy, sliceRows } from "../../src/condition/slices.ts";
import { splitSpeakers } from "../../src/condition/splits.ts";
import { Pcg64 } from "../../src/math/pcg64.ts";
import { Random } from "../../src/math/random.ts";
import { columnMoments, conditioning } from "../reference/conditioning.ts";
import { smallCorpus } from "../support/corpus.ts";
import { recordNumbers } from "../support/record.ts";

const FIRST = 4;
const corpus = smallCorpus("walk");
const frames = fromTypedArray(corpus.frames, [corpus.energy.length, corpus.features]);
const rows: Rows = { frames, utterances: corpus.utterances, firstTarget: FIRST };

/** Every row with what the definitions want: its delta, speaker, frame and place. */
function listRows({ utterances, firstTarget }: Rows) {
  const { features, energy } = corpus;
  return utterances.flatMap(({ speaker, start, end }) =>
    Array.from({ length: Math.max(0, end - start - firstTarget) }, (_, i) => {
      const t = start + firstTarget + i;
      const x = (frame: number, d: number) => corpus.frames[frame * features + d]!;
      return {
        speaker,
        delta: Array.from({ length: features }, (_, d) => x(t, d) - x(t - 1, d)),
        energy: energy[t]!,
        position: (firstTarget + i) / (end - start),
      };
    })
  );
}

/** The same array in short chunks, which are never handed out as they lie in memory. */
function chunked(array: ChunkedArray, chunkRows: number): ChunkedArray {
  const { shape, dtype, dims } = array;
  const read: ChunkedArray["read"] = async (start, end, options) =>
    (await array.read(start, end, options)).slice();
  return { shape, dtype, dims, chunkRows, read, close: () => Promise.resolve() };
}

function expectClose(got: number, wanted: number, tolerance = 1e-9): void {
  expect(Math.abs(got - wanted)).toBeLessThan(tolerance * Math.max(1, Math.abs(wanted)));
}

function expectNumbers(got: ClusterStatistics, wanted: ReturnType<typeof conditioning>): void {
  expect(got.rows).toBe(wanted.rows);
  expect(got.clusters).toBe(wanted.clusters);
  for (const name of ["ratio", "entropy", "conditionalEntropy"] as const) {
    expectClose(got[name], wanted[name]);
  }
  expectClose(got.reductionNats, wanted.entropy - wanted.conditionalEntropy);
  expectClose(got.reduction, (wanted.entropy - wanted.conditionalEntropy) / wanted.entropy, 1e-6);
}

describe("the edges of slices and clusters", () => {
  it("counts a cluster of one row among rows and clusters, and not for its entropy", () => {
    const moments = new ClusterMoments(3, 1);
    for (const [cluster, value] of [[0, 1], [0, 3], [2, 5]]) {
      moments.add(cluster!, Float64Array.of(value!));
    }
    const found = moments.statistics();
    expect([found.rows, found.clusters]).toEqual([3, 2]);
    // of 1, 3, 5 around 3: 8; of 1, 3 around 2: 2, and their variance is 1
    expect(found.ratio).toBe(2 / 8);
    expect(found.expectedRatio).toBe(1 - 1 / 2);
    expect(found.conditionalEntropy).toBe(0);
    expectClose(found.entropy, Math.log(8 / 3) / 2, 1e-15);
    // where every cluster has one row, nothing is known of any
    const alone = new ClusterMoments(2, 1);
    alone.add(0, Float64Array.of(1));
    alone.add(1, Float64Array.of(2));
    expect(alone.statistics().conditionalEntropy).toBeNaN();
    expect(alone.statistics().ratio).toBe(0);
  });

  it("takes rows at 0.17 and 0.83 of an utterance for medial, and none beyond", async () => {
    const utterances = [
      { id: "a", speaker: "s", start: 0, end: 100 },
      { id: "b", speaker: "s", start: 100, end: 110 },
    ];
    const { names, members } = await sliceRows(
      { utterances, firstTarget: 1 },
      ["all", "medial"],
      undefined,
    );
    expect(names).toEqual(["medial"]);
    const targets = [...members.keys()].filter((row) => members[row] === 1).map((row) => row + 1);
    // frames 17 to 83 of the first; 2 to 8 of the second, whose rows follow 99 others
    expect(targets).toEqual([
      ...Array.from({ length: 67 }, (_, i) => 17 + i),
      ...Array.from({ length: 7 }, (_, i) => 99 + 2 + i),
    ]);
  });

  it("takes no row for loud whose energy is the median", async () => {
    const energy = fromTypedArray(Float32Array.of(9, 1, 2, 2, 3, 2));
    const own = {
      utterances: [{ id: "a", speaker: "s", start: 0, end: 6 }],
      firstTarget: 1,
    };
    // rows have 1, 2, 2, 3, 2; frames 9 too
    const median = await medianEnergy({ ...own, frames: energy }, "rows");
    expect(median).toBe(2);
    expect(await medianEnergy({ ...own, frames: energy }, "frames")).toBe(2);
    const slices = await sliceRows(own, ["high_energy"], { array: energy, median });
    expect([...slices.members]).toEqual([0, 0, 0, 1, 0]);
  });
});

describe("deltaNormalizer()", () => {
  it("takes mean and population deviation of all deltas, whatever the chunks", async () => {
    const list = listRows(rows);
    const wanted = columnMoments(list.map(({ delta }) => delta));
    const got = await deltaNormalizer(rows);
    expect(got.rows).toBe(list.length);
    expect(got.mean).toEqual(Float32Array.from(wanted.mean));
    expect(got.std).toEqual(Float32Array.from(wanted.std));
    for (const chunkRows of [1, 7, 64]) {
      expect(await deltaNormalizer({ ...rows, frames: chunked(frames, chunkRows) })).toEqual(got);
    }
  });

  it("never divides by less than 1e-6, and says where a frame is not finite", async () => {
    const values = Float32Array.from({ length: 20 }, (_, i) => i % 2 === 0 ? i : 3);
    const one = [{ id: "a", speaker: "s", start: 0, end: 10 }];
    const own = { frames: fromTypedArray(values, [10, 2]), utterances: one, firstTarget: 2 };
    const { mean, std } = await deltaNormalizer(own);
    expect([...mean]).toEqual([2, 0]);
    expect([...std]).toEqual([Math.fround(1e-6), Math.fround(1e-6)]);
    await expect(deltaNormalizer({ ...own, firstTarget: 10 }))
      .rejects.toThrow("none of 1 utterances has more than 10 frames");
    values[1] = NaN;
    await expect(deltaNormalizer(own)).rejects.toThrow(
      'Cannot take deltas of "a": frame 0, feature 1 is NaN, wanted finite numbers',
    );
  });

  it("refuses deltas that f32 does not hold, as all rows divided by infinity would be one", async () => {
    const one = [{ id: "a", speaker: "s", start: 0, end: 10 }];
    const large = Float64Array.from(
      { length: 20 },
      (_, i) => i % 2 === 0 ? i : (-1) ** i * i * 1e40,
    );
    const own = { frames: fromTypedArray(large, [10, 2]), utterances: one, firstTarget: 1 };
    await expect(deltaNormalizer(own)).rejects.toThrow(
      /feature 1 have a mean of -2.0e\+40 and deviate by .*, wanted less than 3.4e\+38/,
    );
  });
});

describe("diagnose()", () => {
  const random = new Random(3);
  const ids = Int32Array.from({ length: countRows(rows) }, () => random.integer(7) ** 2);

  it("agrees with the definitions, in slices, speakers and the control", async () => {
    const list = listRows(rows);
    const normalizer = await deltaNormalizer(rows);
    const energy = fromTypedArray(corpus.energy);
    const median = await medianEnergy({ ...rows, frames: energy }, "rows");
    const sorted = list.map((row) => row.energy).sort((a, b) => a - b);
    expect(median).toBe((sorted[list.length / 2 - 1]! + sorted[list.length / 2]!) / 2);
    const slices = await sliceRows(rows, ["all", "high_energy", "medial"], {
      array: energy,
      median,
    });
    const effective = effectiveClusters(ids, 90);
    const kept = new Set(effective.ids);
    expect([...kept]).toEqual(
      [0, 1, 4, 9, 16, 25, 36].filter((id) => ids.filter((other) => other === id).length >= 90),
    );
    expect(kept.size).toBeLessThan(7);
    const { diagnosis, moments } = await diagnose({ ...rows, frames: chunked(frames, 50) }, {
      normalizer,
      ids,
      effective,
      slices,
      permutationSeed: 1042,
      minSpeakerRows: 20,
    });

    const normalized = list.map(({ delta }) =>
      delta.map((value, d) => (value - normalizer.mean[d]!) / normalizer.std[d]!)
    );
    const brute = (own: ArrayLike<number>, isPart: (row: number) => boolean) => {
      const part = list.map((_, i) => i).filter((i) => kept.has(own[i]!) && isPart(i));
      return conditioning(part.map((i) => normalized[i]!), part.map((i) => own[i]!));
    };
    expect(diagnosis.rows).toBe(list.length);
    expectNumbers(diagnosis.slices.all!, brute(ids, () => true));
    expectNumbers(diagnosis.slices.high_energy!, brute(ids, (i) => list[i]!.energy > median));
    expectNumbers(
      diagnosis.slices.medial!,
      brute(ids, (i) => list[i]!.position >= 0.17 && list[i]!.position <= 0.83),
    );
    const permuted = new Pcg64(1042).shuffle(ids.slice());
    expectNumbers(diagnosis.control, brute(permuted, () => true));
    const rowsOf = (name: string) =>
      list.filter(({ speaker }, i) => speaker === name && kept.has(ids[i]!)).length;
    expect(diagnosis.speakers.map(({ speaker }) => speaker)).toEqual(
      ["s0", "s1", "s2", "s3", "s4", "s5"].filter((speaker) => rowsOf(speaker) >= 20),
    );
    expect(diagnosis.speakers.length).toBeGreaterThan(3);
    for (const { speaker, ...statistics } of diagnosis.speakers) {
      expectNumbers(statistics, brute(ids, (i) => list[i]!.speaker === speaker));
    }
    const isIn = {
      high_energy: (i: number) => list[i]!.energy > median,
      medial: (i: number) => list[i]!.position >= 0.17 && list[i]!.position <= 0.83,
    };
    expect(Object.keys(diagnosis.speakerSlices)).toEqual(["high_energy", "medial"]);
    for (const [slice, member] of Object.entries(isIn)) {
      const { speakers, acrossSpeakers } = diagnosis.speakerSlices[slice]!;
      const all = ["s0", "s1", "s2", "s3", "s4", "s5"];
      const rows = (name: string) =>
        list.filter(({ speaker }, i) => speaker === name && kept.has(ids[i]!) && member(i)).length;
      expect(speakers.map(({ speaker }) => speaker)).toEqual(
        all.filter((name) => rows(name) >= 20),
      );
      expect(speakers.length).toBeGreaterThan(3);
      for (const { speaker, ...statistics } of speakers) {
        expectNumbers(statistics, brute(ids, (i) => list[i]!.speaker === speaker && member(i)));
      }
      const mean = speakers.reduce((sum, { ratio }) => sum + ratio, 0) / speakers.length;
      expectClose(acrossSpeakers.ratio.mean, mean);
    }
    const ratios = diagnosis.speakers.map(({ ratio }) => ratio);
    const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
    expectClose(diagnosis.acrossSpeakers.ratio.mean, mean);
    expect(diagnosis.acrossSpeakers.test.degrees).toBe(ratios.length - 1);
    expect(moments.counts).toEqual(effective.counts);
    const { ratio, expectedRatio } = diagnosis.slices.all!;
    await recordNumbers("conditioning", [ratio, expectedRatio, diagnosis.control.ratio]);
  });

  it("does not depend on the order in which speakers come", async () => {
    const normalizer = await deltaNormalizer(rows);
    const effective = effectiveClusters(ids, 1);
    const mixed = rows.utterances.map((utterance, i) => ({ ...utterance, speaker: `s${i % 3}` }));
    const score = async (utterances: Rows["utterances"]) =>
      (await diagnose({ ...rows, utterances }, { normalizer, ids, effective, permutationSeed: 1 }))
        .diagnosis;
    const [own, other] = [await score(rows.utterances), await score(mixed)];
    expectClose(other.slices.all!.ratio, own.slices.all!.ratio, 1e-12);
    expect(other.speakers.map(({ speaker }) => speaker)).toEqual(["s0", "s1", "s2"]);
    const list = listRows({ ...rows, utterances: mixed });
    const normalized = list.map(({ delta }) =>
      delta.map((value, d) => (value - normalizer.mean[d]!) / normalizer.std[d]!)
    );
    const part = list.map((_, i) => i).filter((i) => list[i]!.speaker === "s1");
    expectNumbers(
      other.speakers[1]!,
      conditioning(part.map((i) => normalized[i]!), part.map((i) => ids[i]!)),
    );
  });

  it("leaves out clusters that train rows do not have, and few rows of a speaker", async () => {
    const normalizer = await deltaNormalizer(rows);
    const none = effectiveClusters(ids, 1e6);
    const options = { normalizer, ids, permutationSeed: 1 };
    const empty = await diagnose(rows, { ...options, effective: none });
    expect(empty.diagnosis.slices.all).toMatchObject({ rows: 0, clusters: 0, ratio: NaN });
    expect(empty.diagnosis.speakers).toEqual([]);
    const few = effectiveClusters(ids.map((id) => id > 9 ? 100 : id), 1);
    const own = await diagnose(rows, { ...options, effective: few, minSpeakerRows: 70 });
    expect(own.diagnosis.slices.all!.rows).toBe(ids.filter((id) => id <= 9).length);
    expect(own.diagnosis.speakers.every((speaker) => speaker.rows >= 70)).toBe(true);
    await expect(diagnose(rows, { ...options, ids: ids.slice(1), effective: few }))
      .rejects.toThrow(`there are ${ids.length} rows, ${ids.length - 1} ids`);
  });

  it("takes a cluster of one row: nothing within it, and no entropy", async () => {
    const normalizer = await deltaNormalizer(rows);
    const count = countRows(rows);
    const list = listRows(rows).map(({ delta }) =>
      delta.map((value, d) => (value - normalizer.mean[d]!) / normalizer.std[d]!)
    );
    const own = Int32Array.from({ length: count }, (_, i) => i === 5 ? 9 : i % 2);
    const some = effectiveClusters(own, 1);
    expect([...some.ids]).toEqual([0, 1, 9]);
    expect(some.counts[2]).toBe(1);
    const found = await diagnose(rows, {
      normalizer,
      ids: own,
      effective: some,
      permutationSeed: 1,
    });
    const got = found.diagnosis.slices.all!;
    expectNumbers(got, conditioning(list, [...own]));
    // the same without it, where entropy within clusters is looked at
    const without = list.filter((_, i) => i !== 5);
    const others = conditioning(without, [...own].filter((id) => id !== 9));
    expectClose(got.conditionalEntropy, others.conditionalEntropy);
    // and where every row is by itself
    const alone = Int32Array.from({ length: count }, (_, i) => i);
    const effective = effectiveClusters(alone, 1);
    const options = { normalizer, ids: alone, effective, permutationSeed: 1 };
    const { slices: { all } } = (await diagnose(rows, options)).diagnosis;
    expect(all).toMatchObject({ rows: count, clusters: count, ratio: 0, expectedRatio: 0 });
    expect(all!.conditionalEntropy).toBeNaN();
  });

  it("finds effective clusters among ids up to 4^15, at the cost of the rows", async () => {
    const most = 4 ** 15 - 1;
    const own = ids.map((id) => id === 0 ? most : id === 1 ? most - 1 : 3 * id);
    const [wanted, got] = [effectiveClusters(ids, 90), effectiveClusters(own, 90)];
    const renamed = new Map([[0, most], [1, most - 1]]);
    expect([...got.ids]).toEqual(
      [...wanted.ids].map((id) => renamed.get(id) ?? 3 * id).sort((a, b) => a - b),
    );
    const normalizer = await deltaNormalizer(rows);
    const options = { normalizer, permutationSeed: 1042 };
    const before = (await diagnose(rows, { ...options, ids, effective: wanted })).diagnosis;
    const after = (await diagnose(rows, { ...options, ids: own, effective: got })).diagnosis;
    expectClose(after.slices.all!.ratio, before.slices.all!.ratio, 1e-12);
    expectClose(after.control.ratio, before.control.ratio, 1e-12);
    expect(after.speakers.map(({ rows }) => rows)).toEqual(before.speakers.map(({ rows }) => rows));
  });

  it("stops when it is cancelled", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(deltaNormalizer(rows, { signal })).rejects.toThrow("enough");
  });
});

describe("slices", () => {
  const utterance = (start: number, end: number, id = "a") => ({ id, speaker: "s", start, end });
  const membersOf = async (
    own: Omit<Rows, "frames">,
    energy?: number[],
    over?: "frames" | "rows",
  ) => {
    if (!energy) {
      return [...(await sliceRows(own, ["all", "medial"], undefined)).members];
    }
    const array = fromTypedArray(Float32Array.from(energy));
    const median = await medianEnergy({ ...own, frames: array }, over!);
    const { members } = await sliceRows(own, ["all", "high_energy"], { array, median });
    return { median, members: [...members] };
  };

  it("are medial from 0.17 to 0.83 of an utterance, both ends among them", async () => {
    // frames 17 and 83 of 100 are there exactly
    const own = { utterances: [utterance(0, 100)], firstTarget: 1 };
    const members = await membersOf(own) as number[];
    const medial = members.flatMap((member, row) => member ? [row + 1] : []);
    expect(medial).toEqual(Array.from({ length: 67 }, (_, i) => 17 + i));
    // and of 10 and 200, in an utterance that does not begin the array
    const others = { utterances: [utterance(0, 10), utterance(10, 210, "b")], firstTarget: 1 };
    const both = await membersOf(others) as number[];
    const [short, long] = [both.slice(0, 9), both.slice(9)];
    expect(short.flatMap((member, row) => member ? [row + 1] : [])).toEqual([2, 3, 4, 5, 6, 7, 8]);
    const taken = long.flatMap((member, row) => member ? [row + 1] : []);
    expect([taken[0], taken.at(-1), taken.length]).toEqual([34, 166, 133]);
  });

  it("have high energy above the median, and not at it", async () => {
    const energy = [9, 1, 2, 2, 2, 3, 1];
    const own = { utterances: [utterance(0, 7)], firstTarget: 1 };
    // of frames: 1 1 2 2 2 3 9; of rows: 1 1 2 2 2 3
    for (const over of ["frames", "rows"] as const) {
      expect(await membersOf(own, energy, over)).toEqual({
        median: 2,
        members: [0, 0, 0, 0, 1, 0],
      });
    }
    const flat = await membersOf(own, [5, 5, 5, 5, 5, 5, 5], "frames");
    expect(flat).toEqual({ median: 5, members: [0, 0, 0, 0, 0, 0] });
  });

  it("take the median over all frames, those that no row has among them, or over rows", async () => {
    const energy = [9, 8, 1, 2, 7, 6];
    const own = { utterances: [utterance(0, 4), utterance(4, 6, "b")], firstTarget: 2 };
    // the second utterance has no row, and its frames count
    expect(await membersOf(own, energy, "frames")).toEqual({ median: 6.5, members: [0, 0] });
    expect(await membersOf(own, energy, "rows")).toEqual({ median: 1.5, members: [0, 1] });
    // one of a single frame too
    const single = { utterances: [utterance(0, 4), utterance(4, 5, "b")], firstTarget: 2 };
    expect(await membersOf(single, energy.slice(0, 5), "frames")).toMatchObject({ median: 7 });
    await expect(membersOf(own, [9, 8, 1, 2, 7, NaN], "frames")).rejects.toThrow(
      'Cannot slice "b": the energy of frame 1 is NaN',
    );
    await expect(membersOf(own, [Infinity, 8, 1, 2, 7, 6], "frames")).rejects.toThrow(
      'Cannot slice "a": the energy of frame 0 is Infinity',
    );
  });
});

describe("ClusterMoments", () => {
  it("finds the ratio of a mixture of known variances", () => {
    const [count, clusters, dims] = [40_000, 8, 3];
    const random = new Random(5);
    // centres of variance 1 exactly about 0, rows of variance 0.25 about them
    const centers = [1, -1].flatMap((x) => [1, -1].flatMap((y) => [1, -1].map((z) => [x, y, z])));
    const moments = new ClusterMoments(clusters, dims);
    const shuffled = new ClusterMoments(clusters, dims);
    for (let i = 0; i < count; i++) {
      const cluster = i % clusters;
      const row = Float64Array.from(centers[cluster]!, (center) => center + 0.5 * random.normal());
      moments.add(cluster, row);
      shuffled.add(random.integer(clusters), row);
    }
    const { ratio, reductionNats } = moments.statistics();
    // 120,000 squares: their mean is off by sqrt(2 / 120,000), 0.4 %, one time in three
    expect(Math.abs(ratio - 0.25 / 1.25)).toBeLessThan(5 * 0.004 * 0.2);
    expect(Math.abs(reductionNats - 3 * Math.log(1.25 / 0.25) / 2)).toBeLessThan(0.03);
    // ids that say nothing: 21 of 120,000 degrees of freedom, give or take sqrt(2 x 21)
    const drawn = shuffled.statistics();
    expect(drawn.expectedRatio).toBe(1 - 7 / 39_999);
    expect(Math.abs(drawn.ratio - drawn.expectedRatio)).toBeLessThan(5 * Math.sqrt(42) / 120_000);
  });

  it("is 1 - (k - 1) / (N - 1) on average for permuted ids", () => {
    const [count, clusters] = [30, 6];
    const random = new Random(8);
    const values = Array.from({ length: count }, () => Float64Array.of(random.normal() + 3));
    const ids = Int32Array.from({ length: count }, (_, i) => i % clusters);
    let sum = 0;
    const draws = 4000;
    for (let seed = 0; seed < draws; seed++) {
      const moments = new ClusterMoments(clusters, 1);
      const permuted = new Pcg64(seed).shuffle(ids.slice());
      values.forEach((value, i) => moments.add(permuted[i]!, value));
      sum += moments.statistics().ratio;
    }
    // a beta distribution of deviation 0.095
    expect(Math.abs(sum / draws - (1 - 5 / 29))).toBeLessThan(5 * 0.095 / Math.sqrt(draws));
  });

  it("is 0 or infinite where nothing varies, and NaN of nothing", () => {
    const flat = new ClusterMoments(2, 2);
    for (let i = 0; i < 10; i++) flat.add(i % 2, Float64Array.of(0.1, 0.7));
    expect(flat.statistics().ratio).toBe(0);
    const apart = new ClusterMoments(2, 1);
    for (let i = 0; i < 10; i++) apart.add(i % 2, Float64Array.of(i % 2 + 0.1));
    expect(apart.statistics().ratio).toBe(0);
    expect(new ClusterMoments(2, 1).statistics().ratio).toBeNaN();
    apart.clear();
    expect(apart.statistics()).toEqual(new ClusterMoments(2, 1).statistics());
  });
});

describe("quartiles", () => {
  it("are numpy's percentiles of a sort, and ids count them in base 4", () => {
    const random = new Random(2);
    const [count, dims] = [101, 3];
    const scores = Float32Array.from(
      { length: count * dims },
      () => Math.round(8 * random.normal()),
    );
    const edges = quartileEdges(scores, dims);
    const ids = quartileIds(scores, edges);
    for (let d = 0; d < dims; d++) {
      const column = [...scores].filter((_, i) => i % dims === d).sort((a, b) => a - b);
      // 101 values: quartiles are the 25th, 50th and 75th of them, counted from 0
      expect([...edges.slice(3 * d, 3 * d + 3)]).toEqual([25, 50, 75].map((i) => column[i]));
    }
    ids.forEach((id, row) => {
      let wanted = 0;
      for (let d = 0; d < dims; d++) {
        const score = scores[row * dims + d]!;
        const bin = [0, 1, 2].filter((i) => score >= edges[3 * d + i]!).length;
        wanted += bin * 4 ** d;
      }
      expect(id).toBe(wanted);
    });
    expect(() => quartileEdges(new Float32Array(4), 3)).toThrow("got 4 scores in 3 dimensions");
  });
});

describe("splitSpeakers()", () => {
  const of = (speakers: (string | number)[], each = 1) =>
    speakers.flatMap((speaker, i) =>
      Array.from({ length: each }, (_, j) => ({
        id: `${speaker}-${j}`,
        speaker: String(speaker),
        start: each * i + j,
        end: each * i + j + 1,
      }))
    );
  const speakersOf = (own: readonly { speaker: string }[]) => [
    ...new Set(own.map(({ speaker }) => speaker)),
  ];

  it("shuffles whole numbers in their order as Python does", () => {
    // random.Random(42) shuffles range(10) to 7 3 2 8 5 6 9 4 0 1
    const ids = Array.from({ length: 10 }, (_, i) => i === 9 ? 100 : 9 + i);
    const options = { seed: 42, trainShare: 0.8, holdout: 0 };
    const evaluation = (more: object, own = ids as (string | number)[]) =>
      speakersOf(splitSpeakers(of(own), { ...options, ...more }).eval).sort();
    expect(evaluation({})).toEqual(["10", "9"]);
    expect(evaluation({ kinds: { speaker: "number" } }, ids.slice().reverse())).toEqual([
      "10",
      "9",
    ]);
    // as texts they are in another order: 10 100 11 … 9
    expect(evaluation({ kinds: { speaker: "text" } })).toEqual(["10", "100"]);
    expect(evaluation({}, [...ids.slice(0, 9), "x"])).toEqual(["10", "11"]);
    // and so they are by numpy's rule: default_rng(42).permutation(10) ends with 1 8
    expect(evaluation({ shuffle: "numpy" })).toEqual(["100", "17"]);
  });

  it("sorts texts by code points as Python does", () => {
    // sorted(["\ue000", "\U0001f600", "z"]) there; UTF-16 would put the second first
    const names = ["\ue000", "\u{1f600}", "z"];
    const options = { seed: 3, trainShare: 0.4, holdout: 0 };
    // random.Random(3).shuffle gives 1 2 0 of three
    expect(speakersOf(splitSpeakers(of(names), options).train)).toEqual(["\ue000"]);
  });

  it("holds out the first of the sorted train utterances, shuffled as Python does", () => {
    // of 2-0 … 2-9, sorted: Random(42) puts 7 and 3 first
    const utterances = of([2], 10).reverse().concat(of([5], 3));
    const named = { seed: 42, trainShare: 0.5, speakers: { train: [2], eval: [5] } };
    const { holdout, train } = splitSpeakers(utterances, { ...named, holdout: 0.2 });
    expect(holdout.map(({ id }) => id)).toEqual(["2-7", "2-3"]);
    expect(train.length).toBe(8);
    const given = splitSpeakers(utterances, { ...named, holdout: ["2-4", "2-0"] });
    expect(given.holdout.map(({ id }) => id)).toEqual(["2-4", "2-0"]);
    expect(given.train.map(({ id }) => id)).not.toContain("2-4");
    expect(() => splitSpeakers(utterances, { ...named, holdout: ["5-0"] }))
      .toThrow('there is no train utterance "5-0" to hold out');
  });

  it("permutes sorted speakers as numpy does, and holds out train utterances", () => {
    const names = ["e", "b", "d", "a", "c"];
    const utterances = names.flatMap((speaker, i) =>
      [0, 1, 2, 3].map((j) => ({
        id: `${speaker}${j}`,
        speaker,
        start: 4 * i + j,
        end: 4 * i + j + 1,
      }))
    );
    const options = { seed: 42, trainShare: 0.8, holdout: 0.1, shuffle: "numpy" as const };
    const { train, holdout, eval: evaluation } = splitSpeakers(utterances, options);
    // numpy.random.default_rng(42).permutation(5) is 4 2 3 1 0
    expect(new Set(evaluation.map(({ speaker }) => speaker))).toEqual(new Set(["a"]));
    expect(holdout.length).toBe(1);
    expect([...train, ...holdout, ...evaluation].map(({ id }) => id).sort())
      .toEqual(utterances.map(({ id }) => id).sort());
    expect(splitSpeakers(utterances, options)).toEqual({ train, holdout, eval: evaluation });
    const named = splitSpeakers(utterances, {
      ...options,
      holdout: 0,
      speakers: { train: ["a"], eval: ["e"] },
    });
    expect(named.train.map(({ id }) => id)).toEqual(["a0", "a1", "a2", "a3"]);
    expect(named.eval.length).toBe(4);
    expect(() => splitSpeakers(utterances.slice(0, 4), options)).toThrow(
      "of 1 speakers 0 are train and 1 eval, wanted at least one of each",
    );
    expect(() => splitSpeakers(utterances, { ...options, speakers: { train: ["f"], eval: ["a"] } }))
      .toThrow('there is no utterance of "f"');
  });
});

describe("decide()", () => {
  const split = (ratio: number, medial = ratio, control = 0.99) =>
    ({
      slices: { all: { ratio }, medial: { ratio: medial } },
      control: { ratio: control },
    }) as unknown as Diagnosis;
  it("passes where all thresholds hold, and names what does not", () => {
    const failed = (train: Diagnosis, evaluation: Diagnosis) =>
      decide(train, evaluation).checks.filter(({ passed }) => !passed).map(({ name }) => name);
    expect(decide(split(0.5), split(0.6)).passed).toBe(true);
    expect(failed(split(0.5), split(0.61))).toEqual(["eval ratio", "degradation"]);
    expect(failed(split(0.61), split(0.5))).toEqual(["train ratio"]);
    expect(failed(split(0.5, 0.66), split(0.5, 0.65))).toEqual(["train ratio, medial"]);
    expect(failed(split(0.5), split(0.5, 0.5, 0.94))).toEqual(["eval control from 1"]);
    expect(failed(split(0), split(0))).toEqual([]);
    expect(failed(split(0), split(0.1))).toEqual(["degradation"]);
    expect(failed(split(NaN), split(0.1))).toEqual([
      "train ratio",
      "degradation",
      "train ratio, medial",
    ]);
    expect(decide(split(0.9), split(0.9), { ratio: 1, slice: 1 }).passed).toBe(true);
  });
});
