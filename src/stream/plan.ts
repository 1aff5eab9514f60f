/**
 * A plan: passes, and the memory they need, known before anything is touched.
 *
 * @module
 */

import type { Shown } from "../display.ts";
import { displayed } from "../display.ts";
import { BudgetError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { formatBytes } from "../math/format.ts";
import type { MemoryBytes } from "../types.ts";
import type { PlanChoices, RunOptions } from "./choices.ts";
import { runOptions } from "./choices.ts";
import { grainOf, largestBuffer, largestTileBuffer, projectBytes } from "./buffers.ts";
import type { PlanTable } from "./explain.ts";
import { explainPlan, tablePlan } from "./explain.ts";
import type { AnyTask } from "./identify.ts";
import { laneRows } from "./lanes.ts";
import { MemoryOutput } from "./memory_output.ts";
import type { Output, OutputSpec } from "./output.ts";
import { StoredOutput } from "./stored_output.ts";
import { sectioned } from "./sections.ts";

// A tile larger than this gains nothing: the device is busy, and cancelling wants small steps.
const MAX_TILE_ROWS = 4096;
// Drivers clear buffers when they are first used. In software that takes a second for some hundred MiB,
// which no cancel interrupts and nothing is gained by.
const MAX_SOFTWARE_TILE_BYTES = 32 * 2 ** 20;

/** A task with its memory, ready to be looked at and run. */
export interface Plan<Result> {
  /** As a notebook shows it. */
  toHTML(): string;
}

export class Plan<Result> {
  readonly name: string;
  /** Bytes the run will hold at most, by place. */
  readonly projected: MemoryBytes;
  readonly tileRows: number;
  readonly slots: number;
  readonly #gpu: Gpu;
  readonly #task: AnyTask<Result>;
  readonly #choices: PlanChoices;

  /**
   * @throws {BudgetError} If no tile fits the budget, or the one asked for does not.
   */
  constructor(gpu: Gpu, task: AnyTask<Result>, choices: PlanChoices = {}) {
    this.#gpu = gpu;
    this.#task = sectioned(task);
    this.#choices = choices;
    this.name = task.name;
    const { tileRows, slots } = chooseTile(gpu, this.#task, choices);
    this.tileRows = tileRows;
    this.slots = slots;
    this.projected = projectBytes(
      this.#task,
      createOutput(task.output),
      this.#task.layout(tileRows),
      tileRows,
      slots,
    );
  }

  /** What it was made of, for those who run some of it. */
  get made(): { gpu: Gpu; task: AnyTask<Result>; choices: PlanChoices } {
    return { gpu: this.#gpu, task: this.#task, choices: this.#choices };
  }

  /** A table for people: what is held where, per pass and in all. */
  explain(): string {
    return explainPlan(this.#gpu, this.#task, createOutput(this.#task.output), this);
  }

  /** The same in cells, for a page. */
  table(): PlanTable {
    return tablePlan(this.#gpu, this.#task, createOutput(this.#task.output), this);
  }

  /**
   * Runs every pass, or those that an interrupted run of the same plan left. Buffers are allocated
   * before the first read and destroyed at the end. A device that is lost is opened again once, and
   * the run goes on from its last checkpoint.
   *
   * @throws {RangeError} If the output place is, holds or lies in what is read.
   * @throws {OutputConflictError} If the output place holds something else, or another run is at work
   * there.
   * @throws {QuotaError} If the output place has too little room, before any work.
   * @throws {DeviceLostError} If the device is lost twice; says where the next run will go on.
   * @throws The signal's reason, within 250 ms, if it is aborted. The next run of the same plan goes on.
   */
  async run(options: RunOptions = {}): Promise<Shown<Result>> {
    runOptions.check(options);
    options.signal?.throwIfAborted();
    const began = performance.now();
    const { adopted, runTask } = await import("./attempts.ts");
    const task = await adopted(this.#task);
    if (task !== this.#task) {
      return await new Plan(this.#gpu, task, this.#choices).run(options);
    }
    const { tileRows, slots } = this;
    const output = createOutput(task.output);
    return await runTask({ gpu: this.#gpu, task, output, tileRows, slots, options, began });
  }
}

displayed(Plan.prototype as Plan<unknown>, (plan) => {
  const { name, projected: { gpu, host, disk } } = plan;
  const sizes = `GPU ${formatBytes(gpu)}, host ${formatBytes(host)}, disk ${formatBytes(disk)}`;
  return { title: `plan "${name}": ${sizes}`, text: plan.explain() };
});

/** The output of one run, in a store or in memory. */
function createOutput(spec: OutputSpec): Output {
  return spec.place === undefined ? new MemoryOutput(spec) : new StoredOutput(spec, spec.place);
}

/** The largest tile that fits budget and adapter, with two slots if they fit. */
function chooseTile(
  gpu: Gpu,
  task: AnyTask<unknown>,
  choices: PlanChoices,
): { tileRows: number; slots: number } {
  const budget = gpu.budgetBytes;
  const output = createOutput(task.output);
  const smallestLayout = task.layout(1);
  const { mostTileRows = MAX_TILE_ROWS } = smallestLayout;
  const rows = laneRows(smallestLayout);
  for (
    const [name, value, most] of [
      ["tileRows", choices.tileRows, Infinity],
      ["slots", choices.slots, 4],
    ] as const
  ) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1 && value <= most)) {
      throw new RangeError(
        `Cannot plan "${task.name}": ${name} is ${value}, wanted a whole number from 1` +
          (most === Infinity ? "" : ` to ${most}`),
      );
    }
  }
  const fits = (tileRows: number, slots: number): boolean => {
    const layout = task.layout(tileRows);
    const projected = projectBytes(task, output, layout, tileRows, slots);
    return projected.gpu <= budget.gpu && projected.host <= budget.host &&
      largestBuffer(layout) <=
        Math.min(
          gpu.device.limits.maxStorageBufferBindingSize,
          gpu.device.limits.maxBufferSize,
        );
  };
  // of batches a tile has whole ones
  const grain = grainOf(smallestLayout);
  const whole = (some: number) => Math.max(1, Math.ceil(some / grain));
  const largest = whole(Math.min(rows, choices.tileRows ?? mostTileRows));
  const smallest = choices.tileRows === undefined ? 1 : largest;
  const mostTileBytes = gpu.adapter.software ? MAX_SOFTWARE_TILE_BYTES : Infinity;
  for (const slots of choices.slots === undefined ? [2, 1] : [choices.slots]) {
    if (!fits(smallest * grain, slots)) continue;
    let [low, high] = [smallest, largest];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const { passes } = task.layout(middle * grain);
      const isFine = largestTileBuffer(passes) <= mostTileBytes;
      if (isFine && fits(middle * grain, slots)) low = middle;
      else high = middle - 1;
    }
    const tileRows = low * grain;
    const { alignRows = 1 } = task.layout(tileRows);
    const aligned = Math.floor(tileRows / alignRows) * alignRows;
    const free = choices.tileRows === undefined && tileRows < rows && aligned > 0 &&
      aligned % grain === 0;
    return { tileRows: free ? aligned : tileRows, slots };
  }
  return refuse(gpu, task, choices, smallest * grain);
}

function refuse(
  gpu: Gpu,
  task: AnyTask<unknown>,
  choices: PlanChoices,
  tileRows: number,
): never {
  const budget = gpu.budgetBytes;
  const slots = choices.slots ?? 1;
  const projected = projectBytes(
    task,
    createOutput(task.output),
    task.layout(tileRows),
    tileRows,
    slots,
  );
  const over = (["gpu", "host"] as const).find((kind) => projected[kind] > budget[kind]);
  if (over) {
    throw new BudgetError(
      `Cannot plan "${task.name}": tiles of ${tileRows} rows need ` +
        `${formatBytes(projected[over])} (${projected[over]} B) of ${over} memory, the budget is ` +
        `${formatBytes(budget[over])} (${budget[over]} B); the smallest that works is ` +
        `${formatBytes(projected[over])} (${projected[over]} B)`,
      {
        projectedBytes: projected[over],
        budgetBytes: budget[over],
        smallestBudgetBytes: projected[over],
      },
    );
  }
  throw new RangeError(
    `Cannot plan "${task.name}": tiles of ${tileRows} rows need one buffer of ` +
      `${formatBytes(largestBuffer(task.layout(tileRows)))}, the adapter allows ` +
      formatBytes(gpu.device.limits.maxStorageBufferBindingSize),
  );
}
