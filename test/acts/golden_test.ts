/** Pools of recorded activations, as another library's answers in f64 have them. */

import { beforeEach, describe, expect, it } from "vitest";
import type { Acts } from "../../src/acts/acts.ts";
import { collect } from "../../src/acts/collect.ts";
import { openArray, readAll } from "../../src/array/array.ts";
import type { NumericArray } from "../../src/types.ts";
import type { SamplePool } from "../reference/pool_tokens.ts";
import { poolSample } from "../reference/pool_tokens.ts";
import { useGpu } from "../support/gpu.ts";
import { sharedDataMissing, sharedFile } from "../support/shared_data.ts";

const gpu = useGpu();
const missing = sharedDataMissing();

async function golden(name: string): Promise<{ values: NumericArray; shape: readonly number[] }> {
  const array = await openArray(await sharedFile(`golden/probes/${name}.npy`));
  return { values: await readAll(array), shape: array.shape };
}

async function recorded() {
  const { values, shape } = await golden("pool_x");
  const offsets = Array.from((await golden("pool_offsets")).values, Number);
  const detected = (await golden("pool_det")).values as Uint8Array;
  const acts = collect(values, {
    ...{
      dims: "blsh",
      shape,
      offsets,
      detectionMask: detected,
      layers: [4, 9, 11].slice(0, shape[1]),
    },
  });
  return { acts, values: values as Float32Array, shape, offsets, detected };
}

/** 1e-6 of the largest, as the answers' own notes ask; `exact` where nothing is rounded. */
function expectNear(own: ArrayLike<number>, wanted: ArrayLike<number>, exact = false): void {
  expect(own.length).toBe(wanted.length);
  for (let i = 0; i < wanted.length; i++) {
    const off = Math.abs(own[i]! - wanted[i]!);
    expect(off).toBeLessThanOrEqual(exact ? 0 : 1e-6 * Math.max(1, Math.abs(wanted[i]!)));
  }
}

const CASES: [string, SamplePool, (acts: Acts) => Acts][] = [
  ["mean", { kind: "mean" }, (acts) => acts.meanPool()],
  ["sum", { kind: "sum" }, (acts) => acts.sumPool()],
  ["max", { kind: "max" }, (acts) => acts.maxPool()],
  ["last", { kind: "last" }, (acts) => acts.lastPool()],
  ["ema_0.1", { kind: "ema", alpha: 0.1 }, (acts) => acts.ema({ alpha: 0.1 })],
  ["ema_0.5", { kind: "ema", alpha: 0.5 }, (acts) => acts.ema()],
  ["ema_1.0", { kind: "ema", alpha: 1 }, (acts) => acts.ema({ alpha: 1 })],
  ...[1, 2, 3, 10].map((window): [string, SamplePool, (acts: Acts) => Acts] => [
    `rolling_${window}`,
    { kind: "rolling", window, ends: "any" },
    (acts) => acts.rolling({ window }),
  ]),
];

describe("recorded activations", () => {
  beforeEach((context) => {
    if (missing) context.skip(missing);
  });

  for (const [name, pool, chain] of CASES) {
    it(`are pooled as the answers to ${name} are, on the device and by the twin`, async () => {
      const { acts, values, shape: [, layers, hidden], offsets, detected } = await recorded();
      const wanted = (await golden(`pool_${name}`)).values as Float64Array;
      const pooled = await chain(acts).realize(gpu());
      expect(pooled.shape).toEqual([offsets.length - 1, layers, hidden]);
      expectNear(pooled.values, wanted, name === "max" || name === "last" || name === "ema_1.0");
      const twin = offsets.slice(1).flatMap((end, sample) => {
        const start = offsets[sample]!;
        const width = layers! * hidden!;
        const tokens = values.subarray(start * width, end * width);
        return [...poolSample(tokens, detected.subarray(start, end), width, pool)];
      });
      // answers in f64 are rounded in another order
      twin.forEach((value, i) => expect(Math.abs(value - wanted[i]!)).toBeLessThan(1e-12));
    });
  }

  for (const index of [-2, -1, 0, 3]) {
    it(`have the tokens ${index} that the answers have`, async () => {
      const { acts } = await recorded();
      const wanted = (await golden(`select_s_${index}`)).values as Float64Array;
      expectNear((await acts.select("s", index).realize(gpu())).values, wanted, true);
    });
  }

  it("have the counts, and the means and maxima over layers, that the answers have", async () => {
    const { acts } = await recorded();
    expect([...acts.extractTokens().counts]).toEqual(
      Array.from((await golden("pool_count")).values, Number),
    );
    for (
      const [name, chain] of [["mean", acts.meanPool("l")], ["max", acts.maxPool("l")]] as const
    ) {
      const wanted = (await golden(`layer_${name}`)).values as Float64Array;
      expectNear((await chain.realize(gpu())).values, wanted, name === "max");
    }
  });

  it("of bfloat16 are summed in f32", async () => {
    const { values, shape } = await golden("fmt/bf16_long_u16");
    const acts = collect(values, {
      ...{ dims: "bsh", shape, dtype: "bfloat16" },
      offsets: Array.from((await golden("fmt/bf16_long_offsets")).values, Number),
    });
    const pooled = await acts.meanPool().realize(gpu());
    expectNear(pooled.values, (await golden("fmt/bf16_long_mean_f64")).values as Float64Array);
    expect(pooled.values[0]).toBe(1);
  });
});
