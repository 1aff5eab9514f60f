import { describe, expect, it } from "vitest";
import type { Pass } from "../../src/stream/pass.ts";
import { Plan } from "../../src/stream/plan.ts";
import type { Progress } from "../../src/types.ts";
import { useGpu } from "../support/gpu.ts";
import { taskOf } from "../support/task.ts";

const gpu = useGpu();
const ROWS = 10;

/** Sweeps that double what a table holds, on the device, until they are told to stop. */
function doubling(sweeps: number, most: number) {
  const seen: number[] = [];
  let value = 1;
  const pass: Pass = {
    name: "double",
    direction: "forward",
    cost: 1,
    sweeps: {
      most,
      again: () => {
        value = seen.at(-1)! * 2;
        return seen.length / 3 < sweeps;
      },
    },
    tables: () => ({ table: Uint32Array.of(value) }),
    slotBuffers: [{ name: "out", bytes: 4, role: "download" }],
    steps: [{
      copy: { from: "table", to: "out" },
      ranges: () => [{ fromOffset: 0, toOffset: 0, bytes: 4 }],
    }],
    read: () => Promise.resolve({}),
    write: (_tile, { out }) => {
      seen.push(new Uint32Array(out!)[0]!);
      return Promise.resolve();
    },
  };
  const task = taskOf({
    name: "doubling",
    layout: () => ({
      rows: ROWS,
      shared: [{ name: "table", bytes: 4, kind: "storage" }],
      passes: [pass],
    }),
    result: () => seen,
  });
  return new Plan(gpu(), task, { tileRows: 4 });
}

describe("a pass of several sweeps", () => {
  it("goes over all tiles again, with the tables of each sweep, until it says stop", async () => {
    expect(await doubling(3, 10).run()).toEqual([1, 1, 1, 2, 2, 2, 4, 4, 4]);
    expect(await doubling(1, 10).run()).toEqual([1, 1, 1]);
  });

  it("stops at the most sweeps, having asked after the last one too", async () => {
    expect((await doubling(9, 2).run()).length).toBe(6);
  });

  it("reports progress that only grows, and ends at 1", async () => {
    const reports: Progress[] = [];
    await doubling(3, 10).run({ onProgress: (progress) => reports.push(progress) });
    const fractions = reports.map(({ fraction }) => fraction);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(fractions.at(-1)).toBe(1);
  });

  it("may have rows of its own, or not be needed", async () => {
    const seen: string[] = [];
    const stages = (pass: string) =>
      ["read", "compute", "write", "total"].map((stage) => `${pass}.${stage}`);
    const pass = (name: string, more: Partial<Pass>): Pass => ({
      name,
      direction: "forward",
      cost: 1,
      slotBuffers: [],
      steps: [],
      read: () => Promise.resolve({}),
      write: ({ start, end }) => {
        seen.push(`${name} ${start}-${end}`);
        return Promise.resolve();
      },
      ...more,
    });
    const task = taskOf({
      name: "rows",
      layout: () => ({
        rows: ROWS,
        shared: [{ name: "table", bytes: 4, kind: "storage" }],
        passes: [
          pass("own", { rows: 13 }),
          pass("skipped", { needed: () => false }),
          pass("all", { needed: () => true }),
        ],
      }),
      result: (_stored, { seconds }) => Object.keys(seconds),
    });
    const plan = new Plan(gpu(), task, { tileRows: 6 });
    expect(plan.explain()).toMatch(/own \(forward, 2 slots\) +3 +6/);
    const reports: Progress[] = [];
    expect(await plan.run({ onProgress: (progress) => reports.push(progress) }))
      .toEqual([...stages("own"), ...stages("all"), "total"]);
    expect(seen).toEqual(["own 0-6", "own 6-12", "own 12-13", "all 0-6", "all 6-10"]);
    expect(reports.at(-1)).toMatchObject({ fraction: 1, rows: ROWS, totalRows: ROWS });
  });

  it("keeps no journal where its result is only returned", () => {
    const plan = doubling(3, 10);
    expect(plan.projected.disk).toBe(0);
    expect(plan.explain()).toMatch(/double \(forward, 2 slots, up to 10 sweeps\)/);
  });
});
