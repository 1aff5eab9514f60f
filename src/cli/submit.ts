/**
 * `sluice submit`: cuts commands into parts, once, and has an engine run what is missing.
 *
 * @module
 */

import { availableParallelism } from "node:os";
import process from "node:process";
import { StoreError } from "../errors.ts";
import { digestOf } from "../math/digest.ts";
import { printableJson } from "../math/format.ts";
import { oneOf, whole } from "../options.ts";
import { nextStage } from "../parts/next_stage.ts";
import { readMarker } from "../parts/markers.ts";
import { COMMANDS, FINISH, openParts, readPartPlan } from "../parts/part_plan.ts";
import { submitPlan } from "../parts/submit_plan.ts";
import { jobAt, ROUNDS } from "./engines/engine.ts";
import { queueChoices } from "./engines/bullmq.ts";
import { ENGINES } from "./engines/engines.ts";
import { slurmChoices } from "./engines/slurm.ts";
import { writtenAt } from "../stream/run_part.ts";
import { placeOf, readPartCommands, wholePlace } from "./part_commands.ts";
import type { Command, CommandContext } from "./usage.ts";
import { CommandLine, common, helpOf, UsageError } from "./usage.ts";

const engine = {
  on: oneOf(Object.keys(ENGINES), { default: "local", says: "what starts parts" }),
  parts: whole({
    from: 1,
    otherwise: "1; of several commands one each",
    says: "parts that share the rows of a command",
  }),
  workers: whole({
    from: 1,
    otherwise: "processors of this machine, half of them",
    says: "processes at a time, of local; tasks, of slurm-steps",
  }),
  rounds: whole({
    from: 1,
    default: ROUNDS,
    says: "how often parts that failed are started",
  }),
};

export const submitSections = { Engine: engine, Slurm: slurmChoices, BullMQ: queueChoices };

export const submitHelp = `Usage: sluice submit CONFIG [--on ENGINE] [--parts N] [options]
       sluice submit PLACE [--on ENGINE] [options]

Cuts what CONFIG lists into parts, and has an engine run those that are not done. CONFIG is JSON:

  { "commands": [["predict", "fit.zarr", "--input", "x.npy", "--out", "ids.zarr"]] }

The rows of one command are shared by N parts. Of several commands each is a part, and "place" names what
the plan lies beside. The plan is written once: to submit again, or its PLACE, goes on with what is missing.

${helpOf(submitSections)}`;

export async function submit(
  { args, signal }: CommandContext,
  commands: Readonly<Record<string, Command>>,
): Promise<void> {
  const line = new CommandLine(args, submitSections, { positionals: 1 });
  const [named] = line.positionals;
  if (named === undefined) {
    throw new UsageError(
      "Cannot submit: wanted a file of JSON, or the place of what was submitted",
    );
  }
  const { on = "local", parts = 1, workers = halfOfAll(), rounds = ROUNDS, ...choices } = line.read(
    engine,
  );
  const { json, quiet } = line.read(common);
  const onLine = (text: string) => void (quiet || process.stderr.write(`${text}\n`));
  const { place, folder } = /\.json$/.test(named)
    ? await cut(named, { count: parts, isGiven: line.text("parts") !== undefined }, commands)
    : await find(named);
  const { done } = await ENGINES[on]!.submit(jobAt(place, { folder }), {
    workers,
    rounds,
    signal,
    onLine,
    choices: { ...choices, ...line.read(slurmChoices), ...line.read(queueChoices) },
  });
  if (done) await refuseGone(place);
  const next = await nextStage(place);
  if (json) return console.log(printableJson({ place, on, handedOver: !done, next }));
  console.log(
    done
      ? `${place}: all parts are done`
      : `${place}: handed over; sluice status ${place} tells more`,
  );
}

/** Writes the plan of a file, unless it is there. */
async function cut(
  file: string,
  { count, isGiven }: { count: number; isGiven: boolean },
  known: Readonly<Record<string, Command>>,
): Promise<{ place: string; folder: string }> {
  const { place, commands } = await readPartCommands(file, known);
  if (isGiven && commands.length > 1 && count !== commands.length) {
    throw new UsageError(
      `Cannot submit ${file}: it lists ${commands.length} commands, which are parts each, wanted --parts ${commands.length} or none`,
    );
  }
  const folder = process.cwd();
  const store = await openParts(place, "write");
  try {
    await submitPlan(store, { commands, folder, count });
  } finally {
    await store.close();
  }
  return { place, folder };
}

async function find(place: string): Promise<{ place: string; folder: string }> {
  const store = await openParts(place, "read");
  try {
    return { place, folder: (await readPartPlan(store)).parts.folder };
  } finally {
    await store.close();
  }
}

/** @throws {StoreError} If a result is gone that markers tell of: nobody would make it again. */
async function refuseGone(place: string): Promise<void> {
  const store = await openParts(place, "read");
  try {
    const plan = await readPartPlan(store);
    const { commands, folder } = plan.parts;
    const nothing = await digestOf([""]);
    for (const [part, command] of commands.entries()) {
      const own = commands.length > 1;
      const out = own ? wholePlace(placeOf(command), folder) : wholePlace(place);
      const marker = await readMarker(store, plan, own ? COMMANDS : FINISH, own ? part : 0);
      if (!marker || marker.written === nothing || await writtenAt(out)) continue;
      throw new StoreError(
        `Cannot submit: ${out} is gone, though ${store.place} says that all parts are done; remove ${store.place}, ` +
          "and submit again",
        out,
      );
    }
  } finally {
    await store.close();
  }
}

/** A GPU is shared by all, and each keeps a processor busy. */
const halfOfAll = () => Math.max(1, Math.floor(availableParallelism() / 2));
