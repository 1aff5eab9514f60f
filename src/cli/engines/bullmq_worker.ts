/**
 * What takes parts out of a queue of BullMQ, one at a time.
 *
 * @module
 */

import type { Job as QueuedJob } from "bullmq";
import { PartsError } from "../../errors.ts";
import { withoutSecrets } from "../../secrets.ts";
import type { Queued, QueuedNext, QueuedPart } from "./bullmq.ts";
import { connect, goOn, packageBullmq, QUEUE } from "./bullmq.ts";

export interface Serving {
  /** How long a part stays with a worker that does not answer: longer than any work that leaves no turn to others. */
  lockSeconds: number;
  signal: AbortSignal;
  /** Is told what happens, a line each. */
  onLine(line: string): void;
  run(part: QueuedPart, signal: AbortSignal): Promise<void>;
}

/** A worker that was lost is no fault of a part: rounds count those. */
const MOST_STALLS = 1000;

/**
 * Serves a queue until the signal is aborted. It outlasts a Redis that is away for a while, and one that was wiped.
 *
 * @throws {UsageError} If there is no Redis to begin with.
 */
export async function serveQueue(url: string, serving: Serving): Promise<void> {
  const { signal, onLine } = serving;
  const { FlowProducer, UnrecoverableError, WaitingError, Worker } = await packageBullmq();
  (await connect(url)).disconnect();
  const { Redis } = await import("ioredis");
  // what waits for the queue waits for as long as it takes
  const connection = new Redis(url, { maxRetriesPerRequest: null });
  const complaints = new Complaints(onLine);
  connection.on("error", complaints.hear);
  connection.on("ready", complaints.end);
  const flows = new FlowProducer({ connection });

  const next = async (job: QueuedJob<QueuedNext>) => {
    try {
      onLine(await goOn(flows, job));
    } catch (error) {
      // to ask again would say the same
      throw error instanceof PartsError ? new UnrecoverableError(error.message) : error;
    }
  };
  const part = async (job: QueuedJob<QueuedPart>, token: string | undefined) => {
    try {
      await serving.run(job.data, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      await job.moveToWait(token);
      throw new WaitingError();
    }
  };
  const lockDuration = Math.round(1000 * serving.lockSeconds);
  const worker = new Worker<Queued>(
    QUEUE,
    (job, token) =>
      job.name === "next"
        ? next(job as QueuedJob<QueuedNext>)
        : part(job as QueuedJob<QueuedPart>, token),
    {
      ...{ connection, concurrency: 1, lockDuration, maxStalledCount: MOST_STALLS },
      stalledInterval: Math.ceil(lockDuration / 2),
    },
  );
  worker.on("error", complaints.hear);
  worker.on("failed", (job, { message }) => onLine(`${describe(job)} failed: ${message}`));
  onLine(`waiting for parts at ${withoutSecrets(url)}`);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await worker.close();
  await flows.close();
  connection.disconnect();
  signal.throwIfAborted();
}

function describe(job: QueuedJob<Queued> | undefined): string {
  if (job === undefined) return "a job";
  const { place, stage } = job.data;
  return "part" in job.data
    ? `${place}: ${stage} ${job.data.part}`
    : `${place}: what follows ${stage}`;
}

/** What is heard again and again is told once, and again after it had ended. */
class Complaints {
  #last = "";
  readonly #onLine: (line: string) => void;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  readonly hear = ({ message }: Error): void => {
    const line = `the queue: ${withoutSecrets(message) || "does not answer"}`;
    if (line !== this.#last) this.#onLine(line);
    this.#last = line;
  };

  readonly end = (): void => {
    if (this.#last !== "") this.#onLine("the queue answers again");
    this.#last = "";
  };
}
