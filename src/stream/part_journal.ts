/**
 * The journal of a part that advances lanes, or puts them right: what it leaves lies in a folder that no other
 * attempt writes to, and what parts before it left is read where it lies.
 *
 * @module
 */

import { StoreError } from "../errors.ts";
import { crc32c } from "../math/crc32c.ts";
import { markerKey } from "../parts/markers.ts";
import { FolderStore } from "../store/folder_store.ts";
import { Journal } from "../store/journal.ts";
import type { Store } from "../store/store.ts";
import type { Checkpoint } from "./checkpoints.ts";
import type { LaneRange, Stage } from "./lanes.ts";

/** By stage of a run, rows at which it has a state, and the CRC-32C of that. */
export type StateList = Record<string, readonly (readonly [row: number, crc32c: number])[]>;

/** What a part left for those after it. */
export interface Left extends LaneRange {
  /** Of its states. */
  folder: string;
  states: StateList;
}

/** Parts of a stage of the plan, in their order. */
export interface LeftByStage {
  stage: string;
  parts: readonly Left[];
}

export interface PartJournalOptions {
  store: Store;
  folder: string;
  /** Lanes that the part advances, those whose states it needs, and all of them. */
  own: LaneRange;
  seen: LaneRange;
  count: number;
  /** Bytes of a state before its carries. */
  fixedBytes: number;
  /** Of the run. */
  stages: readonly Stage[];
  /** Stages of the plan before it: of states of a row the last of them counts. */
  before: readonly LeftByStage[];
  /** The log that it goes on from. */
  lines: readonly Checkpoint[];
}

/** A state of some lanes. */
interface Piece {
  first: number;
  bytes: Uint8Array;
}

/** Parts of a stage of the plan whose states are needed, and rows at which all its parts have one. */
interface Needed {
  stage: string;
  rows: ReadonlySet<number>;
  parts: readonly { left: Left; part: number; sums: ReadonlyMap<number, number> }[];
}

export class PartJournal extends Journal {
  readonly #options: PartJournalOptions;
  /** By stage and row, CRC-32C. */
  readonly #saved = new Map<string, Map<number, number>>();
  readonly #needed = new Map<string, readonly Needed[]>();

  constructor(options: PartJournalOptions) {
    super(new FolderStore(options.store, options.folder));
    this.#options = options;
  }

  /** States that are there at the end, of some stages. */
  statesOf(stages: readonly string[]): StateList {
    return Object.fromEntries(
      stages.map((stage) => [stage, [...this.#saved.get(stage) ?? []].sort(([a], [b]) => a - b)]),
    );
  }

  override begin(): Promise<void> {
    return Promise.resolve();
  }

  override readLog(): Promise<{ entry: unknown; bytes: number }[]> {
    return Promise.resolve(this.#options.lines.map((entry) => ({ entry, bytes: 0 })));
  }

  override continueLog(): Promise<void> {
    return Promise.resolve();
  }

  /** A part that was ended begins anew, and needs no log. */
  override append(): Promise<void> {
    return Promise.resolve();
  }

  override async saveState(
    stage: string,
    row: number,
    parts: readonly ArrayBufferView[],
  ): Promise<number> {
    const checksum = await super.saveState(stage, row, parts);
    const own = this.#saved.get(stage) ?? new Map<number, number>();
    this.#saved.set(stage, own.set(row, checksum));
    return checksum;
  }

  /** With carries of all lanes: those that nobody here asks for are 0. */
  override async loadState(stage: string, row: number): Promise<Uint8Array | undefined> {
    const { stages, own: { first } } = this.#options;
    if (this.#saved.get(stage)?.has(row)) {
      const bytes = await super.loadState(stage, row);
      // while it is put right, a lane has states by itself
      const isOfOne = stages.some(({ name, kind }) => name === stage && kind === "repair");
      return !bytes || isOfOne ? bytes : this.#whole(stage, [{ first, bytes }]);
    }
    const found = this.#before(stage).findLast(({ rows }) => rows.has(row));
    if (!found) return undefined;
    const pieces: Piece[] = [];
    for (const part of found.parts) {
      const bytes = await this.#load(found.stage, part, stage, row);
      pieces.push({ first: part.left.first, bytes });
    }
    return this.#whole(stage, pieces);
  }

  override stateRows(stage: string): Promise<number[]> {
    const before = this.#before(stage).flatMap(({ rows }) => [...rows]);
    const rows = new Set([...before, ...this.#saved.get(stage)?.keys() ?? []]);
    return Promise.resolve([...rows].sort((a, b) => a - b));
  }

  override async deleteState(stage: string, row: number): Promise<void> {
    if (this.#saved.get(stage)?.delete(row)) await super.deleteState(stage, row);
  }

  /** Of states of a stage, by stage of the plan. */
  #before(name: string): readonly Needed[] {
    const known = this.#needed.get(name);
    if (known) return known;
    const { before, seen } = this.#options;
    const needed = before.map(({ stage, parts }): Needed => {
      const own = parts.map((left, part) => ({
        left,
        part,
        sums: new Map(left.states[name] ?? []),
      }));
      // of others, too: only where all lanes have states were they put right
      const rows = [...own[0]!.sums.keys()].filter((row) => own.every(({ sums }) => sums.has(row)));
      return {
        stage,
        rows: new Set(rows),
        parts: own.filter(({ left: { first, end } }) => first < seen.end && end > seen.first),
      };
    });
    this.#needed.set(name, needed);
    return needed;
  }

  /** @throws {StoreError} If it is not what its part left. */
  async #load(
    ofPlan: string,
    { left: { folder }, part, sums }: Needed["parts"][number],
    stage: string,
    row: number,
  ): Promise<Uint8Array> {
    const own = new FolderStore(this.#options.store, folder);
    const bytes = await new Journal(own).loadState(stage, row);
    if (bytes && crc32c(bytes) === sums.get(row)) return bytes;
    throw new StoreError(
      `Cannot use part ${part} of "${ofPlan}": its state of "${stage}" at row ${row} in ${own.place} is missing or ` +
        `damaged, wanted what it left; remove ${
          markerKey(ofPlan, part)
        }, and the part is run again`,
      own.place,
    );
  }

  #whole(stage: string, pieces: readonly Piece[]): Uint8Array {
    const { fixedBytes, count, stages } = this.#options;
    const laneBytes = stages.find(({ name }) => name === stage)!.pass.carry!.bytes;
    const whole = new Uint8Array(fixedBytes + count * laneBytes);
    for (const { first, bytes } of pieces) {
      whole.set(bytes.subarray(0, fixedBytes));
      whole.set(bytes.subarray(fixedBytes), fixedBytes + first * laneBytes);
    }
    return whole;
  }
}
