import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import type { SeedingHeld } from "../../src/cluster/seeding.ts";
import { Seeding, seedingHeld, seedTrials } from "../../src/cluster/seeding.ts";
import { Points } from "../../src/feed/points.ts";
import { seedRows } from "../../src/kernels/vq_seed.ts";
import { Random } from "../../src/math/random.ts";
import { createHeld } from "../../src/stream/task.ts";
import { blobs } from "../support/blobs.ts";

const [ROWS, FEATURES, CODES] = [61, 2, 5];
const { points: values } = blobs({ rows: ROWS, features: FEATURES, blobs: 7, spread: 0.2 });
const points = new Points(fromTypedArray(values, [ROWS, FEATURES]), { action: "cluster" });
const { signal } = new AbortController();

/** Squared distances of all rows to a point. */
const distancesTo = (point: Float64Array) =>
  Float32Array.from({ length: ROWS }, (_, row) => {
    let sum = 0;
    for (let d = 0; d < FEATURES; d++) sum += (values[row * FEATURES + d]! - point[d]!) ** 2;
    return sum;
  });

/** Measures the candidates as the kernel does, in two tiles. */
function measure(seeding: Seeding): void {
  const { candidates } = seeding;
  const count = candidates.length / FEATURES;
  for (const [start, end] of [[0, 40], [40, ROWS]] as const) {
    const table = new Float32Array(count * seedRows(40));
    for (let i = 0; i < count; i++) {
      const all = distancesTo(candidates.subarray(i * FEATURES, (i + 1) * FEATURES));
      table.set(all.subarray(start, end), i * seedRows(40));
    }
    seeding.take({ start, end } as Parameters<Seeding["take"]>[0], table, 40);
  }
}

const held = (own: Points, codes: number, inits: number): SeedingHeld => ({
  ...createHeld(seedingHeld(own, codes, false)),
  centers: new Float64Array(inits * codes * own.features),
});

async function begun(own: SeedingHeld, seed = 9): Promise<Seeding> {
  const seeding = new Seeding(points, own, CODES, seed);
  await seeding.start(signal);
  return seeding;
}

async function run(seeding: Seeding, each?: () => void): Promise<void> {
  do {
    each?.();
    measure(seeding);
  } while (await seeding.next(signal));
}

describe("first centres", () => {
  it("are rows drawn by their distance, of which each leaves the least", async () => {
    const own = held(points, CODES, 1);
    const seeding = await begun(own);
    const random = new Random(9, 0);
    const least = new Float32Array(ROWS).fill(Infinity);
    const trials = 3;
    expect(seedTrials(CODES)).toBe(trials);
    const rowOf = (row: number) => [...values.subarray(row * FEATURES, (row + 1) * FEATURES)];
    let [rows, left, wanted] = [[random.integer(ROWS)], 0, [] as number[]];
    await run(seeding, () => {
      expect([...own.least]).toEqual([...least]);
      expect([...seeding.candidates]).toEqual(rows.flatMap(rowOf));
      // what is left of all distances with each of them
      const distances = rows.map((row) => distancesTo(Float64Array.from(rowOf(row))));
      const sums = distances.map((own) =>
        own.reduce((sum, distance, row) => sum + Math.min(distance, least[row]!), 0)
      );
      left = Math.min(...sums);
      const best = sums.indexOf(left);
      wanted = [...wanted, ...rowOf(rows[best]!)];
      distances[best]!.forEach((distance, row) => least[row] = Math.min(distance, least[row]!));
      // each row as often as its share of that
      rows = Array.from({ length: trials }, () => {
        const mark = random.uniform() * left;
        let sum = 0;
        return least.findIndex((distance) => (sum += distance) >= mark);
      });
    });
    expect([...own.centers]).toEqual(wanted);
  });

  it("are others in each run, and with each seed", async () => {
    const centers: Float64Array[] = [];
    for (const [inits, seed] of [[3, 9], [1, 10]] as const) {
      const own = held(points, CODES, inits);
      await run(await begun(own, seed));
      for (let i = 0; i < inits; i++) {
        centers.push(own.centers.slice(i * CODES * FEATURES, (i + 1) * CODES * FEATURES));
      }
    }
    expect(new Set(centers.map((own) => own.join())).size).toBe(4);
    const starts = centers.map((own) => own.slice(0, FEATURES).join());
    expect(new Set(starts).size).toBeGreaterThan(2);
  });

  for (const inits of [1, 3]) {
    it(`are the same from every state that is kept, in ${inits} runs`, async () => {
      const own = held(points, CODES, inits);
      const kept: Pick<SeedingHeld, "least" | "candidates" | "seeded" | "centers">[] = [];
      await run(await begun(own), () => {
        const { least, candidates, seeded, centers } = own;
        kept.push(structuredClone({ least, candidates, seeded, centers }));
      });
      expect(kept.length).toBe(inits * CODES);
      for (const [sweep, state] of kept.entries()) {
        const again = { ...held(points, CODES, inits), ...state };
        await run(new Seeding(points, again, CODES, 9));
        expect(again.centers, `sweep ${sweep}`).toEqual(own.centers);
      }
    });
  }

  it("are all the same where all rows are", async () => {
    const same = new Points(fromTypedArray(new Float32Array(8).fill(3), [4, 2]), {
      action: "cluster",
    });
    const own = held(same, 3, 1);
    const seeding = new Seeding(same, own, 3, 1);
    await seeding.start(signal);
    seeding.take({ start: 0, end: 4 } as Parameters<Seeding["take"]>[0], new Float32Array(64), 4);
    expect(await seeding.next(signal)).toBe(false);
    expect([...own.centers]).toEqual([3, 3, 3, 3, 3, 3]);
  });
});
