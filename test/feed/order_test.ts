import { describe, expect, it } from "vitest";
import { Random } from "../../src/math/random.ts";
import { measureMixing } from "../../src/windows/mixing.ts";
import type { Order, Shuffle } from "../../src/feed/order.ts";
import { checkShuffle, orderOf, permutation } from "../../src/feed/order.ts";
import { recordNumbers } from "../support/record.ts";

const items = (order: Order) => Array.from({ length: order.length }, (_, i) => order.at(i));

/** A permutation of which nothing is asked but to be one. */
function fisherYates(length: number, seed: number): Order {
  const random = new Random(seed, 77);
  const list = Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return { length, at: (position) => list[position]! };
}

const SHUFFLES: Shuffle[] = [
  false,
  3,
  { seed: 3 },
  { seed: 1, block: 7, pool: 3 },
  { seed: 2, block: 1000, pool: 1 },
  { seed: 2, block: 1, pool: 100 },
];

// lengths for which orders are listed, and others
const LENGTHS = [1, 2, 3, 7, 100, 1023, 4096, 4097, 9001];

describe("orders", () => {
  it("have every window once", () => {
    for (const shuffle of SHUFFLES) {
      for (const length of LENGTHS) {
        for (const epoch of [0, 12345]) {
          const seen = new Uint8Array(length);
          for (const item of items(orderOf(shuffle, length, epoch))) seen[item]!++;
          expect(seen.every((count) => count === 1), `${JSON.stringify(shuffle)} ${length}`)
            .toBe(true);
        }
      }
    }
  });

  it("are the same for a seed and epoch, in every runtime, and others for others", async () => {
    const some = (shuffle: Shuffle, epoch: number) => {
      const order = orderOf(shuffle, 50_000, epoch);
      return Array.from({ length: 40 }, (_, i) => order.at(i * 1249));
    };
    for (const [a, b] of [[7, 8], [{ seed: 7 }, { seed: 8 }]] as [Shuffle, Shuffle][]) {
      expect(some(a, 0)).toEqual(some(a, 0));
      expect(some(a, 0)).not.toEqual(some(b, 0));
      expect(some(a, 0)).not.toEqual(some(a, 1));
    }
    await recordNumbers("window_order", [
      ...some(7, 3),
      ...some({ seed: 7 }, 3),
      ...items(permutation(40, 7, 3)),
    ]);
  });

  it("keep the windows of a block in one pool on two levels", () => {
    const [length, block, pool] = [1000, 16, 4];
    const order = items(orderOf({ seed: 5, block, pool }, length, 0));
    const seen = new Map<number, Set<number>>();
    // the short block is anywhere: a pool has 64 windows, or 8 fewer
    let position = 0;
    let own = new Set<number>();
    const pools: Set<number>[] = [];
    for (const item of order) {
      const blocks = Math.floor(item / block);
      if (!own.has(blocks) && own.size === pool) {
        pools.push(own);
        own = new Set();
      }
      own.add(blocks);
      position++;
    }
    pools.push(own);
    expect(position).toBe(length);
    for (const [i, blocks] of pools.entries()) {
      for (const b of blocks) {
        seen.set(b, (seen.get(b) ?? new Set()).add(i));
      }
    }
    expect(pools.length).toBe(Math.ceil(Math.ceil(length / block) / pool));
    expect([...seen.values()].every((where) => where.size === 1)).toBe(true);
  });

  it("spread blocks evenly over pools on two levels: none has two more than another", () => {
    for (
      const [length, block, pool] of [[379_971, 1024, 10], [1000, 10, 7], [1001, 10, 99]] as const
    ) {
      const order = orderOf({ seed: 5, block, pool }, length, 1);
      const sizes: number[] = [];
      for (let end: number = length; end > 0;) {
        const first = order.poolBefore!(end - 1);
        const blocks = new Set<number>();
        for (let at = first; at < end; at++) blocks.add(Math.floor(order.at(at) / block));
        sizes.push(blocks.size);
        end = first;
      }
      expect(sizes.length).toBe(Math.ceil(Math.ceil(length / block) / pool));
      expect(Math.max(...sizes)).toBeLessThanOrEqual(pool);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }
  });

  it("are another within a pool, too, each epoch", () => {
    // one block in one pool: nothing else can differ
    const items = (epoch: number) => {
      const order = orderOf({ seed: 3, block: 64, pool: 1 }, 64, epoch);
      return Array.from({ length: 64 }, (_, position) => order.at(position));
    };
    const epochs = [0, 1, 2].map(items);
    expect(new Set(epochs.map((own) => own.join())).size).toBe(3);
    const sorted = Array.from({ length: 64 }, (_, i) => i);
    for (const own of epochs) expect(own.sort((a, b) => a - b)).toEqual(sorted);
  });

  it("refuse seeds, blocks and pools that are no whole numbers", () => {
    expect(() => checkShuffle(-1)).toThrow(
      /the seed is -1, wanted a whole number from 0 to 4294967295/,
    );
    expect(() => checkShuffle(1.5)).toThrow(RangeError);
    expect(() => checkShuffle({ seed: 1, block: 0 })).toThrow(/block is 0/);
    expect(() => checkShuffle({ seed: 1, pool: 0.5 })).toThrow(/pool is 0.5/);
  });
});

