/**
 * The memory promise, kept for plans nobody thought of: fast-check makes up shapes, choices and
 * budgets, most of them near the edge.
 */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BudgetError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { Plan } from "../../src/stream/plan.ts";
import type { Measured } from "../../src/stream/task.ts";
import { useGpu } from "../support/gpu.ts";
import { runtime } from "../support/runtime.ts";
import { cases } from "../support/tier.ts";
import type { PlanSpec } from "./random_plan.ts";
import { planSpec, randomPlan } from "./random_plan.ts";

const SEED = 20_250_701;
const PLANS = cases(2_000, 10_000);
// of each device
const RUNS = cases(12, 38);
const EDGE_RUNS = cases(5, 13);
const ROWS = fc.integer({ min: 1, max: 200 });
// a tile of one row is a submit: few rows keep the runs short on a software adapter
const FEW_ROWS = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 1, max: 4 }) },
  { weight: 1, arbitrary: fc.integer({ min: 5, max: 20 }) },
);

// runs wait more than they work: several, each with a budget of its own, run side by side
const devices = [useGpu(), useGpu(), useGpu(), useGpu()];
const gpu = devices[0]!;

interface Bytes {
  gpu: number;
  host: number;
}

const KINDS = ["gpu", "host"] as const;

/** Opening a device for each budget would take hours: planning only looks at the numbers. */
function setBudget(device: Gpu, { gpu, host }: Bytes): Gpu {
  const budget: Bytes = device.budgetBytes;
  budget.gpu = gpu;
  budget.host = host;
  return device;
}

const UNLIMITED: Bytes = { gpu: Infinity, host: Infinity };

/** How a budget lies to what some tile and number of slots take. */
const edge = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ times: fc.constant(1), plus: fc.integer({ min: -9, max: 9 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      times: fc.double({ min: 0, max: 3, noNaN: true }),
      plus: fc.constant(0),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ times: Infinity, plus: 0 }) },
);

interface Case {
  spec: PlanSpec;
  budget: Bytes;
}

/** Plans of so many rows, each with a budget. */
const planned = (device: Gpu, rows: fc.Arbitrary<number>) =>
  fc.record({
    spec: planSpec(rows),
    tileRows: rows,
    slots: fc.integer({ min: 1, max: 4 }),
    gpu: edge,
    host: edge,
  }).map(({ spec, tileRows, slots, ...edges }): Case => {
    const choices = { tileRows, slots, ...spec.choices };
    const { projected } = randomPlan(setBudget(device, UNLIMITED), spec, { choices });
    const near = (kind: keyof Bytes) => {
      const { times, plus } = edges[kind];
      return times === Infinity
        ? Infinity
        : Math.max(0, Math.floor(times * projected[kind]) + plus);
    };
    return { spec, budget: { gpu: near("gpu"), host: near("host") } };
  });

function planOrRefusal(
  device: Gpu,
  spec: PlanSpec,
  budget: Bytes,
): Plan<Measured> | { kind: keyof Bytes; smallest: number } {
  let plan: Plan<Measured>;
  try {
    plan = randomPlan(setBudget(device, budget), spec);
  } catch (error) {
    expect(error).toBeInstanceOf(BudgetError);
    const { message, projectedBytes, budgetBytes, smallestBudgetBytes } = error as BudgetError;
    const kind = /of (gpu|host) memory/.exec(message)![1] as keyof Bytes;
    expect(budgetBytes).toBe(budget[kind]);
    expect(projectedBytes).toBeGreaterThan(budgetBytes);
    expect(smallestBudgetBytes).toBeGreaterThan(budgetBytes);
    for (const bytes of [projectedBytes, budgetBytes, smallestBudgetBytes]) {
      expect(message).toContain(`(${bytes} B)`);
    }
    return { kind, smallest: smallestBudgetBytes };
  }
  for (const kind of KINDS) expect(plan.projected[kind]).toBeLessThanOrEqual(budget[kind]);
  return plan;
}

/** Does what refusals say until the plan is accepted; a kind of memory may be refused once. */
function accepted(
  device: Gpu,
  { spec, budget }: Case,
): { plan: Plan<Measured>; budget: Bytes; raised: number } {
  const enough = { ...budget };
  const raised = new Set<keyof Bytes>();
  for (;;) {
    const answer = planOrRefusal(device, spec, enough);
    if (!("kind" in answer)) {
      for (const kind of raised) {
        const short = planOrRefusal(device, spec, { ...enough, [kind]: enough[kind] - 1 });
        expect(short).toEqual({ kind, smallest: enough[kind] });
      }
      return { plan: answer, budget: enough, raised: raised.size };
    }
    const { kind, smallest } = answer;
    expect(raised).not.toContain(kind);
    raised.add(kind);
    enough[kind] = smallest;
  }
}

