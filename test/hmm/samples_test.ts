import { describe, expect, it } from "vitest";
import { fromTypedArray, readAll } from "../../src/array/array.ts";
import type { LogLikelihoodSampleOptions, StateModel } from "../../src/hmm/decoder.ts";
import { logLikelihoods, sortedSpikes, stateModel } from "../../src/hmm/decoder.ts";
import type { Grid } from "../../src/hmm/grid.ts";
import { Journal } from "../../src/store/journal.ts";
import { logInitialOf, logTransitionOf } from "../reference/log_space.ts";
import { useGpu } from "../support/gpu.ts";
import { boxGrid, mixedStates } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { smallRecording } from "../support/recordings.ts";
import { contents } from "../support/small_decode.ts";
import { cases, quick } from "../support/tier.ts";

const gpu = useGpu();

let places = 0;
const place = () => `memory:samples-test-${places++}`;

interface Problem {
  states: StateModel;
  grid: Grid;
  logs: Float64Array;
}

const planOf = ({ states, grid, logs }: Problem, options: LogLikelihoodSampleOptions) => {
  const columns = states.names.length * grid.interiorIndex.length;
  return logLikelihoods({
    logLikelihoods: fromTypedArray(logs, [logs.length / columns, columns]),
    states,
    grid,
  }).samples(gpu(), options);
};

async function drawn(problem: Problem, options: LogLikelihoodSampleOptions): Promise<Int32Array> {
  const result = await planOf(problem, options).run();
  const values = await readAll(result.stateBins) as Int32Array;
  await result.close();
  return values;
}

const problemOf = (states: StateModel, grid: Grid, rows: number, seed: number): Problem => {
  const random = seeded(seed);
  const columns = states.names.length * grid.interiorIndex.length;
  return {
    states,
    grid,
    logs: Float64Array.from({ length: rows * columns }, () => -3 * random()),
  };
};

const walks = () =>
  problemOf(mixedStates(), boxGrid([4, 5], (x, y) => !(x === 2 && y === 2)), 60, 3);

describe("samples()", () => {
  it("draws every path as often as enumeration of all paths has it", async () => {
    const states = stateModel({
      names: ["near", "anywhere"],
      initial: [0.75, 0.25],
      discreteTransition: [[0.75, 0.25], [0.5, 0.5]],
      transitions: [[{ kind: "randomWalk", movementVar: 0.5 }, { kind: "uniform" }], [
        { kind: "identity" },
        { kind: "uniform" },
      ]],
    });
    const problem = problemOf(states, boxGrid([2]), 4, 9);
    const [initial, matrix] = [
      logInitialOf(problem.grid, states),
      logTransitionOf(problem.grid, states),
    ];
    const weights = Array.from({ length: 4 ** 4 }, (_, code) => {
      const path = [0, 1, 2, 3].map((row) => Math.floor(code / 4 ** row) % 4);
      return Math.exp(path.reduce(
        (sum, bin, row) =>
          sum + problem.logs[4 * row + bin]! +
          (row === 0 ? initial[bin]! : matrix[4 * path[row - 1]! + bin]!),
        0,
      ));
    });
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const samples = cases(2000, 8000);
    for (const operator of quick ? ["auto" as const] : ["convolution", "sparse"] as const) {
      const bins = await drawn(problem, { samples, seed: 5, operator });
      const counts = new Float64Array(weights.length);
      for (let sample = 0; sample < samples; sample++) {
        counts[
          [0, 1, 2, 3].reduce((code, row) => code + bins[row * samples + sample]! * 4 ** row, 0)
        ]!++;
      }
      let [chiSquare, degrees, rare, rareCount] = [0, -1, 0, 0];
      weights.forEach((weight, code) => {
        const expected = samples * weight / total;
        if (weight === 0) expect(counts[code]).toBe(0);
        else if (expected < 5) [rare, rareCount] = [rare + expected, rareCount + counts[code]!];
        else {[chiSquare, degrees] = [
            chiSquare + (counts[code]! - expected) ** 2 / expected,
            degrees + 1,
          ];}
      });
      if (rare > 0) chiSquare += (rareCount - rare) ** 2 / rare;
      // five standard deviations
      expect(chiSquare).toBeLessThan(degrees + 1 + 5 * Math.sqrt(2 * (degrees + 1)));
    }
  });

  it("draws the same paths in tiles of any number of rows, and others by another seed", async () => {
    const problem = walks();
    const whole = await drawn(problem, { samples: 7, seed: 1 });
    for (const tileRows of quick ? [9] : [60, 9, 1]) {
      expect(await drawn(problem, { samples: 7, seed: 1, tileRows })).toEqual(whole);
    }
    expect(await drawn(problem, { samples: 7, seed: 2 })).not.toEqual(whole);
    // a path does not depend on how many others there are
    const fewer = await drawn(problem, { samples: 3, seed: 1 });
    expect(Array.from({ length: 60 }, (_, row) => fewer[3 * row + 2]))
      .toEqual(Array.from({ length: 60 }, (_, row) => whole[7 * row + 2]));
  });

  it("goes on where it was interrupted, and stores the same bytes", async () => {
    const problem = walks();
    const options = { samples: 5, seed: 4 };
    const whole = place();
    await (await planOf(problem, { ...options, out: whole }).run()).close();
    const { append } = Journal.prototype;
    for (const [pass, row] of [["filter", 20], ["sample", 40], ["sample", 10]] as const) {
      const out = place();
      const cancel = new AbortController();
      Journal.prototype.append = async function (entry) {
        await append.call(this, entry);
        const line = entry as { pass: string; row: number };
        if (line.pass === pass && line.row === row) cancel.abort(new Error("interrupted"));
      };
      try {
        await expect(
          planOf(problem, { ...options, out, tileRows: 10 }).run({ signal: cancel.signal }),
        ).rejects.toThrow("interrupted");
      } finally {
        Journal.prototype.append = append;
      }
      const result = await planOf(problem, { ...options, out, tileRows: 7 }).run();
      expect(result.resumed?.pass).toBe(pass);
      expect(await contents(out)).toEqual(await contents(whole));
      await result.close();
    }
  });

  it("follows a recording, and holds no more memory than it promised", async () => {
    const recording = smallRecording({ seconds: 6, units: 20 });
    const decoder = sortedSpikes({ ...recording, binSize: 4, positionStd: 3 });
    const time = { step: 0.02 };
    const result = await decoder.samples(gpu(), { samples: 50, time }).run();
    const bins = await readAll(result.stateBins) as Int32Array;
    const decoded = await decoder.smooth(gpu(), { time, out: place() }).run();
    expect(result.marginalLogLikelihood).toBe(decoded.marginalLogLikelihood);
    const posterior = await readAll(decoded.posterior) as Float32Array;
    const [rows, width] = decoded.posterior.shape as [number, number];
    // how often a bin is drawn, over all rows, is how likely it is
    const expected = new Float64Array(width);
    posterior.forEach((value, i) => expected[i % width]! += value / rows);
    const counts = new Float64Array(width);
    bins.forEach((bin) => counts[bin]! += 1 / bins.length);
    counts.forEach((share, bin) => expect(Math.abs(share - expected[bin]!)).toBeLessThan(0.05));
    expect(result.peakBytes.gpu).toBeLessThanOrEqual(result.projectedBytes.gpu);
    expect(result.peakBytes.host).toBeLessThanOrEqual(result.projectedBytes.host);
    await decoded.close();
    await result.close();
    expect(() => decoder.samples(gpu(), { samples: 0 })).toThrow(/samples is 0/);
  });
});
