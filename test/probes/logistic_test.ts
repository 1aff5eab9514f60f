import { describe, expect, it } from "vitest";
import { fromTypedArray, openArray, readAll } from "../../src/array/array.ts";
import { open } from "../../src/open.ts";
import { LogisticProbe } from "../../src/probes/probes.ts";
import type { FittedProbe } from "../../src/probes/probes.ts";
import { logistic } from "../reference/logistic.ts";
import { useGpu } from "../support/gpu.ts";
import type { ProbeRowsOptions } from "../support/probe_rows.ts";
import { distance, probeRows, standardized } from "../support/probe_rows.ts";
import { recordNumbers } from "../support/record.ts";
import { sharedDataMissing, sharedFile } from "../support/shared_data.ts";
import { cases, quick } from "../support/tier.ts";

const gpu = useGpu();
const missing = sharedDataMissing();

async function golden(name: string) {
  return await openArray(await sharedFile(`golden/probes/${name}.npy`));
}

const numbers = async (name: string) =>
  Float64Array.from(await readAll(await golden(name)) as Float64Array);
const parametersOf = ({ weights, bias }: FittedProbe) => [...weights, bias];

describe("a logistic probe", () => {
  for (const name of ["bal", "imb", "sep"]) {
    it(`has the optimum of ${name}`, async (context) => {
      if (missing) context.skip(missing);
      const c = [0.01, 1, 100];
      const { probes, mean, deviation } = await new LogisticProbe({ c })
        .fit(gpu(), await golden(`logit_${name}_X`), await numbers(`logit_${name}_y`)).run();
      for (const [i, probe] of probes.entries()) {
        const wanted = await numbers(`logit_${name}_C${c[i]}_wb`);
        const apart = distance(parametersOf(probe!), wanted);
        expect(apart).toBeLessThan(1e-5);
        expect(probe).toMatchObject({ c: c[i], label: "label", converged: true });
        expect(probe!.distance).toBeLessThan(1e-5);
      }
      if (name === "bal") expect(probes.map((probe) => probe!.weights[7])).toEqual([0, 0, 0]);
      expect(distance(mean, await numbers(`logit_${name}_mean`))).toBeLessThan(1e-14);
      expect(distance(deviation, await numbers(`logit_${name}_std`))).toBeLessThan(1e-13);
    });
  }

  const kinds: [string, number, number, ProbeRowsOptions][] = [
    ["a spectrum that falls by a power", 300, 24, { decay: 1.5 }],
    ["scales from 1e-6 to 1e6 about 1e3", 260, 13, { scales: true, offset: 1e3 }],
    ["one positive in a hundred", 900, 12, { threshold: 4.8 }],
    ["more features than rows", 40, 60, { rank: 40 }],
    ["many more features than rows, of which one is constant", 30, 520, { rank: 40, noise: 0.3 }],
    ["one feature", 65, 1, {}],
    ["classes that a plane separates", 120, 9, { strength: 40 }],
  ];
  for (const [name, rows, features, options] of kinds) {
    it(`comes to the optimum that Newton's method finds: ${name}`, async () => {
      const { values, labels } = probeRows(rows, features, options);
      for (let row = 0; features > 500 && row < rows; row++) values[row * features + 7] = 0.1;
      const standard = standardized(values, features);
      const c = [0.01, 1, 100].slice(0, cases(2, 3));
      const { probes } = await new LogisticProbe({ c })
        .fit(gpu(), fromTypedArray(values, [rows, features]), labels).run();
      for (const [i, probe] of probes.entries()) {
        const wanted = logistic(standard, labels, 1 / (c[i]! * rows));
        const apart = distance(probe!.weights, wanted.subarray(0, features));
        expect([probe!.converged, probe!.distance < 1e-5]).toEqual([true, true]);
        // what it says of itself holds, and rounding of rows is all there is beside
        expect(apart).toBeLessThan(probe!.distance + 2e-8);
        if (features > 500) expect(probe!.weights[7]).toBe(0);
        expect(Math.abs(probe!.bias - wanted[features]!)).toBeLessThan(
          1e-5 * (1 + Math.abs(probe!.bias)),
        );
      }
    });
  }

  it("gives a feature that is constant no weight, whatever its rounding", async () => {
    const { values, labels } = probeRows(50, 4);
    for (let row = 0; row < 50; row++) values[4 * row + 2] = 0.1;
    const { probes, deviation } = await new LogisticProbe({ c: 1e6 })
      .fit(gpu(), fromTypedArray(values, [50, 4]), labels).run();
    expect(probes[0]!.weights[2]).toBe(0);
    expect(deviation[2]).toBe(1e-8);
    const none = await new LogisticProbe()
      .fit(gpu(), fromTypedArray(new Float32Array(8).fill(3), [4, 2]), [0, 1, 1, 1]).run();
    expect([...none.probes[0]!.weights]).toEqual([0, 0]);
    expect(none.probes[0]!.bias).toBeCloseTo(Math.log(3), 12);
    expect(none.probes[0]!.converged).toBe(true);
  });

  it("has a bias that nothing is paid for", async () => {
    const { values, labels } = probeRows(400, 5, { threshold: 3 });
    const { probes } = await new LogisticProbe({ c: 1e-9 })
      .fit(gpu(), fromTypedArray(values, [400, 5]), labels).run();
    const positives = labels.reduce((sum, label) => sum + label, 0);
    expect(probes[0]!.bias).toBeCloseTo(Math.log(positives / (400 - positives)), 5);
  });

  it("goes to where the slope is 0 without a penalty, and refuses where there is no such place", async () => {
    const { values, labels } = probeRows(300, 6, { strength: 1 });
    const points = fromTypedArray(values, [300, 6]);
    const { probes } = await new LogisticProbe({ c: 0 }).fit(gpu(), points, labels).run();
    const wanted = logistic(standardized(values, 6), labels, 0);
    expect(distance(parametersOf(probes[0]!), wanted)).toBeLessThan(1e-4);
    expect(probes[0]!.converged).toBe(true);
    const apart = probeRows(60, 6, { strength: 100 });
    for (let row = 0; row < 60; row++) apart.values[6 * row] = 2 * apart.labels[row]! - 1;
    const separable = fromTypedArray(apart.values, [60, 6]);
    await expect(new LogisticProbe({ c: 0 }).fit(gpu(), separable, apart.labels).run())
      .rejects.toThrow("a plane separates the classes");
    const both = await new LogisticProbe({ c: [-1, 1] }).fit(gpu(), separable, apart.labels).run();
    expect(both.probes.map((probe) => probe === null)).toEqual([true, false]);
    expect(both.reasons[0]).toContain("a plane separates the classes");
  });

  it("is null for a column of one class, and the others survive", async () => {
    const { values, labels } = probeRows(60, 5);
    const points = fromTypedArray(values, [60, 5]);
    const columns = { one: new Uint8Array(60), both: labels, all: new Uint8Array(60).fill(1) };
    const probe = new LogisticProbe({ c: [1, 2] });
    const fit = await probe.fit(gpu(), points, columns).run();
    expect(fit.probes.map((own) => own && [own.label, own.c])).toEqual([
      ...[null, null, ["both", 1], ["both", 2], null, null],
    ]);
    expect(fit.reasons).toEqual([
      ...["all 60 labels are 0", "all 60 labels are 0", null, null],
      ...["all 60 labels are 1", "all 60 labels are 1"],
    ]);
    const alone = await new LogisticProbe({ c: 2 }).fit(gpu(), points, labels).run();
    expect(distance(fit.probes[3]!.weights, alone.probes[0]!.weights)).toBeLessThan(1e-5);
    const { logits } = await probe.predict(gpu(), points).run();
    const kinds = Array.from(logits.subarray(0, 6), Number.isNaN);
    expect(kinds).toEqual([true, true, false, false, true, true]);
  });

  it("refuses rows, labels and values that nothing can be fitted to, by their names", async () => {
    const fit = (values: Float32Array, shape: number[], labels: ArrayLike<number>) =>
      new LogisticProbe().fit(gpu(), fromTypedArray(values, shape), labels);
    const rows = Float32Array.from({ length: 12 }, (_, i) => i % 5);
    expect(() => fit(rows, [6, 2], [0, 1, 0])).toThrow(
      'column "label" has 3 labels, there are 6 samples',
    );
    expect(() => fit(rows, [6, 2], [0, 1, 0, 2, 1, 1])).toThrow('label 3 of column "label" is 2');
    expect(() => fit(rows, [6, 2], ["0", "1", "0", "1", "1", "1"] as never)).toThrow(
      'label 0 of column "label" is "0", wanted 0 or 1',
    );
    expect(() => fit(rows, [6, 2], [1, 1, 1, 1, 1, 1])).toThrow("all 6 labels are 1, wanted");
    expect(() => fit(rows.subarray(0, 2), [1, 2], [1])).toThrow("there is 1 row");
    expect(() => fit(rows, [6, 2], {} as never)).toThrow(TypeError);
    expect(() => fit(rows, [2, 3, 2], [0, 1])).toThrow("points have shape [2,3,2]");
    for (const value of [NaN, Infinity]) {
      const bad = rows.slice();
      bad[7] = value;
      await expect(fit(bad, [6, 2], [0, 1, 0, 1, 1, 1]).run()).rejects.toThrow(
        `row 3, feature 1 is ${value}`,
      );
    }
    const unfitted = new LogisticProbe();
    expect(() => unfitted.predict(gpu(), fromTypedArray(rows, [6, 2]))).toThrow("run fit() first");
    const fitted = new LogisticProbe();
    await fitted.fit(gpu(), fromTypedArray(rows, [6, 2]), [0, 1, 0, 1, 1, 1]).run();
    expect(() => fitted.predict(gpu(), fromTypedArray(rows, [4, 3]))).toThrow(
      "rows have 3 features, the probes have 2",
    );
  });

  it("says where it had to stop", async () => {
    const { values, labels } = probeRows(300, 24, { decay: 1.5 });
    const { probes, passes } = await new LogisticProbe({ c: 100, maxPasses: 8 })
      .fit(gpu(), fromTypedArray(values, [300, 24]), labels).run();
    expect(passes).toBeLessThanOrEqual(8);
    expect(probes[0]!.converged).toBe(false);
    expect(probes[0]!.distance).toBeGreaterThan(1e-5);
  });

  it("predicts by what it was fitted to, and is opened where it is stored", async () => {
    const { values, labels } = probeRows(100, 7, { scales: true, offset: 1e3 });
    const points = fromTypedArray(values, [100, 7]);
    const place = "memory:logistic-test/fit";
    const probe = new LogisticProbe({ c: [1, 10] });
    const fit = await probe.fit(gpu(), points, labels, { out: place }).run();
    const { logits, probabilities } = await probe.predict(gpu(), points).run();
    const standard = standardized(values, 7);
    fit.probes.forEach((own, k) => {
      for (let row = 0; row < 100; row++) {
        let logit = own!.bias;
        for (let d = 0; d < 7; d++) logit += own!.weights[d]! * standard[7 * row + d]!;
        expect(Math.abs(logits[2 * row + k]! - logit)).toBeLessThan(1e-5 * (1 + Math.abs(logit)));
        expect(probabilities[2 * row + k]).toBeCloseTo(1 / (1 + Math.exp(-logit)), 5);
      }
    });
    const opened = await open(place);
    if (opened.kind !== "probe") throw new Error(opened.kind);
    const { model, close, kind: _, place: __, ...stored } = opened;
    const unmeasured = {
      seconds: {},
      peakBytes: expect.anything(),
      projectedBytes: expect.anything(),
    };
    expect(stored).toEqual({ ...fit, ...unmeasured });
    const out = "memory:logistic-test/prediction";
    const again = await model.predict(gpu(), points, { out }).run();
    expect(await readAll(again.logits)).toEqual(logits);
    expect(again.logits.shape).toEqual([100, 2]);
    await again.close();
    await close();
    const prediction = await open(out);
    expect(prediction.kind).toBe("arrays");
    await prediction.close();
  });

  it("takes at most 50 passes over the rows, and hardly more for sixteen probes", async () => {
    const [rows, features] = quick ? [700, 64] : [4000, 512];
    const { values, labels } = probeRows(rows, features, { rank: 100, noise: 0.1, seed: 5 });
    const points = fromTypedArray(Float32Array.from(values), [rows, features]);
    for (const c of [0.01, 1, 100]) {
      const { passes, probes } = await new LogisticProbe({ c }).fit(gpu(), points, labels).run();
      expect(passes).toBeLessThanOrEqual(50);
      expect(probes[0]!.converged).toBe(true);
    }
    const columns = Object.fromEntries(Array.from({ length: 16 }, (_, k) => [
      `labels ${k}`,
      labels.map((label, row) => (row * 7919 + k) % 100 < 2 * k ? 1 - label : label),
    ]));
    const fit = await new LogisticProbe().fit(gpu(), points, columns).run();
    expect(fit.passes).toBeLessThanOrEqual(50);
    expect(fit.probes.every((probe) => probe!.converged)).toBe(true);
  });

  it("gives the same numbers in every runtime", async () => {
    const { values, labels } = probeRows(200, 10);
    const { probes } = await new LogisticProbe()
      .fit(gpu(), fromTypedArray(values, [200, 10]), labels).run();
    await recordNumbers("logistic", parametersOf(probes[0]!));
  });
});
