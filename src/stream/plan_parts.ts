/**
 * A plan in parts: the task that a run alone has, over some rows of a pass, and then the end of it. What a part
 * comes to is bytes that name what it stored and the sums of its sections.
 *
 * @module
 */

import { OutputConflictError, StoreError } from "../errors.ts";
import { createOnce, markerKey } from "../parts/markers.ts";
import type { PartStage } from "../parts/part_plan.ts";
import { readStages, STAGES_KEY } from "../parts/part_plan.ts";
import { decodeSealed, encodeSealed } from "../parts/sealed.ts";
import { openJournal } from "../store/journal.ts";
import type { Store } from "../store/store.ts";
import { heldState } from "./checkpoints.ts";
import type { RunOptions } from "./choices.ts";
import type { AnyTask, Identified } from "./identify.ts";
import { identify } from "./identify.ts";
import { stampOf } from "./input_stamp.ts";
import { endOf, stagesOf } from "./lanes.ts";
import type { StoredChunks } from "./output.ts";
import { PartOutput } from "./part_output.ts";
import type { Pass } from "./pass.ts";
import { Plan } from "./plan.ts";
import { refuseOverlap } from "./places.ts";
import { TaskRun } from "./run.ts";
import { addTo, fileRowsOf, sectionRowsOf, withParts } from "./sections.ts";
import { StoredOutput } from "./stored_output.ts";
import type { Held, HeldSpecs } from "./task.ts";
import { bytesOf, createHeld } from "./task.ts";

/** A stage of parts that share the rows of a pass. */
export interface RowsStage extends PartStage {
  pass: string;
  /** Rows of the pass. */
  rows: number;
  /** Rows of a section, or of a file where nothing is summed: no part cuts one. */
  unit: number;
}

/** What the first part of a plan found. */
export interface FoundStages {
  /** As a run alone has it. */
  hash: string;
  /** Whose name the result will bear. */
  adapter: string;
  /** What looks at the feeds told, so that no part reads what is another's. */
  looks: unknown[];
  /** Of the files that were looked at, where they have one. */
  stamp?: string | undefined;
  stages: readonly RowsStage[];
}

/** What comes before a result's sums: of bytes that {@link runRows} gave. */
interface ResultHead {
  chunks: StoredChunks;
  sections: number;
  isMixed: boolean;
}

let unnamedJournals = 0;
const memoryJournal = () => openJournal(`memory:journals of parts/${unnamedJournals++}`);

/** What a part runs with. */
export interface PartRun<Result> {
  plan: Plan<Result>;
  options: RunOptions & { signal: AbortSignal };
}

/**
 * The first part: looks at all that is read, cuts the rows, and leaves a group for others to fill.
 *
 * @throws {RangeError} If the plan cannot be cut into so many parts.
 * @throws {OutputConflictError} If something else is at the output's place.
 */
export async function beginParts<Result>(
  { plan, options: { signal } }: PartRun<Result>,
  store: Store,
  parts: number,
): Promise<FoundStages> {
  const { task } = plan.made;
  const { place, overwrite } = task.output;
  if (place === undefined || overwrite) {
    throw new RangeError(
      `Cannot run "${task.name}" in parts: ${
        overwrite ? "overwriting is allowed" : "it has no output"
      }` +
        `, wanted a place for the result, where none is`,
    );
  }
  await refuseOverlap(place, task.feeds);
  const passes = rowPasses(task);
  const stamp = await stampOf(task.feeds);
  const identified = await identify(task, signal);
  const output = new StoredOutput(task.output, place);
  const { claim: { hash }, adapter, hashFor, looks } = identified;
  const known = await readStages<FoundStages>(store);
  if (!known) {
    const { kind } = await output.check(hash, undefined, hashFor);
    if (kind === "unfinished") {
      throw new OutputConflictError(
        `Cannot write to ${place}: it holds rows of a run that did not end, and no plan in parts of it; end it in ` +
          "one piece, by the same command, or remove it",
        place,
      );
    }
    const stages = kind === "finished" ? [] : passes.map((pass) => cutPass(task, pass, parts));
    await createOnce(store, STAGES_KEY, encodeSealed({ hash, adapter, looks, stamp, stages }));
  }
  const found = (await readStages<FoundStages>(store))!;
  await checkHash(task, found, identified);
  if (found.stages.length > 0) await output.beginForOthers(found.hash, found.adapter);
  return found;
}

