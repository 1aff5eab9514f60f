/**
 * Training fits a task: Adam on a quadratic whose moments stay on the device, batches of rows in an order
 * drawn anew for every epoch, killed at random moments and gone on with under other budgets.
 */

import { describe, expect, it } from "vitest";
import type { KernelSpec } from "../../src/gpu/kernel.ts";
import { permutation } from "../../src/feed/order.ts";
import { variable } from "../../src/stream/output.ts";
import { Plan } from "../../src/stream/plan.ts";
import type { PlanChoices } from "../../src/stream/choices.ts";
import { lendGpu, useGpu } from "../support/gpu.ts";
import { paceStates } from "../support/kept_states.ts";
import { seeded } from "../support/random.ts";
import { taskOf } from "../support/task.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu({ budget: "64 KiB" });

const FEATURES = 3;
const ROWS = 107;
const BATCH = 10;
const EPOCHS = 7;
const RATE = 0.05;
const [BETA1, BETA2, EPSILON] = [0.9, 0.999, 1e-8];

/** params: first and last row of a batch in the tile. `state`: steps so far, then theta, m and v. */
const adam: KernelSpec = {
  name: "adam_quadratic",
  code: `
    @group(0) @binding(0) var<uniform> params: vec4u;
    @group(0) @binding(1) var<storage, read> points: array<f32>;
    @group(0) @binding(2) var<storage, read_write> state: array<f32>;
    @compute @workgroup_size(1)
    fn adam_quadratic() {
      let step = state[0] + 1.0;
      state[0] = step;
      for (var d = 0u; d < ${FEATURES}u; d++) {
        var gradient = 0.0;
        for (var row = params.x; row < params.y; row++) {
          gradient += state[1u + d] - points[row * ${FEATURES}u + d];
        }
        gradient /= f32(params.y - params.x);
        let first = 1u + ${FEATURES}u + d;
        let second = first + ${FEATURES}u;
        state[first] = ${BETA1} * state[first] + ${1 - BETA1} * gradient;
        state[second] = ${BETA2} * state[second] + ${1 - BETA2} * gradient * gradient;
        let mean = state[first] / (1.0 - pow(${BETA1}, step));
        let deviation = sqrt(state[second] / (1.0 - pow(${BETA2}, step)));
        state[1u + d] -= ${RATE} * mean / (deviation + ${EPSILON});
      }
    }`,
  bindings: { params: "uniform", points: "read", state: "read_write" },
};

const STATE = 1 + 3 * FEATURES;
const random = seeded(5);
const points = Float32Array.from({ length: ROWS * FEATURES }, () => 4 * random() - 1);

const orders = Array.from({ length: EPOCHS }, (_, epoch) => permutation(ROWS, 11, epoch));
/** The row at a position in the order of an epoch. */
const rowAt = (epoch: number, position: number) => orders[epoch]!.at(position);

let resumptions = 0;
let onTile = () => {};

function plan(out: string | undefined, choices: PlanChoices = {}, device = gpu()) {
  const task = taskOf({
    name: "adam",
    held: { losses: { dtype: "float64", length: EPOCHS } },
    output: { place: out, whole: [variable("losses", "float64", [EPOCHS], ["epoch"])] },
    layout: (tileRows) => ({
      rows: ROWS,
      shared: [{ name: "state", bytes: 4 * STATE, kind: "storage", kept: true }],
      passes: [{
        name: "train",
        direction: "forward",
        cost: 1,
        grain: BATCH,
        sweeps: { most: EPOCHS, again: () => true },
        resumesAt: () => true,
        slotBuffers: [
          { name: "points", bytes: 4 * FEATURES * tileRows, role: "upload" },
          { name: "seen", bytes: 4 * STATE, role: "download" },
        ],
        steps: [
          {
            name: "adam",
            order: "ascending",
            turnRows: BATCH,
            loop: [{
              kernel: adam,
              constants: {},
              params: ({ start, end }, row) =>
                Uint32Array.of(row, Math.min(row + BATCH, end - start), 0, 0),
              workgroups: () => [1],
            }],
          },
          {
            copy: { from: "state", to: "seen" },
            ranges: () => [{ fromOffset: 0, toOffset: 0, bytes: 4 * STATE }],
          },
        ],
        read: ({ start, end }, { sweep }) => {
          const tile = new Float32Array(FEATURES * (end - start));
          for (let i = start; i < end; i++) {
            const row = rowAt(sweep, i);
            tile.set(points.subarray(row * FEATURES, (row + 1) * FEATURES), (i - start) * FEATURES);
          }
          return Promise.resolve({ points: tile });
        },
        write: (_tile, { seen }, { sweep }) => {
          losses![sweep] = new Float32Array(seen!)[1]!;
          onTile();
        },
      }],
    }),
    begin: (held) => {
      losses = held.losses;
    },
    finish: (held) => ({ values: { losses: held.losses.slice() } }),
    result: async (stored, { resumed }) => {
      if (resumed) resumptions++;
      return [...await stored.read("losses") as Float64Array];
    },
  });
  let losses: Float64Array | undefined;
  return new Plan(device, task, choices);
}

