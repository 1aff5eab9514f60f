import { describe, expect, it } from "vitest";
import {
  balanced,
  everyNth,
  prioritized,
  rarityWeights,
  weighted,
} from "../../src/feed/samplers.ts";
import { recordNumbers } from "../support/record.ts";

const counts = (drawn: Uint32Array, windows: number) => {
  const seen = new Float64Array(windows);
  for (const window of drawn) seen[window]!++;
  return seen;
};

describe("everyNth", () => {
  it("takes every so many windows, all of them over the offsets", () => {
    expect([...everyNth(3).draw(8, 0)]).toEqual([0, 3, 6]);
    expect([...everyNth(3, 2).draw(8, 5)]).toEqual([2, 5]);
    const all = [0, 1, 2, 3].flatMap((offset) => [...everyNth(4, offset).draw(21, 0)]);
    expect(all.sort((a, b) => a - b)).toEqual(Array.from({ length: 21 }, (_, i) => i));
    expect(everyNth(4, 1).most(21)).toBe(5);
  });

  it("refuses a step of 0 and an offset beyond the step", () => {
    expect(() => everyNth(0)).toThrow(RangeError);
    expect(() => everyNth(3, 3)).toThrow(/every 3th window from 3/);
  });
});

describe("weighted", () => {
  const weights = [0, 1, 2, 0.25, 1.5, 3.75];

  it("takes trunc(w) copies, and one more as often as the fraction says", () => {
    const epochs = 4000;
    const sampler = weighted(weights, 9);
    const total = new Float64Array(weights.length);
    // thousands of calls of expect() would take longer than the draws
    let wrong = 0;
    for (let epoch = 0; epoch < epochs; epoch++) {
      const drawn = sampler.draw(weights.length, epoch);
      if (drawn.length > sampler.most(weights.length)) wrong++;
      if (drawn.some((window, i) => i > 0 && drawn[i - 1]! > window)) wrong++;
      counts(drawn, weights.length).forEach((count, window) => {
        const weight = weights[window]!;
        if (count !== Math.floor(weight) && count !== Math.ceil(weight)) wrong++;
        total[window]! += count;
      });
    }
    expect(wrong).toBe(0);
    // a binomial's spread is at most half the root of its draws; 4.2 of them
    weights.forEach((weight, window) => {
      expect(Math.abs(total[window]! - weight * epochs))
        .toBeLessThanOrEqual(4.2 * Math.sqrt(epochs) / 2);
    });
  });

  it("draws the same in every runtime, another time each epoch", async () => {
    const many = Float64Array.from({ length: 200 }, (_, i) => (i % 7) / 3);
    const drawn = [...weighted(many, 4).draw(200, 2)];
    expect(drawn).toEqual([...weighted(many, 4).draw(200, 2)]);
    expect(drawn).not.toEqual([...weighted(many, 4).draw(200, 3)]);
    expect(drawn).not.toEqual([...weighted(many, 5).draw(200, 2)]);
    await recordNumbers("window_samples", drawn);
  });

  it("refuses weights that are negative, not numbers, or of another count", () => {
    expect(() => weighted([1, -1])).toThrow(/window 1 has -1, wanted 0 or more/);
    expect(() => weighted([NaN])).toThrow(RangeError);
    expect(() => weighted([1, 2]).draw(3, 0)).toThrow(/got 2 weights, there are 3 windows/);
  });
});