/** Runs rows of a pass: what it gives is for {@link finishParts}. */
export async function runRows<Result>(
  { plan, options }: PartRun<Result>,
  found: FoundStages,
  stage: RowsStage,
  part: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const { gpu, task, choices } = plan.made;
  const { signal } = options;
  // files that were changed, and perhaps changed back, are looked at anew
  const isKnown = found.stamp === undefined || await stampOf(task.feeds) === found.stamp;
  await checkHash(task, found, await identify(task, signal, isKnown ? found.looks : []));
  const { from, to } = rowsOfPart(stage, part);
  const sections: Uint8Array[] = [];
  let names: readonly string[] = [];
  const some = withParts(task, {
    layout: (tileRows) => {
      const layout = task.layout(tileRows);
      const passes = layout.passes.filter(({ name }) => name === stage.pass).map((pass): Pass => {
        const { sums, ...others } = pass;
        names = sums?.held ?? [];
        const own = { ...others, from, rows: to };
        return sums ? { ...own, sections: { rows: stage.unit, held: names } } : own;
      });
      return { ...layout, passes };
    },
    finish: () => ({}),
  });
  const output = new PartOutput(task.output, [from, to]);
  const own = new Plan(gpu, some, choices);
  const journal = await memoryJournal();
  try {
    const run = new TaskRun({
      gpu,
      task: own.made.task,
      output,
      journal,
      signal,
      options,
      began: performance.now(),
      position: {},
      onSection: (sums) => names.forEach((name) => sections.push(bytesOf(sums[name]!).slice())),
    });
    const { tileRows, slots } = own;
    const { hash, adapter } = found;
    await run.run({ tileRows, slots, claim: { hash }, adapter, fresh: true });
  } finally {
    await journal.clear();
    await journal.close();
  }
  const head: ResultHead = {
    chunks: output.chunks,
    sections: names.length === 0 ? 0 : sections.length / names.length,
    isMixed: output.isMixed,
  };
  return joinResult(head, sections);
}

/**
 * Ends a plan of which all rows are there: sums are added in the order of their sections.
 *
 * @param results Of every stage, by its parts, in order.
 * @returns Whether attempts on several adapters wrote files of one part.
 */
export async function finishParts<Result>(
  { plan, options }: PartRun<Result>,
  found: FoundStages,
  results: readonly (readonly Uint8Array[])[],
): Promise<{ isMixed: boolean }> {
  const { gpu, task } = plan.made;
  const { signal } = options;
  // what was read may have changed since the first part
  await checkHash(task, found, await identify(task, signal));
  const held: Held = createHeld(task.held);
  const chunks: StoredChunks = {};
  let isMixed = false;
  const layout = task.layout(plan.tileRows);
  const output = new StoredOutput(task.output, task.output.place!);
  for (const [i, stage] of found.stages.entries()) {
    const { sums } = layout.passes.find(({ name }) => name === stage.pass)!;
    const names = sums?.held ?? [];
    const isOne = stage.unit >= stage.rows;
    for (const [part, result] of results[i]!.entries()) {
      const { head, body } = splitResult(result);
      const problem = await output.verify(head.chunks);
      if (problem) throw lost(problem, markerKey(stage.name, part));
      isMixed ||= head.isMixed;
      for (const [name, own] of Object.entries(head.chunks)) (chunks[name] ??= []).push(...own);
      let at = 0;
      for (let section = 0; section < head.sections; section++) {
        for (const name of names) {
          const bytes = bytesOf(held[name]!);
          const own = held[name]!.slice();
          bytesOf(own).set(body.subarray(at, at += bytes.byteLength));
          if (isOne) held[name]!.set(own);
          else addTo(held[name]!, own);
        }
      }
    }
  }
  const journal = await memoryJournal();
  try {
    const last = stagesOf(layout).at(-1)!;
    const row = endOf(last);
    await journal.begin({ hash: found.hash });
    const nothing = new Uint8Array(0);
    await journal.saveState(last.name, row - last.low, [
      heldState(task.held, held),
      nothing,
      nothing,
    ]);
    await journal.append({ pass: last.name, sweep: 0, row, storedTo: row, chunks });
    const { tileRows, slots } = plan;
    const run = new TaskRun({
      gpu,
      task,
      output,
      journal,
      signal,
      options,
      began: performance.now(),
      position: {},
    });
    const { hash, adapter } = found;
    await run.run({ tileRows, slots, claim: { hash }, adapter, fresh: false });
  } finally {
    await journal.clear();
    await journal.close();
  }
  return { isMixed };
}

