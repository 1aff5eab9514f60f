import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { useGpu } from "../support/gpu.ts";
import { cases } from "../support/tier.ts";
import { seeded } from "../support/random.ts";
import { unkindCases } from "../support/unkind.ts";

const gpu = useGpu();

/** Lloyd's algorithm in f64 as it is defined: differences, their squares, and means about a row. */
function plainLloyd(values: Float64Array, init: Float64Array, features: number, iterations = 300) {
  const rows = values.length / features;
  const k = init.length / features;
  const centroids = init.slice();
  const ids = new Int32Array(rows).fill(-1);
  // squares of very large and very small numbers are none
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const unit = largest > 0 ? 2 ** -Math.floor(Math.log2(largest)) : 1;
  let inertia = 0;
  const margins = new Float64Array(rows);
  for (let iteration = 0, changed = true; changed && iteration <= iterations; iteration++) {
    changed = false;
    inertia = 0;
    for (let row = 0; row < rows; row++) {
      let [best, least, next] = [0, Infinity, Infinity];
      for (let code = 0; code < k; code++) {
        let squared = 0;
        for (let d = 0; d < features; d++) {
          const off = values[row * features + d]! - centroids[code * features + d]!;
          squared += (off * unit) ** 2;
        }
        if (squared < least) [best, least, next] = [code, squared, least];
        else if (squared < next) next = squared;
      }
      margins[row] = next > 0 ? (next - least) / next : 0;
      if (ids[row] !== best) changed = true;
      ids[row] = best;
      inertia += least;
    }
    if (!changed || iteration === iterations) break;
    for (let code = 0; code < k; code++) {
      const own = [...ids.keys()].filter((row) => ids[row] === code);
      if (own.length === 0) continue;
      for (let d = 0; d < features; d++) {
        const start = values[own[0]! * features + d]!;
        let sum = 0;
        for (const row of own) sum += values[row * features + d]! - start;
        centroids[code * features + d] = start + sum / own.length;
      }
    }
  }
  return { centroids, ids, inertia: inertia / unit / unit, margins };
}

/** Rows that are no ties in f64 have the ids that are wanted. */
function expectIds(ids: Int32Array, wanted: ArrayLike<number>, margins: Float64Array) {
  const differing = [...ids.keys()].filter((row) => ids[row] !== wanted[row]);
  expect(differing.filter((row) => margins[row]! > 1e-9)).toEqual([]);
}

describe("KMeans on data that are not kind", () => {
  for (const { name, points, values, features, init, k, wanted } of unkindCases) {
    it(`agrees with scikit-learn and with its definition: ${name}`, async () => {
      const result = await new KMeans({ k, init }).fit(gpu(), points).run();
      const plain = plainLloyd(values, init, features);
      expectIds(result.ids, wanted.ids, plain.margins);
      expect(result.iterations).toBe(wanted.iterations);
      // scikit-learn measures from centroids before it rounds them to f64 at their offset
      const rounding = 2 ** -52 * Math.max(...plain.centroids.map(Math.abs));
      const rounded = values.length * rounding ** 2;
      for (const right of [wanted.inertia, plain.inertia]) {
        const most = right === plain.inertia ? 0 : rounded;
        expect(Math.abs(result.inertia - right)).toBeLessThanOrEqual(1e-6 * right + most);
      }
      // means of f32 differences from a centroid
      const radius = Math.sqrt(plain.inertia) / Math.sqrt(result.ids.length);
      result.centroids.forEach((value, i) =>
        expect(Math.abs(value - plain.centroids[i]!)).toBeLessThanOrEqual(
          2 ** -22 * radius + rounding,
        )
      );
    });
  }
});

