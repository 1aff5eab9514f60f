/**
 * Every engine, by the name that `--on` knows it by.
 *
 * @module
 */

import { bullmq } from "./bullmq.ts";
import type { Engine } from "./engine.ts";
import { local } from "./local.ts";
import { slurm } from "./slurm.ts";
import { slurmSteps } from "./slurm_steps.ts";

/** Whatever starts parts by itself: the plan is all that it wants. */
const none: Engine = {
  name: "none",
  submit: async (job) => ({ done: (await job.next()).done }),
};

export const ENGINES: Readonly<Record<string, Engine>> = Object.fromEntries(
  [local, slurm, slurmSteps, bullmq, none].map((engine) => [engine.name, engine]),
);
