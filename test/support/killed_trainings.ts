/** Trainings that are stopped after a state is stored, and go on: in every runtime. */

import { expect } from "vitest";
import type { TrainOptions } from "../../src/cpa/train_options.ts";
import { train } from "../../src/cpa/train.ts";
import { openTrained } from "../../src/cpa/trained.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { madeCells } from "./cpa_cells.ts";
import { onStates, paceStates } from "./kept_states.ts";
import { seeded } from "./random.ts";

let places = 0;

/** Stops so many trainings after one of the first states, and goes on with other tiles. */
export async function killTrainings(gpu: Gpu, given: TrainOptions, kills: number): Promise<void> {
  const { table, held } = madeCells(40, 9);
  const cells = await held();
  const options: TrainOptions = { ...given, tileRows: 2 };
  const wanted = await train(gpu, cells, table, options).run();
  expect(wanted.facts.bestEpoch).toBeLessThan(wanted.facts.epochsRun);
  const restore = paceStates();
  const moments = seeded(5);
  try {
    for (let i = 0; i < kills; i++) {
      const out = `memory:killed-perturbation-training-${places++}`;
      const last = i === 0 ? 7 : 1 + Math.floor(moments() * 9);
      const cancel = new AbortController();
      const run = onStates(
        (_, count) => count === last && cancel.abort(new Error("killed")),
        () => train(gpu, cells, table, { ...options, out }).run({ signal: cancel.signal }),
      );
      await expect(run).rejects.toThrow("killed");
      // memory may be saved, or not, from one run to the next
      const other = { ...options, out, tileRows: 3, checkpointing: !options.checkpointing };
      const got = await train(gpu, cells, table, other).run();
      expect(got.measured.resumed).toBeDefined();
      expect(got.parameters).toEqual(wanted.parameters);
      expect(got.history).toEqual(wanted.history);
      expect((await openTrained(out)).parameters).toEqual(wanted.parameters);
    }
  } finally {
    restore();
  }
}
