/** Work of every kind that is killed again and again, and goes on: Node only. */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { inspect } from "node:util";
import { expect } from "vitest";
import { checkStore } from "../../src/zarr/check.ts";
import { contentsOf as hdf5Contents } from "./kept_runs/hdf5_contents.ts";
import type { Death, Job } from "./kill_child.ts";
import { Child, isTornLock, TORN_LOCK_MS } from "./killed_decodes.ts";
import type { Work } from "./killed_works.ts";
import { WORKS } from "./killed_works.ts";
import { seeded } from "./random.ts";
import { runtime } from "./runtime.ts";

const WAYS: readonly Death["how"][] = ["before", "after", "within", "half", "soon"];
/** Work that was killed so often is left alone to finish. */
const MOST_KILLS = 6;
const TILE_ROWS: Record<Work, readonly number[]> = {
  lanes: [56, 64, 31, 200],
  v2: [48, 30, 64],
  overwrite: [48, 30, 64],
  path: [16, 48],
  fit: [128, 64, 100],
  condition: [128],
  pool: [40, 64, 100],
  logistic: [128, 64, 400],
  multimax: [72, 16, 48],
  sweep: [128],
  export: [128],
};
const BUDGETS_MIB = [64, 48, 96];

export interface CampaignCounts {
  kills: Record<Work, number>;
  /** Kills after which the next run went on with what had been stored. An export starts over. */
  resumed: Record<Work, number>;
  /** Pieces of work that came to their end, with the same bytes. */
  finished: Record<Work, number>;
  waits: number;
}

/** Hashes of every file below a path; of an exported file what is in it, since HDF5 stores the time. */
async function contentsOf(path: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const hash = (text: string | Uint8Array) => createHash("sha256").update(text).digest("hex");
  if (/\.nc$/.test(path)) {
    for (const [name, value] of Object.entries(await hdf5Contents(path))) {
      found[name] = hash(inspect(value, { depth: 9, maxArrayLength: null, breakLength: Infinity }));
    }
    return found;
  }
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    found[file.slice(path.length)] = hash(await readFile(file));
  }
  return found;
}

/** Kills work of every kind so many times in all, and checks what it comes to. */
export async function killWorks(
  kills: number,
  seed: number,
  works: readonly Work[] = WORKS,
): Promise<CampaignCounts> {
  const folder = await mkdtemp(join(tmpdir(), `sluice-campaign-${runtime}-`));
  const random = seeded(seed);
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)]!;
  const zeros = () => Object.fromEntries(WORKS.map((work) => [work, 0])) as Record<Work, number>;
  const counts: CampaignCounts = { kills: zeros(), resumed: zeros(), finished: zeros(), waits: 0 };
  const sum = () => Object.values(counts.kills).reduce((all, some) => all + some);
  let child = new Child();
  let spare = new Child();
  const next = async () => {
    child = spare;
    await child.ready();
    spare = new Child();
  };
  const pathOf = (work: Work, name: string) =>
    join(folder, `${work}-${name}`, work === "export" ? "out.nc" : "out.zarr");
  const source = `file:${join(folder, "source.zarr")}`;
  const jobOf = (kind: Work, path: string, other: boolean): Job => ({
    out: `file:${path}`,
    work: {
      kind,
      other,
      budgetMiB: pick(BUDGETS_MIB),
      options: { tileRows: pick(TILE_ROWS[kind]), source, overwrite: other },
    },
  });
  const finish = async (job: Job) => {
    const last = (await child.run(job)).at(-1)!;
    if (last.event !== "finished") throw new Error(JSON.stringify([job, last]));
    return last;
  };
  try {
    await child.ready();
    await finish({ out: source });
    const wanted = new Map<Work, { contents: Record<string, string>; moments: number }>();
    for (const work of works) {
      const path = pathOf(work, "whole");
      await mkdir(join(path, ".."));
      const { moments } = await finish(jobOf(work, path, work === "overwrite"));
      wanted.set(work, { contents: await contentsOf(path), moments: moments.logged });
    }
    for (let i = 0; sum() < kills; i++) {
      const work = works[i % works.length]!;
      const { contents, moments } = wanted.get(work)!;
      const path = pathOf(work, String(i));
      const story: unknown[] = [];
      const told = () => `${path}: ${JSON.stringify(story)}`;
      const mine = [join(path, "..", "mine"), join(path, "..", `mine.partial`)];
      await mkdir(join(path, ".."));
      for (const file of mine) await writeFile(file, "mine");
      let killed = 0;
      let left = moments;
      for (let done = false; !done;) {
        const job = jobOf(work, path, work === "overwrite" && killed === 0);
        if (killed < MOST_KILLS && sum() < kills) {
          // early moments more often: the work then has more lives
          const at = 1 + Math.floor(random() ** 3 * Math.max(1, left));
          // a tenth dies anywhere, at the beginning too
          job.death = random() < 0.1
            ? { phase: "metadata", at, how: pick(WAYS), milliseconds: 2 }
            : { phase: "logged", at, how: pick(WAYS), milliseconds: 4 * random() ** 2 };
        }
        const reports = await child.run(job);
        const last = reports.at(-1)!;
        story.push(job, last);
        const isResumed = reports.some(({ event }) => event === "resumed");
        if (killed > 0 && isResumed && story.length > 2) counts.resumed[work]++;
        if (last.event === "failed") {
          const locks = [`${path}.journal`, path].map((place) => join(place, "lock"));
          const torn = await Promise.all([...locks, `${path}.lock`].map(isTornLock));
          expect(last.name === "OutputConflictError" && torn.includes(true), told()).toBe(true);
          counts.waits++;
          await wait(TORN_LOCK_MS);
          continue;
        }
        done = last.event === "finished";
        if (last.event !== "died") continue;
        killed++;
        counts.kills[work]++;
        left = Math.max(1, left - (job.death?.phase === "logged" ? job.death.at : 0));
        await next();
      }
      expect(await contentsOf(path), told()).toEqual(contents);
      counts.finished[work]++;
      if (!["export", "condition", "sweep"].includes(work)) {
        expect(await checkStore(`file:${path}`), told()).toMatchObject({ state: "whole" });
      }
      for (const file of mine) expect(await readFile(file, "utf8"), told()).toBe("mine");
      // journals, locks and temporary names are gone
      const names = ["mine", "mine.partial", path.slice(path.lastIndexOf("/") + 1)].sort();
      expect((await readdir(join(path, ".."))).sort(), told()).toEqual(names);
      expect(existsSync(join(path, "lock")), told()).toBe(false);
      await rm(join(path, ".."), { recursive: true });
    }
    return counts;
  } finally {
    await Promise.all([child.end(), spare.end()]);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Share of kills, but for those of exports, after which the next run went on. */
export function resumeRate({ kills, resumed }: CampaignCounts): number {
  const sum = (counts: Record<Work, number>) =>
    WORKS.filter((work) => work !== "export").reduce((all, work) => all + counts[work], 0);
  return sum(resumed) / sum(kills);
}

/** One line: kills and resumes by kind of work. */
export function describeCampaign(counts: CampaignCounts): string {
  const { kills, resumed, finished, waits } = counts;
  const works = WORKS.map((work) =>
    `${work} ${kills[work]} kills, ${resumed[work]} resumed, ${finished[work]} finished`
  );
  const share = (100 * resumeRate(counts)).toFixed(0);
  return `${runtime}: ${works.join("; ")}; ${share} % of kills but those of exports were gone on ` +
    `from, ${waits} waits for a torn lock`;
}
