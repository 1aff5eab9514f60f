/**
 * `sluice part`: the one command that engines start.
 *
 * @module
 */

import { resolve } from "node:path";
import process from "node:process";
import { OutputConflictError, StoreError } from "../errors.ts";
import { printableJson } from "../math/format.ts";
import type { Attempted, Work } from "../parts/attempt.ts";
import { attemptPart } from "../parts/attempt.ts";
import type { PartPlan } from "../parts/part_plan.ts";
import { openParts, readPartPlan, stageAt } from "../parts/part_plan.ts";
import { overlapping } from "../store/overlap.ts";
import type { Store } from "../store/store.ts";
import { storedAttributes } from "../stream/places.ts";
import type { Plan } from "../stream/plan.ts";
import { runPart, writtenAt } from "../stream/run_part.ts";
import { keepGpu } from "./open_gpu.ts";
import { placeOf, wholePlace } from "./part_commands.ts";
import { runUpToPlan } from "./plan_runner.ts";
import type { Command, CommandContext } from "./usage.ts";
import { CommandLine, common, UsageError } from "./usage.ts";

/** Where engines say which part of a stage a process is, the first that is set. */
const INDEX_VARIABLES = [
  "SLURM_ARRAY_TASK_ID",
  "PBS_ARRAY_INDEX",
  "JOB_COMPLETION_INDEX",
  "SLURM_PROCID",
];

export const partHelp = `Usage: sluice part PLACE STAGE [I]

Runs a part of what sluice submit cut: part I of a stage, counted from 0. Without I the engine's environment
says which: ${
  INDEX_VARIABLES.join(", ")
}, the first that is set. A part that is done, by whomever, is not done
again, and is no failure.
`;

type Commands = Readonly<Record<string, Command>>;

export async function part(context: CommandContext, commands: Commands): Promise<void> {
  const line = new CommandLine(context.args, {}, { positionals: 3 });
  const { run, close } = keepGpu(line.read(common).adapter);
  try {
    await run(() => runPartOf(line, context, commands));
  } finally {
    close();
  }
}

/** Runs a part, on the GPU that is kept. */
export async function runPartOf(
  line: CommandLine,
  { signal }: CommandContext,
  commands: Commands,
): Promise<void> {
  const [place, name, told] = line.positionals;
  if (place === undefined || name === undefined) {
    throw new UsageError(
      "Cannot run a part: wanted its place and stage, as in sluice part PLACE STAGE I",
    );
  }
  const whole = wholePlace(place);
  const store = await openParts(whole, "write");
  try {
    const { parts: plan } = await readPartPlan(store);
    const stage = stageAt(plan, name);
    const index = indexOf(told, stage.parts);
    if (resolve(plan.folder) !== process.cwd()) enter(plan.folder);
    if (plan.commands.length === 1) await refuseCopy(whole, placeOf(plan.commands[0]!));
    const attempted = plan.commands.length > 1
      ? await runCommand(store, { stage: name, part: index }, commands, signal)
      : await runRows(store, { stage: name, part: index }, { plan, commands, signal });
    tell(line, { stage: name, part: index, parts: stage.parts }, attempted);
  } finally {
    await store.close();
  }
}

function tell(
  line: CommandLine,
  { stage, part, parts }: { stage: string; part: number; parts: number },
  { marker, isOwn }: Attempted,
): void {
  const { json, quiet } = line.read(common);
  if (json) console.log(printableJson({ stage, part, parts, isOwn, marker: marker ?? null }));
  else if (!quiet) {
    const what = !marker ? "not needed" : isOwn ? "done" : "was done";
    console.log(`part ${part} of ${parts} of ${stage}: ${what}`);
  }
}

/** Of a plan whose rows are shared. */
async function runRows(
  store: Store,
  named: { stage: string; part: number },
  { plan, commands, signal }: { plan: PartPlan; commands: Commands; signal: AbortSignal },
): Promise<Attempted> {
  const [name, ...args] = plan.commands[0]!;
  const withPlan = async (use: (plan: Plan<unknown>) => Promise<Work>): Promise<Work> => {
    let work: Work | undefined;
    const run = () => commands[name!]!.run({ args: [...args, "--quiet"], signal });
    if (await runUpToPlan(run, async (plan) => void (work = await use(plan)))) return work!;
    throw new UsageError(
      `Cannot run "${name}" in parts: it makes no plan of rows, wanted one that does, or several commands`,
    );
  };
  return await runPart(store, named, withPlan, {
    signal,
    onWarning: (line) => void process.stderr.write(`warning: ${line}\n`),
  });
}

/** Of a plan whose commands are its parts. */
async function runCommand(
  store: Store,
  named: { stage: string; part: number },
  commands: Commands,
  signal: AbortSignal,
): Promise<Attempted> {
  return await attemptPart(store, named, async ({ parts: { commands: lines } }) => {
    const [name, ...args] = lines[named.part]!;
    const out = placeOf(lines[named.part]!);
    const code = await commands[name!]!.run({ args: [...args, "--quiet"], signal });
    if (code) {
      throw new OutputConflictError(
        `Cannot mark part ${named.part} as done: its command ended with ${code}, wanted 0`,
        out,
      );
    }
    const adapter = (await storedAttributes(out))?.adapter;
    return { adapter: String(adapter ?? ""), driver: "", written: await writtenAt(out) };
  });
}

/** @throws {UsageError} If nobody says which part it is. */
function indexOf(told: string | undefined, parts: number): number {
  const variable = INDEX_VARIABLES.find((name) => process.env[name] !== undefined);
  const text = told ?? (parts === 1 ? "0" : variable && process.env[variable]);
  if (text !== undefined && /^\d+$/.test(text)) return Number(text);
  throw new UsageError(
    `Cannot run a part: ${
      text === undefined ? "its number is not given" : `its number is "${text}"`
    }, wanted one from 0 to ${parts - 1}, or one of ${INDEX_VARIABLES.join(", ")}`,
  );
}

/** @throws {StoreError} If plan and markers lie beside something else than what parts write to. */
async function refuseCopy(place: string, out: string): Promise<void> {
  if (await overlapping(place, [out]) !== undefined) return;
  throw new StoreError(
    `Cannot run a part: the plan beside ${place} writes to ${
      wholePlace(out)
    }, wanted one that was submitted for ` +
      "this place, not moved or copied",
    place,
  );
}

/** Paths of commands begin there. */
function enter(folder: string): void {
  try {
    process.chdir(folder);
  } catch {
    throw new UsageError(
      `Cannot run a part: the folder ${folder}, from which its plan was submitted, is not on this machine; ` +
        "wanted one that all machines share",
    );
  }
}
