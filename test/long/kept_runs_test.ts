/**
 * Code that is moved about leaves every result as it was, to the last bit: a list of runs, whose hashes are in
 * test/fixtures/kept_runs.json. Numbers differ between adapters, so the hashes are those of one; compressed
 * chunks may differ between versions of Node.
 *
 * The fixture is written anew, in Node and on the adapter it names, by
 *
 *   SLUICE_KEEP_RUNS=1 node tools/test.mjs --long --runtime node test/long/kept_runs
 *
 * With vitest's own -t it is written anew for some runs, and the others stay. That is right in a commit that
 * adds runs or means to change results: what has changed in the fixture then tells which, and no other may.
 * In a commit that only moves code it is wrong: a run that differs there is a mistake.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import fixture from "../fixtures/kept_runs.json" with { type: "json" };
import { KEPT_RUNS, openBench } from "../support/kept_runs.ts";
import type { Kept } from "../support/kept_runs/kept.ts";
import { keep } from "../support/kept_runs/kept.ts";
import { runtime } from "../support/runtime.ts";

/**
 * Formats of stores, by their name in attributes, whose version has gone up since the fixture was written. Only
 * with a reason beside it.
 */
const NEWER_FORMATS: readonly string[] = [];

/** Formats whose stores have said since whether they are complete. */
const SAY_COMPLETE = ["sluice.kmeans", "sluice.pca", "sluice.condition"];

/** Files that are drawn anew: what they show is in others. */
const REDRAWN = ["/report.html"];

const FIXTURE = "test/fixtures/kept_runs.json";
const keepsRuns = runtime === "node" && process.env.SLUICE_KEEP_RUNS === "1";

describe("runs leave what they left before", () => {
  let bench: Awaited<ReturnType<typeof openBench>> | undefined;
  const kept: Record<string, Kept> = {};

  beforeAll(async () => {
    if (runtime === "node") bench = await openBench();
  });
  afterAll(async () => {
    if (keepsRuns) await rewrite(bench!.gpu.adapter.name, kept);
    await bench?.close();
  });

  for (const { name, run } of KEPT_RUNS) {
    it(name, async (context) => {
      if (!bench) return context.skip(`results are kept of runs in Node, this is ${runtime}`);
      const adapter = bench.gpu.adapter.name;
      if (!keepsRuns && adapter !== fixture.adapter) {
        return context.skip(`results are kept of ${fixture.adapter}, this is ${adapter}`);
      }
      const now = await keep(await run(bench));
      kept[name] = now;
      if (keepsRuns) return;
      const before = (fixture.runs as Record<string, unknown>)[name] as Kept | undefined;
      expect(comparable(now)).toEqual(comparable(before));
    });
  }

  it("are those that the fixture has", () => {
    if (!keepsRuns) expect(Object.keys(fixture.runs)).toEqual(KEPT_RUNS.map(({ name }) => name));
    expect(new Set(KEPT_RUNS.map(({ name }) => name)).size).toBe(KEPT_RUNS.length);
  });
});

/** Puts runs into the fixture. Those that were left out by a filter stay as they are. */
async function rewrite(adapter: string, kept: Record<string, Kept>): Promise<void> {
  const { writeFile } = await import("node:fs/promises");
  const others = (adapter === fixture.adapter ? fixture.runs : {}) as Record<string, unknown>;
  const runs = KEPT_RUNS.map(({ name }) => [name, kept[name] ?? others[name]]);
  const all = { adapter, runs: Object.fromEntries(runs) };
  await writeFile(FIXTURE, `${JSON.stringify(all, undefined, 2)}\n`);
}

/** Without what has been added since. */
function comparable(kept: Kept | undefined): unknown {
  const isOneOf = (value: unknown, formats: readonly string[]) =>
    typeof value === "object" && value !== null &&
    formats.includes((value as { format?: string }).format ?? "");
  for (const { files } of Object.values(kept?.stores ?? {})) {
    for (const name of REDRAWN) delete files[name];
  }
  // through JSON, as the fixture was
  return kept && JSON.parse(JSON.stringify(kept), (_, value) => {
    if (isOneOf(value, NEWER_FORMATS)) delete value.format_version;
    if (isOneOf(value, SAY_COMPLETE)) delete value.complete;
    return value;
  });
}
