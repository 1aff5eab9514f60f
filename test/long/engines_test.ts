import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { seeded } from "../support/random.ts";
import type { TestRedis, TestSlurm, TestWorkers } from "../support/engines.ts";
import { runtime } from "../support/runtime.ts";

/** How long parts last, in milliseconds: long enough to be killed in. */
const PART_MS = 300;
const KILLS = 12;

const support = runtime === "chromium" ? undefined : await import("../support/engines.ts");
type Support = NonNullable<typeof support>;
const { runChild, atWork, resultAt, untilDone, plannedPlace } = support ??
  {} as Support;

const why = {
  slurm: support
    ? support.whyMissing("slurmctld", "slurmd", "munged")
    : "browsers start no programs",
  redis: support ? support.whyMissing("redis-server") : "browsers start no programs",
};
let folder: string;
let place: string;
let alone: string;
let random: () => number;

beforeAll(async () => {
  if (!support) return;
  folder = mkdtempSync(join(tmpdir(), "sluice-engines-"));
  process.env.PART_MS = "0";
  place = plannedPlace(folder);
  await runChild(folder, ["alone", place]);
  alone = resultAt(place).hash;
  process.env.PART_MS = String(PART_MS);
  expect(resultAt(place)).toMatchObject({ markers: support.PARTS, begun: support.PARTS });
});

beforeEach(() => {
  random = seeded(7);
  if (support) place = plannedPlace(folder);
});

afterAll(() => {
  delete process.env.PART_MS;
  if (support) rmSync(folder, { recursive: true, force: true });
});

/** Kills one of those that are at a part, over and over, each time that a few more parts are done. */
function killer(most: number) {
  let kills = 0;
  const look = async () => {
    const pids = atWork(place);
    const due = 1 + most * resultAt(place).markers / support!.PARTS;
    if (kills >= Math.min(most, Math.floor(due)) || pids.length === 0) return;
    await wait(PART_MS * random());
    const pid = pids[Math.floor(random() * pids.length)]!;
    if (!atWork(place).includes(pid)) return;
    process.kill(pid, "SIGKILL");
    kills++;
  };
  return { look, count: () => kills };
}

const expectSame = () =>
  expect(resultAt(place)).toMatchObject({ hash: alone, markers: support!.PARTS });

describe("parts on Slurm", () => {
  if (why.slurm !== undefined) {
    it("are those of one process", (context) => context.skip(why.slurm));
    return;
  }
  let slurm: TestSlurm;
  beforeAll(async () => {
    slurm = await support!.TestSlurm.start(join(folder, "slurm"));
  });
  afterAll(() => slurm.stop());

  const submit = (on: string, ...more: string[]) =>
    runChild(folder, ["submit", place, "--on", on, "--sbatch=--mem=100", ...more]);
  /** What the logs of jobs say. */
  const logs = () =>
    readdirSync(join(folder, "out.zarr.logs"))
      .map((name) => readFileSync(join(folder, "out.zarr.logs", name), "utf8")).join("\n");

  for (const on of ["slurm", "slurm-steps"]) {
    it(`are those of one process, on ${on}`, async () => {
      await submit(on);
      await untilDone(place);
      expectSame();
      // nobody was at work twice, and nothing is left in the queue
      expect(resultAt(place)).toMatchObject({ begun: support!.PARTS, late: 0 });
      while ((await slurm.jobs()).length > 0) await wait(200);
      // what is done is not begun again
      expect((await submit(on)).stdout).toBe("");
      expect(await slurm.jobs()).toEqual([]);
    });

    it(`are those of one process when tasks are killed, on ${on}`, async () => {
      const { look, count } = killer(KILLS);
      let submits = 0;
      await untilDone(place, async () => {
        await look();
        // a chain ends where a stage has had three rounds
        if ((await slurm.jobs()).length > 0) return;
        await submit(on);
        submits++;
      });
      console.log(`${on}: ${count()} kills, ${submits} submits, ${resultAt(place).begun} turns`);
      expect(count()).toBe(KILLS);
      expectSame();
    });
  }

  it("say after three rounds what is missing", async () => {
    process.env.FAIL = "lanes 3";
    try {
      await submit("slurm");
      while ((await slurm.jobs()).length > 0) await wait(200);
    } finally {
      delete process.env.FAIL;
    }
    expect(logs()).toMatch(
      /PartsError: Cannot go on at .*: after 3 rounds 1 of 8 parts of stage "lanes" are missing \(3\)/,
    );
    await submit("slurm");
    await untilDone(place);
    expectSame();
  });

  for (const on of ["slurm-steps", "slurm"]) {
    it(`are those of one process when a node is lost, on ${on}`, async () => {
      process.env.PART_MS = "2000";
      await submit(on);
      while (atWork(place).length < 3) await wait(50);
      // the batch script of steps runs on the first
      slurm.loseNode(1);
      process.env.PART_MS = String(PART_MS);
      await untilDone(place, async () => {
        if ((await slurm.jobs()).length === 0) await submit(on);
      });
      expectSame();
      await slurm.bringBack(1);
    });
  }
});

