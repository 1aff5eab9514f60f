import { describe, expect, it } from "vitest";
import { balanced } from "../../src/feed/samplers.ts";
import { splitCounts } from "../../src/windows/split.ts";
import { windows } from "../../src/windows/windows.ts";
import { seeded } from "../support/random.ts";
import { cases } from "../support/tier.ts";
import { framesOf, someFrames } from "../support/window_frames.ts";

const sum = (list: readonly number[]) => list.reduce((total, own) => total + own, 0);
const taken = (counts: readonly number[], chosen: readonly boolean[]) =>
  sum(counts.filter((_, i) => chosen[i]));

/** How near any choice comes that leaves windows in both parts. */
function nearest(counts: readonly number[], wanted: number): number {
  let best = Infinity;
  for (let choice = 0; choice < 2 ** counts.length; choice++) {
    const first = sum(counts.filter((_, i) => (choice >> i) & 1));
    if (first > 0 && first < sum(counts)) best = Math.min(best, Math.abs(first - wanted));
  }
  return best;
}

describe("a split by a ratio", () => {
  it("comes as near to it as whole segments allow, whatever the seed", () => {
    for (let seed = 0; seed < 20; seed++) {
      expect(splitCounts([900, 100], 0.9, seed)).toEqual([true, false]);
      expect(splitCounts([900, 100], 0.1, seed)).toEqual([false, true]);
      const ones = [...Array.from({ length: 100 }, () => 1), 900];
      expect(taken(ones, splitCounts(ones, 0.9, seed))).toBe(900);
    }
    const random = seeded(3);
    for (let round = 0; round < cases(150, 1500); round++) {
      const counts = Array.from(
        { length: 2 + Math.floor(random() * 9) },
        () => Math.floor(random() ** 3 * 150),
      );
      if (counts.filter((count) => count > 0).length < 2) continue;
      const ratio = 0.02 + 0.96 * random();
      const wanted = ratio * sum(counts);
      const first = taken(counts, splitCounts(counts, ratio, round));
      expect(first).toBeGreaterThan(0);
      expect(first).toBeLessThan(sum(counts));
      expect(Math.abs(first - wanted), `${counts} at ${ratio}`)
        .toBeCloseTo(nearest(counts, wanted), 9);
    }
  });

  it("of thousands of segments misses by less than 1 in 2,000 windows, another way each seed", () => {
    const random = seeded(8);
    const counts = Array.from({ length: 4465 }, () => Math.floor(9000 * (1 + random()) ** 2));
    const choices = [1, 2, 3].map((seed) => splitCounts(counts, 0.9, seed));
    for (const chosen of choices) {
      expect(Math.abs(taken(counts, chosen) / sum(counts) - 0.9)).toBeLessThan(1 / 2000);
    }
    expect(new Set(choices.map(String)).size).toBe(3);
    expect(splitCounts(counts, 0.9, 2)).toEqual(choices[1]);
  });

  it("takes every segment as often over the seeds, where all are alike", () => {
    const times = new Float64Array(12);
    for (let seed = 0; seed < 600; seed++) {
      splitCounts(Array.from({ length: 12 }, () => 7), 0.75, seed)
        .forEach((isFirst, i) => times[i]! += Number(isFirst));
    }
    for (const own of times) {
      expect(Math.abs(own - 450)).toBeLessThan(4.2 * Math.sqrt(600 * 0.1875));
    }
  });
});

describe("windows of episodes", () => {
  const base = framesOf(someFrames(100, 2), 2);
  const view = windows(base, { size: 4, segments: [0, 30, 32, 60] });

  it("say what share a split has, and have each frame in one part", () => {
    const parts = view.split(0.6, 1);
    expect(parts.ratio).toBe(parts[0].shape[0]! / view.shape[0]!);
    expect(parts[0].shape[0]! + parts[1].shape[0]!).toBe(view.shape[0]);
    const starts = parts.map((part) => new Set(part.starts()));
    for (const start of starts[0]!) expect(starts[1]!.has(start)).toBe(false);
  });

  it("are split and chosen by lists and masks", () => {
    for (const list of [[0, 3], Uint8Array.of(3, 0), [true, false, false, true]]) {
      const [train, held] = view.split(list);
      expect(train.segments).toEqual([{ start: 0, end: 30 }, { start: 60, end: 100 }]);
      expect(held.segments).toEqual([{ start: 32, end: 60 }]);
      expect(view.select(list).starts()).toEqual(train.starts());
    }
    expect(() => view.select([4])).toThrow("Cannot choose segment 4: there are 4, numbered from 0");
    expect(() => view.select([1, 1])).toThrow(/segment 1 twice/);
    expect(() => view.select([true])).toThrow(/got 1 of true or false, there are 4 segments/);
    for (const none of [[], [false, false, false, false]]) {
      expect(() => view.select(none)).toThrow(
        "Cannot choose segments: none is named, wanted at least one",
      );
    }
    expect(() => view.split([1])).toThrow(/the first part would have none/);
    expect(() => view.split([0, 2, 3])).toThrow(/the second part would have none/);
  });

  it("come equally often from each episode, where a sampler is told which they are of", () => {
    const numbers = view.segmentNumbers();
    expect([...numbers]).toEqual(
      Array.from({ length: view.shape[0]! }, (_, window) => view.segmentOf(window)),
    );
    const times = new Float64Array(4);
    for (const window of balanced(numbers, { count: 300 }).draw(view.shape[0]!, 0)) {
      times[view.segmentOf(window)]!++;
    }
    expect([...times]).toEqual([100, 0, 100, 100]);
  });
});
