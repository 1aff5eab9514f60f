/** Nets are trained by a task: epochs in an order of their own, validation, early stopping, killed and gone on with. */

import { describe, expect, it } from "vitest";
import { permutation } from "../../src/feed/order.ts";
import { Adam } from "../../src/net/adam.ts";
import type { BatchOf } from "../../src/net/batch.ts";
import { KeepBest, PROGRESS } from "../../src/net/keep_best.ts";
import { PROGRESS_WORDS } from "../../src/net/loss.ts";
import { Net } from "../../src/net/net.ts";
import { rowStride } from "../../src/net/value.ts";
import type { PlanChoices } from "../../src/stream/choices.ts";
import { variable } from "../../src/stream/output.ts";
import type { Pass } from "../../src/stream/pass.ts";
import { Plan } from "../../src/stream/plan.ts";
import { adamStep, NetTwin } from "../reference/net_layers.ts";
import { useGpu } from "../support/gpu.ts";
import { paceStates } from "../support/kept_states.ts";
import { models } from "../support/net_models.ts";
import { seeded } from "../support/random.ts";
import { taskOf } from "../support/task.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu({ budget: "1 MiB" });

const [NETS, WIDTH, TRAINED, JUDGED, BATCH, EPOCHS] = [3, 6, 43, 19, 8, 6];
const ROWS = TRAINED + JUDGED;
const RATES = [0.02, 0.3, 0];
const SEEDS = [4, 5, 6];
const model = models.relu(WIDTH, 7, 0.25);

const random = seeded(17);
const x = Float32Array.from({ length: ROWS * WIDTH }, () => random() - 0.5);
const labels = Float32Array.from(
  { length: ROWS },
  (_, row) => Number(x[row * WIDTH]! + 0.3 * x[row * WIDTH + 3]! + 0.2 * (random() - 0.5) > 0),
);
const COUNT = 7 * WIDTH + 7 + 7 + 1;
const begun = Float32Array.from({ length: COUNT }, () => random() - 0.5);
const orders = Array.from({ length: EPOCHS }, (_, epoch) => permutation(TRAINED, 3, epoch));
const steps = Math.ceil(TRAINED / BATCH);
// the rows that judge begin with a batch of their own
const FIRST_JUDGED = steps * BATCH;

/** The row at a position of an epoch: those that train in its order, then nothing, then those that judge. */
function rowAt(epoch: number, position: number): number | undefined {
  if (position < TRAINED) return orders[epoch]!.at(position);
  return position < FIRST_JUDGED ? undefined : TRAINED + position - FIRST_JUDGED;
}

let onTile = () => {};

function plan(out: string | undefined, choices: PlanChoices = {}) {
  const net = new Net({ nets: NETS, samples: BATCH, seeds: SEEDS });
  const positions = FIRST_JUDGED + JUDGED;
  model.build(net, net.input("x", model));
  const adam = new Adam(net, { rates: RATES.map((rate) => [{ rate, decay: 0.01 }]) });
  const best = new KeepBest(net, { patience: 2 });
  let sweep = 0;
  const batchOf = (judging: boolean): BatchOf => ({ start, end }, row) => {
    const first = start + row;
    const judges = first >= FIRST_JUDGED;
    const samples = judges === judging ? Math.min(BATCH, end - first) : 0;
    return {
      ...{ firstSample: row, samples },
      slot: row / BATCH,
      ...judges
        ? {
          adds: first > FIRST_JUDGED,
          updates: false,
          judges: judging && first + BATCH >= positions,
        }
        : { step: sweep * steps + first / BATCH + 1 },
    };
  };
  // every turn has the kernels of both kinds, of which one does nothing
  const train = batchOf(false);
  const judge = batchOf(true);
  const both: BatchOf = (tile, row) =>
    tile.start + row < FIRST_JUDGED ? train(tile, row) : judge(tile, row);
  const task = taskOf({
    name: "nets",
    held: { losses: { dtype: "float64", length: EPOCHS * Math.ceil(positions / BATCH) * NETS } },
    output: {
      place: out,
      whole: [
        variable("best", "float32", [NETS, net.stride], ["net", "parameter"]),
        variable("progress", "float32", [NETS, PROGRESS_WORDS], ["net", "word"]),
      ],
    },
    layout: (tileRows) => {
      const pass: Pass = {
        ...{ name: "train", direction: "forward", cost: 1, grain: BATCH },
        sweeps: { most: EPOCHS, again: () => true },
        resumesAt: () => true,
        slotBuffers: [
          { name: "x", bytes: 4 * rowStride(WIDTH) * tileRows, role: "upload" },
          { name: "labels", bytes: 4 * tileRows, role: "upload" },
          { name: "weights", bytes: 4 * tileRows, role: "upload" },
          {
            ...{ name: net.losses.name, role: "download" },
            bytes: net.losses.slotBytes * Math.ceil(tileRows / BATCH),
          },
          { name: "best now", bytes: 4 * NETS * net.stride, role: "download" },
          { name: "progress now", bytes: 4 * NETS * PROGRESS_WORDS, role: "download" },
        ],
        steps: [
          {
            ...{ name: "train", order: "ascending", turnRows: BATCH },
            loop: [
              ...net.forward(both),
              ...net.backward(train),
              ...adam.step(both),
              ...best.judge(both),
            ],
          },
          ...([[best.name, "best now", net.stride], [
            net.names.progress,
            "progress now",
            8,
          ]] as const)
            .map(([from, to, elements]) => ({
              copy: { from, to },
              ranges: () => [{ fromOffset: 0, toOffset: 0, bytes: 4 * NETS * elements }],
            })),
        ],
        read: ({ start, end }, turn) => {
          sweep = turn.sweep;
          const tile = new Float32Array(rowStride(WIDTH) * (end - start));
          const own = new Float32Array(end - start);
          const weights = new Float32Array(end - start);
          for (let i = start; i < end; i++) {
            const row = rowAt(turn.sweep, i);
            if (row === undefined) continue;
            tile.set(x.subarray(row * WIDTH, (row + 1) * WIDTH), (i - start) * rowStride(WIDTH));
            own[i - start] = labels[row]!;
            weights[i - start] = 1;
          }
          return Promise.resolve({ x: tile, labels: own, weights });
        },
        write: (_tile, downloads) => {
          last = {
            best: new Float32Array(downloads["best now"]!.slice(0)),
            progress: new Float32Array(downloads["progress now"]!.slice(0)),
          };
          onTile();
        },
      };
      return {
        rows: positions,
        shared: [
          ...net.sharedBuffers(() => {
            const all = new Float32Array(NETS * net.stride);
            for (let k = 0; k < NETS; k++) all.set(net.pack(begun), k * net.stride);
            return all;
          }),
          ...adam.sharedBuffers(),
          ...best.sharedBuffers(),
        ],
        passes: [pass],
      };
    },
    finish: () => ({ values: last }),
    result: async (stored) => ({
      net,
      best: await stored.read("best") as Float32Array,
      progress: new Uint32Array((await stored.read("progress") as Float32Array).slice().buffer),
    }),
  });
  let last: { best: Float32Array; progress: Float32Array };
  return new Plan(gpu(), task, choices);
}