async function expectPromiseKept(device: Gpu, plan: Plan<Measured>): Promise<void> {
  const { peakBytes, projectedBytes } = await plan.run();
  expect(projectedBytes).toEqual(plan.projected);
  expect(peakBytes.gpu).toBe(projectedBytes.gpu);
  expect(peakBytes.host).toBeLessThanOrEqual(projectedBytes.host);
  expect(peakBytes.disk).toBeLessThanOrEqual(projectedBytes.disk);
  expect(device.ledger.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });
}

/** Rejects with the first failure once all have ended. */
async function onEveryDevice(check: (device: Gpu, i: number) => Promise<void>): Promise<void> {
  const ends = await Promise.allSettled(devices.map((device, i) => check(device(), i)));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

describe("a budget", () => {
  it("is never exceeded by a plan that is accepted, and refusals name the smallest that works", () => {
    const refusals = [0, 0, 0];
    const property = fc.property(planned(gpu(), ROWS), (planAndBudget) => {
      refusals[accepted(gpu(), planAndBudget).raised]!++;
    });
    fc.assert(property, { seed: SEED, numRuns: PLANS });
    console.log(
      `${runtime}: ${PLANS} plans, ${refusals[0]} fit, ${refusals[1]} were refused once, ` +
        `${refusals[2]} for both kinds of memory`,
    );
    for (const count of refusals) expect(count).toBeGreaterThan(PLANS / 20);
  });

  it("holds in runs, whose results do not depend on it", async () => {
    let runs = 0;
    await onEveryDevice(async (device, i) => {
      const property = fc.asyncProperty(planned(device, FEW_ROWS), async (planAndBudget) => {
        const { plan, budget } = accepted(device, planAndBudget);
        setBudget(device, budget);
        await expectPromiseKept(device, plan);
        runs++;
      });
      await fc.assert(property, { seed: SEED + 1 + i, numRuns: RUNS });
    });
    console.log(`${runtime}: ${runs} runs`);
  });

  it("is enough for a run when it is exactly the smallest that was named", async () => {
    let runs = 0;
    await onEveryDevice(async (device, i) => {
      const property = fc.asyncProperty(planSpec(FEW_ROWS), async (spec) => {
        const { plan, budget } = accepted(device, { spec, budget: { gpu: 0, host: 0 } });
        expect(plan.projected).toMatchObject(budget);
        setBudget(device, budget);
        await expectPromiseKept(device, plan);
        runs++;
      });
      await fc.assert(property, { seed: SEED + 11 + i, numRuns: EDGE_RUNS });
    });
    console.log(`${runtime}: ${runs} runs at exactly the smallest budget`);
  });
});

describe("plans that share a budget", () => {
  const spec: PlanSpec = {
    rows: 20,
    alignRows: 1,
    passes: [{
      forward: true,
      own: false,
      value: { words: 3, extra: 0 },
      total: { words: 1, extra: 0 },
      scratch: undefined,
      carry: { words: 2, extraWords: 0, first: 5 },
      beside: 0,
      work: { read: 0, write: 0 },
      starts: false,
    }],
    tables: [],
    hostTables: [1000],
    held: 0,
    choices: { tileRows: 5, slots: 2 },
  };

  /** Starts a run that holds its memory until it is told to go on. */
  async function started(): Promise<{ finish: () => Promise<Measured> }> {
    let goOn!: () => void;
    const until = new Promise<void>((resolve) => goOn = resolve);
    let run!: Promise<Measured>;
    await new Promise<void>((resolve, reject) => {
      run = randomPlan(gpu(), spec, { until }).run({ onProgress: () => resolve() });
      run.catch(reject);
    });
    return {
      finish: () => {
        goOn();
        return run;
      },
    };
  }

  it("run together when they fit together", async () => {
    const { projected } = randomPlan(setBudget(gpu(), UNLIMITED), spec);
    setBudget(gpu(), { gpu: 2 * projected.gpu, host: 2 * projected.host });
    const runs = [await started(), await started()];
    expect(gpu().ledger.reserved).toMatchObject(gpu().budgetBytes);
    for (const { finish } of runs) expect((await finish()).peakBytes.gpu).toBe(projected.gpu);
    expect(gpu().ledger.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });
  });

  it("wait for each other when they do not, and are told how much would do", async () => {
    const { projected } = randomPlan(setBudget(gpu(), UNLIMITED), spec);
    for (const kind of KINDS) {
      setBudget(gpu(), { ...UNLIMITED, [kind]: 2 * projected[kind] - 1 });
      const first = await started();
      const second = randomPlan(gpu(), spec);
      const refusal = await second.run().catch((error) => error);
      expect(refusal).toBeInstanceOf(BudgetError);
      expect(refusal).toMatchObject({
        projectedBytes: projected[kind],
        budgetBytes: 2 * projected[kind] - 1,
        smallestBudgetBytes: 2 * projected[kind],
      });
      expect(refusal.message).toContain(`of ${kind} memory`);
      await first.finish();
      await expectPromiseKept(gpu(), second);
    }
  });
});
