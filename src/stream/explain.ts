/**
 * A plan in words: what is held where, per pass and in all.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import { formatBytes, formatTable, wrapWords } from "../math/format.ts";
import type { MemoryBytes } from "../types.ts";
import { memoryOf, ringBytes, tableBytes } from "./buffers.ts";
import { laneRows } from "./lanes.ts";
import type { Output } from "./output.ts";
import type { Task, TaskLayout } from "./task.ts";

/** How a plan goes through its rows. */
interface Tiling {
  tileRows: number;
  slots: number;
}

const size = (bytes: number) => bytes === 0 ? "" : formatBytes(bytes);

/** What a plan holds where, in cells. */
export interface PlanTable {
  /** What is run, where, and what it may take. */
  title: string;
  columns: readonly string[];
  /** A pass, or what is held besides, each; the last is all of it. */
  rows: readonly (readonly string[])[];
  notes: readonly string[];
}

/** A table for people, as wide as their terminal. */
export function explainPlan(...plan: Parameters<typeof tablePlan>): string {
  const { title, columns, rows, notes } = tablePlan(...plan);
  const noteLines = notes.map((note) => wrapWords(note));
  return [wrapWords(title), formatTable([columns, ...rows]), ...noteLines].join("\n");
}

export function tablePlan(
  gpu: Gpu,
  // deno-lint-ignore no-explicit-any
  task: Task<any, unknown>,
  output: Output,
  { tileRows, slots, projected }: Tiling & { projected: MemoryBytes },
): PlanTable {
  const layout = task.layout(tileRows);
  const { rows, lanes, notes = [] } = layout;
  const own = laneRows(layout);
  const count = lanes?.count ?? 1;
  const columns = ["", "tiles", "rows a tile", "GPU", "host", "disk"];
  const table = [];
  table.push(["tables and carries", "", "", size(tableBytes(layout)), "", ""]);
  table.push(...passLines(layout, { tileRows, slots }));
  const items = memoryOf(task, output, layout, tileRows, slots);
  for (const { what, kind, bytes } of items) {
    table.push([
      what,
      "",
      "",
      "",
      kind === "host" ? size(bytes) : "",
      kind === "disk" ? size(bytes) : "",
    ]);
  }
  table.push([
    "in all (passes share buffers)",
    "",
    "",
    size(projected.gpu),
    size(projected.host),
    size(projected.disk),
  ]);
  const cut = count > 1
    ? `, ${count} lanes of ${own} that start ${lanes!.burnInRows} rows early`
    : "";
  const budget = gpu.budgetBytes;
  const title = `Plan "${task.name}": ${rows} rows${cut} on ${gpu.adapter.name}, budget ` +
    `${formatBytes(budget.gpu)} of GPU memory and ${formatBytes(budget.host)} of the host's`;
  return { title, columns, rows: table, notes };
}

/** A line for every pass; those that differ in their number alone share one. */
function passLines(layout: TaskLayout, { tileRows, slots }: Tiling): string[][] {
  const own = laneRows(layout);
  const count = layout.lanes?.count ?? 1;
  const lines: string[][] = [];
  const numbered = new Map<string, { first: number; last: number; row: string[] }>();
  for (const pass of layout.passes) {
    const sweeps = pass.sweeps ? `, up to ${pass.sweeps.most} sweeps` : "";
    const words = `(${pass.direction}, ${slots} slots${sweeps})`;
    const row = [
      `${pass.name} ${words}`,
      String(Math.ceil((pass.rows ?? own) / tileRows)),
      `${count > 1 ? `${count} x ` : ""}${Math.min(pass.rows ?? own, tileRows)}`,
      size(ringBytes([pass], count, slots)),
      "",
      "",
    ];
    const [, name, number] = /^(.*) (\d+)$/.exec(pass.name) ?? [];
    const key = [name, words, ...row.slice(1)].join("\n");
    const known = name === undefined ? undefined : numbered.get(key);
    if (known) {
      known.last = Number(number);
      known.row[0] = `${name} ${known.first} to ${known.last} ${words}`;
      continue;
    }
    lines.push(row);
    if (name !== undefined) {
      numbered.set(key, { first: Number(number), last: Number(number), row });
    }
  }
  return lines;
}