/** The same in f64, one row after the other. */
function reference(): number[] {
  const state = { theta: [0, 0, 0], m: [0, 0, 0], v: [0, 0, 0] };
  const after: number[] = [];
  let step = 0;
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    for (let first = 0; first < ROWS; first += BATCH) {
      step++;
      const rows = Array.from(
        { length: Math.min(BATCH, ROWS - first) },
        (_, i) => rowAt(epoch, first + i),
      );
      for (let d = 0; d < FEATURES; d++) {
        const mean = rows.reduce((sum, row) => sum + points[row * FEATURES + d]!, 0) / rows.length;
        const gradient = state.theta[d]! - mean;
        state.m[d] = BETA1 * state.m[d]! + (1 - BETA1) * gradient;
        state.v[d] = BETA2 * state.v[d]! + (1 - BETA2) * gradient ** 2;
        const scale = Math.sqrt(state.v[d]! / (1 - BETA2 ** step)) + EPSILON;
        state.theta[d]! -= RATE * state.m[d]! / (1 - BETA1 ** step) / scale;
      }
    }
    after.push(state.theta[0]!);
  }
  return after;
}

describe("an optimizer on the device", () => {
  it("does what it does in f64, in tiles of whole batches", async () => {
    const wanted = reference();
    const first = await plan(undefined).run();
    first.forEach((value, epoch) => expect(Math.abs(value - wanted[epoch]!)).toBeLessThan(1e-5));
    for (const tileRows of [1, 10, 15, 50, 1000]) {
      const own = plan(undefined, { tileRows });
      expect(own.tileRows % BATCH).toBe(0);
      expect(await own.run()).toEqual(first);
    }
  });

  it("goes on from any moment, under any budget, with the same bits", async () => {
    const wanted = await plan(undefined).run();
    const restore = paceStates();
    const budgets = ["64 KiB", 17_000, 24_000, 18_000, 20_000];
    try {
      const moments = seeded(3);
      const kills = cases(6, 20);
      for (let i = 0; i < kills; i++) {
        const out = `memory:optimizer-test-${i}`;
        // of 77 batches in all
        let tiles = 5 + Math.floor(moments() * 70);
        for (let attempt = 0, done = false; !done; attempt++) {
          const cancel = new AbortController();
          onTile = () => {
            if (tiles-- === 0) cancel.abort(new Error("killed"));
          };
          const device = await lendGpu({ budget: budgets[(i + attempt) % budgets.length]! });
          try {
            const choices = attempt === 0 ? { tileRows: BATCH } : {};
            expect(await plan(out, choices, device).run({ signal: cancel.signal })).toEqual(wanted);
            done = true;
          } catch (error) {
            expect((error as Error).message).toBe("killed");
          } finally {
            onTile = () => {};
            device.close();
          }
          tiles = attempt === 0 ? 3 : Infinity;
        }
      }
      // a few were killed before there was anything to go on from
      expect(resumptions).toBeGreaterThan(0.75 * kills);
    } finally {
      restore();
    }
  });
});
