import { describe, expect, it } from "vitest";
import { Acts } from "../../src/acts/acts.ts";
import { collect, collectActivations } from "../../src/acts/collect.ts";
import { loadActivations } from "../../src/acts/load.ts";
import { openActsSource } from "../../src/acts/stored.ts";
import type { ChunkedArray } from "../../src/chunked_array.ts";
import { fromTypedArray, openArray } from "../../src/array/array.ts";
import { encodeBfloat16 } from "../../src/math/bfloat16.ts";
import { encodeFloat16 } from "../../src/math/half.ts";
import { storedAttributes } from "../../src/stream/places.ts";
import type { SamplePool } from "../reference/pool_tokens.ts";
import { poolSample } from "../reference/pool_tokens.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu();

/** One channel, one sample after the other. */
function samplesOf(samples: number[][], detected?: number[][]): Acts {
  let offset = 0;
  return collect(Float32Array.from(samples.flat()), {
    ...{ dims: "bsh", shape: [samples.flat().length, 1] },
    offsets: [0, ...samples.map(({ length }) => offset += length)],
    ...(detected && { detectionMask: detected.flat() }),
  });
}

const valuesOf = async (acts: Acts) => [...(await acts.realize(gpu())).values];

/** Seeded samples of odd lengths, two of them empty, three layers, tokens that do not count. */
function seededActs(lengths = [5, 0, 130, 1, 64, 0, 3], hidden = 7) {
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const random = seeded(11);
  const layer = () => Float32Array.from({ length: tokens * hidden }, () => 4 * random() - 2);
  const layers = { 2: layer(), 5: layer(), 11: layer() };
  const detected = Uint8Array.from({ length: tokens }, () => random() < 0.6 ? 1 : 0);
  let offset = 0;
  const offsets = [0, ...lengths.map((length) => offset += length)];
  const ids = lengths.map((_, i) => `text ${i}`);
  const acts = collect(layers, {
    ...{ dims: "blsh", shape: [tokens, hidden], offsets, detectionMask: detected, ids },
    ...{ producer: "a seed", hookPoint: "resid_post" },
  });
  return { acts, layers, detected, offsets, hidden, ids };
}

const CHAINS: [SamplePool, (acts: Acts) => Acts][] = [
  [{ kind: "mean" }, (acts) => acts.meanPool()],
  [{ kind: "sum" }, (acts) => acts.sumPool()],
  [{ kind: "max" }, (acts) => acts.maxPool()],
  [{ kind: "last" }, (acts) => acts.lastPool()],
  [{ kind: "ema", alpha: 0.3 }, (acts) => acts.ema({ alpha: 0.3 })],
  [{ kind: "rolling", window: 4, ends: "any" }, (acts) => acts.rolling({ window: 4 })],
  [
    { kind: "rolling", window: 4, ends: "detected" },
    (acts) => acts.rolling({ window: 4, ends: "detected" }),
  ],
];