describe("k-means near what f32 cannot tell", () => {
  /** `groups` groups far apart, of rows that differ by much less than that. */
  function tight(groups: number, each: number, deviation: number) {
    const random = seeded(5);
    return Float64Array.from(
      { length: groups * each },
      (_, row) => 10 * (row % groups) - 7 + deviation * (random() + random() - 1),
    );
  }

  it("splits groups that are one number to f32", async () => {
    const deviation = 1e-9;
    const values = tight(3, 40, deviation);
    // the least and the largest of every group
    const init = [0, 1, 2].flatMap((group) => {
      const own = values.filter((_, row) => row % 3 === group);
      return [Math.min(...own), Math.max(...own)];
    });
    const points = fromTypedArray(values, [120, 1]);
    const model = new KMeans({ k: 6, init, tolerance: 0 });
    const result = await model.fit(gpu(), points).run();
    const plain = plainLloyd(values, Float64Array.from(init), 1);
    expect([...result.ids]).toEqual([...plain.ids]);
    // what is left of rows and centroids is off by 2^-48 of 10, and so by 4e-5 of the deviation
    expect(Math.abs(result.inertia / plain.inertia - 1)).toBeLessThan(1e-4);
    expect(result.nearTies).toBe(120);
    expect(result.converged).toBe(true);
    expect([...(await model.predict(gpu(), points).run()).ids]).toEqual([...plain.ids]);
    const { ids } = await model.predict(gpu(), points, { topK: 2 }).run();
    result.ids.forEach((id, row) => expect(ids[2 * row]).toBe(id));
  });

  it("finds times of day a minute apart, in seconds since 1970", async () => {
    const random = seeded(3);
    const values = Float64Array.from(
      { length: 1200 },
      (_, row) => 1.7e9 + 60 * (row % 4) + 10 * (random() - 0.5),
    );
    for (const typed of [values, Int32Array.from(values, Math.round)]) {
      const points = fromTypedArray(typed, [1200, 1]);
      const { ids, centroids, inertia } = await new KMeans({ k: 4, seed: 1 }).fit(gpu(), points)
        .run();
      const plain = plainLloyd(Float64Array.from(typed), Float64Array.from(centroids), 1);
      expect(Math.abs(inertia / plain.inertia - 1)).toBeLessThan(1e-6);
      const sizes = [0, 0, 0, 0];
      for (const id of ids) sizes[id]!++;
      expect(sizes).toEqual([300, 300, 300, 300]);
    }
  });

  it("takes coordinates from all rows, wherever the few are that lie elsewhere", async () => {
    const rows = 3000;
    const random = seeded(11);
    const values = Float32Array.from({ length: 2 * rows }, random);
    // between any two stretches of 32 rows
    values.fill(1e20, 2 * 1234, 2 * 1235);
    const points = fromTypedArray(values, [rows, 2]);
    const { ids, inertia } = await new KMeans({ k: 2, seed: 1, inits: 1 }).fit(gpu(), points).run();
    const far = ids[1234];
    expect(ids.filter((id) => id === far).length).toBe(1);
    const rest = Float64Array.from(values.filter((value) => value < 1e19));
    const plain = plainLloyd(rest, Float64Array.of(0, 0), 2);
    expect(Math.abs(inertia / plain.inertia - 1)).toBeLessThan(1e-6);
  });

  it("measures rows from centroids that lie elsewhere", async () => {
    const model = KMeans.from([1e4, 1e4, -1e4, 1e4], { k: 2 });
    const rows = fromTypedArray(Float64Array.of(0.1 + 0.2, 0.3, 0.3, 0.3), [2, 2]);
    const distances = await model.transform(gpu(), rows).run();
    [14141.7115, 14142.1358, 14141.7115, 14142.1358].forEach((wanted, i) =>
      expect(Math.abs(distances[i]! - wanted)).toBeLessThan(1e-3)
    );
    expect([...(await model.predict(gpu(), rows).run()).ids]).toEqual([0, 0]);
    for (const unit of [1e150, 1e-60, 1e-150]) {
      const own = KMeans.from([unit, 3 * unit, 2 * unit], { k: 3 });
      const some = fromTypedArray(Float64Array.of(2.9, 1.1, 2.1).map((value) => unit * value), [
        3,
        1,
      ]);
      const { ids, distances } = await own.predict(gpu(), some).run();
      expect([...ids]).toEqual([1, 0, 2]);
      distances.forEach((distance) => expect(Math.abs(distance / unit - 0.1)).toBeLessThan(1e-6));
      const all = await own.transform(gpu(), some).run();
      expect(Math.abs(all[0]! / unit - 1.9)).toBeLessThan(1e-6);
    }
  });

  it("orders several centroids as f64 does", async () => {
    const gap = 2 ** -30;
    const model = KMeans.from([1 + gap, 5, 1, 1 + 2 * gap, -9], { k: 5 });
    const rows = fromTypedArray(Float64Array.of(0, 2, 1 + 1.4 * gap), [3, 1]);
    const { ids } = await model.predict(gpu(), rows, { topK: 3 }).run();
    expect([...ids]).toEqual([2, 0, 3, 3, 0, 2, 0, 3, 2]);
  });

  it("stands still once no row changes its cluster, whatever the tolerance", async () => {
    const random = seeded(1);
    const values = Float64Array.from(
      { length: 500 * 4 },
      () => 1e6 + random() + (random() < 0.3 ? 3 : 0),
    );
    for (const typed of [values, Float32Array.from(values, (value) => value - 1e6)]) {
      const init = typed.slice(0, 6 * 4);
      const model = new KMeans({ k: 6, init, tolerance: 0 });
      const result = await model.fit(gpu(), fromTypedArray(typed, [500, 4])).run();
      const wide = Float64Array.from(typed);
      let least = 0;
      // the fewest after which another iteration changes no id
      for (let before = "", ids = "none"; before !== ids; least++) {
        before = ids;
        ids = plainLloyd(wide, Float64Array.from(init), 4, least).ids.join();
      }
      expect(result.converged).toBe(true);
      expect(result.iterations).toBeLessThanOrEqual(least + 2);
    }
  });

  it("ends at once where fewer rows differ than there are clusters, and says so", async () => {
    for (const unit of [1e9 + 0.1, 0.1, 1].slice(0, cases(1, 3))) {
      for (const typed of [new Float32Array(30), new Float64Array(30)]) {
        typed.forEach((_, row) => typed[row] = unit * (1 + row % 3));
        const points = fromTypedArray(typed, [30, 1]);
        const fit = { k: 7, inits: 2, tolerance: 0 };
        const result = await new KMeans(fit).fit(gpu(), points).run();
        expect(result).toMatchObject({ inertia: 0, converged: true, emptyClusters: 4 });
        expect(result.iterations).toBeLessThan(5);
        const first = { k: 7, init: typed.slice(0, 7), tolerance: 0 };
        const given = await new KMeans(first).fit(gpu(), points).run();
        expect(given).toMatchObject({ inertia: 0, converged: true, emptyClusters: 4 });
        expect(given.iterations).toBeLessThan(5);
        const other = await new KMeans({ k: 2 }).fit(gpu(), points).run();
        expect(other.emptyClusters).toBe(0);
      }
    }
  });

  it("goes on from a fit, batch by batch, in f64", async () => {
    const fitted = new KMeans({ k: 2, init: [9000, 0] });
    const many = new Float64Array(1e5).fill(1e4);
    many.fill(-3, 5e4);
    await fitted.fit(gpu(), fromTypedArray(many, [1e5, 1])).run();
    for (let batch = 0; batch < 30; batch++) {
      const values = new Float64Array(100).fill(1e4 + 1);
      await fitted.partialFit(gpu(), fromTypedArray(values, [100, 1])).run();
    }
    const wanted = 1e4 + 3000 / (5e4 + 3000);
    expect(Math.abs(fitted.centroids[0]! - wanted)).toBeLessThan(1e-9);
    expect(fitted.centroids[1]).toBe(-3);
    // near ties go where f64 says
    const model = new KMeans({ k: 2, init: [-1, 1] });
    const close = Float64Array.of(2 ** -40, 2 ** -40, 2 ** -40, -(2 ** -40));
    const moved = await model.partialFit(gpu(), fromTypedArray(close, [4, 1])).run();
    // of differences near 1, in f32: no row went the wrong way, or centroids would be at 0 and 1
    moved.forEach((value) => expect(Math.abs(value)).toBeLessThan(2 ** -22));
    const counted = await model.partialFit(gpu(), fromTypedArray(Float64Array.of(-4, 4), [2, 1]))
      .run();
    expect(Math.abs(counted[0]! + 2)).toBeLessThan(1e-6);
    expect(Math.abs(counted[1]! - 1)).toBeLessThan(1e-6);
    // far from the rows, no centroid takes them all
    const away = KMeans.from([1e30, -1e30], { k: 2 });
    expect([...await away.partialFit(gpu(), fromTypedArray(Float64Array.of(3, 5), [2, 1])).run()])
      .toEqual([4, -1e30]);
  });

  it("takes the directions of given centroids where it is spherical", async () => {
    const model = KMeans.from([10, 0, 0, 0.1, -3, -3], { k: 3, spherical: true });
    const rows = fromTypedArray(Float64Array.of(0.6, 0.8, 0.8, 0.6), [2, 2]);
    expect([...(await model.predict(gpu(), rows).run()).ids]).toEqual([1, 0]);
    expect([...model.centroids.subarray(0, 4)]).toEqual([1, 0, 0, 1]);
  });
});
