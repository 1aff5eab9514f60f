/**
 * A plan: passes, and the memory they need, known before anything is touched.
 *
 * @module
 */

import { BudgetError, GpuError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Account, BufferRequest } from "../gpu/ledger.ts";
import { bufferBytes } from "../gpu/ledger.ts";
import { BufferUsage, MapMode } from "../gpu/usage.ts";
import { formatBytes, formatTable } from "../math/format.ts";
import type { MemoryBytes, Progress, RunOptions } from "../types.ts";
import type { Pass, SharedBuffer, SlotBuffer } from "./pass.ts";
import { isKernelStep, PARAMS_BYTES, tilesOf } from "./pass.ts";
import type { Slot, StageSeconds } from "./schedule.ts";
import { runPass } from "./schedule.ts";

/** A line of the memory table: what is held, how many bytes, and whether on the host or on disk. */
export interface MemoryItem {
  what: string;
  kind: "host" | "disk";
  bytes: number;
}

/** What a model says it needs for tiles of a given number of rows. */
export interface PlanLayout {
  /** Rows of the recording. */
  rows: number;
  shared: readonly SharedBuffer[];
  passes: readonly Pass[];
  memory: readonly MemoryItem[];
}

/** Hands a running model its account, so that host and disk bytes are counted as they come. */
export interface RunContext {
  account: Account;
  signal: AbortSignal;
}

/** What a model does around its passes. */
export interface PlanActions<Result> {
  /** Name of the plan in tables and errors. */
  name: string;
  /** Buffers, passes and memory for a tile size. Costs nothing and touches nothing. */
  layout(tileRows: number): PlanLayout;
  /** Looks at the output place; a finished result there is returned instead of computed. */
  check(): Promise<Result | undefined>;
  /** Writes metadata. From here on the output place is ours. */
  begin(context: RunContext): Promise<void>;
  /** Completes the output. */
  finish(report: RunReport): Promise<Result>;
  /** Lets go of what `begin` opened when the run failed or was cancelled. */
  release(): Promise<void>;
}

/** What a run measured. */
export interface RunReport {
  projectedBytes: MemoryBytes;
  peakBytes: MemoryBytes;
  /** Seconds by stage and pass. */
  passes: Record<string, StageSeconds>;
  /** Seconds from the call of `run()` to the last pass's end. */
  totalSeconds: number;
}

/** Choices that change speed and memory, never results. */
export interface PlanChoices {
  /** Rows of a tile; the largest that fits the budget when not given. */
  tileRows?: number;
  /** Slots in the ping-pong, 1 to 4; 2 when not given, 1 when two would not fit. */
  slots?: number;
}

// A tile larger than this gains nothing: the device is busy, and cancelling wants small steps.
const MAX_TILE_ROWS = 4096;
// Tables cross in pieces of at most this size.
const TABLE_STAGING_BYTES = 4 * 2 ** 20;

/** Passes with their memory, ready to be looked at and run. */
export class Plan<Result> {
  readonly name: string;
  /** Bytes the run will hold at most, by place. */
  readonly projected: MemoryBytes;
  readonly tileRows: number;
  readonly slots: number;
  readonly #gpu: Gpu;
  readonly #actions: PlanActions<Result>;
  readonly #layout: PlanLayout;

