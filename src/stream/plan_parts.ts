/**
 * A plan in parts: the task that a run alone has, over some rows of a pass, and then the end of it. What a part
 * comes to is bytes that name what it stored, and the sums of its sections; a merge comes to all that is held.
 *
 * @module
 */

import { OutputConflictError } from "../errors.ts";
import { createOnce, markerKey } from "../parts/markers.ts";
import { ANEW, readStages, STAGES_KEY } from "../parts/part_plan.ts";
import { encodeSealed } from "../parts/sealed.ts";
import type { Journal } from "../store/journal.ts";
import { openJournal } from "../store/journal.ts";
import type { Store } from "../store/store.ts";
import { heldState, keyOf } from "./checkpoints.ts";
import type { RunOptions } from "./choices.ts";
import type { AnyTask, Identified } from "./identify.ts";
import { identify } from "./identify.ts";
import { stampOf } from "./input_stamp.ts";
import { NOTHING } from "./keeping.ts";
import type { Stage } from "./lanes.ts";
import { endOf, stagesOf, startOf } from "./lanes.ts";
import { MemoryOutput } from "./memory_output.ts";
import type { Output, OutputSpec, StoredChunks } from "./output.ts";
import { PartOutput } from "./part_output.ts";
import type { ResultHead } from "./part_results.ts";
import { EMPTY, joinResult, lost, splitResult } from "./part_results.ts";
import type { FoundStage, PassStage } from "./part_stages.ts";
import { cutTask, loopOf, rowsOfPart, unneeded } from "./part_stages.ts";
import type { Pass, Sums } from "./pass.ts";
import { Plan } from "./plan.ts";
import { refuseOverlap, storedAttributes } from "./places.ts";
import { TaskRun } from "./run.ts";
import type { OnSection } from "./sections.ts";
import { isTotal, mergeSection, withParts } from "./sections.ts";
import { StoredOutput } from "./stored_output.ts";
import type { Held, HeldSpecs, TaskLayout } from "./task.ts";
import { bytesOf, createHeld, keptNames } from "./task.ts";

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
  stages: readonly FoundStage[];
}

/** What a part came to. */
export interface Came {
  result: Uint8Array<ArrayBuffer>;
  /** Loops that end, with their last turn: -1 of those that do not begin. */
  stops: Map<string, number>;
}

let unnamedJournals = 0;

/** What a part runs with. */
export interface PartRun<Result> {
  plan: Plan<Result>;
  options: RunOptions & { signal: AbortSignal };
}

/** A stage of a pass, in a turn. */
export interface PassTurn {
  stage: PassStage;
  turn: number;
  /** What the stages before came to; `undefined` where nothing was held by them. */
  state: Uint8Array | undefined;
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
  const cut = cutTask(task, parts);
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
    const stages = kind === "finished" ? [] : cut;
    await createOnce(store, STAGES_KEY, encodeSealed({ hash, adapter, looks, stamp, stages }));
  }
  const found = (await readStages<FoundStages>(store))!;
  await checkHash(task, found, identified);
  if (found.stages.length > 0) await output.beginForOthers(found.hash, found.adapter);
  return found;
}

/** Runs rows of a pass. */
export async function runRows<Result>(
  run: PartRun<Result>,
  found: FoundStages,
  { stage, turn, state }: PassTurn,
  part: number,
): Promise<Came> {
  const { task } = run.plan.made;
  await recognize(run, found);
  const { from, to } = rowsOfPart(stage, part);
  const isCut = stage.unit < stage.rows;
  const watch = new Watch(task, stage);
  const sections: Uint8Array[] = [];
  let names: readonly string[] = [];
  const add = (sums: Held) => names.forEach((name) => sections.push(bytesOf(sums[name]!).slice()));
  const passOf = ({ sums, needed: _, ...pass }: Pass): Pass => {
    names = sums?.held ?? [];
    return {
      ...pass,
      from,
      rows: to,
      tables: () => {
        const tables = pass.tables?.() ?? {};
        watch.begin(names);
        return tables;
      },
      ...(pass.sweeps && { sweeps: { most: turn + 1, again: () => false } }),
      ...(isCut && sums && { sections: { ...sums, rows: stage.unit } }),
    };
  };
  const { output, spec } = outputOf(task, stage, [from, to]);
  await runSome(run, found, {
    output,
    task: withParts(task, {
      output: spec,
      layout: (tileRows) => {
        const { before, pass, ...layout } = layoutAt(task, tileRows, stage);
        const passes = [...before.map((pass) => ({ ...pass, from, rows: to })), passOf(pass)];
        return { ...layout, passes };
      },
      begin: async (held, beginning) => {
        watch.held = held;
        await task.begin?.(held, beginning);
      },
      finish: () => ({}),
    }),
    onSection: add,
    ...(state && { from: { held: heldOf(task, state), pass: stage.pass, sweep: turn } }),
  });
  watch.end();
  if (!isCut) add(watch.held);
  const count = names.length === 0 ? 0 : sections.length / names.length;
  const result = joinResult({ ...EMPTY, ...storedBy(output), sections: count }, sections);
  return { result, stops: new Map() };
}

