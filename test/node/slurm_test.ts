import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EngineOptions, Job } from "../../src/cli/engines/engine.ts";
import { wordsOf } from "../../src/cli/engines/programs.ts";
import { rangesOf, slurm } from "../../src/cli/engines/slurm.ts";
import { slurmSteps } from "../../src/cli/engines/slurm_steps.ts";
import { PartsError } from "../../src/errors.ts";
import type { NextStage } from "../../src/parts/part_plan.ts";

let folder: string;
let before: NodeJS.ProcessEnv;

/** A program of that name that holds its arguments, in one write beside others of it, and then does what `line` says. */
function fake(name: string, line: string): void {
  const file = join(folder, name);
  writeFileSync(
    file,
    `#!/bin/sh\nprintf '%s\\001' "$@" "$(printf '\\002')" >> ${folder}/${name}.held\n${line}\n`,
  );
  chmodSync(file, 0o755);
}

/** What a fake program was called with, call by call. */
const held = (name: string) =>
  readFileSync(join(folder, `${name}.held`), "utf8").split("\u0002\u0001").slice(0, -1)
    .map((call) => call.split("\u0001").slice(0, -1));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-slurm-"));
  before = { ...process.env };
  process.env.PATH = `${folder}:/usr/bin:/bin`;
  fake("sbatch", `tr -cd '\\002' < ${folder}/sbatch.held | wc -c; env > ${folder}/env.held`);
  fake("scontrol", `echo "MaxArraySize            = 1001"`);
});

afterEach(() => {
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
  rmSync(folder, { recursive: true });
});

/** A job whose markers say, one after the other, what `stages` holds. */
function jobOf(...stages: [stage: string, parts: number, missing: number[]][]): Job {
  return {
    place: "/lab/day 3.zarr",
    folder,
    command: (
      stage,
      part,
    ) => ["sluice", "part", "/lab/day 3.zarr", stage, ...part === undefined ? [] : [`${part}`]],
    again: (engine, options) => ["sluice", "submit", "/lab/day 3.zarr", "--on", engine, ...options],
    next: async (): Promise<NextStage> => {
      const next = stages.shift();
      if (next === undefined) return { done: true };
      const [stage, parts, missing] = next;
      return { done: false, stage, parts, missing };
    },
  };
}

const optionsOf = (choices: Record<string, unknown> = {}): EngineOptions => ({
  ...{ workers: 4, rounds: 3, signal: new AbortController().signal, onLine: () => {}, choices },
});

