/**
 * `sluice worker`.
 *
 * @module
 */

import process from "node:process";
import { printable } from "../math/format.ts";
import { number } from "../options.ts";
import { queueChoices, queueUrl } from "./engines/bullmq.ts";
import { serveQueue } from "./engines/bullmq_worker.ts";
import { keepGpu } from "./open_gpu.ts";
import { runPartOf } from "./part.ts";
import type { Command, CommandContext } from "./usage.ts";
import { CommandLine, common, helpOf } from "./usage.ts";

/** Work on the host leaves no turn to others for that long at most. */
const LOCK_SECONDS = 60;

const queue = {
  ...queueChoices,
  lock: number({
    default: LOCK_SECONDS,
    from: 1,
    takes: "SECONDS",
    stored: false,
    says: "how long a part stays with a worker that does not answer",
  }),
};

export const workerSections = { BullMQ: queue };

export const workerHelp = `Usage: sluice worker --queue redis://HOST:PORT [options]

Runs parts that sluice submit --on bullmq put into a queue, one at a time, until it is cancelled. GPU and kernels
stay warm. Wants npm i bullmq ioredis.

${helpOf(workerSections)}`;

export async function worker(
  { args, signal }: CommandContext,
  commands: Readonly<Record<string, Command>>,
): Promise<void> {
  const line = new CommandLine(args, workerSections);
  const { queue: url, lock = LOCK_SECONDS } = line.read(queue);
  const { adapter, quiet = false } = line.read(common);
  const { run, close } = keepGpu(adapter);
  const options = quiet ? ["--quiet"] : [];
  try {
    await serveQueue(queueUrl(url), {
      ...{ lockSeconds: lock, signal },
      onLine: (text) => void (quiet || process.stderr.write(`${printable(text)}\n`)),
      run: ({ place, stage, part }) =>
        run(() => {
          const own = new CommandLine([place, stage, String(part), ...options], {}, {
            positionals: 3,
          });
          return runPartOf(own, { args: [], signal }, commands);
        }),
    });
  } finally {
    close();
  }
}