describe("parts on BullMQ", () => {
  if (why.redis !== undefined) {
    it("are those of one process", (context) => context.skip(why.redis));
    return;
  }
  /** How long a part stays with a worker that does not answer, in seconds. */
  const LOCK = 2;
  let redis: TestRedis;
  let workers: TestWorkers;
  beforeAll(async () => {
    redis = await support!.TestRedis.start(join(folder, "redis"));
    workers = new support!.TestWorkers(folder, ["--queue", redis.url, "--lock", String(LOCK)]);
  });
  afterAll(async () => {
    await workers.stop();
    await redis.kill();
  });
  const submit = () => runChild(folder, ["submit", place, "--on", "bullmq", "--queue", redis.url]);
  /** Jobs that are not over. */
  const left = async () => {
    const sizes = await Promise.all([
      ...["wait", "active"].map((list) => redis.says("LLEN", `bull:sluice:${list}`)),
      ...["waiting-children", "delayed"].map((set) => redis.says("ZCARD", `bull:sluice:${set}`)),
    ]);
    return sizes.reduce((sum, size) => sum + Number(size), 0);
  };

  it("are those of one process, by workers in Node and in Deno at one queue", async () => {
    await workers.want("node", "deno");
    await submit();
    await untilDone(place);
    expectSame();
    expect(resultAt(place)).toMatchObject({ begun: support!.PARTS, late: 0 });
    // both have had some
    expect(new Set(support!.turnsAt(place).map(([pid]) => pid)).size).toBe(2);
    while (await left() > 0) await wait(100);
    expect((await submit()).stdout).toBe("");
  });

  it("are those of one process when workers are killed", async () => {
    const { look, count } = killer(KILLS);
    await submit();
    let submits = 1;
    await untilDone(place, async () => {
      await look();
      await workers.want("node", "deno");
      if (await left() > 0) return;
      await submit();
      submits++;
    });
    console.log(`bullmq: ${count()} kills, ${submits} submits, ${resultAt(place).begun} turns`);
    expect(count()).toBe(KILLS);
    expectSame();
  });

  it("go on when Redis is killed and started again, and when it is wiped", async () => {
    await workers.want("node", "deno");
    await submit();
    const markers = (count: number) =>
      untilDone(place, () => {
        if (resultAt(place).markers >= count) throw "enough";
      }).catch((thrown) => expect(thrown).toBe("enough"));
    while (atWork(place).length < 2) await wait(20);
    await redis.kill();
    await wait(1000);
    await redis.start();
    await markers(12);
    await redis.says("FLUSHALL");
    // what is at work ends what it does, and nobody goes on
    while (atWork(place).length > 0) await wait(100);
    const { markers: before } = resultAt(place);
    expect(before).toBeLessThan(support!.PARTS);
    await submit();
    await untilDone(place);
    expectSame();
    expect(workers.said()).toMatch(/the queue: .*ECONNREFUSED[\s\S]*the queue answers again/);
  });

  it("take nothing of a worker that slept, and woke after its part was done by another", async () => {
    await workers.stop();
    process.env.PART_MS = "1000";
    await workers.want("node", "deno");
    process.env.PART_MS = String(PART_MS);
    await submit();
    while (atWork(place).length < 2) await wait(20);
    const [sleeper] = atWork(place);
    process.kill(sleeper!, "SIGSTOP");
    const asleep = support!.turnsAt(place).findLast(([pid, what]) =>
      Number(pid) === sleeper && what === "begins"
    )!.slice(2).join(" ");
    const madeBy = () =>
      support!.turnsAt(place).find(([, what, ...part]) =>
        what === "made" && part.join(" ") === asleep
      )?.[0];
    while (madeBy() === undefined) await wait(100);
    expect(Number(madeBy())).not.toBe(sleeper);
    process.kill(sleeper!, "SIGCONT");
    await untilDone(place);
    expectSame();
    while (resultAt(place).late === 0) await wait(100);
    expect(resultAt(place)).toMatchObject({ hash: alone, late: 1 });
  });

  it("are refused where no queue answers, with its address and without its password", async () => {
    const error = await runChild(folder, [
      ...["submit", place, "--on", "bullmq", "--queue", "redis://me:secret@127.0.0.1:1"],
    ]).catch((error) => error);
    expect(error.code).toBe(1);
    expect(error.stderr).toMatch(
      /UsageError: Cannot reach the queue at redis:\/\/127.0.0.1:1: .*ECONNREFUSED.*, wanted a Redis that answers/,
    );
  });
});