/** Runs all of a pass that one part has alone. */
export async function runAlone<Result>(
  run: PartRun<Result>,
  found: FoundStages,
  { stage, state }: PassTurn,
  adapter: string,
): Promise<Came> {
  const { task } = run.plan.made;
  await recognize(run, found);
  const { output, spec } = outputOf(task, stage, [0, stage.rows]);
  let came!: Came;
  const own = withParts(task, {
    output: spec,
    layout: (tileRows) => {
      const { before, pass: { needed: _, ...pass }, ...layout } = layoutAt(task, tileRows, stage);
      return { ...layout, passes: [...before, pass] };
    },
    finish: (held) => {
      came = cameTo(task, held, { stage, state, goesOn: false, adapters: [adapter] });
      return {};
    },
  });
  const from = state && { held: heldOf(task, state), pass: stage.pass };
  await runSome(run, found, { output, task: own, ...(from && { from }) });
  return came;
}

/** A pass, and those before it of which the device has to have what they leave there. */
function layoutAt<Result>(
  task: AnyTask<Result>,
  tileRows: number,
  stage: PassStage,
): Omit<TaskLayout, "passes"> & { before: Pass[]; pass: Pass } {
  const { passes, ...layout } = task.layout(tileRows);
  const index = passes.findIndex(({ name }) => name === stage.pass);
  const before = passes.slice(0, index).filter(({ fillsDevice }) => fillsDevice);
  return { ...layout, before, pass: passes[index]! };
}

/** Where rows of a pass go. */
function outputOf<Result>(
  task: AnyTask<Result>,
  stage: PassStage,
  rows: readonly [from: number, to: number],
): { output: MemoryOutput | PartOutput; spec: OutputSpec } {
  const { pass: { writes = [] } } = layoutAt(task, 1, stage);
  const streamed = task.output.streamed.filter(({ name }) => writes.includes(name));
  const spec = { ...task.output, streamed, whole: [] };
  if (writes.length > 0) return { spec, output: new PartOutput(spec, { rows }) };
  return { spec, output: new MemoryOutput({ ...spec, place: undefined }) };
}

function storedBy(output: MemoryOutput | PartOutput): Pick<ResultHead, "chunks" | "isMixed"> {
  if (output instanceof MemoryOutput) return EMPTY;
  const { chunks, isMixed } = output;
  return { chunks, isMixed };
}

/** Looks whether a part changes nothing but sums: others would not see it. */
class Watch {
  readonly #task: AnyTask<unknown>;
  readonly #stage: PassStage;
  #before: [name: string, bytes: Uint8Array][] = [];
  held!: Held;

  // deno-lint-ignore no-explicit-any
  constructor(task: AnyTask<any>, stage: PassStage) {
    this.#task = task;
    this.#stage = stage;
  }

  begin(sums: readonly string[]): void {
    this.#before = handedOn(this.#task, this.#stage, true)
      .filter((name) => !sums.includes(name))
      .map((name) => [name, bytesOf(this.held[name]!).slice()]);
  }

  /** @throws {Error} If it does. */
  end(): void {
    for (const [name, before] of this.#before) {
      const after = bytesOf(this.held[name]!);
      if (before.every((byte, i) => byte === after[i])) continue;
      throw new Error(
        `Cannot run a part of "${this.#task.name}": pass "${this.#stage.pass}" changes "${name}", wanted a pass that ` +
          "changes what it sums alone",
      );
    }
  }
}

/**
 * Puts together what the parts of a pass summed, in the order of sections, and lets the task decide what comes next.
 *
 * @param results Of all parts, in order.
 */
