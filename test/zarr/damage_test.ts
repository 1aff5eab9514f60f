import { describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { openStore } from "../../src/store/open_store.ts";
import { checkStore } from "../../src/zarr/check.ts";
import { damageStores, describeDamages } from "../support/damaged_stores.ts";
import { useGpu } from "../support/gpu.ts";
import { smallPlan } from "../support/small_decode.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu();
const DAMAGES = cases(12, 200);

describe("a result that is damaged", () => {
  it("is found by a check, and never read as other values or names", async () => {
    const counts = await damageStores(gpu(), DAMAGES, 1);
    console.log(describeDamages(counts));
    const { tried } = counts;
    expect(Object.values(tried).reduce((sum, count) => sum + count)).toBe(DAMAGES);
    expect(counts.refused).toBeGreaterThan(0);
    expect(counts.right).toBeGreaterThan(0);
  });

  it("is found where two shards of a length, or two chunks, have changed places", async () => {
    for (const [shardChunks, zarrFormat] of [[2, 3], [1, 3], [1, 2]] as const) {
      const place = `memory:damage_test/${shardChunks} ${zarrFormat}.zarr`;
      const options = { causal: false, lanes: 1, chunkRows: 32, shardChunks, zarrFormat } as const;
      await (await smallPlan(gpu(), place, options).run()).close();
      const store = await openStore(place);
      const keyOf = (file: number) =>
        `/acausal_posterior/${zarrFormat === 3 ? `c/${file}/0` : `${file}.0`}`;
      const [first, second] = await Promise.all([0, 1].map((file) => store.get(keyOf(file))));
      expect(first!.byteLength).toBe(second!.byteLength);
      await store.set(keyOf(0), second!);
      await store.set(keyOf(1), first!);
      const { state, arrays } = await checkStore(place);
      expect(state).toBe("damaged");
      expect(arrays.flatMap(({ damaged }) => damaged.map(({ path }) => path)))
        .toEqual([0, 1].map((file) => place + keyOf(file)));
      const array = await openArray(`${place}/acausal_posterior`);
      await expect(readAll(array)).rejects.toThrow(/not as it was stored, see what sluice check/);
      await array.close();
    }
  });
});
