import { describe, expect, it } from "vitest";
import * as metrics from "../../src/math/classification.ts";
import { seeded } from "../support/random.ts";
import { recordNumbers } from "../support/record.ts";
import { sharedDataMissing, sharedJson } from "../support/shared_data.ts";

interface Golden {
  y: number[];
  score: number[];
  auroc: number;
  average_precision: number;
  brier: number;
  optimal_threshold: [threshold: number, error: number];
  max_balanced_accuracy_threshold: [threshold: number, accuracy: number];
  bootstrap_auroc_seed0: [value: number, low: number, high: number];
  [name: string]: unknown;
}

interface Rates {
  bal: number;
  f1: number;
  fpr: number;
  fnr: number;
  werr: number;
  cc: { tn: number; fp: number; fn: number; tp: number };
}

const missing = sharedDataMissing();

/** Labels and scores of which many tie, some huge and some tiny. */
function tied(rows: number, seed: number): { labels: Uint8Array; scores: Float64Array } {
  const random = seeded(seed);
  const scales = [0, 1e-300, 1, 1e300, -1e300, -1, Infinity, -Infinity];
  const labels = Uint8Array.from({ length: rows }, () => Number(random() < 0.4));
  const scores = Float64Array.from(labels, (label) => {
    const scale = scales[Math.floor(random() * scales.length)]!;
    const level = Math.floor(random() * 3) + label;
    return level === 0 && !Number.isFinite(scale) ? 0 : scale * level;
  });
  return { labels, scores };
}

/** By definition: every pair of a positive and a negative. */
function pairs(labels: ArrayLike<number>, scores: ArrayLike<number>): number {
  let [right, all] = [0, 0];
  for (let i = 0; i < labels.length; i++) {
    for (let j = 0; j < labels.length; j++) {
      if (labels[i] !== 1 || labels[j] !== 0) continue;
      all++;
      right += scores[i]! > scores[j]! ? 1 : scores[i] === scores[j] ? 0.5 : 0;
    }
  }
  return right / all;
}