describe("submitting to Slurm", () => {
  it("makes an array of what is missing, and a job behind it whatever became of the array", async () => {
    const sbatch = `--partition=gpu --account "our lab"`;
    const job = jobOf(["lanes", 9, [0, 1, 2, 5, 7, 8]]);
    expect(await slurm.submit(job, optionsOf({ sbatch }))).toEqual({ done: false });
    const [array, then] = held("sbatch");
    const logs = `${folder}/day 3.zarr.logs`;
    const common = [`--chdir=${folder}`, "--partition=gpu", "--account", "our lab"];
    expect(array).toEqual(expect.arrayContaining([
      ...[...common, "--parsable", "--job-name=sluice lanes", `--output=${logs}/%A_%a.log`],
      "--array=0-2,5,7-8",
      "--wrap=exec sluice part '/lab/day 3.zarr' lanes $((SLURM_ARRAY_TASK_ID + 0))",
    ]));
    expect(then).toEqual(expect.arrayContaining([
      ...[...common, "--job-name=sluice after lanes", "--dependency=afterany:1"],
      "--wrap=exec sluice submit '/lab/day 3.zarr' --on slurm --after lanes --round 1 --rounds 3 " +
      `'--sbatch=--partition=gpu --account "our lab"'`,
    ]));
  });

  it("starts what is missing again in three rounds, and then says what is missing", async () => {
    const missing = () => jobOf(["lanes", 9, [2, 5]]);
    for (const round of [1, 2]) {
      await slurm.submit(missing(), optionsOf({ after: "lanes", round }));
      expect(held("sbatch").at(-1)!.at(-1)).toContain(`--after lanes --round ${round + 1} `);
    }
    const calls = held("sbatch").length;
    const error = await slurm.submit(missing(), optionsOf({ after: "lanes", round: 3 }))
      .catch((error) => error);
    expect(error).toBeInstanceOf(PartsError);
    expect(error).toMatchObject({ stage: "lanes", missing: [2, 5] });
    expect(error.message).toMatch(
      /after 3 rounds 2 of 9 parts of stage "lanes" are missing \(2, 5\)/,
    );
    expect(held("sbatch")).toHaveLength(calls);
    // another stage begins anew, and so does whoever submits again
    await slurm.submit(jobOf(["repair", 1, [0]]), optionsOf({ after: "lanes", round: 3 }));
    await slurm.submit(missing(), optionsOf());
    expect(held("sbatch").slice(calls).filter((_, i) => i % 2 === 1).map((call) => call.at(-1)))
      .toEqual([
        expect.stringContaining("--after repair --round 1 "),
        expect.stringContaining("--after lanes --round 1 "),
      ]);
  });

  it("submits nothing where all is done", async () => {
    expect(await slurm.submit(jobOf(), optionsOf({ after: "lanes", round: 1 }))).toEqual({
      done: true,
    });
    expect(() => held("sbatch")).toThrow(/ENOENT/);
  });

  it("makes arrays no larger than the cluster takes, and none where all of one is done", async () => {
    fake("scontrol", `echo "MaxArraySize            = 10"`);
    await slurm.submit(jobOf(["rows", 40, [8, 9, 10, 11, 35]]), optionsOf());
    const calls = held("sbatch");
    expect(calls.slice(0, -1).map((call) => call.slice(-2))).toEqual([
      ["--array=8-9", expect.stringContaining(" rows $((SLURM_ARRAY_TASK_ID + 0))")],
      ["--array=0-1", expect.stringContaining(" rows $((SLURM_ARRAY_TASK_ID + 10))")],
      ["--array=5", expect.stringContaining(" rows $((SLURM_ARRAY_TASK_ID + 30))")],
    ]);
    expect(calls.at(-1)!.at(-2)).toMatch(/^--dependency=afterany:\d+:\d+:\d+$/);
  });

  it("keeps logs where names have what Slurm puts something else for", async () => {
    const job = { ...jobOf(["lanes", 1, [0]]), place: "/lab/day %j.zarr" };
    await slurm.submit(job, optionsOf());
    expect(held("sbatch")[0]).toContain(`--output=${folder}/day %%j.zarr.logs/%A_%a.log`);
  });

  it("tells new jobs nothing of the job that submits them", async () => {
    Object.assign(process.env, { SLURM_ARRAY_TASK_ID: "7", SLURM_CONF: "/etc/own.conf" });
    await slurm.submit(jobOf(["lanes", 1, [0]]), optionsOf());
    const env = readFileSync(join(folder, "env.held"), "utf8");
    expect(env).toContain("SLURM_CONF=/etc/own.conf\n");
    expect(env).not.toContain("SLURM_ARRAY_TASK_ID");
  });

  it("passes on what sbatch says against it, and that there is none", async () => {
    fake("sbatch", "echo 'sbatch: error: invalid partition specified: gpu' >&2; exit 1");
    await expect(slurm.submit(jobOf(["lanes", 1, [0]]), optionsOf())).rejects.toThrow(
      'Cannot submit to Slurm: sbatch ended with 1 and said "sbatch: error: invalid partition specified: gpu"',
    );
    process.env.PATH = join(folder, "nothing");
    await expect(slurm.submit(jobOf(["lanes", 1, [0]]), optionsOf())).rejects.toThrow(
      /^Cannot run sbatch: .*wanted a program of that name/,
    );
  });

  it("refuses options with a quotation mark left open, before anything is submitted", async () => {
    const sbatch = `--comment="of today`;
    await expect(slurm.submit(jobOf(["lanes", 1, [0]]), optionsOf({ sbatch }))).rejects.toThrow(
      /a quotation mark is open/,
    );
    expect(() => held("sbatch")).toThrow(/ENOENT/);
  });
});

