import { describe, expect, it } from "vitest";
import { simulateSession } from "../../src/hmm/simulate.ts";
import { recordNumbers } from "../support/record.ts";

describe("simulateSession()", () => {
  const options = { seed: 1, seconds: 30, units: 12, arena: [80, 60] } as const;

  it("repeats itself for a seed, in every runtime", async () => {
    const first = simulateSession(options);
    expect(simulateSession(options)).toEqual(first);
    expect(simulateSession({ ...options, seed: 2 })).not.toEqual(first);
    await recordNumbers("simulated_session", first.position.values.subarray(0, 500));
  });

  it("stays in its box, moves at changing speed, and fires where fields are", () => {
    const { position, spikes } = simulateSession(options);
    for (let i = 0; i < position.times.length; i++) {
      expect(position.values[2 * i]).toBeGreaterThanOrEqual(0);
      expect(position.values[2 * i]).toBeLessThanOrEqual(80);
      expect(position.values[2 * i + 1]).toBeGreaterThanOrEqual(0);
      expect(position.values[2 * i + 1]).toBeLessThanOrEqual(60);
    }
    expect(position.times.length).toBe(1801);
    expect(spikes.times.length).toBeGreaterThan(100);
    expect(spikes.times.every((time, i) => i === 0 || time >= spikes.times[i - 1]!)).toBe(true);
    expect(spikes.units.every((unit) => unit < 12)).toBe(true);
  });
});
