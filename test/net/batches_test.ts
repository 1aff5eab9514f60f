import { describe, expect, it } from "vitest";
import { batchesByLength, ofLikeLength, shuffledBatches } from "../../src/net/batches.ts";
import { seeded } from "../support/random.ts";
import { sharedDataMissing, sharedJson } from "../support/shared_data.ts";

const random = seeded(4);
const lengths = Array.from({ length: 53 }, () => Math.floor(20 * random()));
const lengthOf = (sample: number) => lengths[sample]!;
const OPTIONS = {
  seed: 9,
  batchSamples: 8,
  validationShare: 0.2,
  lengthOf,
  rowsOf: lengthOf,
  pieceRows: Infinity,
};
const batches = batchesByLength(53, OPTIONS, "fit");
const epochOf = (own: typeof batches, epoch: number) =>
  Array.from({ length: own.rows }, (_, row) => own.at(epoch, row));
const ascending = (samples: Iterable<number>) => [...samples].sort((a, b) => a - b);
const all = Array.from({ length: 53 }, (_, i) => i);

describe("batchesByLength()", () => {
  it("has every sample once an epoch, a fifth of them to validate", () => {
    const epoch = epochOf(batches, 3);
    expect(ascending(epoch.flatMap(({ samples }) => [...samples]))).toEqual(all);
    const validating = epoch.filter(({ step }) => step === undefined);
    expect(validating.flatMap(({ samples }) => [...samples]).length).toBe(10);
    expect(epoch.slice(batches.trainingRows)).toEqual(validating);
  });

  it("keeps what batches are made of, and draws their order anew", () => {
    const [first, second] = [epochOf(batches, 0), epochOf(batches, 1)];
    const texts = (epoch: typeof first) => epoch.map(({ samples }) => String(samples));
    expect(texts(second)).not.toEqual(texts(first));
    expect(texts(second).sort()).toEqual(texts(first).sort());
    expect(texts(epochOf(batchesByLength(53, OPTIONS, "fit"), 1))).toEqual(texts(second));
    expect(texts(epochOf(batchesByLength(53, { ...OPTIONS, seed: 10 }, "fit"), 1)).sort())
      .not.toEqual(texts(second).sort());
  });

  it("puts samples of like length together, within the padding that is allowed", () => {
    const own = batchesByLength(53, { ...OPTIONS, maxPaddedTokens: 40 }, "fit");
    for (const { samples } of epochOf(own, 0)) {
      const sizes = [...samples].map(lengthOf);
      expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
      expect(samples.length === 1 || samples.length * sizes[0]! <= 40).toBe(true);
      expect(samples.length).toBeLessThanOrEqual(8);
    }
  });

  it("cuts batches that are too large for the device, whose parts make the same update", () => {
    const cut = batchesByLength(53, { ...OPTIONS, pieceRows: 30 }, "fit");
    const [whole, pieces] = [epochOf(batches, 2), epochOf(cut, 2)];
    expect(pieces.length).toBeGreaterThan(whole.length);
    const joined = new Map<number | undefined, number[]>();
    for (const { samples, step } of pieces) {
      joined.set(step, [...joined.get(step) ?? [], ...samples]);
      expect(samples.length === 1 || [...samples].reduce((sum, i) => sum + lengthOf(i), 0) <= 30)
        .toBe(true);
    }
    for (const { samples, step } of whole) {
      if (step !== undefined) expect(joined.get(step)).toEqual([...samples]);
    }
    for (const step of joined.keys()) {
      const own = pieces.filter((piece) => piece.step === step);
      expect(own.reduce((sum, { scale }) => sum + scale, 0)).toBeCloseTo(1, 12);
      expect(own.map(({ adds }) => adds)).toEqual(own.map((_, i) => i > 0));
      expect(own.map(({ ends }) => ends)).toEqual(own.map((_, i) => i === own.length - 1));
    }
    expect(cut.most(1, lengthOf)).toBeLessThanOrEqual(30);
  });

  it("divides gradients by the batches of an update, the last of which has fewer", () => {
    const own = batchesByLength(53, { ...OPTIONS, accumulate: 4 }, "fit");
    const training = epochOf(own, 1).slice(0, own.trainingRows);
    expect(training.length).toBe(6);
    expect(training.map(({ step }) => step)).toEqual([3, 3, 3, 3, 4, 4]);
    expect(training.map(({ scale }) => scale)).toEqual(Array(6).fill(1 / 4));
    expect(training.map(({ ends }) => ends)).toEqual([false, false, false, true, false, true]);
    expect(training.map(({ adds }) => adds)).toEqual([false, true, true, true, false, true]);
  });

  it("needs a sample to validate and one to train", () => {
    const two = batchesByLength(2, OPTIONS, "fit a probe");
    expect([two.rows, two.trainingRows]).toEqual([2, 1]);
    expect(() => batchesByLength(1, OPTIONS, "fit a probe")).toThrow(
      "Cannot fit a probe: there is 1 sample, wanted one to validate and one to train at least",
    );
  });

  it("knows the most that batches after one another have", () => {
    for (const pieces of [1, 2, 100]) {
      const most = batches.most(pieces, lengthOf);
      for (const epoch of [0, 1, 2]) {
        const sizes = epochOf(batches, epoch)
          .map(({ samples }) => [...samples].reduce((sum, i) => sum + lengthOf(i), 0));
        sizes.forEach((_, i) => {
          const sum = sizes.slice(i, i + pieces).reduce((sum, size) => sum + size, 0);
          expect(sum).toBeLessThanOrEqual(most);
        });
      }
    }
  });
});

describe("shuffledBatches()", () => {
  it("has every sample once an epoch, in an order of its own", () => {
    const own = shuffledBatches(53, { seed: 3, batchSamples: 8 });
    const orders = [0, 1].map((epoch) =>
      epochOf(own, epoch).flatMap(({ samples }) => [...samples])
    );
    for (const order of orders) expect(ascending(order)).toEqual(all);
    expect(orders[0]).not.toEqual(orders[1]);
    expect(own.at(1, 6).samples.length).toBe(5);
    expect(own.at(1, 6).step).toBe(14);
  });
});

it(
  "ofLikeLength() cuts as the library does that was recorded",
  async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const recorded = await sharedJson("golden/probes/meta.json") as Record<string, number[][]>;
    // of golden/probes/seq_offsets.npy
    const own = [5, 9, 4, 7, 10, 4, 12, 4, 11, 10, 8, 4, 4, 11, 5, 9, 11, 10, 3, 5, 13, 1, 8, 3];
    const cut = (maxPaddedTokens?: number) =>
      ofLikeLength(Uint32Array.from(own.keys()), {
        lengthOf: (sample) => own[sample]!,
        batchSamples: 8,
        maxPaddedTokens,
      }).map((batch) => [...batch]);
    expect(cut()).toEqual(recorded.seq_batches);
    expect(cut(40)).toEqual(recorded.seq_batches_max_padded_40);
  },
);
