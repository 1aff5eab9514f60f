import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import type { ClusterStatistics } from "../../src/condition/condition.ts";
import type { ConditionConfig, ConditionReport, Diagnosis } from "../../src/condition/condition.ts";
import { run } from "../../src/condition/condition.ts";
import type { Utterance } from "../../src/condition/rows.ts";
import { openStore } from "../../src/store/open_store.ts";
import fixture from "../fixtures/conditioning.json" with { type: "json" };
import { writeGroups } from "../support/corpus.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu();
const FOLDER = "memory:published_test";

afterAll(async () => {
  const store = await openStore(FOLDER, { mode: "write" });
  await store.deleteAll();
  await store.close();
});

function decode(text: string): Float32Array {
  return new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
}

const frames = decode(fixture.frames);
const energy = decode(fixture.energy);
const config = fixture.config as Partial<ConditionConfig>;

/** What was found there, of the same optimum: sums in another order differ in the last of their digits. */
const TOLERANCE = 1e-7;

function expectClose(got: number, wanted: number, what: string): void {
  expect(Math.abs(got - wanted), `${what}: ${got} and ${wanted}`)
    .toBeLessThan(TOLERANCE * Math.max(1, Math.abs(wanted)));
}

type Wanted = Record<
  "rows" | "clusters" | "ratio" | "entropy" | "conditionalEntropy" | "reduction",
  number
>;

function expectStatistics(got: ClusterStatistics, wanted: Wanted, what: string): void {
  expect([got.rows, got.clusters], what).toEqual([wanted.rows, wanted.clusters]);
  expectClose(got.ratio, wanted.ratio, `ratio of ${what}`);
  expectClose(got.entropy, wanted.entropy, `entropy of ${what}`);
  expectClose(got.conditionalEntropy, wanted.conditionalEntropy, `conditional entropy of ${what}`);
  // of all train rows the entropy is 0 but for the rounding of deviations to f32, and is divided by
  if (Math.abs(wanted.entropy) < 1e-3) return;
  expectClose(got.reduction, wanted.reduction, `reduction of ${what}`);
}

function expectDiagnosis(got: Diagnosis, wanted: typeof fixture.results[0]["eval"], what: string) {
  expect(Object.keys(got.slices)).toEqual(Object.keys(wanted.slices));
  for (const [slice, { speakers, ...own }] of Object.entries(wanted.slices)) {
    const name = `${what} ${slice}`;
    expectStatistics(got.slices[slice]!, own, name);
    const numbers = slice === "all" ? got : got.speakerSlices[slice]!;
    expect(numbers.speakers.map(({ speaker }) => speaker).sort())
      .toEqual(Object.keys(speakers).sort());
    for (const statistics of numbers.speakers) {
      const { speaker } = statistics;
      expectStatistics(
        statistics,
        (speakers as Record<string, Wanted>)[speaker]!,
        `${name} ${speaker}`,
      );
    }
    const { ratio } = numbers.acrossSpeakers;
    expectClose(ratio.mean, own.speakerMean, `mean of ${name}`);
    expectClose(ratio.low, own.speakerLow, `lower end of ${name}`);
    expectClose(ratio.high, own.speakerHigh, `upper end of ${name}`);
  }
  expectClose(got.control.ratio, wanted.control, `control of ${what}`);
}

function expectPublished({ results, splits, skipped }: ConditionReport): void {
  expect(skipped).toEqual({ empty: 0, short: fixture.short });
  expect([splits.train!.speakers, splits.eval!.speakers])
    .toEqual([fixture.train.length, fixture.eval.length]);
  expect(results.length).toBe(fixture.results.length);
  for (const [i, { lag, condition, effective, train, eval: other }] of fixture.results.entries()) {
    const got = results[i]!;
    const name = `${condition} at lag ${lag}`;
    expect([got.condition, got.lag, got.effectiveClusters], name).toEqual([
      condition,
      lag,
      effective,
    ]);
    // the types of both splits differ by the speakers in them
    expectDiagnosis(got.train, train as unknown as typeof other, `${name}, train`);
    expectDiagnosis(got.eval, other, `${name}, eval`);
  }
}

async function readSplits(out: string) {
  const store = await openStore(out);
  const splits = JSON.parse(new TextDecoder().decode(await store.get("/splits.json")));
  await store.close();
  return splits;
}

describe("the published analysis", () => {
  const out = `${FOLDER}/out`;
  const latents = `${FOLDER}/latents`;
  let report: ConditionReport;

  beforeAll(async () => {
    let end = 0;
    const utterances: Utterance[] = fixture.index.map(({ utterance_id, speaker_id, n_frames }) => {
      const start = end;
      end += n_frames;
      return { id: utterance_id, speaker: String(speaker_id), start, end };
    });
    const corpus = { frames, energy, features: fixture.features, utterances };
    await writeGroups(corpus, latents, 2, { speakerId: Number });
    const store = await openStore(FOLDER, { mode: "write" });
    const index = new TextEncoder().encode(JSON.stringify(fixture.index));
    await store.set("/index.json", index);
    await store.close();
    report = await run(gpu(), {
      ...config,
      input: {
        frames: fromTypedArray(frames, [energy.length, fixture.features]),
        energy: fromTypedArray(energy),
        index: `${FOLDER}/index.json`,
      },
      out,
    });
  });

  it("is done again, to seven digits, by what is not given", async () => {
    expectPublished(report);
    const { train_speakers, eval_speakers } = await readSplits(out);
    const ascending = (ids: number[]) => ids.slice().sort((a, b) => a - b);
    expect(ascending(train_speakers)).toEqual(fixture.train);
    expect(ascending(eval_speakers)).toEqual(fixture.eval);
  });

  it("is the same of groups, with speakers that are named, whatever shuffles", async () => {
    const { train_speakers, eval_speakers } = await readSplits(out);
    const other = await run(gpu(), {
      ...config,
      input: { latents, index: `${FOLDER}/index.json` },
      speakers: { train: train_speakers, eval: eval_speakers },
      shuffle: "numpy",
      out: `${FOLDER}/groups`,
    });
    expectPublished(other);
  });

  it("has other slices of high energy by the median of rows", async () => {
    const other = await run(gpu(), {
      ...config,
      lags: [2],
      conditions: config.conditions!.slice(0, 1),
      input: { latents },
      energyMedian: "rows",
      out: `${FOLDER}/rows`,
    });
    const wanted = fixture.results[3]!.train.slices;
    const { train } = other.results[0]!;
    expect(train.slices.medial!.rows).toBe(wanted.medial.rows);
    expect(train.slices.high_energy!.rows).not.toBe(wanted.high_energy.rows);
  });
});
