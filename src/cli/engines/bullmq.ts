/**
 * BullMQ, a queue in Redis, for machines without Slurm. A flow is a stage: parts, and behind them the question to
 * the markers what comes next, whatever became of the parts. Redis holds nothing that the markers do not say.
 *
 * @module
 */

import type { FlowJob, FlowProducer, Job as QueuedJob } from "bullmq";
import type { Redis } from "ioredis";
import { randomUUID } from "node:crypto";
import process from "node:process";
import { text } from "../../options.ts";
import { withoutSecrets } from "../../secrets.ts";
import { UsageError } from "../usage.ts";
import type { Engine, Job } from "./engine.ts";
import { jobAt } from "./engine.ts";
import type { Before, Round } from "./rounds.ts";
import { describeRound, nextRound } from "./rounds.ts";

/** Of all plans: workers take what comes. */
export const QUEUE = "sluice";

export const queueChoices = {
  queue: text({
    takes: "URL",
    stored: false,
    otherwise: "SLUICE_QUEUE of the environment",
    says: "address of a Redis, as in redis://host:6379",
  }),
};

/** A part that some worker is to run. */
export interface QueuedPart {
  place: string;
  folder: string;
  stage: string;
  part: number;
}

/** What is to be looked at when the parts of a round have ended. */
export interface QueuedNext extends Before {
  place: string;
  folder: string;
  rounds: number;
  /** Of one submit: jobs of another have other ids, since what is known by an id is not run again. */
  run: string;
}

export type Queued = QueuedPart | QueuedNext;

export const bullmq: Engine = {
  name: "bullmq",
  async submit(job, { rounds, choices, onLine }) {
    const url = queueUrl(choices.queue as string | undefined);
    const round = await nextRound(job, rounds);
    if (round === undefined) return { done: true };
    const { FlowProducer, Queue } = await packageBullmq();
    const connection = await connect(url);
    const flows = new FlowProducer({ connection });
    const queue = new Queue(QUEUE, { connection });
    try {
      onLine(describeRound(round));
      await flows.add(flowOf(job, round, { rounds, run: randomUUID() }));
      const workers = await queue.getWorkersCount();
      onLine(
        workers > 0
          ? `workers at the queue: ${workers}`
          : `no worker is at the queue: sluice worker`,
      );
      return { done: false };
    } finally {
      await Promise.all([flows.close(), queue.close()]);
      connection.disconnect();
    }
  },
};

/** Parts, and behind them, even if some have failed, what asks the markers. */
function flowOf(
  { place, folder }: Pick<Job, "place" | "folder">,
  { stage, missing, round }: Round,
  { rounds, run }: Pick<QueuedNext, "rounds" | "run">,
): FlowJob {
  const id = `${run} ${stage} ${round}`;
  const next: QueuedNext = { place, folder, stage, round, rounds, run };
  return {
    ...{ name: "next", queueName: QUEUE, data: next },
    opts: {
      ...{ jobId: id, removeOnComplete: true },
      ...{ attempts: 5, backoff: { type: "exponential", delay: 1000 } },
    },
    children: missing.map((part): FlowJob => ({
      ...{ name: "part", queueName: QUEUE, data: { place, folder, stage, part } },
      opts: {
        ...{ jobId: `${id} ${part}`, removeOnComplete: true, removeOnFail: { count: 1000 } },
        ignoreDependencyOnFailure: true,
      },
    })),
  };
}

/** Starts what is missing after a round; says what it starts. */
export async function goOn(flows: FlowProducer, job: QueuedJob<QueuedNext>): Promise<string> {
  const { place, folder, rounds, run } = job.data;
  const round = await nextRound(jobAt(place, { folder }), rounds, job.data);
  if (round === undefined) return `${place} is done`;
  await flows.add(flowOf({ place, folder }, round, { rounds, run }));
  return describeRound(round);
}

/** @throws {UsageError} If nobody says where the queue is. */
export function queueUrl(given: string | undefined): string {
  const url = given ?? process.env.SLUICE_QUEUE;
  const isWhole = url !== undefined && URL.canParse(url);
  if (isWhole && /^rediss?:\/\//.test(url)) return url;
  // of what is no address nobody knows where its password ends
  const is = url === undefined ? "missing" : isWhole ? withoutSecrets(url) : "no address";
  throw new UsageError(
    `Cannot find the queue: --queue is ${is}, wanted one such as redis://localhost:6379, with %2F for a "/" of its ` +
      "password",
  );
}

/** @throws {UsageError} If the package is not installed. */
export async function packageBullmq(): Promise<typeof import("bullmq")> {
  try {
    return await import("bullmq");
  } catch {
    throw new UsageError(
      "Cannot use a queue: the optional packages bullmq and ioredis are not installed, wanted " +
        "npm i bullmq ioredis",
    );
  }
}

const CONNECT_MS = 10_000;

/**
 * A connection to a Redis that answers, and is given up where it does not.
 *
 * @throws {UsageError} If it does not.
 */
export async function connect(url: string): Promise<Redis> {
  const { Redis } = await import("ioredis");
  const redis = new Redis(url, {
    ...{ lazyConnect: true, connectTimeout: CONNECT_MS, commandTimeout: CONNECT_MS },
    ...{ maxRetriesPerRequest: 1, retryStrategy: () => null },
  });
  // what it has to say, calls reject with
  let said: Error | undefined;
  redis.on("error", (error) => said = error);
  try {
    await redis.ping();
    return redis;
  } catch (error) {
    redis.disconnect();
    const { message } = said ?? error as Error;
    throw new UsageError(
      `Cannot reach the queue at ${
        withoutSecrets(url)
      }: ${message}, wanted a Redis that answers; what ` +
        "is done stays done",
    );
  }
}
