import { describe, expect, it } from "vitest";
import type { ConditionReport } from "../../src/condition/condition.ts";
import { reportPage } from "../../src/condition/page.ts";
import { overlaps, textBoxes } from "../support/text_boxes.ts";
import { elementsOf, parseHtml, type XmlElement } from "../support/xml.ts";

type Result = ConditionReport["results"][number];
type Diagnosis = Result["train"];

const EVIL = `<b>"speaker" & co</b>`;

function statistics(ratio: number) {
  return {
    rows: 1234,
    clusters: 8,
    ratio,
    expectedRatio: 0.9876,
    entropy: 2,
    conditionalEntropy: 1.5,
    reductionNats: 0.4321,
    reduction: 0.2,
  };
}

function estimate(mean: number) {
  return { count: 7, mean, std: 0.1, low: mean - 0.05, high: mean + 0.05 };
}

function diagnosis(ratio: number, speakerRatios: number[]): Diagnosis {
  const numbers = {
    speakers: speakerRatios.map((own, i) => ({ speaker: `${EVIL} ${i}`, ...statistics(own) })),
    acrossSpeakers: {
      ratio: estimate(ratio),
      expectedRatio: 0.96,
      reductionNats: estimate(0.4),
      reduction: estimate(0.2),
      test: { t: 1, degrees: 6, p: 0.3 },
    },
  };
  return {
    rows: 1300,
    slices: { all: statistics(ratio), medial: statistics(ratio) },
    control: statistics(1.0123),
    speakerSlices: { medial: numbers },
    ...numbers,
  };
}

function reportOf(ratios: number[], names: string[], lags: number[]): ConditionReport {
  const [train, evaluation] = ratios as [number, number];
  return {
    passed: false,
    frames: 5000,
    features: 6,
    utterances: 40,
    skipped: { empty: 3, short: 2 },
    splits: {
      train: { speakers: 7, utterances: 30, rows: 1300 },
      eval: { speakers: 3, utterances: 10, rows: 400 },
    },
    settings: { thresholds: { ratio: 0.6 } },
    results: lags.flatMap((lag) =>
      names.map((condition) => ({
        lag,
        condition,
        passed: false,
        checks: [
          { name: "train ratio", value: train, limit: 0.6, passed: train <= 0.6 },
          { name: "eval ratio", value: evaluation, limit: 0.6, passed: evaluation <= 0.6 },
        ],
        train: diagnosis(train, ratios),
        eval: diagnosis(evaluation, ratios),
      } as unknown as Result))
    ),
  } as ConditionReport;
}

const all = (root: XmlElement, name: string) =>
  [...elementsOf(root)].filter((element) => element.name === name);
const textOf = (root: XmlElement) => [...elementsOf(root)].map(({ text }) => text).join("\n");

describe("the page of a conditioning report", () => {
  const root = parseHtml(reportPage(reportOf([0.5432, 0.7654, 0.61], ["mean_vq64"], [1, 2, 4])));

  it("says what was read, what was asked and what came out", () => {
    const text = textOf(root);
    expect(text).toContain(
      "5000 frames of 6 features in 40 utterances, less 3 without frames and 2 that are too short.",
    );
    expect(text).toContain("train ratio ≤\u00a00.6");
    expect(text).toContain("failed ✗");
    expect(text).toContain("0.5432 ✓");
    expect(text).toContain("0.7654 ✗");
    expect(text).toContain("1.0123");
    expect(text).toContain("0.4321");
    expect(text).toContain("0.7654 (0.7154 to 0.8154) of 7");
    // three lags of two splits of two slices and a control
    expect(text).toContain("18 rows, as in tables.csv");
  });

  it("draws a figure for each condition, and one for each of its lags", () => {
    expect(all(root, "svg").length).toBe(1 + 3);
    const [byLag, bySpeaker] = all(root, "svg") as [XmlElement, XmlElement];
    const texts = (svg: XmlElement) => all(svg, "text").map(({ text }) => text);
    expect(texts(byLag)).toEqual(expect.arrayContaining(
      ["threshold", "train", "eval", "permuted", "variance ratio", "lag, frames", "1", "2", "4"],
    ));
    expect(texts(bySpeaker)).toEqual(expect.arrayContaining(
      ["train", "eval", "mean", "95 % interval", "mean of ids without meaning", "train, 3"],
    ));
    // a dot for every speaker and one for each entry of the key
    expect(all(bySpeaker, "circle").length).toBe(2 * 3 + 2);
    expect(all(bySpeaker, "title").map(({ text }) => text)).toContain(
      `${EVIL} 0: 0.5432 of 1234 rows`,
    );
  });

  it("has no two texts of a figure on one another, whatever the names, lags and ratios", () => {
    const names = ["a", `${EVIL} ${"of a very long name ".repeat(8)}`];
    const lags = Array.from({ length: 24 }, (_, i) => i + 1);
    for (const ratios of [[0.5, 0.6], [0, 0], [NaN, NaN], [Infinity, 1], [17, 1e-9], [1e9, 2]]) {
      const page = parseHtml(reportPage(reportOf(ratios, names, lags)));
      for (const svg of all(page, "svg")) expect(overlaps(textBoxes(svg))).toEqual([]);
    }
  });
});
