/**
 * Runs parts of a plan in lanes, and its end. What parts need of each other are states, as a run alone keeps them.
 *
 * @module
 */

import { StoreError } from "../errors.ts";
import { crc32c } from "../math/crc32c.ts";
import { markerKey } from "../parts/markers.ts";
import { FolderStore } from "../store/folder_store.ts";
import { openStore } from "../store/open_store.ts";
import type { Store } from "../store/store.ts";
import type { Checkpoint } from "./checkpoints.ts";
import { heldState } from "./checkpoints.ts";
import type { LanesResult, LanesStage } from "./lane_stages.ts";
import { lanesOfPart } from "./lane_stages.ts";
import type { LaneReport, Stage } from "./lanes.ts";
import { endOf, lanesSeen, stagesOf } from "./lanes.ts";
import type { StoredChunks } from "./output.ts";
import { PartJournal } from "./part_journal.ts";
import { PartOutput } from "./part_output.ts";
import type { ResultHead } from "./part_results.ts";
import { EMPTY, joinResult, lost } from "./part_results.ts";
import type { FoundStages, PartRun } from "./plan_parts.ts";
import { isWhole, runFrom } from "./plan_parts.ts";
import { chunksOf, TaskRun } from "./run.ts";
import { mergeSection, withParts } from "./sections.ts";
import { StoredOutput } from "./stored_output.ts";
import type { Held, HeldSpecs } from "./task.ts";
import { bytesOf, createHeld, heldBytes, keptNames } from "./task.ts";

/** What a part came to. */
interface LanesPart {
  head: ResultHead;
  /** Held arrays, one after the other. */
  body: Uint8Array;
}

/** What parts of a stage left. */
export interface LanesBefore {
  stage: LanesStage;
  parts: readonly LanesPart[];
}

const FILES = "/files";

/** Runs a part; what it gives is a result for the parts after it and {@link finishLanes}. */
export async function runLanes<Result>(
  { plan, options }: PartRun<Result>,
  { hash, adapter }: FoundStages,
  { stage, part, store, folder, before }: {
    stage: LanesStage;
    part: number;
    /** Of plan and markers. */
    store: Store;
    /** In it, of this attempt alone. */
    folder: string;
    before: readonly LanesBefore[];
  },
): Promise<Uint8Array<ArrayBuffer>> {
  const { gpu, task } = plan.made;
  const { tileRows, slots } = plan;
  const isRepair = stage.does === "repair";
  const layoutOf = (tileRows: number) => {
    const layout = task.layout(tileRows);
    const lanes = layout.lanes!;
    const own = isRepair ? { first: 0, end: lanes.count } : lanesOfPart(stage, part, lanes);
    return { ...layout, lanes: { ...lanes, own } };
  };
  let report: LaneReport = { largestDistance: 0, redoneRows: 0 };
  let sums: Uint8Array[] = [];
  const some = withParts(task, {
    layout: layoutOf,
    finish: (held, { lanes = report }) => {
      report = lanes;
      sums = keptNames(task.held).map((name) => bytesOf(held[name]!));
      return {};
    },
  });
  const layout = layoutOf(tileRows);
  const { count, rows: laneRows, own } = layout.lanes;
  const stages = stagesOf(layout);
  const ofPass = stages.filter(({ pass }) => pass.name === stage.pass);
  const done = ofPass.filter(({ kind }) => (kind === "repair") === isRepair);
  const isStored = (done[0]!.pass.writes ?? []).length > 0;
  const files = new FolderStore(store, folder + FILES);
  const output = new PartOutput(task.output, {
    rows: isStored ? [own.first * laneRows, Math.min(own.end * laneRows, layout.rows)] : [0, 0],
    lanes: isStored ? own.end - own.first : 0,
    ...(isRepair && isStored && { again: files }),
  });
  const journal = new PartJournal({
    ...{ store, folder, own, seen: lanesSeen(layout), count, stages },
    fixedBytes: heldBytes(task.held).kept,
    before: before.map(({ stage: { name }, parts }) => ({
      stage: name,
      parts: parts.map(({ head }) => head.lanes!),
    })),
    lines: lineBefore(done[0]!, stages, before),
  });
  try {
    const run = new TaskRun({
      ...{ gpu, task: some, output, journal, options, signal: options.signal },
      began: performance.now(),
      position: {},
      only: done.map(({ name }) => name),
    });
    await run.run({ tileRows, slots, claim: { hash }, adapter, fresh: before.length === 0 });
  } catch (error) {
    await store.deleteAll(folder);
    throw error;
  }
  const kept = ofPass.filter(({ kind }) => kind !== "repair").map(({ name }) => name);
  const lanes: LanesResult = {
    ...{ ...own, folder, report },
    states: journal.statesOf(kept),
    files: isRepair ? await sumsOf(files) : {},
  };
  return joinResult({ ...EMPTY, chunks: output.chunks, isMixed: output.isMixed, lanes }, sums);
}