describe("activations are pooled", () => {
  for (const [pool, chain] of CHAINS) {
    it(`by ${JSON.stringify(pool)} as the twin does, to the same bits in any tiles and slots`, async () => {
      const { acts, layers, detected, offsets, hidden } = seededActs();
      const pooled = await chain(acts).realize(gpu());
      for (const [id, values] of Object.entries(layers)) {
        const own = pooled.layer(Number(id));
        offsets.slice(1).forEach((end, sample) => {
          const start = offsets[sample]!;
          const twin = poolSample(
            values.subarray(start * hidden, end * hidden),
            detected.subarray(start, end),
            hidden,
            pool,
          );
          // at most 130 numbers below 2
          twin.forEach((value, i) =>
            expect(Math.abs(own[sample * hidden + i]! - value)).toBeLessThan(3e-5)
          );
        });
      }
      const tiles = [{ tileRows: 64, slots: 3 }, { tileRows: 7, slots: 1 }, { tileRows: 1 }];
      for (const choices of tiles.slice(0, cases(2, 3))) {
        expect((await chain(acts).realize(gpu(), choices)).values).toEqual(pooled.values);
      }
    });
  }

  it("with windows that end at any token of the sample, or at detected ones", async () => {
    const acts = samplesOf([[0, 0, 9, 5]], [[1, 1, 1, 0]]);
    expect(await valuesOf(acts.rolling({ window: 2 }))).toEqual([9]);
    expect(await valuesOf(acts.rolling({ window: 2, ends: "detected" }))).toEqual([4.5]);
    expect(await valuesOf(samplesOf([[0, 0, 9], [1]]).rolling({ window: 2 }))).toEqual([4.5, 1]);
  });

  it("each alone: empty samples and those of which nothing counts are zeros", async () => {
    const acts = samplesOf([[], [-3, -1], [-7], []], [[], [1, 1], [0], []]);
    for (
      const [chain, wanted] of [
        [acts.maxPool(), -1],
        [acts.meanPool(), -2],
        [acts.sumPool(), -4],
        [acts.lastPool(), -1],
        [acts.ema(), -1.25],
        [acts.rolling({ window: 1 }), -1],
      ] as const
    ) {
      expect((await valuesOf(chain)).map((value) => value + 0)).toEqual([0, wanted, 0, 0]);
    }
  });

  for (const size of [2, 1].slice(0, cases(1, 2))) {
    it(`to the same in batches of ${size}, also where nothing counts or there is no token in one`, async () => {
      const acts = samplesOf(
        [[], [], [5, 6, 7], [1, 2], [], [3], [-4, 8]],
        [[], [], [1, 0, 1], [0, 0], [], [0], [1, 1]],
      );
      const chains: ((acts: Acts) => Acts)[] = [
        ...CHAINS.map(([, chain]) => chain),
        ...[(acts: Acts) => acts.meanPool().cast("float16"), (acts: Acts) => acts.extractTokens()],
        ...[(acts: Acts) => acts, (acts: Acts) => acts.select("s", 1)],
      ];
      for (const [i, chain] of chains.entries()) {
        const parts: number[] = [];
        for (const [at, batch] of [...acts.iterBatches(size)].entries()) {
          const { values, shape } = await chain(batch).realize(gpu());
          expect(shape).toEqual([values.length, 1]);
          parts.push(...values);
          if (size > 1 && i > 0) continue;
          const saved = await chain(batch).save(gpu(), `memory:acts-batches/${size}.${i}.${at}`);
          expect(await valuesOf(saved)).toEqual([...values]);
        }
        expect(parts).toEqual(await valuesOf(chain(acts)));
      }
    });
  }

  it("the same whichever side the padding is on, and padding never counts", async () => {
    const right = collect(Float32Array.of(1, 2, 99, 4, 98, 97), {
      ...{ dims: "bsh", shape: [2, 3, 1], attentionMask: [1, 1, 0, 1, 0, 0] },
      detectionMask: [1, 1, 1, 1, 1, 1],
    });
    const left = collect(Float32Array.of(99, 1, 2, 98, 97, 4), {
      ...{ dims: "bsh", shape: [2, 3, 1], attentionMask: [0, 1, 1, 0, 0, 1] },
    });
    for (const [, chain] of CHAINS) {
      expect(await valuesOf(chain(left))).toEqual(await valuesOf(chain(right)));
    }
    expect(await valuesOf(left.meanPool())).toEqual([1.5, 4]);
    const scored = collect(Float32Array.of(99, 1, 2, 98, 97, 4), {
      ...{ dims: "bsh", shape: [2, 3, 1], attentionMask: [0, 1, 1, 0, 0, 1] },
      detectionMask: [1, 0, 1, 1, 1, 1],
    });
    expect(await valuesOf(scored.meanPool())).toEqual([2, 4]);
    expect(await valuesOf(left.select("s", 0))).toEqual([1, 4]);
    expect(await valuesOf(left.select("s", -2))).toEqual([1, 0]);
  });

  it("tokens that are not detected are tokens all the same, where there is no attention mask", async () => {
    const acts = collect(Float32Array.of(5, 1, 2), {
      ...{ dims: "bsh", shape: [1, 3, 1], detectionMask: [0, 1, 0] },
    });
    expect(await valuesOf(acts.select("s", 0))).toEqual([5]);
    expect(await valuesOf(acts.select("s", -1))).toEqual([1]);
    expect([...(await acts.realize(gpu())).values]).toEqual([5, 1, 2]);
  });

  it("in f32 of halves of both kinds: 4,096 ones have the mean 1", async () => {
    const ones = new Float32Array(4096).fill(1);
    for (
      const [dtype, bits] of [["bfloat16", encodeBfloat16(ones)], [
        "float16",
        encodeFloat16(ones),
      ]] as const
    ) {
      const acts = collect(bits, { dims: "bsh", shape: [4096, 1], offsets: [0, 4096], dtype });
      expect(await valuesOf(acts.meanPool())).toEqual([1]);
      expect(await valuesOf(acts.sumPool())).toEqual([4096]);
    }
  });

  it("a large token at the beginning is no less than others, and -inf stays the largest of nothing else", async () => {
    expect(await valuesOf(samplesOf([[1000, 1, 1, 2]]).meanPool())).toEqual([251]);
    const acts = samplesOf([[-Infinity, -Infinity], [-Infinity, 3]]);
    const pooled = await acts.maxPool().realize(gpu());
    expect([...pooled.values]).toEqual([-Infinity, 3]);
    expect(pooled.infinities).toEqual([3]);
  });

  it("over layers before tokens or after, flattened, and cast where it is said", async () => {
    const acts = collect({ 0: Float32Array.of(1, 5), 3: Float32Array.of(4, 2) }, {
      ...{ dims: "blsh", shape: [2, 1], offsets: [0, 2] },
    });
    expect(await valuesOf(acts.maxPool("l").meanPool())).toEqual([4.5]);
    expect(await valuesOf(acts.meanPool().maxPool("l"))).toEqual([3]);
    expect(await valuesOf(acts.maxPool().sumPool("l"))).toEqual([9]);
    expect(await valuesOf(acts.flatten().maxPool())).toEqual([5, 4]);
    expect(await valuesOf(acts.selectLayers([3, 0]).flatten().lastPool())).toEqual([2, 5]);
    const fine = samplesOf([[1.001, 1.002]]);
    // 1 + 1/128 is the next bfloat16
    expect(await valuesOf(fine.cast("bfloat16").sumPool())).toEqual([2]);
    const after = await fine.sumPool().cast("bfloat16").realize(gpu());
    expect([after.dtype, ...after.values]).toEqual(["bfloat16", 0x4000]);
  });

  it("layers of one array that lie side by side are those of an array each", async () => {
    const all = Float32Array.from({ length: 2 * 3 * 4 * 2 }, (_, i) => i * i % 31);
    const padded = collect(all, {
      ...{ dims: "blsh", shape: [2, 3, 4, 2], attentionMask: new Uint8Array(8).fill(1) },
    });
    const each = Object.fromEntries([0, 1, 2].map((layer) => [
      layer,
      Float32Array.from(
        { length: 16 },
        (_, i) => all[(Math.floor(i / 8) * 3 + layer) * 8 + i % 8]!,
      ),
    ]));
    const apart = collect(each, {
      ...{ dims: "blsh", shape: [2, 4, 2], attentionMask: new Uint8Array(8).fill(1) },
    });
    expect(await valuesOf(padded.meanPool())).toEqual(await valuesOf(apart.meanPool()));
    expect(await valuesOf(padded.selectLayers(1))).toEqual([...each[1]!]);
  });
});

