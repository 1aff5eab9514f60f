/**
 * `sluice check`.
 *
 * @module
 */

import type { StoreCheck } from "../zarr/check.ts";
import { checkStore } from "../zarr/check.ts";
import { formatTable } from "../math/format.ts";
import type { CommandContext } from "./usage.ts";
import { CommandLine, common, UsageError } from "./usage.ts";

export const checkHelp = `Usage: sluice check PLACE [--json]

Reads every file of a stored result, compares checksums, and looks at the journal of a run that has
not finished. What has to be there is told by the result's list of checksums and its metadata. Says what
is whole, what is missing, what is damaged, and how to go on. Changes nothing.

Exit codes: 0 whole, 1 unfinished but sound, 2 damaged or no store at all.
`;

const CODES = { whole: 0, unfinished: 1, damaged: 2 } as const;

export async function check({ args, signal }: CommandContext): Promise<number> {
  const line = new CommandLine(args, {}, { positionals: 1 });
  const [place] = line.positionals;
  if (place === undefined) throw new UsageError("Cannot check: wanted the place of a store");
  const found = await checkStore(place, { signal });
  console.log(line.read(common).json ? JSON.stringify(found) : describe(found));
  return CODES[found.state];
}

function describe(found: StoreCheck): string {
  const { place, zarrFormat, arrays, damaged, journal, advice } = found;
  const table = [["", "files", "whole", "being written", "missing", "damaged"]];
  for (const { name, files, wholeFiles, unfinished, missing, damaged } of arrays) {
    const counts = [files, wholeFiles, unfinished.length, missing.length, damaged.length];
    table.push([name, ...counts.map((count) => count === 0 ? "" : String(count))]);
  }
  const lines = [`${place}: zarr version ${zarrFormat}`, formatTable(table)];
  for (const { path, reason } of [...damaged, ...arrays.flatMap(({ damaged }) => damaged)]) {
    lines.push(reason.includes(path) ? reason : `"${path}": ${reason}`);
  }
  for (const { missing } of arrays) lines.push(...missing.map((path) => `"${path}" is missing`));
  if (journal) {
    lines.push(
      `journal: ${journal.steps} steps, pass "${journal.pass}" stored to row ${journal.row}`,
    );
    if (journal.damagedBytes > 0) {
      lines.push(`journal: its last ${journal.damagedBytes} bytes are damaged and do not count`);
    }
  }
  return [...lines, advice].join("\n");
}
