/**
 * Groups recorded work into submits of a bounded length, so that watchdogs never fire and a cancel
 * is answered soon. Lengths are learnt from the work itself.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";

/** Device time one submit should take, in milliseconds. */
const TARGET_MS = 30;
/**
 * Device time that may be under way, and submits: enough to keep the device busy, little enough to cancel
 * quickly. Deno hears every 11 ms of what is done.
 */
const MOST_UNDER_WAY_MS = 3 * TARGET_MS;
const MOST_UNDER_WAY = 6;
/** Rows to try of a kind of work never timed before, and how much a guess may grow in one go. */
const FIRST_ROWS = 8;
const GROWTH = 4;

/**
 * How much of what was timed before still counts when more is. Devices tell of several submits at once, so
 * that one alone may seem to take no time.
 */
const MEMORY = 0.75;

/** What is known of a kind of work: time and rows, older ones counting less, and the most rows in one go. */
interface KnownWork {
  ms: number;
  rows: number;
  largest: number;
}

/** What is known of kinds of work. */
export type Pace = Map<string, KnownWork>;

interface Batch {
  commands: ((encoder: GPUCommandEncoder) => void)[];
  /** Called once it is submitted. */
  listeners: (() => void)[];
  params: Map<GPUBuffer, Uint32Array<ArrayBuffer>>;
  /** Rows of each kind of work in the batch. */
  rows: Map<string, number>;
  expectedMs: number;
}

const emptyBatch = (): Batch => ({
  commands: [],
  listeners: [],
  params: new Map(),
  rows: new Map(),
  expectedMs: 0,
});

export class Submitter {
  readonly #gpu: Gpu;
  readonly #onRows: (kind: string, rows: number) => void;
  readonly #pace: Pace;
  readonly #underWay = new Map<Batch, Promise<void>>();
  #batch = emptyBatch();
  #lastDone = 0;
  /** Milliseconds the device was known to be at work. */
  busyMs = 0;

  /**
   * @param onRows Hears of rows the device has finished.
   * @param pace What was learnt before; what is learnt here is added.
   */
  constructor(gpu: Gpu, onRows: (kind: string, rows: number) => void, pace: Pace) {
    this.#gpu = gpu;
    this.#onRows = onRows;
    this.#pace = pace;
  }

  /** Milliseconds a row of this kind takes, once known. */
  msPerRow(kind: string): number | undefined {
    const known = this.#pace.get(kind);
    return known && known.rows > 0 ? known.ms / known.rows : undefined;
  }

  /**
   * Rows of this kind that still fit the batch being recorded; at least 1. A uniform can be set once a
   * submit, so a second use of the same one starts a new batch.
   */
  async roomFor(kind: string, uniforms: readonly GPUBuffer[]): Promise<number> {
    if (uniforms.some((uniform) => this.#batch.params.has(uniform))) await this.flush();
    const msPerRow = this.msPerRow(kind);
    if (msPerRow === undefined) return FIRST_ROWS;
    const room = Math.floor((TARGET_MS - this.#batch.expectedMs) / msPerRow);
    return Math.max(1, Math.min(room, GROWTH * this.#pace.get(kind)!.largest));
  }

  /** Records commands that take no time worth counting; tells when they are submitted. */
  record(command: (encoder: GPUCommandEncoder) => void, onSubmit?: () => void): void {
    this.#batch.commands.push(command);
    if (onSubmit) this.#batch.listeners.push(onSubmit);
  }

  /** Records dispatches for so many rows, for which there was room, with what their uniforms hold. */
  async dispatch(
    kind: string,
    rows: number,
    uniforms: readonly (readonly [GPUBuffer, Uint32Array<ArrayBuffer>])[],
    command: (encoder: GPUCommandEncoder) => void,
  ): Promise<void> {
    const batch = this.#batch;
    for (const [uniform, params] of uniforms) batch.params.set(uniform, params);
    batch.commands.push(command);
    batch.rows.set(kind, (batch.rows.get(kind) ?? 0) + rows);
    batch.expectedMs += rows * (this.msPerRow(kind) ?? TARGET_MS / FIRST_ROWS);
    const known = this.#pace.get(kind) ?? { ms: 0, rows: 0, largest: 0 };
    this.#pace.set(kind, { ...known, largest: Math.max(rows, known.largest) });
    if (batch.expectedMs >= TARGET_MS) await this.flush();
  }

  /** Submits what was recorded; waits while too much is under way. */
  async flush(): Promise<void> {
    const batch = this.#batch;
    if (batch.commands.length === 0) return;
    this.#batch = emptyBatch();
    const underWay = this.#underWay;
    const expectedMs = () =>
      [...underWay.keys()].reduce((sum, other) => sum + other.expectedMs, batch.expectedMs);
    while (
      underWay.size === MOST_UNDER_WAY || (underWay.size > 0 && expectedMs() > MOST_UNDER_WAY_MS)
    ) {
      await underWay.values().next().value;
    }
    for (const [uniform, params] of batch.params) {
      this.#gpu.device.queue.writeBuffer(uniform, 0, params);
    }
    const started = performance.now();
    const label = [...batch.rows.keys()].join(" + ") || "copies";
    const done = this.#gpu.submit(label, (encoder) => {
      for (const command of batch.commands) command(encoder);
    }).then(() => {
      underWay.delete(batch);
      this.#learn(batch, started);
    });
    // whoever awaits it next sees the failure; until then it is not "unhandled"
    done.catch(() => {});
    underWay.set(batch, done);
    for (const listener of batch.listeners) listener();
  }

  /** Waits until the device is idle. */
  async drain(): Promise<void> {
    const results = await Promise.allSettled(this.#underWay.values());
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  }

  #learn(batch: Batch, started: number): void {
    const now = performance.now();
    const elapsed = Math.max(0.01, now - Math.max(started, this.#lastDone));
    this.#lastDone = now;
    this.busyMs += elapsed;
    // one time for several kinds: those not known yet took what those that are leave
    const works = [...batch.rows].map(([kind, rows]) => ({
      kind,
      rows,
      believedMs: rows * (this.msPerRow(kind) ?? 0),
      isNew: this.msPerRow(kind) === undefined,
    }));
    const believedMs = works.reduce((sum, work) => sum + work.believedMs, 0);
    const newKinds = works.filter(({ isNew }) => isNew).length;
    const scale = newKinds > 0 && believedMs < elapsed ? 1 : elapsed / believedMs;
    const restMs = Math.max(0.01, elapsed - scale * believedMs);
    for (const work of works) {
      const known = this.#pace.get(work.kind)!;
      known.ms = MEMORY * known.ms + (work.isNew ? restMs / newKinds : scale * work.believedMs);
      known.rows = MEMORY * known.rows + work.rows;
      this.#onRows(work.kind, work.rows);
    }
  }
}