describe("metrics of two classes", () => {
  it("are those of scikit-learn", async (context) => {
    if (missing) context.skip(missing);
    const all = await sharedJson("golden/probes/metrics.json") as Record<string, Golden>;
    for (const [name, golden] of Object.entries(all)) {
      const { y, score } = golden;
      const near = (value: number | null | undefined, wanted: unknown) =>
        expect([name, value]).toEqual([name, expect.closeTo(wanted as number, 12)]);
      near(metrics.auroc(y, score), golden.auroc);
      near(metrics.averagePrecision(y, score), golden.average_precision);
      near(metrics.brier(y, score), golden.brier);
      for (const key of Object.keys(golden)) {
        const at = Number(key.slice(key.lastIndexOf("_") + 1));
        if (key.startsWith("partial_auroc_")) {
          near(metrics.partialAuroc(y, score, at)?.mcclish, golden[key]);
        } else if (key.startsWith("recall_at_fpr_")) {
          near(metrics.recallAtFpr(y, score, at), golden[key]);
        } else if (key.startsWith("at_")) {
          const { cc, ...rates } = golden[key] as Rates;
          near(metrics.balancedAccuracy(y, score, at), rates.bal);
          near(metrics.f1(y, score, at), rates.f1);
          near(metrics.fpr(y, score, at), rates.fpr);
          near(metrics.fnr(y, score, at), rates.fnr);
          near(metrics.weightedError(y, score, at), rates.werr);
          expect(metrics.confusion(y, score, at)).toEqual({
            truePositives: cc.tp,
            falsePositives: cc.fp,
            trueNegatives: cc.tn,
            falseNegatives: cc.fn,
          });
        }
      }
      const best = metrics.bestThreshold(y, score)!;
      near(best.weightedError, golden.optimal_threshold[1]);
      near(best.threshold, golden.optimal_threshold[0]);
      const balanced = metrics.bestBalancedThreshold(y, score)!;
      near(balanced.balancedAccuracy, golden.max_balanced_accuracy_threshold[1]);
      // another generator: more draws than theirs, so that the scatter is theirs alone
      const interval = metrics.bootstrap(y, score, metrics.auroc, { resamples: 4000 })!;
      const [value, low, high] = golden.bootstrap_auroc_seed0;
      near(interval.value, value);
      const apart = Math.max(Math.abs(interval.low - low), Math.abs(interval.high - high));
      expect([name, apart < 0.01]).toEqual([name, true]);
    }
  });

  it("rank as all pairs do, with ties, infinities, and scores of any size", () => {
    for (let seed = 0; seed < 20; seed++) {
      const { labels, scores } = tied(40 + seed, seed);
      expect(metrics.auroc(labels, scores)).toBeCloseTo(pairs(labels, scores), 14);
      expect(metrics.partialAuroc(labels, scores, 1)!.raw).toBeCloseTo(pairs(labels, scores), 13);
    }
  });

  it("take the part of the curve by its definition", () => {
    // (0, 1/2), (1/4, 1/2), (3/4, 1) by the tie of two negatives with a positive, (1, 1)
    const labels = [1, 0, 1, 0, 0, 0];
    const scores = [9, 8, 5, 5, 5, 1];
    const area = 0.25 * 0.5 + 0.25 * (0.5 + 0.75) / 2;
    expect(metrics.partialAuroc(labels, scores, 0.5)!.raw).toBeCloseTo(area, 15);
    expect(metrics.partialAuroc(labels, scores, 0.5)!.mcclish)
      .toBeCloseTo(0.5 * (1 + (area - 0.125) / 0.375), 15);
  });

  it("do not depend on the order of rows that tie", () => {
    const { labels, scores } = tied(60, 5);
    const turned = Array.from(labels.keys()).reverse();
    const again = [turned.map((i) => labels[i]!), turned.map((i) => scores[i]!)] as const;
    for (const metric of [metrics.auroc, metrics.averagePrecision, metrics.recallAtFpr] as const) {
      expect(metric(...again)).toBe(metric(labels, scores));
    }
  });

  it("take average precision by its definition", () => {
    // recalls 1/2 and 1 at precisions 1 and 2/4: of three rows that tie, one is positive
    expect(metrics.averagePrecision([1, 0, 1, 0, 0], [4, 2, 2, 2, 1])).toBe(0.75);
  });

  it("let through no negative more than a share allows, with shares that floats round", () => {
    for (const negatives of [20, 99, 100, 1000]) {
      for (let percent = 0; percent <= 100; percent++) {
        const labels = [...new Uint8Array(negatives), ...new Uint8Array(negatives).fill(1)];
        const scores = labels.map((_, i) => 2 * (i % negatives) + Math.floor(i / negatives));
        // positive k lies above negative k alone
        const passed = Math.min(negatives, Math.ceil(percent * negatives / 100 - 1e-9));
        const wanted = (passed === 0 ? 1 : Math.min(negatives, passed)) / negatives;
        const recall = metrics.recallAtFpr(labels, scores, percent / 100);
        expect([negatives, percent, recall]).toEqual([negatives, percent, wanted]);
      }
    }
    const labels = [...new Uint8Array(20), 1];
    expect(metrics.recallAtFpr(labels, labels.map((_, i) => i), 1e-7)).toBe(1);
  });

  it("rank logits that probabilities in f32 round to 1", () => {
    const labels = [0, 0, 1, 1];
    const logits = [18, 19, 20, 30];
    const rounded = logits.map((z) => Math.fround(metrics.sigmoid(z)));
    expect(metrics.auroc(labels, logits)).toBe(1);
    expect(metrics.auroc(labels, rounded)).toBeLessThan(1);
    expect([-800, 0, 800].map(metrics.sigmoid)).toEqual([0, 0.5, 1]);
  });

  it("put probabilities at edges into the bin above, and 1 into the last", () => {
    const probabilities = [0, 0.1, 0.3, 0.7, 0.29999999999999993, 1];
    const { bins, expectedError } = metrics.calibration([0, 0, 1, 1, 0, 1], probabilities);
    expect(bins.map(({ rows }) => rows)).toEqual([1, 1, 1, 1, 0, 0, 0, 1, 0, 1]);
    expect(bins[3]).toEqual({ from: 0.3, to: 0.4, rows: 1, meanProbability: 0.3, positives: 1 });
    expect(bins[4]).toMatchObject({ meanProbability: null, positives: null });
    expect(expectedError).toBeCloseTo((0.1 + 0.7 + 0.3 + 0.3) / 6, 15);
    expect(metrics.calibration([1, 0], [0.5, 0.5], 3).expectedError).toBe(0);
  });

  it("draw the same intervals for a seed in every runtime", async () => {
    const { labels, scores } = tied(50, 9);
    const interval = metrics.bootstrap(labels, scores, metrics.auroc, { resamples: 200, seed: 3 })!;
    expect(interval).toEqual(
      metrics.bootstrap(labels, scores, metrics.auroc, { resamples: 200, seed: 3 }),
    );
    expect(interval.low).toBeLessThan(interval.value);
    expect(interval.high).toBeGreaterThan(interval.value);
    const wide = metrics.bootstrap(labels, scores, metrics.auroc, { resamples: 200, seed: 4 });
    expect(wide).not.toEqual(interval);
    await recordNumbers("classification", [interval.value, interval.low, interval.high]);
  });

  it("leave out draws of one class, and say how many counted", () => {
    const interval = metrics.bootstrap([1, 0, 0], [3, 2, 1], metrics.auroc, { resamples: 100 })!;
    expect(interval).toMatchObject({ value: 1, low: 1, high: 1 });
    expect(interval.resamples).toBeGreaterThan(40);
    expect(interval.resamples).toBeLessThan(90);
  });

  it("are null where one class leaves them undefined", () => {
    for (const labels of [[1, 1], [0, 0]]) {
      const scores = [0.2, 0.7];
      for (
        const metric of [
          ...[metrics.auroc, metrics.partialAuroc, metrics.recallAtFpr, metrics.balancedAccuracy],
          ...[metrics.weightedError, metrics.bestThreshold, metrics.bestBalancedThreshold],
        ]
      ) {
        expect([metric.name, metric(labels, scores)]).toEqual([metric.name, null]);
      }
      expect(metrics.bootstrap(labels, scores, metrics.auroc)).toBe(null);
    }
    expect(metrics.averagePrecision([0, 0], [1, 2])).toBe(null);
    expect(metrics.fpr([1, 1], [1, 2])).toBe(null);
    expect(metrics.fnr([0, 0], [1, 2])).toBe(null);
    expect(metrics.f1([0, 0], [0, 0])).toBe(null);
    expect(metrics.f1([1, 0], [0, 0])).toBe(0);
  });

  it("refuse what is no score, no label, no probability, and nothing at all", () => {
    expect(() => metrics.auroc([], [])).toThrow("Cannot rate scores: there are none");
    expect(() => metrics.auroc([0, 1], [1])).toThrow("there are 1 of 2 labels");
    expect(() => metrics.auroc([0, 2], [1, 2])).toThrow("label 1 is 2, wanted 0 or 1");
    expect(() => metrics.auroc([0, NaN], [1, 2])).toThrow("label 1 is NaN");
    expect(() => metrics.auroc([0, 1], [1, NaN])).toThrow("score 1 is NaN, wanted numbers");
    expect(() => metrics.brier([0, 1], [0, 1.5])).toThrow("probability 1 is 1.5");
    expect(() => metrics.bestThreshold([0, 1], [-3, 2])).toThrow("probability 0 is -3");
    expect(() => metrics.recallAtFpr([0, 1], [1, 2], 2)).toThrow("maxFpr is 2");
    expect(() => metrics.partialAuroc([0, 1], [1, 2], 0)).toThrow("maxFpr is 0");
    expect(() => metrics.partialAuroc([0, 1], [1, 2], NaN)).toThrow("maxFpr is NaN");
    expect(() => metrics.confusion([0, 1], [1, 2], NaN)).toThrow("the threshold is NaN");
    expect(() => metrics.calibration([0, 1], [0, 1], 0)).toThrow("bins is 0");
    expect(metrics.auroc([false, true], [1, 2])).toBe(1);
  });
});