describe("activations are refused", () => {
  const good = { dims: "bsh", shape: [2, 3, 1], attentionMask: [1, 1, 1, 1, 1, 0] } as const;
  const six = new Float32Array(6);
  const { acts } = seededActs();
  const wrong: [string, () => unknown, RegExp][] = [
    [
      "a mask of another shape",
      () => collect(six, { ...good, attentionMask: [1, 1] }),
      /attentionMask has 2 elements, wanted 6, \[2, 3\]/,
    ],
    [
      "a mask of other numbers",
      () => collect(six, { ...good, attentionMask: [1, 1, 1, 1, 2, 0] }),
      /attentionMask\[4\] is 2, wanted 0 or 1/,
    ],
    [
      "padding that nobody told of",
      () => collect(six, { dims: "bsh", shape: [2, 3, 1] }),
      /nothing says which of the 3 tokens of a sample are padding/,
    ],
    [
      "offsets that fall",
      () => collect(six, { dims: "bsh", shape: [6, 1], offsets: [0, 4, 2, 6] }),
      /offset 2 is 2 after 4, wanted whole numbers that ascend/,
    ],
    [
      "offsets of other tokens",
      () => collect(six, { dims: "bsh", shape: [6, 1], offsets: [0, 5] }),
      /offsets go from 0 to 5, wanted from 0 to the 6 tokens/,
    ],
    [
      "16 bits of no known kind",
      () => collect(new Uint16Array(6), good),
      /which may be bits of bfloat16 or float16/,
    ],
    ["a model that runs", () => collect((() => {}) as never, good), /wanted collectLive\(\)/],
    ["whole numbers", () => collect(new Int32Array(6), good), /elements are int32, wanted float32/],
    [
      "an id that comes twice",
      () => collect(six, { ...good, ids: ["a", "a"] }),
      /the sample id "a" is of samples 0 and 1/,
    ],
    [
      "a missing layer",
      () => acts.selectLayers(3),
      /there is no layer 3, wanted some of 2, 5, 11 .*-1 is the embeddings/,
    ],
    [
      "a layer that was not chosen",
      () => acts.selectLayers([2]).selectLayers(5),
      /no layer 5, wanted some of 2 /,
    ],
    [
      "layers after they were pooled",
      () => acts.meanPool("l").selectLayers(2),
      /the layer axis|no layer axis/,
    ],
    [
      "layers after flatten",
      () => acts.flatten().selectLayers(2),
      /took the layer axis, wanted it earlier/,
    ],
    [
      "a pool after its axis is gone",
      () => acts.meanPool().maxPool(),
      /dims are blh, the token axis is gone by now, wanted one pool/,
    ],
    [
      "a pool of an axis that never was",
      () => collect(six, { dims: "bh", shape: [6, 1] }).meanPool(),
      /there is no token axis, wanted bsh or blsh/,
    ],
    [
      "samples that are not there",
      () => acts.sliceBatch([7]),
      /there is no sample 7, wanted some of 0 to 6/,
    ],
    ["the last of layers", () => acts.lastPool("l" as "s"), /wanted "s", or selectLayers/],
    ["a device", () => acts.to("cuda" as "float32"), /wanted a type: bfloat16, float16, float32/],
    [
      "features that are yet to be pooled",
      () => acts.selectLayers(2).meanPool().features(),
      /yet to be pooled on a device, wanted realize/,
    ],
    [
      "features of several layers",
      () => acts.lastPool().features(),
      /dims are blh, wanted bh: selectLayers/,
    ],
    ["a weight of 0", () => acts.ema({ alpha: 0 }), /alpha is 0, wanted a number above 0 to 1/],
  ];
  for (const [what, call, message] of wrong) {
    it(`with ${what}`, () => expect(call).toThrow(message));
  }

  it("where no token of any sample is detected, before anything is read", async () => {
    const none = samplesOf([[1], [2]], [[0], [0]]);
    await expect(none.meanPool().realize(gpu())).rejects.toThrow(
      /of 2 samples none has a detected token/,
    );
  });

  for (const tileRows of [2, 100]) {
    it(`where a token that counts is NaN, or infinite in a mean, by its name, in tiles of ${tileRows}`, async () => {
      const values = new Float32Array(20).fill(1);
      const at = (bad: number) =>
        collect({ 4: values, 7: values.with(13, bad) }, {
          ...{ dims: "blsh", shape: [10, 2], offsets: [0, 3, 3, 10], ids: ["a", "b", "c"] },
        });
      const where = String.raw`sample 2 \("c"\), token 3, layer 7, channel 1 is`;
      for (
        const chain of [
          at(NaN).meanPool(),
          at(NaN).maxPool(),
          at(NaN).rolling(),
          at(NaN).flatten().ema(),
        ]
      ) {
        await expect(chain.realize(gpu(), { tileRows })).rejects.toThrow(
          new RegExp(`Cannot pool tokens: ${where} NaN`),
        );
      }
      await expect(at(Infinity).sumPool().realize(gpu(), { tileRows })).rejects.toThrow(
        new RegExp(`${where} infinite`),
      );
      await expect(at(NaN).select("s", 3).realize(gpu())).rejects.toThrow(new RegExp(where));
      // 2e38 has no place in a half
      await expect(at(2e38).cast("float16").meanPool().realize(gpu())).rejects.toThrow(
        new RegExp(`Cannot cast activations: ${where}.*which float16 does not hold`),
      );
    });
  }

  it("where layers that are pooled are no numbers, or add up to none", async () => {
    const layers = (first: number[], second: number[]) => ({
      0: Float32Array.from(first),
      1: Float32Array.from(second),
    });
    const rows = (first: number[], second: number[]) =>
      collect(layers(first, second), { dims: "blh", shape: [first.length / 2, 2] });
    const lost = rows([0, 0, 0, 3e38], [0, 0, 0, 3e38]).sumPool("l");
    await expect(lost.realize(gpu())).rejects.toThrow(
      "Cannot pool layers: sample 1, layer 0, channel 1 is 6.0000000109955115e+38 as the sum over layers",
    );
    for (const [first, second] of [[NaN, 1], [Infinity, 1], [Infinity, -Infinity]] as const) {
      const mean = rows([0, first], [0, second]).meanPool("l");
      await expect(mean.realize(gpu())).rejects.toThrow("sample 0, layer 0, channel 1 is");
    }
    const largest = await rows([0, Infinity], [0, 1]).maxPool("l").realize(gpu());
    expect([...largest.values]).toEqual([0, Infinity]);
    const tokens = (first: number[], second: number[]) =>
      collect(layers(first, second), { dims: "blsh", shape: [2, 1], offsets: [0, 2] });
    await expect(tokens([3e38, 0], [3e38, 0]).sumPool("l").maxPool().realize(gpu()))
      .rejects.toThrow("sample 0, token 0, layer 0, channel 0 is");
    await expect(tokens([Infinity, 0], [1, 0]).maxPool().meanPool("l").realize(gpu()))
      .rejects.toThrow("Cannot pool layers: a channel of sample 0 is Infinity");
  });

  it("where a value that is lost after layers were pooled, by its own sample", async () => {
    const wide = { 0: Float32Array.of(0, 0, 0, 7e4), 1: Float32Array.of(0, 0, 0, 7e4) };
    const acts = collect(wide, { dims: "blh", shape: [2, 2] }).meanPool("l").cast("float16");
    await expect(acts.realize(gpu())).rejects.toThrow(
      "Cannot cast activations: sample 1, layer 0, channel 1 is 70000",
    );
  });

  it("where a mask has null, which is no 0", () => {
    expect(() =>
      collect(Float32Array.of(1, 2), {
        ...{ dims: "bsh", shape: [1, 2, 1] },
        attentionMask: [1, null] as unknown as number[],
      })
    ).toThrow("attentionMask[1] is null, wanted 0 or 1");
  });

  it("where they would take the place of what they are read from", async () => {
    const { acts } = seededActs();
    const place = "memory:acts-own-place";
    await acts.save(gpu(), place);
    const stored = new Acts(await openActsSource(place));
    for (const own of [stored, stored.sliceBatch([0, 2]).cat(stored.sliceBatch([3]))]) {
      await expect(own.meanPool().save(gpu(), place, { overwrite: true })).rejects.toThrow(
        `Cannot write to ${place}: ${place} is read, wanted a place that neither is nor holds it`,
      );
    }
    expect((await stored.realize(gpu())).values.length).toBeGreaterThan(0);
  });

  it("where a sum is beyond f32", async () => {
    const acts = samplesOf([[1], [3e38, 3e38]]);
    await expect(acts.sumPool().realize(gpu())).rejects.toThrow(/the sum of sample 1 is beyond/);
    // which a mean is not
    expect(await valuesOf(acts.maxPool())).toEqual([1, Math.fround(3e38)]);
  });
});