/** The same in f64, one net after the other. */
function reference(k: number) {
  const state = {
    values: Float64Array.from(begun),
    first: new Float64Array(COUNT),
    second: new Float64Array(COUNT),
  };
  const twinOf = (rows: readonly number[], step?: number) => {
    const twin = new NetTwin(state.values, {
      inputs: { x: rows.flatMap((row) => [...x.subarray(row * WIDTH, (row + 1) * WIDTH)]) },
      ...{ samples: rows.length, labels: rows.map((row) => labels[row]!), seed: SEEDS[k]! },
      ...step !== undefined && { step },
    });
    model.build(twin, twin.input("x", model));
    return twin;
  };
  let [best, stale, judged, bestAt, step] = [Infinity, 0, 0, 0, 0];
  let kept = state.values;
  for (let epoch = 0; epoch < EPOCHS && stale < 2; epoch++) {
    for (let first = 0; first < TRAINED; first += BATCH) {
      const rows = Array.from(
        { length: Math.min(BATCH, TRAINED - first) },
        (_, i) => rowAt(epoch, first + i)!,
      );
      step++;
      adamStep(state, twinOf(rows, step).backward(), step, { rate: RATES[k]!, decay: 0.01 });
    }
    judged++;
    const { loss } = twinOf(Array.from({ length: JUDGED }, (_, i) => TRAINED + i));
    stale++;
    if (loss < best) {
      [best, bestAt, stale] = [loss, judged, 0];
      kept = state.values.slice();
    }
  }
  return { best, stale, judged, bestAt, kept };
}

describe("nets that a task trains", () => {
  it("are those of f64, each stopped and kept by itself, whatever the tiles", async () => {
    const { net, best, progress } = await plan(undefined).run();
    const floats = new Float32Array(progress.buffer);
    for (let k = 0; k < NETS; k++) {
      const wanted = reference(k);
      const at = k * PROGRESS_WORDS;
      expect(Math.abs(floats[at + PROGRESS.best]! - wanted.best)).toBeLessThan(1e-5);
      expect([PROGRESS.stale, PROGRESS.judged, PROGRESS.bestAt].map((word) => progress[at + word]))
        .toEqual([wanted.stale, wanted.judged, wanted.bestAt]);
      const got = net.unpack(best.subarray(k * net.stride, (k + 1) * net.stride));
      wanted.kept.forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThan(1e-4));
    }
    for (const tileRows of [BATCH, 1000]) {
      const other = await plan(undefined, { tileRows }).run();
      expect(other.best).toEqual(best);
      expect(other.progress).toEqual(progress);
    }
  });

  it("go on from any moment with the same bits", async () => {
    const wanted = await plan(undefined).run();
    const restore = paceStates();
    try {
      const moments = seeded(3);
      for (let i = 0; i < cases(1, 8); i++) {
        const out = `memory:net-task-${i}`;
        let tiles = 2 + Math.floor(moments() * (EPOCHS * 9 - 4));
        for (let done = false, attempt = 0; !done; attempt++) {
          const cancel = new AbortController();
          onTile = () => {
            if (tiles-- === 0) cancel.abort(new Error("killed"));
          };
          try {
            const choices = attempt === 0 ? { tileRows: BATCH } : {};
            const got = await plan(out, choices).run({ signal: cancel.signal });
            expect(got.best).toEqual(wanted.best);
            expect(got.progress).toEqual(wanted.progress);
            done = true;
          } catch (error) {
            expect((error as Error).message).toBe("killed");
          } finally {
            onTile = () => {};
          }
          tiles = Infinity;
        }
      }
    } finally {
      restore();
    }
  });
});