  /**
   * @throws {BudgetError} If no tile fits the budget, or the one asked for does not.
   */
  constructor(gpu: Gpu, actions: PlanActions<Result>, choices: PlanChoices = {}) {
    this.#gpu = gpu;
    this.#actions = actions;
    this.name = actions.name;
    const { tileRows, slots } = chooseTile(gpu, actions, choices);
    this.tileRows = tileRows;
    this.slots = slots;
    this.#layout = actions.layout(tileRows);
    this.projected = projectBytes(this.#layout, slots);
  }

  /** A table for people: what is held where, per pass and in all. */
  explain(): string {
    const { rows, passes, shared, memory } = this.#layout;
    const size = (bytes: number) => bytes === 0 ? "" : formatBytes(bytes);
    const table = [["", "tiles", "rows a tile", "GPU", "host", "disk"]];
    table.push(["tables and carries", "", "", size(tableBytes(shared)), "", ""]);
    for (const pass of passes) {
      const tiles = tilesOf(rows, this.tileRows);
      table.push([
        `${pass.name} (${pass.direction}, ${this.slots} slots)`,
        String(tiles.length),
        String(Math.min(rows, this.tileRows)),
        size(this.slots * slotBytes([pass])),
        "",
        "",
      ]);
    }
    for (const { what, kind, bytes } of memory) {
      table.push([
        what,
        "",
        "",
        "",
        kind === "host" ? size(bytes) : "",
        kind === "disk" ? size(bytes) : "",
      ]);
    }
    const { gpu, host, disk } = this.projected;
    table.push(["in all (passes share slots)", "", "", size(gpu), size(host), size(disk)]);
    return `Plan "${this.name}": ${rows} rows on ${this.#gpu.adapter.name}, budget ` +
      `${formatBytes(this.#gpu.budgetBytes.gpu)}\n${formatTable(table)}`;
  }

  /**
   * Runs every pass. Buffers are allocated before the first read and destroyed at the end.
   *
   * @throws {OutputConflictError} If the output place holds something else.
   * @throws {DeviceLostError} If the device is lost.
   * @throws The signal's reason, within 250 ms, if it is aborted.
   */
  async run(options: RunOptions = {}): Promise<Result> {
    const signal = options.signal ?? new AbortController().signal;
    signal.throwIfAborted();
    const began = performance.now();
    const actions = this.#actions;
    const gpu = this.#gpu;
    const finished = await actions.check();
    if (finished !== undefined) return finished;
    gpu.throwIfFailed();

    let { tileRows } = this;
    let layout = this.#layout;
    const account = gpu.ledger.open(this.name, this.projected);
    let begun = false;
    try {
      for (const pass of layout.passes) {
        for (const step of pass.steps.filter(isKernelStep)) {
          await gpu.kernel(step.kernel, step.constants);
        }
      }
      let buffers: PlanBuffers;
      for (;;) {
        try {
          buffers = await allocate(account, layout, this.slots);
          break;
        } catch (error) {
          // the driver has less than the budget says: a smaller tile may still fit
          if (!(error instanceof GpuError) || tileRows === 1) throw error;
          tileRows = Math.ceil(tileRows / 2);
          layout = actions.layout(tileRows);
        }
      }
      signal.throwIfAborted();
      begun = true;
      await actions.begin({ account, signal });
      await fillTables(gpu, layout.shared, buffers);

      const progress = new ProgressMeter(this.name, layout, account, options, began);
      const passes: Record<string, StageSeconds> = {};
      for (const pass of layout.passes) {
        progress.startPass(pass);
        passes[pass.name] = await runPass({
          gpu,
          pass,
          tiles: tilesOf(layout.rows, tileRows),
          slots: buffers.slots,
          shared: buffers.shared,
          signal,
          onAdvance: (share, rows) => progress.advance(share, rows),
        });
        progress.finishPass();
      }
      for (const buffer of buffers.all) account.destroyBuffer(buffer);
      const result = await actions.finish({
        projectedBytes: { ...this.projected },
        peakBytes: { ...account.peak },
        passes,
        totalSeconds: (performance.now() - began) / 1000,
      });
      account.close();
      return result;
    } catch (error) {
      account.abandon();
      if (begun) await actions.release();
      throw error;
    }
  }
}

/** Bytes of GPU, host and disk a layout needs. */
function projectBytes(layout: PlanLayout, slots: number): MemoryBytes {
  const sum = (kind: "host" | "disk") =>
    layout.memory.reduce((bytes, item) => bytes + (item.kind === kind ? item.bytes : 0), 0);
  return {
    gpu: tableBytes(layout.shared) + slots * slotBytes(layout.passes),
    host: sum("host"),
    disk: sum("disk"),
  };
}

function tableBytes(shared: readonly SharedBuffer[]): number {
  const staging = tableStagingBytes(shared);
  return shared.reduce((bytes, buffer) => bytes + bufferBytes(buffer.bytes), staging);
}

function tableStagingBytes(shared: readonly SharedBuffer[]): number {
  const largest = Math.max(0, ...shared.map(({ data }) => data?.byteLength ?? 0));
  return largest === 0 ? 0 : bufferBytes(Math.min(largest, TABLE_STAGING_BYTES));
}

function slotBytes(passes: readonly Pass[]): number {
  return slotRequests(passes).reduce((bytes, request) => bytes + bufferBytes(request.bytes), 0);
}

interface SlotRequest extends BufferRequest {
  name: string;
  place: keyof Slot;
}

/** The buffers of one slot: passes run one after the other, so equal names share a buffer. */
function slotRequests(passes: readonly Pass[]): SlotRequest[] {
  const requests = new Map<string, SlotRequest>();
  const add = (request: SlotRequest) => {
    const key = `${request.place} ${request.name}`;
    const before = requests.get(key);
    requests.set(key, {
      ...request,
      bytes: Math.max(request.bytes, before?.bytes ?? 0),
      usage: request.usage | (before?.usage ?? 0),
    });
  };
  const addBuffer = ({ name, bytes, role }: SlotBuffer) => {
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
    if (role !== "readback") add({ name, label: name, bytes, usage, place: "device" });
    if (role === "scratch") return;
    add({
      name,
      label: `${name} staging`,
      bytes,
      usage: role === "upload"
        ? BufferUsage.MAP_WRITE | BufferUsage.COPY_SRC
        : BufferUsage.MAP_READ | BufferUsage.COPY_DST,
      place: "staging",
    });
  };
  for (const pass of passes) {
    for (const buffer of pass.slotBuffers) addBuffer(buffer);
    for (const { kernel } of pass.steps.filter(isKernelStep)) {
      add({
        name: kernel.name,
        label: `${kernel.name} params`,
        bytes: PARAMS_BYTES,
        usage: BufferUsage.UNIFORM | BufferUsage.COPY_DST,
        place: "params",
      });
    }
  }
  return [...requests.values()];
}

/** The largest tile that fits budget and adapter, with two slots if they fit. */
function chooseTile<Result>(
  gpu: Gpu,
  actions: PlanActions<Result>,
  choices: PlanChoices,
): { tileRows: number; slots: number } {
  const budget = gpu.budgetBytes;
  const { rows } = actions.layout(1);
  for (
    const [name, value, most] of [
      ["tileRows", choices.tileRows, Infinity],
      ["slots", choices.slots, 4],
    ] as const
  ) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1 && value <= most)) {
      throw new RangeError(
        `Cannot plan "${actions.name}": ${name} is ${value}, wanted a whole number from 1` +
          (most === Infinity ? "" : ` to ${most}`),
      );
    }
  }
  const fits = (tileRows: number, slots: number): boolean => {
    const layout = actions.layout(tileRows);
    const projected = projectBytes(layout, slots);
    return projected.gpu <= budget.gpu && projected.host <= budget.host &&
      largestBuffer(layout) <=
        Math.min(
          gpu.device.limits.maxStorageBufferBindingSize,
          gpu.device.limits.maxBufferSize,
        );
  };
  const largest = Math.min(rows, choices.tileRows ?? MAX_TILE_ROWS);
  const smallest = choices.tileRows === undefined ? 1 : largest;
  for (const slots of choices.slots === undefined ? [2, 1] : [choices.slots]) {
    if (!fits(smallest, slots)) continue;
    let [low, high] = [smallest, largest];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (fits(middle, slots)) low = middle;
      else high = middle - 1;
    }
    return { tileRows: low, slots };
  }
  return refuse(gpu, actions, choices, smallest);
}