/** Passes of which parts may share the rows, in the order of a run. @throws {RangeError} If there are others. */
function rowPasses<Result>(task: AnyTask<Result>): Pass[] {
  const layout = task.layout(1);
  const { streamed, passRow, companion } = task.output;
  const { passes } = layout;
  const kept = Object.keys(task.held);
  const summed = passes.flatMap(({ sums }) => sums?.held ?? []);
  const why = layout.lanes && layout.lanes.count > 1
    ? "it has lanes"
    : companion || passRow
    ? "rows of what it stores are not those of its passes"
    : task.adopt
    ? "an earlier run's choices may be taken over"
    : Object.values(task.held as HeldSpecs).some(({ changedByRead }) => changedByRead)
    ? "reading a row changes what others are"
    : layout.shared.some(({ kept }) => kept)
    ? "the device keeps what rows leave there"
    : passes.map(whyNotByRows).find((why) => why !== undefined) ??
      (streamed.some(({ shardChunks }) => shardChunks !== undefined)
        ? "it stores shards, which one run alone can write"
        : kept.find((name) =>
          !summed.some((sum) => name === sum || name.startsWith(`${sum} of `))
        ) &&
          "rows are to each other what no part knows");
  // only where no pass has to wait for others they know beforehand
  if (!why) return passes.filter(({ needed }) => needed?.() !== false);
  throw new RangeError(
    `Cannot run "${task.name}" in parts: ${why}, wanted rows that depend on no others; list several commands ` +
      "to have each run as a part",
  );
}

function whyNotByRows(pass: Pass): string | undefined {
  const { name, direction, carry, startsFrom, sweeps, fillsDevice, writes = [] } = pass;
  if (carry || startsFrom || direction === "backward") return `pass "${name}" goes from row to row`;
  if (sweeps) return `pass "${name}" comes to all rows again and again`;
  if (fillsDevice || writes.length === 0) return `pass "${name}" stores no rows`;
}

/** @throws {RangeError} If there are fewer files or sections than parts. */
function cutPass<Result>(task: AnyTask<Result>, pass: Pass, parts: number): RowsStage {
  const { output } = task;
  const rows = pass.rows ?? task.layout(1).rows;
  const unit = pass.sums ? sectionRowsOf(pass, output, rows) : fileRowsOf(pass, output, rows);
  const units = Math.max(1, Math.ceil(rows / unit));
  if (parts > units) {
    throw new RangeError(
      `Cannot run "${task.name}" in ${parts} parts: its ${rows} rows are ${units} times ${unit}, which no part ` +
        `can cut, wanted at most ${units} parts`,
    );
  }
  return { name: `rows/${pass.name}`, parts, pass: pass.name, rows, unit };
}

/** Rows of a part: whole units, as many as others have or one more. */
function rowsOfPart(
  { rows, unit, parts }: RowsStage,
  part: number,
): { from: number; to: number } {
  const units = Math.ceil(rows / unit);
  const cut = (i: number) => Math.min(rows, unit * Math.floor(i * units / parts));
  return { from: cut(part), to: cut(part + 1) };
}

/** @throws {OutputConflictError} If what is read or asked is not what it was. */
async function checkHash<Result>(
  task: AnyTask<Result>,
  { hash, adapter }: FoundStages,
  { hashFor }: Identified,
): Promise<void> {
  if (await hashFor(adapter) === hash) return;
  const place = task.output.place!;
  throw new OutputConflictError(
    `Cannot run a part of "${task.name}": what it reads, or how, is not what it was when ${place} was begun; ` +
      `remove ${place} and ${place}.journal, and submit again`,
    place,
  );
}

function lost(problem: Error & { path?: string }, marker: string): StoreError {
  return new StoreError(
    `Cannot finish parts: ${problem.message}, though ${marker} says that it is done; remove that marker, and its ` +
      "part is run again",
    problem.path ?? marker,
    problem,
  );
}

/** Length of the head, the head, and the bytes of all sums, one after the other. */
function joinResult(head: ResultHead, sums: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const text = encodeSealed(head);
  const all = new Uint8Array(
    4 + text.byteLength + sums.reduce((bytes, own) => bytes + own.byteLength, 0),
  );
  new DataView(all.buffer).setUint32(0, text.byteLength, true);
  let at = 4;
  for (const own of [text, ...sums]) {
    all.set(own, at);
    at += own.byteLength;
  }
  return all;
}

function splitResult(bytes: Uint8Array): { head: ResultHead; body: Uint8Array } {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const head = decodeSealed<ResultHead>(bytes.subarray(4, 4 + length), "of a part");
  return { head, body: bytes.subarray(4 + length) };
}