describe("activations are lazy", () => {
  const counting = (array: ChunkedArray) => {
    const reads: [number, number][] = [];
    const read: ChunkedArray["read"] = (start, end, options) => {
      reads.push([start, end]);
      return array.read(start, end, options);
    };
    const { values: _, ...rest } = array;
    return { reads, array: { ...rest, read, chunkRows: 10 } };
  };

  it("and only chosen layers, samples and tokens are asked of arrays", async () => {
    const [two, five] = [0, 1].map((layer) =>
      counting(fromTypedArray(Float32Array.from({ length: 60 }, (_, i) => layer + i), [60, 1]))
    );
    const acts = collect({ 2: two!.array, 5: five!.array }, {
      ...{ dims: "blsh", offsets: [0, 20, 40, 60] },
    });
    const chain = acts.selectLayers(5).sliceBatch([2]).select("s", 1);
    expect(chain.explain()).toContain("layers 5: only these are asked of the source");
    expect([two!.reads, five!.reads]).toEqual([[], []]);
    expect(await valuesOf(chain)).toEqual([42]);
    expect([two!.reads, five!.reads]).toEqual([[], [[41, 42]]]);
    expect(chain.reading()).toEqual({ needed: 4, forced: 4 });
    expect(acts.bytesRead).toBe(4);
  });

  it("and tokens before the first detected one, or after the last, are not read", async () => {
    const { reads, array } = counting(fromTypedArray(new Float32Array(40), [40, 1]));
    const detectionMask = Uint8Array.from({ length: 40 }, (_, i) => i >= 12 && i < 15 ? 1 : 0);
    const acts = collect(array, { dims: "bsh", offsets: [0, 40], detectionMask });
    await acts.meanPool().realize(gpu());
    expect(reads).toEqual([[12, 15]]);
    // windows that end later have fewer tokens, and another mean
    await acts.rolling({ window: 3 }).realize(gpu());
    expect(reads[1]).toEqual([12, 17]);
  });

  it("and say the same whenever they are asked", () => {
    const { acts } = seededActs();
    const chain = () => acts.meanPool().selectLayers([11, 2]).sliceBatch(1, 5);
    expect(chain().explain()).toBe(chain().explain());
    // which way round it is said changes nothing but the words
    const other = acts.sliceBatch(1, 5).selectLayers([11, 2]).meanPool();
    expect(other.reading()).toEqual(chain().reading());
  });

  it("and made by their old names, too", async () => {
    const values = Float32Array.from({ length: 24 }, (_, i) => i);
    const layers = { 0: values, 1: values.map((value) => -value) };
    const choices = { dims: "blsh", shape: [12, 2], offsets: [0, 5, 12] } as const;
    const [old, own] = [collectActivations(layers, choices), collect(layers, choices)];
    expect(await valuesOf(old.select({ layer: 1 }).meanPool())).toEqual([-4, -5, -16, -17]);
    expect(old.select({ layer: [1, 0] }).explain()).toBe(own.selectLayers([1, 0]).explain());
    const place = "memory:acts by old names";
    await own.save(gpu(), place);
    const stored = await loadActivations(place);
    expect(await valuesOf(stored)).toEqual(await valuesOf(own));
    await stored.close();
  });

  it("and 671 GB add up, under a budget of 2 GiB, before anything is there", () => {
    const absent = (): ChunkedArray => ({
      ...{ shape: [10_000, 512, 4096], dtype: "uint16", dims: undefined, chunkRows: 1 },
      read: () => Promise.reject(new Error("nothing is to be read")),
      close: () => Promise.resolve(),
    });
    const acts = collect(Object.fromEntries(Array.from({ length: 16 }, (_, i) => [i, absent()])), {
      ...{ dims: "blsh", dtype: "bfloat16" },
      attentionMask: new Uint8Array(10_000 * 512).fill(1),
    });
    const bytes = 10_000 * 16 * 512 * 4096 * 2;
    const pooled = acts.meanPool();
    expect(pooled.reading()).toEqual({ needed: bytes, forced: bytes });
    const told = pooled.explain(gpu());
    expect(told).toContain(`(${bytes} B)`);
    expect(told).toContain(`makes blh: 10000 rows x 16 layers x 4096 channels of float32`);
    expect(pooled.selectLayers(3).reading().needed).toBe(bytes / 16);
  });

  it("and rows are read when they are asked for, as features or as tokens of samples", async () => {
    const { acts, layers, offsets, hidden, detected } = seededActs();
    const { rows, offsets: own, detected: mask } = acts.selectLayers(5).sliceBatch([4, 1, 0])
      .tokens();
    expect([...own]).toEqual([0, 64, 64, 69]);
    expect(rows.shape).toEqual([69, hidden]);
    const at = offsets[4]! * hidden;
    expect(await rows.read(1, 3)).toEqual(layers[5].slice(at + hidden, at + 3 * hidden));
    expect([...mask!]).toEqual([
      ...detected.subarray(offsets[4], offsets[5]),
      ...detected.subarray(0, 5),
    ]);
    const features = acts.selectLayers(2).select("s", -1).features();
    expect(features.shape).toEqual([7, hidden]);
    const wanted = await acts.selectLayers(2).lastPool().realize(gpu());
    expect(await features.read(0, 7)).toEqual(wanted.values);
    const tokens = acts.flatten().extractTokens();
    const extracted = await tokens.realize(gpu());
    expect(extracted.shape).toEqual([detected.reduce((sum, own) => sum + own, 0), 3 * hidden]);
    expect(await tokens.features().read(0, extracted.shape[0]!)).toEqual(extracted.values);
  });

  it("and join, unless they differ or a sample comes twice", async () => {
    const { acts } = seededActs();
    const [a, b] = [acts.sliceBatch(0, 3), acts.sliceBatch(3, 7)];
    const joined = a.cat(b);
    expect(joined.ids).toEqual(acts.ids);
    expect(await valuesOf(joined.meanPool())).toEqual(await valuesOf(acts.meanPool()));
    expect(await valuesOf(a.maxPool().cat(b.maxPool()))).toEqual(await valuesOf(acts.maxPool()));
    expect(() => acts.cat(b)).toThrow(/the sample id "text 3" is in .*, wanted every id once/);
    expect(() => a.selectLayers([2]).cat(b)).toThrow(/layers is 2,5,11 in/);
    expect(() => a.cat(b.meanPool())).toThrow(/differs from that of the first, wanted the same/);
    const other = collect(new Float32Array(1), { dims: "bh", shape: [1, 1], hookPoint: "mlp_out" });
    const own = collect(new Float32Array(1), {
      dims: "bh",
      shape: [1, 1],
      hookPoint: "resid_post",
    });
    expect(() => own.cat(other)).toThrow(/hook point is mlp_out in .*resid_post/);
  });
});

