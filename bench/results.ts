/**
 * Results by adapter: a JSON line each, and `bench/results/<adapter>.json` (or `$OUT`), where a row takes
 * the place of an earlier one of the same bench, case and runtime.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { AdapterDescription } from "../src/gpu/device.ts";
import { VERSION } from "../src/version.ts";

/** What a bench measured of one case. */
export interface ResultRow {
  bench: string;
  case: string;
  [what: string]: unknown;
}

type Adapter = Pick<AdapterDescription, "name" | "driver">;

/** Where rows come from: written beside each of them. */
function origin({ driver }: Adapter, chromium: string | undefined) {
  const { node, deno } = process.versions as Record<string, string | undefined>;
  const dawn = "node_modules/webgpu/package.json";
  const versions = chromium
    ? [`Chromium ${chromium}`]
    : deno
    ? [`Deno ${deno}`]
    : [`Node ${node}`, `webgpu ${JSON.parse(readFileSync(dawn, "utf8")).version}`];
  return {
    runtime: chromium ? "chromium" : deno ? "deno" : "node",
    versions: [`sluice ${VERSION}`, ...versions].join(", "),
    // the name of a manifest, not where it lies
    driver: chromium ? "the browser's" : driver?.replace(/^\/.*\//, "") ?? "the system's",
    date: new Date().toISOString().slice(0, 10),
  };
}

/**
 * Prints rows as JSON lines and merges them into the adapter's file.
 *
 * @param chromium Its version, where they come from a page.
 */
export function saveResults(
  adapter: Adapter,
  rows: readonly ResultRow[],
  chromium?: string,
): void {
  if (rows.length === 0) return;
  const from = origin(adapter, chromium);
  for (const row of rows) console.log(JSON.stringify({ ...row, adapter: adapter.name, ...from }));
  const folder = process.env.OUT || "bench/results";
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${safeName(adapter.name)}.json`);
  const earlier: (ResultRow & { runtime: string })[] = existsSync(file)
    ? JSON.parse(readFileSync(file, "utf8")).rows
    : [];
  const key = (row: ResultRow) => `${row.bench} | ${row.case} | ${row.runtime}`;
  const all = new Map(earlier.map((row) => [key(row), row]));
  for (const row of rows) {
    const whole = { ...row, ...from };
    all.set(key(whole), whole);
  }
  const sorted = [...all].sort(([a], [b]) => a < b ? -1 : 1).map(([, row]) => JSON.stringify(row));
  writeFileSync(
    file,
    `{"adapter":${JSON.stringify(adapter.name)},"rows":[\n${sorted.join(",\n")}\n]}\n`,
  );
}

function safeName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
}