describe("prioritized", () => {
  const priorities = [0, 1, 2.5, 0.25, 0, 6.25, 0];

  it("draws a fixed number, each window as often as its priority says, to within one", () => {
    const [count, epochs] = [30, 2000];
    const sampler = prioritized(priorities, { count, seed: 2 });
    const total = new Float64Array(priorities.length);
    let wrong = 0;
    for (let epoch = 0; epoch < epochs; epoch++) {
      const drawn = sampler.draw(priorities.length, epoch);
      if (drawn.length !== count) wrong++;
      if (drawn.some((window, i) => i > 0 && drawn[i - 1]! > window)) wrong++;
      counts(drawn, priorities.length).forEach((times, window) => {
        // a window ends within two of the parts that draw one each
        if (Math.abs(times - priorities[window]! * count / 10) > 2) wrong++;
        if (priorities[window] === 0 && times > 0) wrong++;
        total[window]! += times;
      });
    }
    expect(wrong).toBe(0);
    // at each end of a window there is one draw that may go either way
    priorities.forEach((priority, window) => {
      expect(Math.abs(total[window]! - priority * count / 10 * epochs))
        .toBeLessThanOrEqual(4.2 * Math.sqrt(epochs / 2));
    });
  });

  it("reads priorities anew each epoch, and draws the same of the same in every runtime", async () => {
    const own = Float32Array.from({ length: 100 }, (_, i) => i % 7);
    const sampler = prioritized(own, { count: 40 });
    const drawn = [...sampler.draw(100, 3)];
    expect([...sampler.draw(100, 3)]).toEqual(drawn);
    expect([...sampler.draw(100, 4)]).not.toEqual(drawn);
    own.fill(0, 0, 99);
    expect([...sampler.draw(100, 3)]).toEqual(Array.from({ length: 40 }, () => 99));
    await recordNumbers("window_priorities", drawn);
  });

  it("refuses priorities that are negative, no numbers, all 0 or of another count", () => {
    expect(() => prioritized([1, -1]).draw(2, 0)).toThrow(/window 1 has -1, wanted 0 or more/);
    expect(() => prioritized([1, NaN]).draw(2, 0)).toThrow(/window 1 has NaN/);
    expect(() => prioritized([0, 0]).draw(2, 0)).toThrow(/add up to 0/);
    expect(() => prioritized([1, Infinity]).draw(2, 0)).toThrow(/add up to Infinity/);
    expect(() => prioritized([1]).draw(2, 0)).toThrow(/got 1 priorities, there are 2 windows/);
    expect(() => prioritized([1], { count: 0 })).toThrow(/count is 0/);
  });

  it("draws what there is of the smallest priorities, which nothing lies below", () => {
    for (const tiny of [5e-324, 1e-310]) {
      expect([...prioritized([0, tiny, 0], { count: 9 }).draw(3, 0)]).toEqual(Array(9).fill(1));
    }
  });
});

describe("weights that change", () => {
  it("are read each epoch, and refused once they are wrong or more than was promised", () => {
    const weights = Float32Array.of(1, 2, 0);
    const sampler = weighted(weights);
    weights.set([0, 0, 3]);
    expect([...sampler.draw(3, 0)]).toEqual([2, 2, 2]);
    weights[0] = 1;
    expect(() => sampler.draw(3, 0)).toThrow(/weights were raised, windows up to 2 come 4 times/);
    weights[0] = NaN;
    expect(() => sampler.draw(3, 0)).toThrow(/window 0 has NaN/);
  });
});

