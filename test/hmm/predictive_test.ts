/** What the filter expects of rows before it has seen them. */

import { describe, expect, it } from "vitest";
import { fromTypedArray, readAll } from "../../src/array/array.ts";
import type { DecodeResult, LogLikelihoodDecodeOptions } from "../../src/hmm/decoder.ts";
import { logLikelihoods } from "../../src/hmm/decoder.ts";
import { hmmFilter } from "../reference/hmm_filter.ts";
import { referenceTransition } from "../reference/transition.ts";
import { useGpu } from "../support/gpu.ts";
import {
  boxGrid,
  largestDifference,
  mixedStates,
  randomLogLikelihoods,
} from "../support/hmm_problem.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu();

let places = 0;
const place = () => `memory:predictive-test-${places++}`;

async function read({ predictive, summaries, ...result }: DecodeResult) {
  const values = {
    posterior: await readAll(predictive!.posterior).catch(() => undefined) as
      | Float32Array
      | undefined,
    states: await readAll(predictive!.states) as Float32Array,
    entropy: summaries.predictive_entropy && await readAll(summaries.predictive_entropy),
  };
  await result.close();
  return values;
}

const grid = boxGrid([6, 7], (x, y) => !(x === 2 && y > 2));
const ROWS = 40;

/** Three states of every kind of transition, in a box with a wall. */
function boxDecode(options: Partial<LogLikelihoodDecodeOptions>, rows = ROWS) {
  const states = mixedStates();
  const bins = grid.interiorIndex.length;
  const logs = randomLogLikelihoods(rows, bins, 4);
  const plan = logLikelihoods({ logLikelihoods: fromTypedArray(logs, [rows, bins]), states, grid })
    .smooth(gpu(), { out: place(), predictive: true, ...options });
  const wanted = () => {
    const twin = hmmFilter({
      initial: Float64Array.from(
        { length: 3 * bins },
        (_, i) => states.initial[Math.floor(i / bins)]! / bins,
      ),
      transition: referenceTransition(grid, states),
      logLikelihoods: Float64Array.from(
        { length: rows * 3 * bins },
        (_, i) => logs[Math.floor(i / (3 * bins)) * bins + i % bins]!,
      ),
    });
    return twin.predicted.subarray(0, rows * 3 * bins);
  };
  return { plan, bins, wanted };
}

describe("predictive probabilities", () => {
  for (const operator of (["convolution", "sparse", "dense"] as const).slice(0, cases(2, 3))) {
    it(`are those of the rows before, the first one's being where it starts (${operator})`, async () => {
      const { plan, bins, ...twin } = boxDecode({ operator, tileRows: 16 });
      const wanted = twin.wanted();
      const { posterior, states } = await read(await plan.run());
      // f32, and a walk that is cut at 8 standard deviations
      expect(largestDifference(posterior!, wanted)).toBeLessThan(1e-6);
      const shares = Float64Array.from(
        { length: 3 * ROWS },
        (_, i) => wanted.subarray(i * bins, (i + 1) * bins).reduce((sum, value) => sum + value, 0),
      );
      expect(largestDifference(states, shares)).toBeLessThan(1e-6);
      expect([...states.subarray(0, 3)].map((share) => Number(share.toFixed(6)))).toEqual([
        0.5,
        0.3,
        0.2,
      ]);
    });
  }

  it("do not depend on tiles and chunks, nor on what else is stored", async () => {
    const whole = await read(await boxDecode({ summaries: ["entropy"] }).plan.run());
    for (const options of [{ tileRows: 8, chunkRows: 4 }, { causal: true, chunkRows: 7 }]) {
      expect(await read(await boxDecode({ summaries: ["entropy"], ...options }).plan.run()))
        .toEqual(whole);
    }
    const short = await boxDecode({ posterior: false, summaries: ["entropy"] }).plan.run();
    expect(await read(short)).toEqual({ ...whole, posterior: undefined });
  });

  it("are not there unless they are asked for, and leave the others as they are", async () => {
    const [without, beside] = [
      await boxDecode({ predictive: false }).plan.run(),
      await boxDecode({}).plan.run(),
    ];
    expect(without.predictive).toBeUndefined();
    expect(await readAll(beside.posterior)).toEqual(await readAll(without.posterior));
    expect(beside.peakBytes.gpu).toBeLessThanOrEqual(beside.projectedBytes.gpu);
    await without.close();
    await beside.close();
  });

  it("are the same in lanes", async () => {
    // a lane has 1024 rows at least
    const alone = await read(await boxDecode({}, 1030).plan.run());
    const decoded = await boxDecode({ lanes: 2, burnInRows: 100 }, 1030).plan.run();
    expect(decoded.lanes.count).toBe(2);
    const { posterior, states } = await read(decoded);
    // probabilities that differ by a factor of e^1e-5 at most
    expect(largestDifference(posterior!, alone.posterior!)).toBeLessThan(1.1e-5);
    expect(largestDifference(states, alone.states)).toBeLessThan(1.1e-5);
  });
});
