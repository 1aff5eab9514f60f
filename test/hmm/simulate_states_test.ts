import { describe, expect, it } from "vitest";
import { simulateMarks, simulateReplay } from "../../src/hmm/decoder.ts";
import { recordNumbers } from "../support/record.ts";

describe("simulateReplay()", () => {
  const options = {
    seed: 3,
    encodedSeconds: 4,
    stretches: ["local", "noSpike", "continuous", "hover", "fragmented"],
    stretchRows: 40,
  } as const;

  it("repeats itself for a seed, in every runtime", async () => {
    const first = simulateReplay(options);
    expect(simulateReplay(options)).toEqual(first);
    expect(simulateReplay({ ...options, seed: 4 })).not.toEqual(first);
    await recordNumbers("simulated_replay", first.represented.subarray(120));
  });

  it("knows the state of every row, and what is represented in it", () => {
    const { position, start, stop, rowSeconds, states, represented } = simulateReplay(options);
    expect([start, rowSeconds]).toEqual([4, 0.01]);
    expect(stop).toBeCloseTo(6, 12);
    expect([...new Set(states)]).toEqual([0, 1, 2, 3]);
    expect(states.length).toBe(200);
    // it ran half the way, and rests
    expect([...new Set(represented.subarray(0, 40))]).toEqual([100]);
    expect(position.values.at(-1)).toBe(100);
    expect([...represented.subarray(40, 80)].every(Number.isNaN)).toBe(true);
    const steps = represented.map((place, row) => Math.abs(place - represented[row - 1]!));
    expect(Math.max(...steps.subarray(81, 120))).toBeLessThan(12);
    expect(new Set(represented.subarray(120, 160)).size).toBe(1);
    expect(Math.max(...steps.subarray(161, 200))).toBeGreaterThan(50);
    expect(represented.every((place) => !(place < 0 || place > 200))).toBe(true);
  });

  it("fires where fields are, in order, and not where nothing is told", () => {
    const { spikes, start } = simulateReplay(options);
    const { times, units } = spikes;
    expect(times.every((time, i) => i === 0 || time >= times[i - 1]!)).toBe(true);
    const during = (from: number, to: number) =>
      [...units].filter((_, i) => times[i]! >= start + from && times[i]! < start + to);
    expect(during(0.4, 0.8)).toEqual([]);
    // fields of cells 5 cm apart, around 100 cm; the others fire once in ten seconds
    const local = during(0, 0.4);
    expect(local.length).toBeGreaterThan(10);
    expect(local.filter((unit) => Math.abs(unit - 19.5) < 8).length / local.length).toBeGreaterThan(
      0.9,
    );
  });
});

describe("simulateMarks()", () => {
  it("gives every unit an electrode, and marks of its own on it", () => {
    const units = Uint32Array.from({ length: 1200 }, (_, i) => i % 12);
    const { electrodes, features } = simulateMarks(units, {
      seed: 1,
      electrodes: 3,
      features: 2,
      markStd: 5,
    });
    expect([...electrodes.subarray(0, 5)]).toEqual([0, 1, 2, 0, 1]);
    expect(features.length).toBe(2400);
    const centre = (unit: number) =>
      [0, 1].map((feature) => {
        const own = [...units.keys()].filter((i) => units[i] === unit);
        return Math.abs(Math.round(
          own.reduce((sum, i) => sum + features[2 * i + feature]!, 0) / own.length / 100,
        ));
      });
    // the four units of the first electrode
    expect([0, 3, 6, 9].map(centre)).toEqual([[0, 0], [1, 0], [0, 1], [1, 1]]);
    expect(simulateMarks(units, { seed: 1, electrodes: 3, features: 2, markStd: 5 }).features)
      .toEqual(features);
  });
});