// chi-square of k degrees is about normal by Wilson and Hilferty: how many deviations from its middle
function deviations({ chiSquare, degrees }: { chiSquare: number; degrees: number }): number {
  const spread = 2 / (9 * degrees);
  return (Math.cbrt(chiSquare / degrees) - (1 - spread)) / Math.sqrt(spread);
}

// one order in 30,000 is further off in either direction
const FAR = 4.2;

describe("mixing", () => {
  for (const length of [200, 4096, 4097, 30_000]) {
    it(`of an exact shuffle of ${length} is that of a random permutation`, () => {
      const random: number[] = [];
      const exact: number[] = [];
      for (let seed = 0; seed < 12; seed++) {
        for (
          const [order, found] of [
            [fisherYates(length, seed), random],
            [orderOf(seed, length, seed % 3), exact],
          ] as const
        ) {
          const { positions, neighbours } = measureMixing(order);
          found.push(deviations(positions), deviations(neighbours));
        }
      }
      const mean = (values: number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
      for (const value of exact) expect(Math.abs(value)).toBeLessThan(FAR);
      for (const value of random) expect(Math.abs(value)).toBeLessThan(FAR);
      // of 24 deviations the mean has a spread of 0.2
      expect(Math.abs(mean(exact))).toBeLessThan(FAR * 0.21);
    });
  }

  it("holds distances of neighbours against those of all pairs", () => {
    const length = 200;
    const order = permutation(length, 5, 0);
    // 200 windows in 5 parts: as many distances in each as there should be, but for chance
    const bins = 5;
    const apart = new Float64Array(length);
    for (let i = 0; i < length; i++) {
      for (let j = 0; j < length; j++) apart[Math.abs(i - j)]!++;
    }
    const pairs = length * (length - 1);
    const wanted = new Float64Array(bins);
    const binOf = new Uint32Array(length);
    let nearer = 0;
    for (let distance = 1; distance < length; distance++) {
      binOf[distance] = Math.floor(nearer / pairs * bins);
      nearer += apart[distance]!;
      wanted[binOf[distance]!]! += apart[distance]! / pairs * (length - 1);
    }
    const got = new Float64Array(bins);
    for (let i = 1; i < length; i++) got[binOf[Math.abs(order.at(i) - order.at(i - 1))]!]!++;
    const chiSquare = got.reduce((sum, own, i) => sum + (own - wanted[i]!) ** 2 / wanted[i]!, 0);
    const { neighbours } = measureMixing(order);
    expect(neighbours.degrees).toBe(bins - 1);
    expect(neighbours.chiSquare).toBeCloseTo(chiSquare, 9);
  });

  it("on two levels is far from that, nearer the more blocks a pool has", () => {
    const excess = (shuffle: Shuffle) => {
      const { positions, neighbours } = measureMixing(orderOf(shuffle, 60_000, 0));
      return [positions, neighbours].map(({ chiSquare, degrees }) => chiSquare / degrees);
    };
    const [few, many] = [{ seed: 1, block: 1024, pool: 4 }, { seed: 1, block: 64, pool: 64 }]
      .map(excess);
    for (const i of [0, 1]) {
      expect(few![i]).toBeGreaterThan(20);
      expect(many![i]).toBeLessThan(few![i]! / 4);
    }
    expect(excess(1)[0]).toBeLessThan(1.3);
  });

  it("finds an order that is not shuffled, and one in pairs", () => {
    const sorted = measureMixing(orderOf(false, 10_000, 0));
    expect(deviations(sorted.positions)).toBeGreaterThan(100);
    expect(deviations(sorted.neighbours)).toBeGreaterThan(100);
    const inner = permutation(5000, 1, 0);
    const paired = measureMixing({
      length: 10_000,
      at: (position) => 2 * inner.at(position >> 1) + (position & 1),
    });
    expect(deviations(paired.neighbours)).toBeGreaterThan(100);
  });

  it("of a short order is even over all places and all pairs that follow each other", () => {
    const [length, epochs] = [6, 6000];
    const places = new Float64Array(length * length);
    const pairs = new Float64Array(length * length);
    for (let epoch = 0; epoch < epochs; epoch++) {
      const order = items(permutation(length, 1, epoch));
      order.forEach((item, place) => {
        places[place * length + item]!++;
        if (place > 0) pairs[order[place - 1]! * length + item]!++;
      });
    }
    const chiSquare = (cells: Float64Array, wanted: number) =>
      cells.reduce((sum, got) => sum + (got === 0 ? 0 : (got - wanted) ** 2 / wanted), 0);
    const placed = chiSquare(places, epochs / length);
    const paired = chiSquare(pairs, epochs / length);
    expect(deviations({ chiSquare: placed, degrees: 25 })).toBeLessThan(FAR);
    expect(deviations({ chiSquare: paired, degrees: 29 })).toBeLessThan(FAR);
  });

  it("wants 32 windows at least", () => {
    expect(() => measureMixing(orderOf(1, 31, 0))).toThrow(/got 31 windows, wanted at least 32/);
  });
});