describe("steps in one allocation of Slurm", () => {
  it("are begun by one job, which keeps its other nodes when one is lost", async () => {
    await slurmSteps.submit(jobOf(["lanes", 9, [4]]), optionsOf({ sbatch: "--gres=gpu:1" }));
    expect(held("sbatch")).toEqual([
      expect.arrayContaining([
        ...["--no-kill", "--ntasks=4", "--gres=gpu:1"],
        "--wrap=exec sluice submit '/lab/day 3.zarr' --on slurm-steps --rounds 3",
      ]),
    ]);
  });

  /** As the job of an allocation sees it: two nodes, three tasks. */
  const within = () => {
    Object.assign(process.env, {
      ...{ SLURM_JOB_ID: "12", SLURM_JOB_NODELIST: "n[0-1]", SLURM_TASKS_PER_NODE: "2,1" },
      ...{ SLURM_CPUS_PER_TASK: "2", SLURM_JOB_NUM_NODES: "2" },
    });
    fake("scontrol", String.raw`[ "$3" = "n[0-1]" ] && printf 'n0\nn1\n'`);
  };
  const partsOf = (calls: string[][]) => calls.map((call) => call.slice(-2).join(" "));

  it("run each part that is missing once, stage after stage, each on a task of its own", async () => {
    within();
    fake("srun", `env > ${folder}/env.held`);
    const job = jobOf(["sums/0", 5, [0, 1, 2, 4]], ["sums/0", 5, [2]], ["merge/0", 1, [0]]);
    expect(await slurmSteps.submit(job, optionsOf())).toEqual({ done: true });
    const calls = held("srun");
    expect(partsOf(calls.slice(0, 4)).sort()).toEqual([
      "sums/0 0",
      "sums/0 1",
      "sums/0 2",
      "sums/0 4",
    ]);
    expect(partsOf(calls.slice(4))).toEqual(["sums/0 2", "merge/0 0"]);
    expect(calls[4]!.slice(0, -5)).toEqual([
      ...["--nodelist=n0", "--nodes=1", "--ntasks=1", "--overlap", "--mem=0", "--cpus-per-task=2"],
    ]);
    expect(new Set(calls.slice(0, 4).map(([node]) => node)).size).toBe(2);
    // what says how large the job was is wrong once a node is lost
    expect(readFileSync(join(folder, "env.held"), "utf8")).not.toMatch(/SLURM_JOB_NUM_NODES/);
  });

  it("leave what a lost node was given to the others", async () => {
    within();
    // a GPU for each step, which no other may hold
    process.env.SLURM_GPUS_PER_TASK = "1";
    fake("srun", `[ "$1" != --nodelist=n1 ] || { sleep 0.1; exit 1; }`);
    const job = jobOf(["rows", 6, [0, 1, 2, 3, 4, 5]]);
    expect(await slurmSteps.submit(job, optionsOf())).toEqual({ done: true });
    const calls = held("srun");
    expect(calls.every((call) => call.includes("--exact") && !call.includes("--overlap"))).toBe(
      true,
    );
    expect(calls.filter(([node]) => node === "--nodelist=n1")).toHaveLength(1);
    const done = partsOf(calls.filter(([node]) => node === "--nodelist=n0"));
    expect(done.sort()).toEqual([0, 1, 2, 3, 4, 5].map((part) => `rows ${part}`));
  });

  it("are not begun where Slurm names no nodes", async () => {
    within();
    fake("scontrol", "echo 'no such job' >&2; exit 1");
    await expect(slurmSteps.submit(jobOf(["lanes", 4, [3]]), optionsOf())).rejects.toThrow(
      /scontrol names no nodes of "n\[0-1\]" and said "no such job"/,
    );
  });

  it("end with what is missing after three rounds", async () => {
    within();
    fake("srun", "exit 9");
    const stuck = [1, 2, 3, 4].map((): [string, number, number[]] => ["lanes", 4, [3]]);
    await expect(slurmSteps.submit(jobOf(...stuck), optionsOf())).rejects.toThrow(
      /after 3 rounds 1 of 4 parts of stage "lanes" are missing \(3\)/,
    );
  });
});

describe("words for Slurm", () => {
  it("are numbers in few words", () => {
    expect([[0], [3, 4], [0, 1, 2, 5, 7, 8]].map(rangesOf)).toEqual(["0", "3-4", "0-2,5,7-8"]);
  });

  it("are told apart as a shell does", () => {
    expect(wordsOf(` -p  gpu --comment="a b"'c d' --x=`)).toEqual([
      ...["-p", "gpu", "--comment=a bc d", "--x="],
    ]);
    expect(wordsOf("")).toEqual([]);
  });
});