describe("balanced", () => {
  // 90, 9 and 1 windows of three classes
  const classes = Array.from({ length: 100 }, (_, i) => i < 90 ? 5 : i < 99 ? 2 : 8);

  it("takes every class as often, and within it every window as often, to one", () => {
    for (const count of [100, 30, 301, 2]) {
      for (const epoch of [0, 1, 2]) {
        const drawn = balanced(classes, { count, seed: 3 }).draw(100, epoch);
        expect(drawn.length).toBe(count);
        const seen = counts(drawn, 100);
        const byClass = new Map<number, number[]>();
        seen.forEach((times, window) =>
          byClass.set(classes[window]!, [...byClass.get(classes[window]!) ?? [], times])
        );
        const totals = [...byClass.values()].map((own) => own.reduce((a, b) => a + b, 0));
        expect(Math.max(...totals) - Math.min(...totals)).toBeLessThanOrEqual(1);
        for (const own of byClass.values()) {
          expect(Math.max(...own) - Math.min(...own)).toBeLessThanOrEqual(1);
        }
      }
    }
  });

  it("gives what does not divide to another class each epoch, so that none has more in the end", () => {
    for (const [count, extra] of [[100, 1], [101, 2]] as const) {
      const sampler = balanced(classes, { count, seed: 3 });
      const more: number[][] = [];
      const totals = new Map([[2, 0], [5, 0], [8, 0]]);
      for (let epoch = 0; epoch < 3; epoch++) {
        const own = new Map([[2, 0], [5, 0], [8, 0]]);
        for (const window of sampler.draw(100, epoch)) {
          own.set(classes[window]!, own.get(classes[window]!)! + 1);
        }
        more.push([...own].filter(([, times]) => times === 34).map(([name]) => name));
        for (const [name, times] of own) totals.set(name, totals.get(name)! + times);
      }
      expect(more.map((names) => names.length)).toEqual([extra, extra, extra]);
      expect(new Set(more.map((names) => names.join())).size).toBe(3);
      expect([...totals.values()]).toEqual([count, count, count]);
    }
  });

  it("takes classes as often as their weights say, to within one, and right in the mean", () => {
    const classWeights = { 2: 1, 5: 0, 8: 2.5 };
    for (const count of [7, 100, 301]) {
      const sampler = balanced(classes, { count, seed: 3, classWeights });
      const totals = new Map([[2, 0], [5, 0], [8, 0]]);
      for (let epoch = 0; epoch < 400; epoch++) {
        const own = new Map([[2, 0], [5, 0], [8, 0]]);
        const drawn = sampler.draw(100, epoch);
        expect(drawn.length).toBe(count);
        for (const window of drawn) own.set(classes[window]!, own.get(classes[window]!)! + 1);
        for (const [name, times] of own) {
          const wanted = count * classWeights[name as 2] / 3.5;
          expect(Math.abs(times - wanted)).toBeLessThan(1);
          totals.set(name, totals.get(name)! + times);
        }
      }
      for (const [name, times] of totals) {
        const wanted = 400 * count * classWeights[name as 2] / 3.5;
        expect(Math.abs(times - wanted)).toBeLessThanOrEqual(4.2 * Math.sqrt(400) / 2);
      }
    }
    expect(() => balanced(classes, { classWeights: { 2: 1, 5: 1 } }))
      .toThrow(/the weight of class 8 is undefined, wanted 0 or more/);
    expect(() => balanced(classes, { classWeights: { 2: 0, 5: 0, 8: 0 } })).toThrow(/all weights/);
  });

  it("refuses counts and classes that are no numbers, by name", () => {
    for (const count of [NaN, -1, 1.5]) {
      expect(() => balanced(classes, { count })).toThrow(
        /Cannot balance classes: count is (NaN|-1|1.5), wanted a whole number from 0/,
      );
    }
    expect(() => balanced([1, NaN])).toThrow(/window 1 has the class NaN/);
  });

  it("chooses all parts of a class alike, whatever else is chosen with a window", async () => {
    // 2 of 6 windows of a class, 15 pairs
    const own = [0, 0, 1, 0, 0, 0, 0];
    const sampler = balanced(own, { count: 4, seed: 8 });
    const pairs = new Map<string, number>();
    for (let epoch = 0; epoch < 3000; epoch++) {
      const pair = [...sampler.draw(7, epoch)].filter((window) => window !== 2).join();
      pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
    }
    expect(pairs.size).toBe(15);
    // chi-square of 14 degrees is above 36 once in a thousand times
    const spread = [...pairs.values()].reduce((sum, times) => sum + (times - 200) ** 2 / 200, 0);
    expect(spread).toBeLessThan(36);
    await recordNumbers("window_balance", [...balanced(classes, { seed: 3 }).draw(100, 4)]);
  });

  it("takes other windows of a large class each epoch", () => {
    const sampler = balanced(classes);
    const seen = new Set<number>();
    for (let epoch = 0; epoch < 20; epoch++) {
      for (const window of sampler.draw(100, epoch)) seen.add(window);
    }
    // 33 of 90 each time: one is never seen with probability (57 / 90)^20
    expect(seen.size).toBe(100);
  });
});

describe("rarityWeights", () => {
  it("are the largest of min(sqrt(1 / rate), factor) over what is pressed", () => {
    // 4 frames, 3 buttons: rates 3/4, 1/4, 0
    const pressed = [1, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0];
    const weights = rarityWeights(pressed, { buttons: 3, factor: 1.5 });
    expect([...weights]).toEqual([Math.sqrt(4 / 3), 1.5, Math.sqrt(4 / 3), 1]);
    expect(rarityWeights(pressed, { buttons: 3, factor: 9 })[1]).toBe(2);
    // whichever of two buttons comes first: one is always pressed, the other once
    const [rare, always] = [[0, 1, 0, 0], [1, 1, 1, 1]];
    for (const buttons of [[rare, always], [always, rare]]) {
      const both = [0, 1, 2, 3].flatMap((frame) => buttons.map((own) => own[frame]!));
      expect([...rarityWeights(both, { buttons: 2, factor: 9 })]).toEqual([1, 2, 1, 1]);
    }
    expect(() => rarityWeights([1, 2], { buttons: 3, factor: 1 })).toThrow(/wanted 3 a frame/);
  });
});
