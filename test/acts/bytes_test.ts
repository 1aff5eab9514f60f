/** Bytes that stores were asked for, counted where they are given: what explain() promises is what is read. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collect } from "../../src/acts/collect.ts";
import { load } from "../../src/acts/load.ts";
import { chosenRows } from "../../src/feed/chosen.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu();
const PLACE = "memory:acts-bytes-test/sixteen layers";
const [SAMPLES, TOKENS, HIDDEN, LAYERS] = [512, 64, 64, 16];
const NEEDED = SAMPLES * TOKENS * HIDDEN * 2;

/** Bytes by the first folder of their keys. */
let given: Map<string, number> | undefined;
const { get, getRange } = MemoryStore.prototype;

beforeAll(async () => {
  const values = new Uint16Array(SAMPLES * TOKENS * HIDDEN).fill(0x3f80);
  const layers = Object.fromEntries(Array.from({ length: LAYERS }, (_, layer) => [layer, values]));
  const offsets = Array.from({ length: SAMPLES + 1 }, (_, i) => i * TOKENS);
  const shape = [SAMPLES * TOKENS, HIDDEN];
  await collect(layers, { dims: "blsh", shape, offsets, dtype: "bfloat16" }).save(gpu(), PLACE);
  const count = (store: MemoryStore, key: string, bytes: Uint8Array | undefined) => {
    const path = `${store.place}${key}`.split("sixteen layers")[1]?.split("/")[1] ?? "";
    given?.set(path, (given.get(path) ?? 0) + (bytes?.byteLength ?? 0));
    return bytes;
  };
  MemoryStore.prototype.get = async function (key, ...rest) {
    return count(this, key, await get.call(this, key, ...rest));
  };
  MemoryStore.prototype.getRange = async function (key, ...rest) {
    return count(this, key, await getRange.call(this, key, ...rest));
  };
});
afterAll(() => {
  Object.assign(MemoryStore.prototype, { get, getRange });
});

async function counted(work: () => Promise<unknown>): Promise<Map<string, number>> {
  given = new Map();
  await work();
  const all = given;
  given = undefined;
  return all;
}

const layersOf = (all: Map<string, number>) =>
  [...all].filter(([name, bytes]) => /^layer_/.test(name) && bytes > 10_000).map(([name]) => name);

describe("of stored activations", () => {
  for (const tileRows of [4096, 700]) {
    it(`one layer of 16 costs at most 1.05 times its bytes, opening among it, in tiles of ${tileRows}`, async () => {
      const all = await counted(async () => {
        const acts = await load(PLACE);
        const pooled = acts.selectLayers(5).meanPool();
        expect(pooled.reading().needed).toBe(NEEDED);
        const { values } = await pooled.realize(gpu(), { tileRows });
        expect(values.every((value) => value === 1)).toBe(true);
        expect(acts.bytesRead).toBe(pooled.reading().forced);
        await acts.close();
      });
      expect(layersOf(all)).toEqual(["layer_5"]);
      const total = [...all.values()].reduce((sum, bytes) => sum + bytes, 0);
      expect(total / NEEDED).toBeLessThan(1.05);
      expect(all.get("layer_5")! / NEEDED).toBeLessThan(1.01);
    });
  }

  it("a sweep reads every layer once, and one at a time", async () => {
    const acts = await load(PLACE);
    const seen: string[] = [];
    for (const { acts: one } of acts.meanPool().iterLayers()) {
      seen.push(...layersOf(await counted(() => one.realize(gpu()))));
    }
    expect(seen).toEqual(acts.layers!.map((layer) => `layer_${layer}`));
    expect(acts.bytesRead).toBe(LAYERS * NEEDED);
    await acts.close();
  });

  it("cached means cost their own bytes, and no token is read", async () => {
    const acts = await load(PLACE);
    await acts.meanPool().cache(gpu(), "memory:acts-bytes-test/caches");
    const all = await counted(async () => {
      const pooled = await acts.meanPool().cache(gpu(), "memory:acts-bytes-test/caches");
      for (const { acts: one } of pooled.iterLayers()) await one.features().read(0, SAMPLES);
      expect(pooled.bytesRead).toBe(LAYERS * SAMPLES * HIDDEN * 4);
    });
    expect(layersOf(all)).toEqual([]);
    await acts.close();
  });

  it("samples that are chosen of them cost every chunk once, and the counter says so", async () => {
    const acts = await load(PLACE);
    const folder = "memory:acts-bytes-test/of sixteen layers/pooled";
    const pooled = await acts.selectLayers([5]).meanPool().save(gpu(), folder);
    const chosen = Array.from({ length: SAMPLES }, (_, i) => i).filter((i) => i % 5 !== 1);
    const all = await counted(async () => {
      const own = chosenRows(pooled.selectLayers(5).features(), chosen);
      for (let row = 0; row < chosen.length; row += 100) {
        await own.read(row, Math.min(chosen.length, row + 100));
      }
    });
    const needed = SAMPLES * HIDDEN * 4;
    expect(pooled.bytesRead).toBe(needed);
    expect(all.get("pooled")!).toBeLessThan(1.1 * needed);
    await acts.close();
  });
});
