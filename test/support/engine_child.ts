/**
 * The command line in small, for tests of engines: `part`, `submit` and `worker` as there, but a part does no more
 * than to digest what the stage before wrote; `alone` runs all of them. `<place>.journal/turns/log` tells when parts
 * begin and end.
 */

import { createHash } from "node:crypto";
import { appendFileSync, mkdirSync } from "node:fs";
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { bullmq } from "../../src/cli/engines/bullmq.ts";
import { serveQueue } from "../../src/cli/engines/bullmq_worker.ts";
import type { Engine } from "../../src/cli/engines/engine.ts";
import { jobAt, ROUNDS } from "../../src/cli/engines/engine.ts";
import { slurm } from "../../src/cli/engines/slurm.ts";
import { slurmSteps } from "../../src/cli/engines/slurm_steps.ts";
import { createOnce, markerKey, readMarker, stopKey } from "../../src/parts/markers.ts";
import { nextStage } from "../../src/parts/next_stage.ts";
import type { PartPlan, StoredPlan } from "../../src/parts/part_plan.ts";
import { openParts, readPartPlan, stageAt, stagesInOrder } from "../../src/parts/part_plan.ts";
import { encodeSealed } from "../../src/parts/sealed.ts";
import type { Store } from "../../src/store/store.ts";

const ENGINES: Record<string, Engine> = { slurm, "slurm-steps": slurmSteps, bullmq };
/** The turn after which the loop stops: fewer than it may have. */
const LAST_TURN = 2;

/** Numbers that all parts of the stage before wrote, in order, and what this part makes of them. */
async function valueOf(
  store: Store,
  stored: StoredPlan & { parts: PartPlan },
  stage: string,
  part: number,
): Promise<string> {
  const hash = createHash("sha256").update(`${stage} ${part}`);
  const stages = [...stagesInOrder(stored.parts, () => undefined)];
  const before = stages.findLast(({ name }, i) =>
    i < stages.findIndex((own) => own.name === stage) &&
    (!name.startsWith("it/") || Number(name.split("/")[2]) <= LAST_TURN)
  );
  for (let i = 0; before && i < before.parts; i++) {
    const marker = await readMarker(store, stored, before.name, i);
    if (!marker) throw new Error(`${stage} ${part} began before ${before.name} ${i} was done`);
    hash.update((await store.get(marker.result))!);
  }
  return hash.digest("hex");
}

async function runPart(place: string, stage: string, part: number): Promise<string> {
  const turns = `${place}.journal/turns`;
  mkdirSync(turns, { recursive: true });
  const note = (what: string) =>
    appendFileSync(`${turns}/log`, `${process.pid} ${what} ${stage} ${part}\n`);
  const store = await openParts(place, "write");
  try {
    const plan = await readPartPlan(store);
    if (await readMarker(store, plan, stage, part)) return `${stage} ${part} was done`;
    note("begins");
    if (process.env.FAIL === `${stage} ${part}`) throw new Error("told to fail");
    const { kind, turn } = stageAt(plan.parts, stage);
    const value = await valueOf(store, plan, stage, part);
    await wait(Number(process.env.PART_MS ?? 200) * (0.5 + Math.random()));
    const result = `/results/${stage}/${part}.${crypto.randomUUID()}`;
    await createOnce(store, result, new TextEncoder().encode(value));
    const isLast = kind === "it/merge" && turn === LAST_TURN;
    if (isLast) await createOnce(store, stopKey("it"), encodeSealed({ turn }));
    const marker = encodeSealed({ plan: plan.hash, stage, part, result, written: value });
    const made = await createOnce(store, markerKey(stage, part), marker);
    note(made ? "made" : "came late to");
    return `${stage} ${part} ${made ? "done" : "was done"}`;
  } finally {
    await store.close();
  }
}

const { values, positionals: [command, place, stage, part] } = parseArgs({
  options: Object.fromEntries(
    ["on", "after", "round", "rounds", "sbatch", "queue", "lock", "workers"]
      .map((name) => [name, { type: "string" as const }]),
  ),
  allowPositionals: true,
});
const cancel = new AbortController();
process.on("SIGTERM", () => cancel.abort(new DOMException("Cancelled", "AbortError")));
const onLine = (line: string) => console.log(line);
try {
  if (command === "part") {
    onLine(await runPart(place!, stage!, Number(part ?? process.env.SLURM_ARRAY_TASK_ID)));
  } else if (command === "alone") {
    for (let next = await nextStage(place!); !next.done; next = await nextStage(place!)) {
      for (const part of next.missing) await runPart(place!, next.stage, part);
    }
  } else if (command === "submit") {
    const { on, rounds = ROUNDS, workers = 4, round, ...choices } = values;
    await ENGINES[on as string]!.submit(jobAt(place!), {
      ...{ workers: Number(workers), rounds: Number(rounds), signal: cancel.signal, onLine },
      choices: { ...choices, ...round !== undefined && { round: Number(round) } },
    });
  } else if (command === "worker") {
    await serveQueue(values.queue as string, {
      ...{ lockSeconds: Number(values.lock), signal: cancel.signal, onLine },
      run: async ({ place, stage, part }) => onLine(await runPart(place, stage, part)),
    });
  }
  process.exit(0);
} catch (error) {
  console.error(`${(error as Error).name}: ${(error as Error).message}`);
  process.exit(1);
}
