import { describe, expect, it } from "vitest";
import { BudgetError, LedgerError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { openGpu } from "../../src/gpu/device.ts";
import type { KernelSpec } from "../../src/gpu/kernel.ts";
import { BufferUsage, MapMode } from "../../src/gpu/usage.ts";
import type { LoopStep, Pass } from "../../src/stream/pass.ts";
import { cutRows, tilesAlive, tilesBetween } from "../../src/stream/pass.ts";
import type { PlanChoices } from "../../src/stream/choices.ts";
import { variable } from "../../src/stream/output.ts";
import { Plan } from "../../src/stream/plan.ts";
import type { Measured } from "../../src/stream/task.ts";
import type { Progress } from "../../src/types.ts";
import { lendGpu, useGpu } from "../support/gpu.ts";
import { taskOf } from "../support/task.ts";
import { comesAbout } from "../support/turns.ts";

const gpu = useGpu({ budget: "64 KiB" });

// running_sum[row] = value[row] + the sum before it: a carry, so tiles must come in order
const running: KernelSpec = {
  name: "running_sum",
  code: `
    @group(0) @binding(0) var<uniform> params: vec4u;
    @group(0) @binding(1) var<storage, read> value: array<u32>;
    @group(0) @binding(2) var<storage, read_write> carry: array<u32>;
    @group(0) @binding(3) var<storage, read_write> total: array<u32>;
    @compute @workgroup_size(1)
    fn running_sum() {
      for (var row = params.x; row < params.y; row++) {
        carry[0] += value[row];
        total[row] = carry[0];
      }
    }`,
  bindings: { params: "uniform", value: "read", carry: "read_write", total: "read_write" },
};

/** carry = 3 carry + value[row] in the first turn, total[row] = carry += 1 in the second. */
const turns: readonly KernelSpec[] = ["take_value", "give_total"].map((name, turn) => ({
  name,
  code: `
    @group(0) @binding(0) var<uniform> params: vec4u;
    @group(0) @binding(1) var<storage, read> value: array<u32>;
    @group(0) @binding(2) var<storage, read_write> carry: array<u32>;
    @group(0) @binding(3) var<storage, read_write> total: array<u32>;
    @compute @workgroup_size(1)
    fn ${name}() {
      ${
    turn === 0
      ? "carry[0] = 3u * carry[0] + value[params.x] + 0u * total[0];"
      : "carry[0] += 1u + 0u * value[0]; total[params.x] = carry[0];"
  }
    }`,
  bindings: { params: "uniform", value: "read", carry: "read_write", total: "read_write" },
}));

interface Toy {
  rows: number;
  /** Whether rows go through both turns, up or down the tile. */
  loop?: "ascending" | "descending";
  got: number[];
  read?: () => Promise<void> | void;
  write?: () => Promise<void> | void;
  finish?: (measured: Measured) => void;
  /** Whether reading gives more than it says. */
  forget?: boolean;
  live: { now: number; most: number };
}

function toy(rows: number, extra: Partial<Toy> = {}): Toy {
  return { rows, got: [], live: { now: 0, most: 0 }, ...extra };
}

const turnsStep = (order: LoopStep["order"]): LoopStep => ({
  name: "turns",
  order,
  loop: turns.map((kernel) => ({
    kernel,
    constants: {},
    params: (_tile, row) => Uint32Array.of(row, 0, 0, 0),
    workgroups: () => [1],
  })),
});

function toyPlan(device: Gpu, job: Toy, choices: PlanChoices = {}): Plan<number[]> {
  const pass = (tileRows: number): Pass => ({
    name: "sum",
    direction: "forward",
    cost: 1,
    slotBuffers: [
      { name: "value", bytes: 4 * tileRows, role: "upload" },
      { name: "total", bytes: 4 * tileRows, role: "download" },
    ],
    steps: job.loop ? [turnsStep(job.loop)] : [{
      kernel: running,
      constants: {},
      order: "ascending",
      params: (_tile, from, to) => Uint32Array.of(from, to, 0, 0),
      workgroups: () => [1],
    }],
    async read({ start, end }) {
      job.live.most = Math.max(job.live.most, ++job.live.now);
      await job.read?.();
      const value = Uint32Array.from({ length: end - start }, (_, i) => start + i);
      return { value, ...(job.forget && { more: new Uint8Array(1) }) };
    },
    async write({ start, end }, downloads) {
      await job.write?.();
      const total = new Uint32Array(downloads.total!, 0, end - start);
      total.forEach((sum, i) => job.got[start + i] = sum);
      job.live.now--;
    },
  });
  const task = taskOf({
    name: "toy",
    layout: (tileRows) => ({
      rows: job.rows,
      shared: [
        { name: "carry", bytes: 4, kind: "storage", data: Uint32Array.of(0) },
      ],
      passes: [pass(tileRows)],
      tables: [{ what: "a host array", bytes: 100 }],
    }),
    result: (_stored, measured) => {
      job.finish?.(measured);
      return job.got;
    },
  });
  return new Plan(device, task, choices);
}

const wanted = (rows: number) => Array.from({ length: rows }, (_, i) => i * (i + 1) / 2);

describe("tiles", () => {
  it("cover every row once, for any size", () => {
    for (const [rows, tileRows] of [[1, 1], [7, 3], [8, 4], [5, 100]] as const) {
      const tiles = tilesBetween(cutRows(0, rows, tileRows), { firstLane: 0, lanes: 1 });
      expect(tiles[0]!.start).toBe(0);
      expect(tiles.at(-1)!.end).toBe(rows);
      tiles.slice(1).forEach((tile, i) => expect(tile.start).toBe(tiles[i]!.end));
    }
  });
});

describe("cutRows()", () => {
  it("cuts at multiples of both steps, before row 0 too", () => {
    expect(cutRows(-7, 12, 5, 4)).toEqual([-7, -5, -4, 0, 4, 5, 8, 10, 12]);
    expect(cutRows(3, 3, 5, 4)).toEqual([3]);
    expect(cutRows(3, 4, 5)).toEqual([3, 4]);
  });
});

describe("Plan", () => {
  it("gives the same answer for every tile and number of slots", async () => {
    for (const tileRows of [1, 3, 17, 64, 65, 1000]) {
      for (const slots of [1, 2, 3, 4]) {
        if (tileRows === 1 && slots !== 2) continue;
        const job = toy(65);
        expect(await toyPlan(gpu(), job, { tileRows, slots }).run()).toEqual(wanted(65));
        expect(job.live.most).toBeLessThanOrEqual(tilesAlive(slots));
      }
    }
  });

  it("takes no buffer beyond the adapter's limits, and says so where one row is", async () => {
    /** A device that allows so many bytes of a binding, and of a buffer. */
    const limited = (maxStorageBufferBindingSize: number, maxBufferSize: number) =>
      new Proxy(gpu(), {
        get: (device, name) => {
          if (name === "device") return { limits: { maxStorageBufferBindingSize, maxBufferSize } };
          const value: unknown = Reflect.get(device, name, device);
          return typeof value === "function" ? value.bind(device) : value;
        },
      });
    // four bytes a row
    expect(toyPlan(gpu(), toy(1000)).tileRows).toBe(1000);
    expect(toyPlan(limited(400, 1e9), toy(1000)).tileRows).toBe(100);
    expect(toyPlan(limited(1e9, 400), toy(1000)).tileRows).toBe(100);
    expect(toyPlan(limited(400, 400), toy(100), { tileRows: 100 }).tileRows).toBe(100);
    for (const device of [limited(399, 1e9), limited(1e9, 399)]) {
      expect(() => toyPlan(device, toy(100), { tileRows: 100 })).toThrow(
        /Cannot plan "toy": tiles of 100 rows need one buffer of 400 B/,
      );
    }
    expect(() => toyPlan(limited(2, 2), toy(100))).toThrow(RangeError);
  });

  it("holds exactly what it promised", async () => {
    let report: Measured | undefined;
    const job = toy(100, { finish: (seen) => report = seen });
    const plan = toyPlan(gpu(), job, { tileRows: 10 });
    await plan.run();
    expect(report!.peakBytes.gpu).toBe(plan.projected.gpu);
    // and a tile of 10 numbers that is being read
    expect(report!.peakBytes.host).toBe(100 + 40);
    expect(report!.projectedBytes.host).toBe(100 + 40);
    expect(report!.projectedBytes).toEqual(plan.projected);
    expect(gpu().ledger.reserved.gpu).toBe(0);
  });

  it("fits the largest tile into the budget", () => {
    const plan = toyPlan(gpu(), toy(100_000));
    expect(plan.projected.gpu).toBeLessThanOrEqual(64 * 1024);
    // a row takes 16 B in each of two slots
    expect(plan.projected.gpu).toBeGreaterThan(64 * 1024 - 2 * 16 * 2);
    expect(plan.slots).toBe(2);
  });

  it("refuses what no tile can make fit, and names a budget that works", async () => {
    const smallGpu = await lendGpu({ budget: 39 });
    const refused = (() => {
      try {
        return toyPlan(smallGpu, toy(10));
      } catch (error) {
        return error;
      }
    })() as BudgetError;
    expect(refused).toBeInstanceOf(BudgetError);
    expect(refused.budgetBytes).toBe(39);
    expect(refused.message).toContain(`${refused.smallestBudgetBytes} B`);
    smallGpu.close();
    const enough = await lendGpu({ budget: refused.smallestBudgetBytes });
    expect(await toyPlan(enough, toy(10)).run()).toEqual(wanted(10));
    enough.close();
    const short = await lendGpu({ budget: refused.smallestBudgetBytes - 1 });
    expect(() => toyPlan(short, toy(10))).toThrow(BudgetError);
    short.close();
  });

  it("refuses tiles and slots that are no whole numbers", () => {
    expect(() => toyPlan(gpu(), toy(10), { tileRows: 0 })).toThrow(/tileRows is 0/);
    expect(() => toyPlan(gpu(), toy(10), { slots: 5 })).toThrow(/from 1 to 4/);
  });

  it("takes the kernels of a loop in turns, row by row", async () => {
    const turn = (rows: number[]) => {
      const totals: number[] = [];
      let carry = 0;
      for (const row of rows) totals[row] = carry = (Math.imul(3, carry) + row + 1) >>> 0;
      return totals;
    };
    const rows = Array.from({ length: 150 }, (_, i) => i);
    for (const tileRows of [150, 64, 7]) {
      expect(await toyPlan(gpu(), toy(150, { loop: "ascending" }), { tileRows, slots: 1 }).run())
        .toEqual(turn(rows));
    }
    expect(
      await toyPlan(gpu(), toy(150, { loop: "descending" }), { tileRows: 150, slots: 1 }).run(),
    )
      .toEqual(turn(rows.reverse()));
  });

  it("explains itself in a table that adds up", () => {
    const plan = toyPlan(gpu(), toy(100), { tileRows: 10 });
    expect(plan.explain()).toMatch(/Plan "toy": 100 rows on/);
    expect(plan.explain()).toMatch(/sum \(forward, 2 slots\) +10 +10 +272 B/);
    expect(plan.explain()).toMatch(/in all.* 280 B +140 B/);
  });

  it("tells of passes that differ in a number once", () => {
    const pass = (name: string, bytes: number): Pass => ({
      ...{ name, direction: "forward", cost: 1, steps: [] },
      slotBuffers: [{ name: "rows", bytes, role: "upload" }],
      read: () => Promise.resolve({}),
      write: () => {},
    });
    const names = ["down 1", "up 1", "down 2", "up 2", "down 3"];
    const task = taskOf({
      name: "several",
      layout: () => ({
        ...{ rows: 8, shared: [] },
        passes: [...names.map((name) => pass(name, 16)), pass("down 4", 32)],
      }),
    });
    const told = new Plan(gpu(), task, { tileRows: 8, slots: 1 }).explain();
    const lines = told.split("\n").filter((line) => line.includes("(forward"))
      .map((line) => line.split(" (")[0]);
    expect(lines).toEqual(["down 1 to 3", "up 1 to 2", "down 4"]);
  });

  it("reports progress that only grows, and ends at 1", async () => {
    const seen: Progress[] = [];
    await toyPlan(gpu(), toy(500), { tileRows: 5 }).run({ onProgress: (now) => seen.push(now) });
    expect(seen.length).toBeGreaterThanOrEqual(2);
    seen.slice(1).forEach((now, i) => {
      expect(now.fraction).toBeGreaterThanOrEqual(seen[i]!.fraction);
    });
    expect(seen.at(-1)).toMatchObject({ plan: "toy", pass: "sum", fraction: 1, rows: 500 });
  });

  it("starts nothing more when it is cancelled, and lets go of everything", async () => {
    const cancel = new AbortController();
    const { queue } = gpu().device;
    const submit = queue.submit.bind(queue);
    let reads = 0;
    let writes = 0;
    const late = { reads: 0, submits: 0, writes: 0 };
    const job = toy(10_000, {
      read: () => {
        if (++reads === 50) cancel.abort();
        else if (reads > 50) late.reads++;
      },
      write: () => {
        if (cancel.signal.aborted) late.writes++;
        else writes++;
      },
    });
    queue.submit = (commands) => {
      if (cancel.signal.aborted) late.submits++;
      return submit(commands);
    };
    try {
      const run = toyPlan(gpu(), job, { tileRows: 7 }).run({ signal: cancel.signal });
      await expect(run).rejects.toThrow(/abort/i);
    } finally {
      Reflect.deleteProperty(queue, "submit");
    }
    expect(writes).toBeGreaterThan(40);
    // the tile that is being recorded may still go to the device
    expect(late.submits).toBeLessThanOrEqual(1);
    expect(late).toMatchObject({ reads: 0, writes: 0 });
    expect(gpu().ledger.reserved.gpu).toBe(0);
  });

  it("passes on what reading and writing throw, and lets go of everything", async () => {
    for (const stage of ["read", "write"] as const) {
      let calls = 0;
      const job = toy(1000, {
        [stage]: () => {
          if (++calls === 5) throw new Error(`${stage} broke`);
        },
      });
      await expect(toyPlan(gpu(), job, { tileRows: 7 }).run()).rejects.toThrow(`${stage} broke`);
      expect(gpu().ledger.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });
    }
  });

  it("turns memory that was left out of the plan into an error", async () => {
    await expect(toyPlan(gpu(), toy(10, { forget: true })).run()).rejects.toThrow(LedgerError);
  });

  it("is cancelled at once while kernels compile", async () => {
    const device = gpu();
    const cancel = new AbortController();
    device.kernel = () => {
      queueMicrotask(() => cancel.abort(new Error("enough")));
      return new Promise(() => {});
    };
    try {
      const run = toyPlan(device, toy(65)).run({ signal: cancel.signal });
      await expect(run).rejects.toThrow("enough");
      expect(device.ledger.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });
    } finally {
      // the class has its own
      Reflect.deleteProperty(device, "kernel");
    }
  });

  it("goes on after the device was lost with the rows of a result that is only returned", async () => {
    const device = await openGpu({ budget: "64 KiB" });
    const rows = 60;
    let tiles = 0;
    let again = 0;
    const task = taskOf({
      name: "returned",
      output: { streamed: [variable("total", "uint32", [rows], ["row"])] },
      layout: (tileRows) => ({
        rows,
        shared: [{ name: "carry", bytes: 4, kind: "storage", data: Uint32Array.of(0) }],
        passes: [{
          name: "sum",
          direction: "forward",
          cost: 1,
          carry: { buffer: "carry", bytes: 4 },
          slotBuffers: [
            { name: "value", bytes: 4 * tileRows, role: "upload" },
            { name: "total", bytes: 4 * tileRows, role: "download" },
          ],
          steps: [{
            kernel: running,
            constants: {},
            order: "ascending",
            params: (_tile, from, to) => Uint32Array.of(from, to, 0, 0),
            workgroups: () => [1],
          }],
          read: ({ start, end }) =>
            Promise.resolve({
              value: Uint32Array.from({ length: end - start }, (_, i) => start + i),
            }),
          async write({ start, end }, { total }, { store }) {
            if (start === 0) again++;
            await store("total", start, new Uint32Array(total!, 0, end - start));
            if (++tiles === 5) device.device.destroy();
          },
        }],
      }),
      result: async (stored) => [...await stored.read("total") as Uint32Array],
    });
    try {
      expect(await new Plan(device, task, { tileRows: 7, slots: 1 }).run()).toEqual(wanted(rows));
      // the first tile was not computed twice
      expect(again).toBe(1);
    } finally {
      device.close();
    }
  });

  it("overlaps reading, computing and writing", async () => {
    const tiles = 12;
    const stages = ["read", "compute", "write"] as const;
    const begun = { read: 0, compute: 0, write: 0 };
    const settle = () => gpu().device.queue.onSubmittedWorkDone();
    // a tile is read while the one before it is computed and the one before that is written: none of
    // the three ends before all have begun
    const meet = async (stage: keyof typeof begun) => {
      const round = begun[stage]++ + stages.indexOf(stage);
      const missing = () =>
        stages.filter((other, i) => begun[other] <= Math.min(round - i, tiles - 1));
      if (await comesAbout(() => missing().length === 0, { settle })) return;
      throw new Error(`Tile ${begun[stage] - 1} waits in ${stage}, without any in ${missing()}`);
    };
    const device = slowDevice(() => meet("compute"));
    const job = toy(10 * tiles, { read: () => meet("read"), write: () => meet("write") });
    try {
      expect(await toyPlan(gpu(), job, { tileRows: 10 }).run()).toEqual(wanted(10 * tiles));
    } finally {
      device.restore();
    }
    expect(begun).toEqual({ read: tiles, compute: tiles, write: tiles });
  });
});

/** Makes every tile's results come late, one after the other, as if the device took that long. */
function slowDevice(work: () => Promise<void>): { restore: () => void } {
  const probe = gpu().device.createBuffer({ size: 4, usage: BufferUsage.COPY_DST });
  const prototype = Object.getPrototypeOf(probe) as GPUBuffer;
  probe.destroy();
  const mapAsync = prototype.mapAsync;
  let last = Promise.resolve();
  prototype.mapAsync = function (mode, ...range) {
    const mapped = mapAsync.call(this, mode, ...range);
    if (mode !== MapMode.READ) return mapped;
    last = last.then(work);
    return Promise.all([mapped, last]).then(() => undefined);
  };
  return { restore: () => prototype.mapAsync = mapAsync };
}