function refuse<Result>(
  gpu: Gpu,
  actions: PlanActions<Result>,
  choices: PlanChoices,
  tileRows: number,
): never {
  const budget = gpu.budgetBytes;
  const slots = choices.slots ?? 1;
  const projected = projectBytes(actions.layout(tileRows), slots);
  const smallest = projectBytes(actions.layout(1), slots);
  const over = (["gpu", "host"] as const).find((kind) => projected[kind] > budget[kind]);
  if (over) {
    throw new BudgetError(
      `Cannot plan "${actions.name}": tiles of ${tileRows} rows need ` +
        `${formatBytes(projected[over])} (${projected[over]} B) of ${over} memory, the budget is ` +
        `${formatBytes(budget[over])} (${budget[over]} B); the smallest that works is ` +
        `${formatBytes(smallest[over])} (${smallest[over]} B)`,
      {
        projectedBytes: projected[over],
        budgetBytes: budget[over],
        smallestBudgetBytes: smallest[over],
      },
    );
  }
  throw new RangeError(
    `Cannot plan "${actions.name}": tiles of ${tileRows} rows need one buffer of ` +
      `${formatBytes(largestBuffer(actions.layout(tileRows)))}, the adapter allows ` +
      formatBytes(gpu.device.limits.maxStorageBufferBindingSize),
  );
}

function largestBuffer({ shared, passes }: PlanLayout): number {
  return Math.max(
    ...shared.map(({ bytes }) => bytes),
    ...passes.flatMap((pass) => pass.slotBuffers.map(({ bytes }) => bytes)),
  );
}

