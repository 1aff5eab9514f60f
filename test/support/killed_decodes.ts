/** Decodes in processes that are killed over and over: Node and Deno only. */

import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { expect } from "vitest";
import { checkStored, hashesOf } from "./interrupted_decode.ts";
import type { Death, Job, Phase, Report } from "./kill_child.ts";
import { seeded } from "./random.ts";
import { runtime } from "./runtime.ts";

const PROGRAM = runtime === "deno"
  ? ["run", "--allow-all", "test/support/kill_child.ts"]
  : ["tools/run.mjs", "kill_child"];

const PHASES: readonly Phase[] = ["metadata", "forward", "backward", "shard close", "checkpoint"];
const WAYS: readonly Death["how"][] = ["before", "after", "within", "half", "soon"];
/** A decode that was killed so often is left alone to finish. */
const MOST_KILLS_A_DECODE = 6;
/** How long a lock that was not written to its end counts. */
export const TORN_LOCK_MS = 1000;

export interface KillCounts {
  kills: number;
  decodes: number;
  /** Kills by what the run was doing. */
  byPhase: Record<Phase, number>;
  /** Tiles that were computed more than once. */
  redoneTiles: number;
  /** The most tiles that one decode computed again, less its kills: at most 0 is one a kill. */
  worstExcess: number;
  /** Runs that had to wait since a lock was torn by the kill. */
  waits: number;
}

/** A process that waits for jobs, until one of them kills it. */
export class Child {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #closed: Promise<void>;
  #stderr = "";

  constructor() {
    const child = spawn(process.execPath, PROGRAM, { stdio: ["pipe", "pipe", "pipe"] });
    child.stderr.on("data", (data) => this.#stderr += data);
    // it may die before it has read all
    child.stdin.on("error", () => {});
    this.#closed = new Promise((resolve) => child.on("close", () => resolve()));
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.#process = child;
  }

  async ready(): Promise<void> {
    expect(await this.#next()).toEqual({ event: "ready" });
  }

  /** Everything the child reports of a job; the last one tells how it ended. */
  async run(job: Job): Promise<Report[]> {
    this.#process.stdin!.write(`${JSON.stringify(job)}\n`);
    const reports: Report[] = [];
    for (;;) {
      const report = await this.#next();
      reports.push(report);
      if (report.event === "died") await this.#closed;
      if (["died", "finished", "failed"].includes(report.event)) return reports;
    }
  }

  async end(): Promise<void> {
    this.#process.stdin!.end();
    await this.#closed;
  }

  async #next(): Promise<Report> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`A decoding process ended by itself:\n${this.#stderr}`);
    return JSON.parse(value) as Report;
  }
}

/** Kills runs of a small decode, again and again until each has finished, and checks all they leave. */
export async function killDecodes(kills: number, seed: number): Promise<KillCounts> {
  const folder = await mkdtemp(join(tmpdir(), `sluice-kill-${runtime}-`));
  const random = seeded(seed);
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)]!;
  const counts: KillCounts = {
    kills: 0,
    decodes: 0,
    byPhase: { metadata: 0, forward: 0, backward: 0, "shard close": 0, checkpoint: 0 },
    redoneTiles: 0,
    worstExcess: -Infinity,
    waits: 0,
  };
  // while one works, the next starts
  let child = new Child();
  let spare = new Child();
  try {
    await child.ready();
    const finished = `file:${join(folder, "finished.zarr")}`;
    const whole = (await child.run({ out: finished })).at(-1)!;
    if (whole.event !== "finished") throw new Error(JSON.stringify(whole));
    const wanted = await hashesOf(finished);
    const tiles = 2 * 6;

    while (counts.kills < kills) {
      const path = join(folder, `${counts.decodes++}.zarr`);
      const out = `file:${path}`;
      const computed = new Map<string, number>();
      const committed = new Set<string>();
      const story: unknown[] = [];
      let killed = 0;
      let phases = PHASES;
      for (let done = false; !done;) {
        let death: Death | undefined;
        if (killed < MOST_KILLS_A_DECODE && counts.kills < kills) {
          const fewest = Math.min(...phases.map((phase) => counts.byPhase[phase]));
          // those that were seldom met come first
          const phase = pick(phases.filter((phase) => counts.byPhase[phase] <= fewest + 1));
          // a run that goes on has few moments of metadata: those of its end
          const most = phase === "metadata" && random() < 0.5 ? 10 : whole.moments[phase];
          // early moments more often: the decode then has more lives
          const at = 1 + Math.floor(random() ** 2 * most);
          death = { phase, at, how: pick(WAYS), milliseconds: 4 * random() ** 2 };
        }
        const reports = await child.run({ out, ...(death && { death }) });
        const last = reports.at(-1)!;
        story.push(death, last);
        const told = () => `${path}: ${JSON.stringify(story)}`;
        for (const report of reports) {
          if (!("pass" in report)) continue;
          const tile = `${report.pass} ${report.row}`;
          if (report.event === "committed") committed.add(tile);
          else {
            expect(committed.has(tile), `${tile} was stored, ${told()}`).toBe(false);
            computed.set(tile, (computed.get(tile) ?? 0) + 1);
          }
        }
        if (last.event === "failed") {
          // nobody can tell whether a lock without a name is being written right now
          const torn = last.name === "OutputConflictError" &&
            await isTornLock(join(`${path}.journal`, "lock"));
          expect(torn, told()).toBe(true);
          counts.waits++;
          await wait(TORN_LOCK_MS);
          continue;
        }
        if (last.event === "died") {
          killed++;
          counts.kills++;
          counts.byPhase[last.phase]++;
          child = spare;
          await child.ready();
          spare = new Child();
        }
        const complete = last.event === "finished";
        const rows = await checkStored(out, finished).catch((error) => {
          throw new Error(`${error.message}; ${told()}`);
        });
        if (complete) expect(rows, told()).toBeGreaterThan(0);
        // a finished forward pass does not come again
        const filtered = [...committed].filter((tile) => tile.startsWith("filter")).length;
        phases = filtered < tiles / 2 ? PHASES : PHASES.filter((phase) => phase !== "forward");
        done = complete;
      }
      const redone = [...computed.values()].reduce((sum, times) => sum + times - 1, 0);
      counts.redoneTiles += redone;
      counts.worstExcess = Math.max(counts.worstExcess, redone - killed);
      const told = `${path}: ${JSON.stringify(story)}`;
      expect(computed.size, told).toBe(tiles);
      expect(await hashesOf(out), told).toEqual(wanted);
      expect(
        (await readdir(path, { recursive: true })).filter((name) => /partial/.test(name)),
        told,
      )
        .toEqual([]);
      expect(existsSync(`${path}.journal`), told).toBe(false);
      await rm(path, { recursive: true });
    }
    return counts;
  } finally {
    await Promise.all([child.end(), spare.end()]);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Whether there is a lock that was not written to its end. */
export async function isTornLock(path: string): Promise<boolean> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return false;
  try {
    JSON.parse(text);
    return false;
  } catch {
    return true;
  }
}

/** One line: kills by phase, and what they cost. */
export function describeKills(counts: KillCounts): string {
  const phases = Object.entries(counts.byPhase).map(([phase, count]) => `${phase} ${count}`);
  return `${runtime}: ${counts.kills} kills of ${counts.decodes} decodes (${phases.join(", ")}), ` +
    `${counts.redoneTiles} tiles computed again, ${counts.waits} waits for a torn lock`;
}
