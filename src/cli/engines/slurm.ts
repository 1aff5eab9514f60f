/**
 * Slurm: what is missing of a stage as an array, and a job behind it that reads the markers, whatever became of the
 * array: Slurm loses tasks, and runs some twice. No process waits in between.
 *
 * @module
 */

import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import process from "node:process";
import { text, whole } from "../../options.ts";
import { UsageError } from "../usage.ts";
import type { Engine, EngineOptions, Job } from "./engine.ts";
import { runToEnd, shellLine, wordsOf } from "./programs.ts";
import type { Before } from "./rounds.ts";
import { describeRound, nextRound } from "./rounds.ts";

export const slurmChoices = {
  sbatch: text({
    takes: "OPTIONS",
    stored: false,
    says: 'options of sbatch, as in "--partition=gpu --gres=gpu:1 --time=60"',
  }),
  after: text({
    takes: "STAGE",
    stored: false,
    says: "which stage was started before, as jobs of Slurm say that go on",
  }),
  round: whole({ from: 1, stored: false, otherwise: "1", says: "how often it was" }),
};

export const slurm: Engine = {
  name: "slurm",
  async submit(job, options) {
    const { rounds, choices, onLine } = options;
    const before = choices.after === undefined
      ? undefined
      : { stage: choices.after, round: choices.round ?? 1 } as Before;
    const round = await nextRound(job, rounds, before);
    if (round === undefined) return { done: true };
    const { stage, missing } = round;
    onLine(describeRound(round));
    const arrays: string[] = [];
    for (const { first, indices } of arraysOf(missing, await mostOfAnArray(job, options))) {
      const script = `${shellLine(job.command(stage))} $((SLURM_ARRAY_TASK_ID + ${first}))`;
      const own = [`--array=${rangesOf(indices)}`];
      arrays.push(await sbatch(job, options, { name: stage, log: "%A_%a", own, script }));
    }
    const again = job.again("slurm", [
      ...["--after", stage, "--round", String(round.round), "--rounds", String(rounds)],
      ...choices.sbatch === undefined ? [] : [`--sbatch=${choices.sbatch}`],
    ]);
    const own = [`--dependency=afterany:${arrays.join(":")}`];
    const script = shellLine(again);
    const id = await sbatch(job, options, { name: `after ${stage}`, log: "%j", own, script });
    onLine(`jobs ${arrays.join(", ")}, then ${id}`);
    return { done: false };
  },
};

/** What Slurm is handed. */
interface Handed {
  name: string;
  /** Pattern of its log's name. */
  log: string;
  own: readonly string[];
  /** A line of a shell. */
  script: string;
}

/** Hands a job over, and returns its number. */
export async function sbatch(
  { place, folder }: Job,
  { choices, signal }: EngineOptions,
  { name, log, own, script }: Handed,
): Promise<string> {
  const logs = join(folder, `${basename(place)}.logs`);
  await mkdir(logs, { recursive: true });
  const args = [
    ...["--parsable", `--job-name=sluice ${name}`, `--chdir=${folder}`],
    // a folder may have names with what Slurm would put something else for
    `--output=${join(logs.replaceAll("%", "%%"), log)}.log`,
    ...wordsOf(String(choices.sbatch ?? "")),
    ...own,
    `--wrap=exec ${script}`,
  ];
  const { code, stdout, stderr } = await runToEnd(["sbatch", ...args], {
    ...{ folder, signal, env: withoutJob(process.env) },
  });
  const id = /^\d+/.exec(stdout)?.[0];
  if (code === 0 && id !== undefined) return id;
  throw new UsageError(
    `Cannot submit to Slurm: sbatch ended with ${code} and said "${(stderr || stdout).trim()}", ` +
      "wanted the number of a job",
  );
}

/** The environment without what Slurm says of the job that this process is of: the next one is another. */
function withoutJob(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => name === "SLURM_CONF" || !name.startsWith("SLURM_")),
  );
}

/** What an array may have where nobody says otherwise. */
const USUAL_ARRAY = 1001;

/** Indices of an array lie below this number. */
async function mostOfAnArray({ folder }: Job, { signal }: EngineOptions): Promise<number> {
  const config = await runToEnd(["scontrol", "show", "config"], { folder, signal })
    .catch(() => ({ stdout: "" }));
  signal.throwIfAborted();
  return Number(/^MaxArraySize\s*=\s*(\d+)/m.exec(config.stdout)?.[1] ?? USUAL_ARRAY);
}

/** Parts as indices of arrays, each from 0 on, whose first part is `first`. */
function arraysOf(missing: readonly number[], most: number) {
  const arrays = new Map<number, number[]>();
  for (const part of missing) {
    const first = part - part % most;
    if (!arrays.has(first)) arrays.set(first, []);
    arrays.get(first)!.push(part - first);
  }
  return [...arrays].map(([first, indices]) => ({ first, indices }));
}

/** `0-3,7`: ascending numbers, in few words. */
export function rangesOf(indices: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const index of indices) {
    const last = ranges.at(-1);
    if (last && last[1] === index - 1) last[1] = index;
    else ranges.push([index, index]);
  }
  return ranges.map(([from, to]) => from === to ? `${from}` : `${from}-${to}`).join(",");
}
