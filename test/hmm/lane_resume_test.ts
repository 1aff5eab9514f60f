/** Decodes in lanes that are interrupted in each of their stages, and gone on with in other ways. */

import { describe, expect, it } from "vitest";
import type { DecodeOptions } from "../../src/hmm/decoder.ts";
import { continuous, sortedSpikes, stateModel } from "../../src/hmm/decoder.ts";
import { Journal } from "../../src/store/journal.ts";
import type { Checkpoint } from "../../src/stream/checkpoints.ts";
import { useGpu } from "../support/gpu.ts";
import { hashesOf } from "../support/interrupted_decode.ts";
import { smallRecording } from "../support/recordings.ts";
import { quick } from "../support/tier.ts";

const gpu = useGpu();

let places = 0;
const place = () => `memory:lane-resume-test-${places++}`;

const STAGES = [
  "filter burn-in",
  "filter",
  "filter repair",
  "smooth burn-in",
  "smooth",
  "smooth repair",
];

/** What nothing is forgotten in: every lane is wrong, and run again to its end. */
const still = stateModel({
  names: ["still"],
  initial: [1],
  discreteTransition: [[1]],
  transitions: [[{ kind: "identity" }]],
});

const problems = [
  {
    what: "whose lanes never forget",
    states: still,
    seconds: 12,
    lanes: { lanes: 4, burnInRows: 64 },
    tileRows: 56,
    others: [1000, 56, 64, 31, 9],
  },
  {
    what: "whose lanes meet what they left",
    states: continuous({ movementVar: 4 }),
    seconds: 44,
    lanes: { lanes: 2, burnInRows: 1 },
    tileRows: 200,
    others: [1152, 200, 500, 97, 64],
  },
];

for (const { what, states, seconds, lanes, tileRows, others } of problems) {
  const decoder = sortedSpikes({
    ...smallRecording({ seconds, units: 4 }),
    states,
    binSize: 4,
    positionStd: 3,
  });
  const plan = (out: string, options: Partial<DecodeOptions>) =>
    decoder.smooth(gpu(), {
      time: { step: 0.02 },
      causal: true,
      chunkRows: 32,
      shardChunks: 3,
      out,
      ...lanes,
      ...options,
    });

  /** Runs until a line of a stage is in the log: the how many-th; tells whether there was one. */
  const interruptedAt = async (out: string, stage: string, wanted: number): Promise<boolean> => {
    const cancel = new AbortController();
    const { append } = Journal.prototype;
    let lines = 0;
    Journal.prototype.append = async function (entry) {
      await append.call(this, entry);
      if ((entry as Checkpoint).pass === stage && ++lines === wanted) {
        cancel.abort(new Error("interrupted"));
      }
    };
    try {
      const result = await plan(out, { tileRows }).run({ signal: cancel.signal });
      await result.close();
      return false;
    } catch (error) {
      expect((error as Error).message).toBe("interrupted");
      return true;
    } finally {
      Journal.prototype.append = append;
    }
  };

  describe(`a decode ${what}`, () => {
    for (const stage of STAGES) {
      it(`goes on in any tiles from a stop in "${stage}", to the same bytes`, async () => {
        const whole = place();
        const result = await plan(whole, { tileRows }).run();
        expect(result.lanes.redoneRows).toBeGreaterThan(0);
        await result.close();
        const wanted = await hashesOf(whole);
        let stops = 0;
        // every third is stopped at the first line, which each stage has
        const tried = [...others.entries()].filter(([i]) => !quick || i % 3 === 0);
        for (const [i, tileRows] of tried) {
          const out = place();
          // the first line, and later ones
          if (!await interruptedAt(out, stage, 1 + 2 * (i % 3))) continue;
          stops++;
          const resumed = await plan(out, { tileRows, slots: 1 + i % 2 }).run();
          expect(resumed.resumed).toBeDefined();
          expect(resumed.lanes).toEqual(result.lanes);
          await resumed.close();
          expect(await hashesOf(out), `tiles of ${tileRows} rows`).toEqual(wanted);
        }
        expect(stops).toBeGreaterThan(1);
      });
    }
  });
}