interface PlanBuffers {
  shared: Record<string, GPUBuffer>;
  slots: Slot[];
  tableStaging: GPUBuffer | undefined;
  all: GPUBuffer[];
}

async function allocate(
  account: Account,
  { shared, passes }: PlanLayout,
  slotCount: number,
): Promise<PlanBuffers> {
  const transfer = BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
  const requests: BufferRequest[] = shared.map(({ name, bytes, kind }) => ({
    label: name,
    bytes,
    usage: transfer | (kind === "uniform" ? BufferUsage.UNIFORM : BufferUsage.STORAGE),
  }));
  const stagingBytes = tableStagingBytes(shared);
  if (stagingBytes > 0) {
    requests.push({
      label: "table staging",
      bytes: stagingBytes,
      usage: BufferUsage.MAP_WRITE | BufferUsage.COPY_SRC,
    });
  }
  const perSlot = slotRequests(passes);
  for (let i = 0; i < slotCount; i++) requests.push(...perSlot);
  const all = await account.createBuffers(requests);
  const remaining = [...all];
  const buffers: PlanBuffers = { shared: {}, slots: [], tableStaging: undefined, all };
  for (const { name } of shared) buffers.shared[name] = remaining.shift()!;
  if (stagingBytes > 0) buffers.tableStaging = remaining.shift()!;
  for (let i = 0; i < slotCount; i++) {
    const slot: Slot = { device: {}, staging: {}, params: {} };
    for (const { name, place } of perSlot) slot[place][name] = remaining.shift()!;
    buffers.slots.push(slot);
  }
  return buffers;
}

/** Brings tables to the device through one bounded staging buffer. */
async function fillTables(
  gpu: Gpu,
  shared: readonly SharedBuffer[],
  { shared: targets, tableStaging }: PlanBuffers,
): Promise<void> {
  for (const { name, data } of shared) {
    if (!data) continue;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    for (let offset = 0; offset < bytes.length; offset += tableStaging!.size) {
      const piece = bytes.subarray(offset, offset + tableStaging!.size);
      await tableStaging!.mapAsync(MapMode.WRITE);
      new Uint8Array(tableStaging!.getMappedRange()).set(piece);
      tableStaging!.unmap();
      await gpu.submit(`fill ${name}`, (encoder) => {
        encoder.copyBufferToBuffer(
          tableStaging!,
          0,
          targets[name]!,
          offset,
          bufferBytes(piece.length),
        );
      });
    }
  }
}

const REPORT_EVERY_MS = 100;

/** Turns what passes report into {@link Progress}, at most ten times a second. */
class ProgressMeter {
  readonly #layout: PlanLayout;
  readonly #account: Account;
  readonly #options: RunOptions;
  readonly #began: number;
  readonly #name: string;
  #pass: Pass | undefined;
  #passBegan = 0;
  #costDone = 0;
  #lastReport = -Infinity;

  constructor(
    name: string,
    layout: PlanLayout,
    account: Account,
    options: RunOptions,
    began: number,
  ) {
    this.#name = name;
    this.#layout = layout;
    this.#account = account;
    this.#options = options;
    this.#began = began;
  }

  startPass(pass: Pass): void {
    this.#pass = pass;
    this.#passBegan = performance.now();
    this.advance(0, 0, true);
  }

  finishPass(): void {
    this.advance(1, this.#layout.rows, true);
    this.#costDone += this.#pass!.cost;
  }

  advance(share: number, rows: number, always = false): void {
    const now = performance.now();
    if (!this.#options.onProgress || (!always && now - this.#lastReport < REPORT_EVERY_MS)) return;
    this.#lastReport = now;
    const { passes, rows: totalRows } = this.#layout;
    const pass = this.#pass!;
    const cost = passes.reduce((sum, { cost }) => sum + cost, 0);
    const fraction = (this.#costDone + pass.cost * share) / cost;
    const elapsedSeconds = (now - this.#began) / 1000;
    const progress: Progress = {
      plan: this.#name,
      pass: pass.name,
      passIndex: passes.indexOf(pass),
      passCount: passes.length,
      rows,
      totalRows,
      fraction,
      bytesWritten: this.#account.peak.disk,
      rowsPerSecond: share * totalRows * 1000 / Math.max(1, now - this.#passBegan),
      elapsedSeconds,
      etaSeconds: fraction > 0.01 ? elapsedSeconds * (1 - fraction) / fraction : undefined,
      peakBytes: { ...this.#account.peak },
    };
    this.#options.onProgress(progress);
  }
}
