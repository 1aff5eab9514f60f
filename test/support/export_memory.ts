/** Exports a large store in a process of its own, and says what memory that took: Node and Deno. */

import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "./cli.ts";
import { writeLargeGroup } from "./large_group.ts";
import { runtime } from "./runtime.ts";

export interface ExportMemory {
  fileBytes: number;
  /** Most that the process had at a time, as the system saw it. */
  residentBytes: number;
  seconds: number;
}

/** @param chunks Of 4 MiB. */
export async function exportMemory(chunks: number, ...options: string[]): Promise<ExportMemory> {
  const folder = await mkdtemp(join(tmpdir(), `sluice-export-${runtime}-`));
  try {
    const [place, file] = [join(folder, "in.zarr"), join(folder, "out.nc")];
    await writeLargeGroup(place, chunks);
    const run = await runCli(["export", place, file, "--json", "--quiet", ...options], {});
    if (run.code !== 0) throw new Error(run.stdout + run.stderr);
    const { fileBytes, peakResidentBytes, seconds } = JSON.parse(run.stdout);
    if ((await stat(file)).size !== fileBytes) throw new Error(`${file} is not ${fileBytes} bytes`);
    return { fileBytes, residentBytes: peakResidentBytes, seconds };
  } finally {
    await rm(folder, { recursive: true });
  }
}

export function describeMemory({ fileBytes, residentBytes, seconds }: ExportMemory): string {
  const [file, resident] = [fileBytes, residentBytes].map((bytes) => Math.round(bytes / 2 ** 20));
  return `${runtime}: ${file} MiB exported in ${seconds.toFixed(1)} s, ${resident} MiB resident`;
}
