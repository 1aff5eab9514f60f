import { describe, expect, it } from "vitest";
import type { Settings } from "../../src/cpa/schedule.ts";
import { Schedule } from "../../src/cpa/schedule.ts";

const SETTINGS: Settings = {
  ...{ batchSize: 8, seed: 4, adversarySteps: 3, adversaryWeight: 10, adversaryWarmup: 4 },
  ...{ pretraining: 2, mixupAlpha: 0.2, mixupWarmup: 0, decayEpochs: 3, decayFactor: 0.5 },
  ...{ divergenceWeight: 1, divergenceWarmup: 0, compat: false },
};

const cells = Uint32Array.from({ length: 57 }, (_, i) => 100 + 3 * i);

function turns(settings: Partial<Settings>, epochs: number) {
  const schedule = new Schedule(cells, { ...SETTINGS, ...settings });
  return Array.from(
    { length: epochs },
    (_, epoch) => Array.from({ length: schedule.batches }, (_, batch) => schedule.at(epoch, batch)),
  );
}

describe("the schedule of a training", () => {
  it("goes through every cell once an epoch, in another order, in batches as even as can be", () => {
    const all = turns({}, 3);
    for (const epoch of all) {
      expect(epoch.flatMap((turn) => [...turn.cells]).sort((a, b) => a - b)).toEqual([...cells]);
      const sizes = epoch.map((turn) => turn.cells.length);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      for (const { cells: own, partners } of epoch) {
        expect([...partners].sort((a, b) => a - b)).toEqual([...own.keys()]);
      }
    }
    expect(all[0]![0]!.cells).not.toEqual(all[1]![0]!.cells);
    // 17 cells by 16 would leave one
    const sizes = new Schedule(cells.subarray(0, 17), { ...SETTINGS, batchSize: 16 });
    expect([sizes.at(0, 0), sizes.at(0, 1)].map((turn) => turn.cells.length)).toEqual([8, 9]);
  });

  it("is the same wherever it begins", () => {
    const all = turns({}, 5);
    const schedule = new Schedule(cells, SETTINGS);
    expect(schedule.at(4, 2)).toEqual(all[4]![2]);
    expect(schedule.at(1, 5)).toEqual(all[1]![5]);
  });

  it("counts updates of both kinds without a gap", () => {
    for (const settings of [{}, { pretraining: 0 }, { adversarySteps: 0 }, { compat: true }]) {
      const seen = { autoencoder: 0, adversary: 0, step: 0 };
      for (const turn of turns(settings, 5).flat()) {
        expect(turn.step).toBe(++seen.step);
        for (const kind of ["autoencoder", "adversary"] as const) {
          if (turn[kind] > 0) expect(turn[kind]).toBe(++seen[kind]);
        }
        expect(turn.autoencoder + turn.adversary).toBeGreaterThan(0);
      }
    }
  });

  it("pretrains both apart, then couples them as slowly as the warm-up says", () => {
    const all = turns({}, 8);
    const both = (epoch: number) =>
      all[epoch]!.every(({ autoencoder, adversary }) => autoencoder > 0 && adversary > 0);
    expect([0, 1, 2].map(both)).toEqual([true, true, false]);
    expect(all.map(([turn]) => turn!.coupling)).toEqual([0, 0, 2.5, 5, 7.5, 10, 10, 10]);
    const alternating = all[2]!.map(({ autoencoder }) => autoencoder > 0);
    expect(alternating.map(Number)).toEqual([1, 0, 0, 1, 0, 0, 1, 0]);
    expect(turns({ compat: true }, 4).map(([turn]) => turn!.coupling)).toEqual([0, 0, 0, 2.5]);
  });

  it("lets rates decay, which the original does not within 2,025 epochs", () => {
    const scales = (settings: Partial<Settings>) =>
      turns(settings, 7).map(([turn]) => turn!.rateScale);
    expect(scales({})).toEqual([1, 1, 1, 0.5, 0.5, 0.5, 0.25]);
    expect(scales({ compat: true })).toEqual(Array(7).fill(1));
    expect(scales({ decayEpochs: 0 })).toEqual(Array(7).fill(1));
    const late = new Schedule(cells, { ...SETTINGS, compat: true });
    expect([2024, 2025].map((epoch) => late.at(epoch, 0).rateScale)).toEqual([1, 0.5]);
  });

  it("mixes by shares from a beta distribution, and not at all without alpha or before a warm-up", () => {
    const shares = turns({ mixupAlpha: 2, pretraining: 0 }, 60).flat().map(({ share }) => share);
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length;
    // of Beta(2, 2): 1/2 and 1/20, over 480 draws
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.04);
    expect(Math.abs(variance - 0.05)).toBeLessThan(0.01);
    expect(turns({ mixupAlpha: 0 }, 1)[0]!.every(({ share }) => share === 1)).toBe(true);
    const warmed = turns({ mixupWarmup: 2 }, 4).map((epoch) =>
      epoch.some(({ share }) => share < 1)
    );
    expect(warmed).toEqual([false, false, true, true]);
    const never = turns({ mixupWarmup: 2, compat: true }, 6).flat();
    expect(never.every(({ share }) => share === 1)).toBe(true);
  });
});