export async function mergeParts<Result>(
  run: PartRun<Result>,
  found: FoundStages,
  { stage, turn, state }: PassTurn,
  { results, adapters }: { results: AsyncIterable<Uint8Array>; adapters: readonly string[] },
): Promise<Came> {
  const { plan: { made: { task }, tileRows }, options: { signal } } = run;
  await recognize(run, found);
  const held: Held = state ? heldOf(task, state) : createHeld(task.held);
  await task.begin?.(held, { restored: state !== undefined, signal });
  const { pass: { tables, sums, sweeps } } = layoutAt(task, tileRows, stage);
  // what begins a sweep of a run alone
  tables?.();
  for await (const result of results) addSections(sums!, held, splitResult(result), stage);
  const goesOn = await sweeps?.again({ sweep: turn, held, signal }) === true &&
    turn + 1 < sweeps!.most;
  const last = sweeps && !goesOn ? turn : undefined;
  return cameTo(task, held, { stage, state, goesOn, last, adapters });
}

/** What is held after a pass, or within its loop, and the loops behind it that are not needed. */
function cameTo<Result>(
  task: AnyTask<Result>,
  held: Held,
  { stage, state, goesOn, last, adapters }: {
    stage: PassStage;
    state: Uint8Array | undefined;
    goesOn: boolean;
    /** Turn that the loop of the stage ended with. */
    last?: number | undefined;
    adapters: readonly string[];
  },
): Came {
  const { passes } = task.layout(1);
  const behind = passes.slice(1 + passes.findIndex(({ name }) => name === stage.pass));
  const stops = new Map<string, number>();
  if (last !== undefined) stops.set(loopOf(stage.pass), last);
  for (const { name } of goesOn ? [] : unneeded(behind)) stops.set(loopOf(name), -1);
  const known = state ? splitResult(state).head : EMPTY;
  const names = handedOn(task, stage, goesOn);
  const head: ResultHead = {
    ...EMPTY,
    held: names,
    adapters: [...new Set([...known.adapters, ...adapters])].sort(),
    stops: { ...known.stops, ...Object.fromEntries(stops) },
  };
  return { result: joinResult(head, names.map((name) => bytesOf(held[name]!))), stops };
}

/** A stage whose results the end needs. */
export interface EndedStage {
  stage: PassStage;
  /** With its turn. */
  name: string;
  /** Of its parts, in order. */
  results: readonly Uint8Array[];
  /** Whether what it summed is in what is held. */
  isMerged: boolean;
}

/**
 * Ends a plan of which all rows are there.
 *
 * @param state What the stages before came to.
 * @returns Whether attempts on several adapters wrote files of one part; and adapters that had a part in the state.
 */
export async function finishParts<Result>(
  run: PartRun<Result>,
  found: FoundStages,
  { state, ended }: { state: Uint8Array | undefined; ended: readonly EndedStage[] },
): Promise<{ isMixed: boolean; adapters: readonly string[] }> {
  const { task } = run.plan.made;
  // what was read may have changed since the first part
  await checkHash(task, found, await identify(task, run.options.signal));
  const whole = await isWhole(task, found);
  const held: Held = state ? heldOf(task, state) : createHeld(task.held);
  const chunks: StoredChunks = {};
  let isMixed = false;
  const layout = task.layout(run.plan.tileRows);
  const output = new StoredOutput(task.output, task.output.place!);
  for (const { stage, name, results, isMerged } of ended) {
    const { sums } = layout.passes.find(({ name }) => name === stage.pass)!;
    for (const [part, result] of results.entries()) {
      const own = splitResult(result);
      const problem = await output.verify(own.head.chunks);
      if (problem) throw lost(problem, markerKey(name, part));
      isMixed ||= own.head.isMixed;
      for (const [array, some] of Object.entries(own.head.chunks)) {
        (chunks[array] ??= []).push(...some);
      }
      if (sums && !isMerged) addSections(sums, held, own, stage);
    }
  }
  const own = withParts(task, {
    layout: (tileRows) => {
      const layout = task.layout(tileRows);
      return { ...layout, passes: layout.passes.filter(({ fillsDevice }) => !fillsDevice) };
    },
  });
  if (!whole) await runSome(run, found, { output, task: own, from: { held, chunks } });
  return { isMixed, adapters: state ? splitResult(state).head.adapters : [] };
}

