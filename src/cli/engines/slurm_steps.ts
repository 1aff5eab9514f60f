/**
 * Slurm, in one allocation: stages of seconds, as in a fit of many iterations, start as steps of a job that has its
 * nodes, and wait in no queue.
 *
 * @module
 */

import process from "node:process";
import { UsageError } from "../usage.ts";
import type { Engine, EngineOptions, Job } from "./engine.ts";
import { runToEnd, shellLine } from "./programs.ts";
import type { Round } from "./rounds.ts";
import { describeRound, nextRound } from "./rounds.ts";
import { sbatch } from "./slurm.ts";

export const slurmSteps: Engine = {
  name: "slurm-steps",
  async submit(job, options) {
    const { rounds, workers, choices, signal, onLine } = options;
    const isWithin = process.env.SLURM_JOB_ID !== undefined && choices.sbatch === undefined;
    let round = await nextRound(job, rounds);
    if (round === undefined) return { done: true };
    if (!isWithin) {
      // a node that is lost ends what ran on it, and not the rest
      const own = ["--no-kill", `--ntasks=${workers}`];
      const script = shellLine(job.again("slurm-steps", ["--rounds", String(rounds)]));
      onLine(`job ${await sbatch(job, options, { name: "steps", log: "%j", own, script })}`);
      return { done: false };
    }
    const nodes = await nodesOfTasks(job, options);
    while (round !== undefined) {
      onLine(describeRound(round));
      await runSteps(job, round, nodes, options);
      signal.throwIfAborted();
      round = await nextRound(job, rounds, round);
    }
    return { done: true };
  },
};

/**
 * Runs parts, as many at a time as there are tasks, each as a step of its own: a node that is lost ends all of a
 * step. What failed is left to tasks that did not: it may take Slurm minutes to see that a node is gone. The markers
 * tell what became of it.
 */
async function runSteps(
  job: Job,
  { stage, missing }: Round,
  nodes: readonly string[],
  options: EngineOptions,
): Promise<void> {
  const first = await runOnNodes(job, stage, missing, nodes, options);
  if (first.failed.length > 0) await runOnNodes(job, stage, first.failed, first.sound, options);
}

async function runOnNodes(
  job: Job,
  stage: string,
  parts: readonly number[],
  nodes: readonly string[],
  { signal }: EngineOptions,
): Promise<{ failed: number[]; sound: string[] }> {
  const waiting = [...parts];
  const [failed, sound]: [number[], string[]] = [[], []];
  const env = stepEnvironment();
  await Promise.all(nodes.map(async (node) => {
    for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
      const step = ["srun", `--nodelist=${node}`, "--nodes=1", "--ntasks=1", ...sharing(env)];
      const { code } = await runToEnd([...step, ...job.command(stage, part)], {
        ...{ folder: job.folder, env, signal, shows: true },
      });
      if (code !== 0) return void failed.push(part);
    }
    sound.push(node);
  }));
  return { failed: [...failed, ...waiting], sound };
}

/** How long a step waits for what others of the job hold, in seconds. */
const STEP_WAIT = 60;

/**
 * What steps share: all, unless each has GPUs of its own. Where a node was lost, Slurm does not see any more that
 * steps of others end, and those that want something of their own would wait for ever.
 */
function sharing({ SLURM_GPUS_PER_TASK, SLURM_CPUS_PER_TASK }: NodeJS.ProcessEnv): string[] {
  const cpus = SLURM_CPUS_PER_TASK === undefined ? [] : [`--cpus-per-task=${SLURM_CPUS_PER_TASK}`];
  const own = SLURM_GPUS_PER_TASK === undefined
    ? ["--overlap"]
    : ["--exact", `--immediate=${STEP_WAIT}`];
  return [...own, "--mem=0", ...cpus];
}

/** The node of each task of this job, in turns: the first tasks of all nodes, then the second. */
async function nodesOfTasks(
  { folder }: Job,
  { signal }: EngineOptions,
): Promise<string[]> {
  const { SLURM_JOB_NODELIST = "", SLURM_TASKS_PER_NODE = "1" } = process.env;
  const { stdout, stderr } = await runToEnd(["scontrol", "show", "hostnames", SLURM_JOB_NODELIST], {
    ...{ folder, signal },
  });
  const names = stdout.split("\n").filter((name) => name !== "");
  if (names.length === 0) {
    throw new UsageError(
      `Cannot start steps: scontrol names no nodes of "${SLURM_JOB_NODELIST}" and said "${stderr.trim()}", wanted ` +
        "those of this job",
    );
  }
  // as in 2(x3),1
  const tasks = SLURM_TASKS_PER_NODE.split(",").flatMap((entry) => {
    const [, count, times = "1"] = /^(\d+)(?:\(x(\d+)\))?$/.exec(entry) ?? [];
    return Array<number>(Number(times)).fill(Number(count ?? 1));
  });
  return names.flatMap((name, i) =>
    Array.from({ length: tasks[i] ?? 1 }, (_, turn) => ({ name, turn }))
  ).sort((a, b) => a.turn - b.turn).map(({ name }) => name);
}

/** The environment without the sizes of the job: they are of its beginning, and a lost node makes them wrong. */
function stepEnvironment(): NodeJS.ProcessEnv {
  const sizes = /^SLURM_(?:JOB_NUM_NODES|NNODES|NTASKS|NPROCS|TASKS_PER_NODE|NTASKS_PER_NODE)$/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !sizes.test(name)));
}