/** Ends a plan of which all lanes are put right. */
export async function finishLanes<Result>(
  run: PartRun<Result>,
  found: FoundStages,
  { store, before }: { store: Store; before: readonly LanesBefore[] },
): Promise<{ isMixed: boolean }> {
  const { task } = run.plan.made;
  const place = task.output.place!;
  const whole = await isWhole(task, found);
  await placeRepaired(place, store, before);
  const output = new StoredOutput(task.output, place);
  const repairs = before.filter(({ stage }) => stage.does === "repair")
    .map(({ parts }) => parts[0]!.head);
  const again = chunksOf(repairs);
  const held: Held = createHeld(task.held);
  let isMixed = false;
  for (const { stage: { name, does }, parts } of before) {
    for (const [part, { head, body }] of parts.entries()) {
      const problem = await output.verify(unless(head.chunks, again));
      if (problem) throw lost(problem, markerKey(name, part));
      isMixed ||= head.isMixed;
      if (does === "lanes") addSums(task.held, held, body);
    }
  }
  const chunks = chunksOf(before.flatMap(({ parts }) => parts.map(({ head }) => head)));
  const reports = repairs.map(({ lanes }) => lanes!.report);
  if (whole) return { isMixed };
  // of one who has all stages behind it
  await runFrom(run, found, { task, output }, async (journal, { held: specs }, stages) => {
    for (const stage of stages) {
      const row = endOf(stage);
      await journal.saveState(stage.name, row - stage.low, [heldState(specs, held)]);
      if (stage.kind !== "repair") continue;
      const line = { pass: stage.name, sweep: 0, row, storedTo: row, lanes: reports.shift()! };
      await journal.append(stage === stages.at(-1) ? { ...line, chunks } : line);
    }
  });
  return { isMixed };
}

/** The line from which a run goes on with a stage. */
function lineBefore(
  stage: Stage,
  stages: readonly Stage[],
  before: readonly LanesBefore[],
): Checkpoint[] {
  const last = stages[stages.indexOf(stage) - 1];
  if (!last) return [];
  const row = endOf(last);
  const line = { pass: last.name, sweep: 0, row, storedTo: row };
  // reports of passes before are their own parts'
  if (last.kind === "repair") return [{ ...line, lanes: { largestDistance: 0, redoneRows: 0 } }];
  return [{ ...line, chunks: chunksOf(before.at(-1)!.parts.map(({ head }) => head)) }];
}

/** Puts files of repairs in the place of those that are stored. Done twice, it does the same. */
async function placeRepaired(
  place: string,
  store: Store,
  before: readonly LanesBefore[],
): Promise<void> {
  const stored = await openStore(place, { mode: "write" });
  try {
    for (const { stage: { name, does }, parts } of before) {
      if (does !== "repair") continue;
      const { folder, files } = parts[0]!.head.lanes!;
      const own = new FolderStore(store, folder + FILES);
      for (const [key, checksum] of Object.entries(files)) {
        const bytes = await own.get(key);
        if (!bytes || crc32c(bytes) !== checksum) throw damaged(own.place + key, !bytes, name);
        await stored.set(key, bytes);
      }
    }
  } finally {
    await stored.close();
  }
}

/** Chunks that parts stored, but those that were stored again. */
function unless(chunks: StoredChunks, again: StoredChunks): StoredChunks {
  return Object.fromEntries(
    Object.entries(chunks).map(([name, own]) => {
      const later = new Map((again[name] ?? []).map((chunk) => [chunk[0], chunk]));
      return [name, own.map((chunk) => later.get(chunk[0]) ?? chunk)];
    }),
  );
}

/** Adds what lanes of a part came to: those of others are 0 there. */
function addSums(specs: HeldSpecs, held: Held, sums: Uint8Array): void {
  let at = 0;
  for (const name of keptNames(specs)) {
    const own = held[name]!.slice();
    bytesOf(own).set(sums.subarray(at, at += own.byteLength));
    mergeSection({ held: [] }, name, held[name]!, own);
  }
}

/** CRC-32C of files, by their keys. */
async function sumsOf(files: Store): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const key of await files.list("/")) sums[key] = crc32c((await files.get(key))!);
  return sums;
}

function damaged(path: string, isMissing: boolean, stage: string): StoreError {
  return new StoreError(
    `Cannot finish parts: ${path} is ${
      isMissing ? "missing" : "damaged"
    }, wanted what "${stage}" left; remove ` +
      `${markerKey(stage, 0)}, and it is run again`,
    path,
  );
}
