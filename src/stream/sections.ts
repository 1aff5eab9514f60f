/**
 * Sections: rows that are added up from zero, and whose sums are added in order, whoever did which. They follow
 * from an array's shape, the files it is stored in and the device's blocks alone: so sums are the same bits however
 * many runs share the rows.
 *
 * @module
 */

import type { OutputSpec } from "./output.ts";
import type { Stage } from "./lanes.ts";
import type { Pass, Sums, Tile } from "./pass.ts";
import type { Held, HeldSpecs, Task } from "./task.ts";

/** Sections are no shorter, but where there are fewer rows. */
export const LEAST_SECTION_ROWS = 4096;
/** Sections of a pass at most: whoever shares rows stores sums for each. */
const MOST_SECTIONS = 64;

/** Hears of what a section came to; the arrays begin anew when it returns. */
export type OnSection = (sums: Record<string, Held[string]>) => void;

/** Rows that lie in files of their own, of all arrays that a pass writes; all rows where that is no fewer. */
export function fileRowsOf(
  { writes = [] }: Pass,
  { streamed }: Pick<OutputSpec, "streamed">,
  rows: number,
): number {
  const steps = streamed.filter(({ name }) => writes.includes(name))
    .map(({ chunkShape, shardChunks = 1 }) => chunkShape[0]! * shardChunks);
  return Math.min(rows, steps.reduce(commonMultiple, 1));
}

/** Rows of a section; as many as there are rows where there is one alone. */
export function sectionRowsOf(
  pass: Pass,
  output: Pick<OutputSpec, "streamed">,
  rows: number,
): number {
  const own = [pass.sums?.blockRows ?? 1, pass.grain ?? 1];
  const step = [fileRowsOf(pass, output, rows), ...own].reduce(commonMultiple, 1);
  const least = Math.max(LEAST_SECTION_ROWS, rows / MOST_SECTIONS);
  return Math.min(rows, step * Math.ceil(least / step));
}

/** A task whose sums are made section by section, where it has any and there are several sections. */
export function sectioned<Specs extends HeldSpecs, Result>(
  task: Task<Specs, Result>,
): Task<Specs, Result> {
  const { rows, passes } = task.layout(1);
  const cuts = new Map(
    passes.filter(({ sums }) => sums).map((pass) => {
      const own = pass.rows ?? rows;
      return [pass.name, { rows: sectionRowsOf(pass, task.output, own), all: own }];
    }),
  );
  const cut = passes.filter(({ name }) =>
    cuts.has(name) && cuts.get(name)!.rows < cuts.get(name)!.all
  );
  if (cut.length === 0) return task;
  const names = new Set(cut.flatMap(({ sums }) => sums!.held));
  const totals = [...names].map((name) => [totalOf(name), task.held[name]!]);
  return withParts(task, {
    held: { ...task.held, ...Object.fromEntries(totals) },
    layout: (tileRows) => {
      const layout = task.layout(tileRows);
      const passes = layout.passes.map((pass) =>
        cut.some(({ name }) => name === pass.name)
          ? { ...pass, sections: { ...pass.sums!, rows: cuts.get(pass.name)!.rows } }
          : pass
      );
      return { ...layout, passes };
    },
  });
}

/** A task in which some is done otherwise. */
export function withParts<Specs extends HeldSpecs, Result>(
  task: Task<Specs, Result>,
  own: Partial<Task<Specs, Result>>,
): Task<Specs, Result> {
  return {
    name: task.name,
    feeds: task.feeds,
    held: task.held,
    output: task.output,
    ...(task.identity && { identity: task.identity }),
    layout: (tileRows) => task.layout(tileRows),
    ...(task.adopt && { adopt: (attributes) => task.adopt!(attributes) }),
    begin: (held, beginning) => task.begin?.(held, beginning),
    finish: (held, report) => task.finish(held, report),
    ...(task.result && { result: (stored, measured) => task.result!(stored, measured) }),
    ...own,
  };
}

/** Begins a sweep: what is there counts before its first section, and each begins with nothing. */
export function beginSections(
  { sections }: Pass,
  held: Held,
  onSection: OnSection | undefined,
): void {
  for (const name of sections?.held ?? []) {
    const own = held[name]!;
    if (!onSection) held[totalOf(name)]!.set(own);
    own.fill(0);
  }
}

/** Where a tile ends a section: its sums go to the total, and after the last one the total is the sum. */
export function endSection(
  { pass: { sections }, high }: Stage,
  { end }: Tile,
  held: Held,
  onSection: OnSection | undefined,
): void {
  if (!sections || (end % sections.rows !== 0 && end !== high)) return;
  const sums = Object.fromEntries(sections.held.map((name) => [name, held[name]!]));
  if (onSection) onSection(sums);
  for (const [name, own] of Object.entries(sums)) {
    if (!onSection) {
      const total = held[totalOf(name)]!;
      mergeSection(sections, name, total, own);
      if (end === high) own.set(total);
      if (end === high) total.fill(0);
    }
    if (onSection || end !== high) own.fill(0);
  }
}

/** Adds what a section came to, or what else makes one of two. */
export function mergeSection(
  { merge = {} }: Sums,
  name: string,
  total: Held[string],
  section: Held[string],
): void {
  if (merge[name]) return merge[name](total, section);
  for (let i = 0; i < total.length; i++) total[i]! += section[i]!;
}

const TOTAL = " of sections before";
const totalOf = (name: string) => name + TOTAL;

/** Whether a held array is of a run alone: parts have no sections before theirs. */
export const isTotal = (name: string) => name.endsWith(TOTAL);

function commonMultiple(a: number, b: number): number {
  let [large, small] = [a, b];
  while (small !== 0) [large, small] = [small, large % small];
  return a / large * b;
}
