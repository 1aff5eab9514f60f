/** A task whose rows parts share, and a run of its parts one by one: for tests of what they come to. */

import type { Gpu } from "../../src/gpu/device.ts";
import type { Attempted } from "../../src/parts/attempt.ts";
import { findNextStage, markerKey } from "../../src/parts/markers.ts";
import { openParts, readPartPlan } from "../../src/parts/part_plan.ts";
import { submitPlan } from "../../src/parts/submit_plan.ts";
import type { Store } from "../../src/store/store.ts";
import { openStore } from "../../src/store/open_store.ts";
import type { Pass } from "../../src/stream/pass.ts";
import { Plan } from "../../src/stream/plan.ts";
import { runPart } from "../../src/stream/run_part.ts";
import { sha256 } from "../../src/math/digest.ts";
import { seeded } from "./random.ts";
import { taskOf } from "./task.ts";

/** Rows of the task: seven sections of 5000 rows or fewer, in files of 1000. */
export const SHARED_ROWS = 30_001;
const FILE_ROWS = 1000;

export interface SharedOptions {
  tileRows?: number;
  /** Is told of every tile that is written. */
  onTile?: (start: number) => void;
  /** What rows are counted from. */
  seed?: number;
  adapter?: string;
}

/** Roots of rows that are added up to numbers of which the order of adding decides the last bits. */
export function sharedPlan(
  gpu: Gpu,
  place: string | undefined,
  { tileRows = 1300, onTile, seed = 7, adapter = "any" }: SharedOptions = {},
): Plan<unknown> {
  const random = seeded(seed);
  const values = Float64Array.from({ length: SHARED_ROWS }, () => random() * 10 ** (9 * random()));
  let sum: Float64Array;
  const pass: Pass = {
    name: "roots",
    direction: "forward",
    cost: 1,
    slotBuffers: [],
    steps: [],
    resumesAt: () => true,
    sums: { held: ["sum", "rows"], blockRows: 50 },
    writes: ["roots"],
    besideBytes: 8 * tileRows,
    read: ({ start, end }) => Promise.resolve({ own: values.slice(start, end) }),
    write: async ({ start }, _downloads, { beside, held, store }) => {
      onTile?.(start);
      const own = beside.own as Float64Array;
      for (const value of own) held.sum![0]! += value;
      held.rows![0]! += own.length;
      await store("roots", start, own.map(Math.sqrt));
    },
  };
  const task = taskOf({
    name: "roots",
    identity: { facts: ["roots", seed] },
    held: {
      sum: { dtype: "float64", length: 1 },
      rows: { dtype: "float64", length: 1 },
    },
    begin: (held) => void (sum = held.sum as Float64Array),
    layout: () => ({ rows: SHARED_ROWS, shared: [], passes: [pass] }),
    finish: (held) => ({
      facts: { sum: sum[0], rows: held.rows[0] },
      values: { sums: Float64Array.of(sum[0]!, sum[0]! / 3) },
    }),
    output: {
      place,
      adapter,
      streamed: [{
        name: "roots",
        dtype: "float64",
        shape: [SHARED_ROWS],
        dims: ["row"],
        chunkShape: [FILE_ROWS],
      }],
      whole: [{ name: "sums", dtype: "float64", shape: [2], dims: ["sum"], chunkShape: [2] }],
      coordinates: [{
        spec: { name: "sum", dtype: "int32", shape: [2], dims: ["sum"], chunkShape: [2] },
        data: Int32Array.of(1, 2),
      }],
      longest: { sum: -Number.MAX_VALUE, rows: Number.MAX_SAFE_INTEGER },
    },
  });
  return new Plan(gpu, task, { tileRows });
}

/** Parts of a plan at a place, to be run in any order. */
export class PartsAt {
  readonly store: Store;
  readonly warnings: string[] = [];
  readonly #plan: () => Plan<unknown>;

  private constructor(store: Store, plan: () => Plan<unknown>) {
    this.store = store;
    this.#plan = plan;
  }

  static async submit(place: string, count: number, plan: () => Plan<unknown>): Promise<PartsAt> {
    const store = await openParts(place, "write");
    await submitPlan(store, { commands: [["roots"]], folder: "/", count });
    return new PartsAt(store, plan);
  }

  async run(stage: string, part = 0, plan = this.#plan, signal?: AbortSignal): Promise<Attempted> {
    return await runPart(this.store, { stage, part }, (use) => use(plan()), {
      signal: signal ?? new AbortController().signal,
      onWarning: (line) => this.warnings.push(line),
    });
  }

  /** Ends the plan, and again, as after a kill: all is stored but the last marker, and nothing is stored anew. */
  async finishTwice(): Promise<void> {
    const results = new Map<string, Uint8Array>();
    for (const key of await this.store.list("/results")) {
      results.set(key, (await this.store.get(key))!);
    }
    await this.run("finish");
    await this.store.delete(markerKey("finish", 0));
    for (const [key, bytes] of results) await this.store.set(key, bytes);
    await this.run("finish", 0, () => {
      const plan = this.#plan();
      plan.made.task.finish = () => {
        throw new Error("it is stored again");
      };
      return plan;
    });
  }

  async next() {
    return await findNextStage(this.store, (await readPartPlan(this.store)).parts);
  }

  /**
   * Everything that is missing, the last part of each stage first.
   *
   * @param until A stage before which that ends.
   * @returns Names of the stages.
   */
  async runAll(until?: string): Promise<string[]> {
    const stages: string[] = [];
    for (let next = await this.next(); !next.done; next = await this.next()) {
      if (next.stage === until) break;
      stages.push(next.stage);
      for (const part of [...next.missing].reverse()) await this.run(next.stage, part);
    }
    return stages;
  }
}

/** SHA-256 of every file of a store, by key. */
export async function filesAt(place: string): Promise<Record<string, string>> {
  const store = await openStore(place);
  const files: Record<string, string> = {};
  for (const key of await store.list("/")) {
    files[key] = await sha256((await store.get(key))! as Uint8Array<ArrayBuffer>);
  }
  await store.close();
  return files;
}
