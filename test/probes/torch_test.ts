/** Probes as torch has them: what they say, their losses, and where AdamW takes them. See test/fixtures/make_torch.py. */

import { describe, expect, it } from "vitest";
import fixture from "../fixtures/torch.json" with { type: "json" };
import { Adam } from "../../src/net/adam.ts";
import type { Batch } from "../../src/net/batch.ts";
import { rowStride } from "../../src/net/value.ts";
import type { TrainedName } from "../../src/probes/trained.ts";
import { createTrained } from "../../src/probes/trained.ts";
import { createNet } from "../../src/probes/training.ts";
import { useGpu } from "../support/gpu.ts";
import { openNet } from "../support/run_net.ts";

const gpu = useGpu();
/** What f32 leaves of numbers about 1 after some steps. */
const APART = 1e-5;
const { features, x, offsets, detected, y, rate, decay } = fixture;

/** Rows of the batch of all samples: all of them, or the first of each that counts. */
function rowsFor(isSequence: boolean): (number | undefined)[] {
  if (isSequence) return detected.map((_, row) => row);
  return y.map((_, sample) => {
    const row = detected.indexOf(1, offsets[sample]);
    return row >= 0 && row < offsets[sample + 1]! ? row : undefined;
  });
}

describe("probes are those of torch", () => {
  for (const [name, told] of Object.entries(fixture.kinds)) {
    it(name, async () => {
      const { kind, settings } = createTrained(name as TrainedName, told.options);
      const isSequence = kind.takes === "sequences";
      const rows = rowsFor(isSequence);
      const shape = { features, seeds: [1], samples: y.length, rows: rows.length };
      const { net, logits } = createNet(kind, settings, shape);
      net.binaryCrossEntropy(logits);
      const adam = new Adam(net, { rates: [[{ rate, decay }]] });
      expect(net.parameters.map((own) => own.name)).toEqual(told.names);
      const stride = rowStride(features);
      const tile = new Float32Array(rows.length * stride);
      rows.forEach((row, i) => {
        if (row !== undefined) {
          tile.set(x.slice(row * features, (row + 1) * features), i * stride);
        }
      });
      const open = await openNet(gpu(), [
        ...net.sharedBuffers(() => net.pack(told.begin)),
        ...adam.sharedBuffers(),
      ], {
        ...{ x: tile, starts: Uint32Array.from(offsets), detected: Uint32Array.from(detected) },
        labels: Float32Array.from(y),
        weights: new Float32Array(y.length).fill(1),
        stored: 4 * y.length,
        [net.losses.name]: net.losses.slotBytes,
      });
      const batch: Batch = {
        ...{ firstSample: 0, samples: y.length },
        ...(isSequence && { firstRow: 0, rows: rows.length, longest: 5 }),
      };
      await open.run([
        ...net.forward(() => batch, { loss: false }),
        ...net.store(logits, "stored", () => batch),
      ]);
      near(await open.read("stored"), told.logits);
      const losses: number[] = [];
      for (let step = 1; step <= told.losses.length; step++) {
        const batchOf = () => ({ ...batch, step });
        await open.run([
          ...net.forward(batchOf),
          ...net.backward(batchOf),
          ...adam.step(batchOf),
        ]);
        const [sum, weight, more] = await open.read(net.losses.name);
        losses.push(sum! / weight! + more!);
      }
      near(losses, told.losses);
      const end = await open.read(net.names.parameters);
      near(net.unpack(end.subarray(0, net.stride)), told.end);
      open.close();
    });
  }
});

function near(got: ArrayLike<number>, wanted: readonly number[]): void {
  wanted.forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThan(APART));
}
