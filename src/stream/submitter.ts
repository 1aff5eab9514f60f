/**
 * Groups recorded work into submits of a bounded length, so that watchdogs never fire and a cancel
 * is answered soon. Lengths are learnt from the work itself.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";

/** Device time one submit should take, in milliseconds. */
const TARGET_MS = 60;
/** Submits under way at once: enough to keep the device busy, few enough to cancel quickly. */
const MAX_IN_FLIGHT = 3;
/** Rows to try of a kind of work never timed before, and how much a guess may grow in one go. */
const FIRST_ROWS = 8;
const GROWTH = 4;

/** What is known of kinds of work: milliseconds a row, and the most rows tried in one go. */
export interface Pace {
  msPerRow: Map<string, number>;
  largest: Map<string, number>;
}

interface Batch {
  commands: ((encoder: GPUCommandEncoder) => void)[];
  params: Map<GPUBuffer, Uint32Array<ArrayBuffer>>;
  /** Rows of each kind of work in the batch. */
  rows: Map<string, number>;
  expectedMs: number;
}

const emptyBatch = (): Batch => ({
  commands: [],
  params: new Map(),
  rows: new Map(),
  expectedMs: 0,
});

export class Submitter {
  readonly #gpu: Gpu;
  readonly #onRows: (kind: string, rows: number) => void;
  readonly #msPerRow: Map<string, number>;
  readonly #largest: Map<string, number>;
  readonly #inFlight: Promise<void>[] = [];
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
    this.#msPerRow = pace.msPerRow;
    this.#largest = pace.largest;
  }

  /** Milliseconds a row of this kind takes, once known. */
  msPerRow(kind: string): number | undefined {
    return this.#msPerRow.get(kind);
  }

  /** Rows of this kind that still fit the batch being recorded; at least 1. */
  roomFor(kind: string): number {
    const msPerRow = this.#msPerRow.get(kind);
    if (msPerRow === undefined) return FIRST_ROWS;
    const room = Math.floor((TARGET_MS - this.#batch.expectedMs) / msPerRow);
    return Math.max(1, Math.min(room, GROWTH * (this.#largest.get(kind) ?? 1)));
  }

  /** Records commands that take no time worth counting. */
  record(command: (encoder: GPUCommandEncoder) => void): void {
    this.#batch.commands.push(command);
  }

  /**
   * Records dispatches for `rows` rows, with the contents of their uniforms. A uniform can be set once
   * a submit, so a second use of the same buffer starts a new one.
   */
  async dispatch(
    kind: string,
    rows: number,
    uniforms: readonly (readonly [GPUBuffer, Uint32Array<ArrayBuffer>])[],
    command: (encoder: GPUCommandEncoder) => void,
  ): Promise<void> {
    if (uniforms.some(([uniform]) => this.#batch.params.has(uniform))) await this.flush();
    const batch = this.#batch;
    for (const [uniform, params] of uniforms) batch.params.set(uniform, params);
    batch.commands.push(command);
    batch.rows.set(kind, (batch.rows.get(kind) ?? 0) + rows);
    batch.expectedMs += rows * (this.#msPerRow.get(kind) ?? TARGET_MS / FIRST_ROWS);
    this.#largest.set(kind, Math.max(rows, this.#largest.get(kind) ?? 0));
    if (batch.expectedMs >= TARGET_MS) await this.flush();
  }

  /** Submits what was recorded; waits while too many submits are under way. */
  async flush(): Promise<void> {
    const batch = this.#batch;
    if (batch.commands.length === 0) return;
    this.#batch = emptyBatch();
    while (this.#inFlight.length >= MAX_IN_FLIGHT) await this.#inFlight.shift();
    for (const [uniform, params] of batch.params) {
      this.#gpu.device.queue.writeBuffer(uniform, 0, params);
    }
    const started = performance.now();
    const label = [...batch.rows.keys()].join(" + ") || "copies";
    const done = this.#gpu.submit(label, (encoder) => {
      for (const command of batch.commands) command(encoder);
    }).then(() => this.#learn(batch, started));
    // whoever awaits it next sees the failure; until then it is not "unhandled"
    done.catch(() => {});
    this.#inFlight.push(done);
  }

  /** Waits until the device is idle. */
  async drain(): Promise<void> {
    const results = await Promise.allSettled(this.#inFlight.splice(0));
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  }

  #learn(batch: Batch, started: number): void {
    const now = performance.now();
    const elapsed = Math.max(0.01, now - Math.max(started, this.#lastDone));
    this.#lastDone = now;
    this.busyMs += elapsed;
    const known = [...batch.rows].reduce(
      (sum, [kind, rows]) => sum + rows * (this.#msPerRow.get(kind) ?? 0),
      0,
    );
    for (const [kind, rows] of batch.rows) {
      const before = this.#msPerRow.get(kind);
      // one time for several kinds: scale what is believed of each, or share alike at first
      const seen = before !== undefined && known > 0
        ? before * elapsed / known
        : elapsed / (rows * batch.rows.size);
      this.#msPerRow.set(kind, before === undefined ? seen : 0.5 * (before + seen));
      this.#onRows(kind, rows);
    }
  }
}