describe("activations are stored", () => {
  it("with an array for each layer, and are what they were when they are opened", async () => {
    const { acts, ids } = seededActs();
    const place = "memory:acts stored as they are";
    const stored = await acts.cast("bfloat16").save(gpu(), place, { tileRows: 50 });
    expect(stored).toMatchObject({ dims: "blsh", dtype: "bfloat16", samples: 7, ids });
    expect(stored.layers).toEqual([2, 5, 11]);
    expect(stored.facts).toEqual({ producer: "a seed", hookPoint: "resid_post" });
    expect(await valuesOf(stored)).toEqual(await valuesOf(acts.cast("bfloat16")));
    expect(await valuesOf(stored.meanPool())).toEqual(
      await valuesOf(acts.cast("bfloat16").meanPool()),
    );
    const { attributes } = { attributes: await storedAttributes(place) };
    expect(attributes).toMatchObject({
      ...{ format: "sluice.acts", format_version: 1, complete: true },
      acts: { dims: "blsh", dtype: "bfloat16", layers: [2, 5, 11], hook_point: "resid_post" },
    });
    const layer = await openArray(`${place}/layer_5`);
    expect(layer.shape).toEqual([203, 7]);
    await layer.close();
    await stored.close();
  });

  it("pooled, and found again by what they are made of, masks among it", async () => {
    const { acts } = seededActs();
    const folder = "memory:acts cached";
    const first = await acts.meanPool().cache(gpu(), folder);
    const read = acts.bytesRead;
    const again = await acts.meanPool().cache(gpu(), folder);
    expect(acts.bytesRead).toBe(read);
    expect(await valuesOf(again)).toEqual(await valuesOf(first));
    expect([...await again.selectLayers(11).features().read(0, 7) as Float32Array]).toEqual(
      await valuesOf(acts.selectLayers(11).meanPool()),
    );
    // bits of another kind, and the same bytes laid out in another way, are other activations
    const bits = Uint16Array.of(0x3f80, 0x4000, 0x4040, 0x4080);
    const sumsOf = async (dtype: "bfloat16" | "float16") => {
      const own = collect(bits, { dims: "bsh", shape: [4, 1], offsets: [0, 4], dtype });
      return await valuesOf(await own.sumPool().cache(gpu(), folder));
    };
    expect(await sumsOf("bfloat16")).toEqual([10]);
    expect(await sumsOf("float16")).not.toEqual([10]);
    const four = Float32Array.of(1, 2, 3, 4);
    const side = collect(four, { dims: "blsh", shape: [2, 2, 1], offsets: [0, 2] });
    const padded = collect(four, { dims: "blsh", shape: [1, 2, 2, 1], attentionMask: [1, 1] });
    expect(await valuesOf(await side.sumPool().cache(gpu(), folder))).toEqual([4, 6]);
    expect(await valuesOf(await padded.sumPool().cache(gpu(), folder))).toEqual([3, 7]);
    const samples = [[1, 2], [3, 4]];
    const masked = async (mask: number[][]) =>
      await valuesOf(await samplesOf(samples, mask).sumPool().cache(gpu(), folder));
    expect(await masked([[1, 1], [1, 1]])).toEqual([3, 7]);
    expect(await masked([[1, 1], [1, 0]])).toEqual([3, 3]);
    for (const [mask, sum] of [[[1, 1, 1], 6], [[1, 0, 1], 4]] as const) {
      const own = samplesOf([[1, 2, 3]], [[...mask]]).sumPool();
      expect(await valuesOf(await own.cache(gpu(), folder))).toEqual([sum]);
    }
    expect(await valuesOf(await samplesOf([[1, 2], [3, 5]]).sumPool().cache(gpu(), folder)))
      .toEqual([3, 8]);
  });

  it("and refused where they are not finished, of another kind, or of a newer version", async () => {
    await expect(openActsSource("memory:no acts")).rejects.toThrow(/no result is stored there/);
  });
});