/** Runs a task from its beginning, or from what others left: at a sweep of a pass, or at the end of all. */
async function runSome<Result>(
  run: PartRun<Result>,
  found: FoundStages,
  { from, ...what }: RunFrom<Result> & {
    from?: { held: Held; pass?: string; sweep?: number; chunks?: StoredChunks };
  },
): Promise<void> {
  if (!from) return await runFrom(run, found, what);
  await runFrom(run, found, what, async (journal, task, stages) => {
    const { held, pass, sweep = 0, chunks } = from;
    const stage = pass === undefined ? stages.at(-1)! : stages.find(({ name }) => name === pass)!;
    const row = pass === undefined ? endOf(stage) : startOf(stage);
    const all = heldState(task.held, { ...createHeld(task.held), ...held });
    await journal.saveState(keyOf(stage, sweep), row - stage.low, [all, NOTHING, NOTHING]);
    const line = { pass: stage.name, sweep, row, storedTo: row };
    await journal.append({ ...line, ...(chunks && { chunks }) });
  });
}

interface RunFrom<Result> {
  task: AnyTask<Result>;
  output: Output;
  onSection?: OnSection;
}

/**
 * Runs a task.
 *
 * @param leave Makes a journal that of one who went so far; all is to be done when not given.
 */
export async function runFrom<Result>(
  { plan, options }: PartRun<Result>,
  { hash, adapter }: Pick<FoundStages, "hash" | "adapter">,
  { task: given, output, onSection }: RunFrom<Result>,
  leave?: (journal: Journal, task: AnyTask<Result>, stages: readonly Stage[]) => Promise<void>,
): Promise<void> {
  const { gpu, choices } = plan.made;
  const { made: { task }, tileRows, slots } = new Plan(gpu, given, choices);
  const journal = await openJournal(`memory:journals of parts/${unnamedJournals++}`);
  try {
    if (leave) {
      await journal.begin({ hash });
      await leave(journal, task, stagesOf(task.layout(tileRows)));
    }
    const run = new TaskRun({
      ...{ gpu, task, output, journal, options, signal: options.signal },
      began: performance.now(),
      position: {},
      ...(onSection && { onSection }),
    });
    await run.run({ tileRows, slots, claim: { hash }, adapter, fresh: !leave });
  } finally {
    await journal.clear();
    await journal.close();
  }
}

/** Held arrays that later stages need, once a pass is done, or while it goes on. */
function handedOn(task: AnyTask<unknown>, { pass }: PassStage, goesOn: boolean): string[] {
  const names = task.layout(1).passes.map(({ name }) => name);
  const next = names.indexOf(pass) + (goesOn ? 0 : 1);
  const specs = task.held as HeldSpecs;
  return keptNames(specs).filter((name) => {
    const { until } = specs[name]!;
    return !isTotal(name) && (until === undefined || names.indexOf(until) >= next);
  });
}

/** What a stage left. */
// deno-lint-ignore no-explicit-any
function heldOf(task: AnyTask<any>, state: Uint8Array): Held {
  const held: Held = createHeld(task.held);
  const { head, body } = splitResult(state);
  let at = 0;
  for (const name of head.held) {
    const own = bytesOf(held[name]!);
    own.set(body.subarray(at, at += own.byteLength));
  }
  return held;
}

/** Puts the sections of a part to those before. */
function addSections(
  sums: Sums,
  held: Held,
  { head, body }: { head: ResultHead; body: Uint8Array },
  { unit, rows }: PassStage,
): void {
  let at = 0;
  for (let section = 0; section < head.sections; section++) {
    for (const name of sums.held) {
      const own = held[name]!.slice();
      bytesOf(own).set(body.subarray(at, at += own.byteLength));
      // one alone has what was before in it
      if (unit >= rows) held[name]!.set(own);
      else mergeSection(sums, name, held[name]!, own);
    }
  }
}

/** Makes sure that a part reads what the first one saw. Files that were changed are looked at anew. */
export async function recognize<Result>(
  { plan: { made: { task } }, options: { signal } }: PartRun<Result>,
  found: FoundStages,
): Promise<void> {
  // perhaps changed back
  const isKnown = found.stamp === undefined || await stampOf(task.feeds) === found.stamp;
  await checkHash(task, found, await identify(task, signal, isKnown ? found.looks : []));
  await isWhole(task, found);
}

/**
 * Whether the result is whole, as one leaves it that was killed with its last stroke.
 *
 * @throws {OutputConflictError} If what the first part left at its place is gone.
 */
export async function isWhole<Result>(
  task: AnyTask<Result>,
  { hash }: Pick<FoundStages, "hash">,
): Promise<boolean> {
  const place = task.output.place!;
  const attributes = await storedAttributes(place);
  if (attributes?.plan_hash === hash) return attributes.complete !== false;
  throw new OutputConflictError(
    `Cannot run a part of "${task.name}": ${place} is not what its first part left there; ${ANEW}`,
    place,
  );
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
