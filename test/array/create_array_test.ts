import { describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import type { CreateArrayOptions } from "../../src/array/create_array.ts";
import { createArray, createArrayOptions, openWriter } from "../../src/array/create_array.ts";
import { KMeans } from "../../src/mod.ts";
import type { NumericArray } from "../../src/types.ts";
import { readZarrLayout } from "../../src/zarr/zarr_array.ts";
import { openZarrArray } from "../../src/zarr/zarr_array.ts";
import { openStore } from "../../src/store/open_store.ts";
import { ForgetfulStore, PowerCutError } from "../support/forgetful_store.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu();
const WIDTH = 3;
const OPTIONS: CreateArrayOptions = {
  ...{ shape: [Infinity, WIDTH], dtype: "float32", dims: ["frame", "feature"], chunks: 8 },
  attributes: { units: "cm" },
};
const rowsFrom = (start: number, count: number) =>
  Float32Array.from({ length: count * WIDTH }, (_, i) => start * WIDTH + i);

async function stored(place: string): Promise<NumericArray> {
  const array = await openArray(place);
  try {
    return await readAll(array);
  } finally {
    await array.close();
  }
}

describe("createArray()", () => {
  it("stores appends of any length, each whole when it resolves", async () => {
    for (const codec of ["none", "zstd", "gzip"] as const) {
      const place = `memory:created/${codec}.zarr/embeddings`;
      const writer = await createArray(place, { ...OPTIONS, codec });
      let rows = 0;
      for (const count of [1, 6, 1, 8, 0, 17, 3, 16]) {
        await writer.append(rowsFrom(rows, count));
        rows += count;
        expect(writer.rows).toBe(rows);
        expect(await stored(place)).toEqual(rowsFrom(0, rows));
      }
      await writer.close();
      const store = await openStore(`memory:created/${codec}.zarr`);
      const { attributes, dims, shape } = await readZarrLayout(store, "/embeddings");
      expect({ attributes, dims, shape }).toEqual({
        ...{ attributes: { units: "cm" }, dims: ["frame", "feature"], shape: [52, WIDTH] },
      });
      await store.close();
    }
  });

  it("goes on where it was left, and tells the row", async () => {
    const place = "memory:created/resumed.zarr";
    for (let rows = 0; rows < 60; rows += 13) {
      const writer = await createArray(place, OPTIONS);
      expect(writer.rows).toBe(rows);
      await writer.append(rowsFrom(rows, 13));
      await writer.close();
    }
    expect(await stored(place)).toEqual(rowsFrom(0, 65));
    const anew = await createArray(place, { ...OPTIONS, overwrite: true });
    expect(anew.rows).toBe(0);
    await anew.append(rowsFrom(7, 2));
    await anew.close();
    expect(await stored(place)).toEqual(rowsFrom(7, 2));
  });

  it("takes every type of element", async () => {
    const values: Partial<Record<CreateArrayOptions["dtype"], NumericArray>> = {
      ...{
        bool: Uint8Array.of(0, 1, 1),
        int8: Int8Array.of(-1, 2, 3),
        uint8: Uint8Array.of(9, 8, 7),
      },
      ...{ int16: Int16Array.of(-300, 2, 3), uint16: Uint16Array.of(60_000, 2, 3) },
      ...{ int32: Int32Array.of(-70_000, 2, 3), uint32: Uint32Array.of(4e9, 2, 3) },
      ...{ int64: BigInt64Array.of(-5n, 2n, 3n), uint64: BigUint64Array.of(2n ** 63n, 2n, 3n) },
      ...{ float16: Float32Array.of(0.5, 2, -3), float32: Float32Array.of(0.1, 2, -3) },
      float64: Float64Array.of(0.1, 2, -3),
    };
    for (const [name, own] of Object.entries(values)) {
      const dtype = name as CreateArrayOptions["dtype"];
      const place = `memory:created/types/${name}.zarr`;
      for (const part of [own.subarray(0, 2), own.subarray(2)]) {
        const writer = await createArray(place, { shape: [3], dtype, dims: ["row"], chunks: 2 });
        await writer.append(part);
        await writer.close();
      }
      expect([name, await stored(place)]).toEqual([name, own]);
    }
  });

  it("takes appends that nobody waits for in their order, and the first failure stays its own", async () => {
    const place = "memory:created/order.zarr";
    const writer = await createArray(place, { ...OPTIONS, shape: [10, WIDTH] });
    const said = await Promise.allSettled([
      writer.append(rowsFrom(0, 4)),
      writer.append(rowsFrom(4, 9)),
      writer.append(rowsFrom(4, 6)),
    ]);
    expect(said.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    await writer.close();
    expect(await stored(place)).toEqual(rowsFrom(0, 10));
  });

  it("refuses what does not belong to it, by both numbers, and keeps what is there", async () => {
    const place = "memory:created/refused.zarr";
    const writer = await createArray(place, { ...OPTIONS, shape: [5, WIDTH] });
    await expect(writer.append(new Float32Array(4))).rejects.toThrow(
      `Cannot append to "${place}": got 4 elements, wanted a multiple of 3`,
    );
    await expect(writer.append(new Float64Array(3))).rejects.toThrow(/Float64Array, float32 wants/);
    await expect(writer.append(rowsFrom(0, 6))).rejects.toThrow(
      "it has 0 rows and gets 6, wanted at most 5 in all",
    );
    await expect(createArray(place, OPTIONS)).rejects.toThrow(/Cannot lock|in use|another/i);
    await writer.append(rowsFrom(0, 2));
    await writer.close();
    await expect(writer.append(rowsFrom(0, 1))).rejects.toThrow("it is closed");
    const others: Partial<CreateArrayOptions>[] = [
      { dtype: "float64" },
      { dims: ["a", "b"] },
      { chunks: 9 },
      { codec: "zstd" },
      { attributes: { units: "m" } },
      { shape: [9, 4] },
    ];
    for (const other of others) {
      await expect(createArray(place, { ...OPTIONS, ...other })).rejects.toThrow(
        "another array is there, of shape [2, 3], wanted one of the same type",
      );
    }
    await expect(createArray(place, { ...OPTIONS, shape: [1, WIDTH] })).rejects.toThrow(
      "it has 2 rows, wanted at most 1",
    );
    await expect(createArray("memory:a.zarr", { ...OPTIONS, dims: ["a"] })).rejects.toThrow(
      "its shape [Infinity, 3] has 2 axes, its dims are a, wanted a name for each",
    );
    expect(await stored(place)).toEqual(rowsFrom(0, 2));
  });

  it("writes nothing into a result, whose readers would not see it", async () => {
    const points = await createArray("memory:created/points.zarr", OPTIONS);
    await points.append(rowsFrom(0, 20));
    await points.close();
    const rows = await openArray("memory:created/points.zarr");
    const out = "memory:created/fit.zarr";
    await (await new KMeans({ k: 2, inits: 1 }).fit(gpu(), rows, { out }).run() as {
      close(): Promise<void>;
    }).close();
    await rows.close();
    await expect(createArray(`${out}/more`, OPTIONS)).rejects.toThrow(
      "the group lists its arrays, centroids, distances, ids; wanted a place of its own",
    );
  });

  it("takes the place of no group and no array that it cannot go on with, nor one within an array", async () => {
    const folder = "memory:created/others";
    for (const name of ["g.zarr/x", "line.zarr"]) {
      const writer = await createArray(`${folder}/${name}`, {
        ...{ shape: [Infinity], dtype: "bool", dims: ["row"], chunks: 2 },
      });
      await expect(writer.append(Uint8Array.of(0, 2))).rejects.toThrow(
        "element 1 is 2, bool has 0 and 1 alone",
      );
      await writer.append(Uint8Array.of(1, 0, 1));
      await writer.close();
    }
    const store = await openStore(folder, { mode: "write" });
    await store.set("/old/.zarray", new TextEncoder().encode("{}"));
    await store.set("/old/0.0", Uint8Array.of(1));
    await store.set("/mine/0", Uint8Array.of(1));
    for (const overwrite of [false, true]) {
      await expect(createArray(`${folder}/g.zarr`, { ...OPTIONS, overwrite })).rejects.toThrow(
        "a group is there",
      );
      // its chunks are called so
      await expect(createArray(`${folder}/line.zarr/c`, { ...OPTIONS, overwrite })).rejects.toThrow(
        "the folder it lies in is an array",
      );
    }
    await expect(createArray(`${folder}/old`, OPTIONS)).rejects.toThrow(
      "an array of zarr version 2 is there, wanted one of version 3, or overwrite",
    );
    await (await createArray(`${folder}/mine`, OPTIONS)).close();
    expect(await store.get("/old/0.0")).toEqual(Uint8Array.of(1));
    expect(await store.get("/mine/0")).toEqual(Uint8Array.of(1));
    for (const name of ["g.zarr/x", "line.zarr"]) {
      expect(await stored(`${folder}/${name}`)).toEqual(Uint8Array.of(1, 0, 1));
    }
    await (await createArray(`${folder}/old`, { ...OPTIONS, overwrite: true })).close();
    expect(await store.get("/old/0.0")).toBeUndefined();
    await store.close();
  });

  it("has all rows of appends that resolved after a power cut at any moment, and goes on", async () => {
    const own = createArrayOptions.check(OPTIONS);
    const open = (store: ForgetfulStore) =>
      openWriter(store, "memory:cut", "rows", own, () => Promise.resolve());
    const parts = [5, 1, 12, 8];
    let cuts = 0;
    for (let cutAt = 1;; cutAt++, cuts++) {
      const store = new ForgetfulStore(new Map(), cutAt);
      let [said, tried] = [0, 0];
      const failure = await (async () => {
        const writer = await open(store);
        for (const count of parts) {
          tried = said + count;
          await writer.append(rowsFrom(said, count));
          said += count;
        }
        await writer.close();
      })().then(() => undefined, (error) => error);
      if (failure !== undefined && !(failure instanceof PowerCutError)) throw failure;
      for (const seed of [1, 2, 3]) {
        const left = store.cutPower(seed);
        const writer = await open(left);
        expect([said, tried]).toContain(writer.rows);
        const rest = 26 - writer.rows;
        await writer.append(rowsFrom(writer.rows, rest));
        await writer.close();
        const array = await openZarrArray(left, "/rows");
        expect(await array.read(0, 26)).toEqual(rowsFrom(0, 26));
      }
      if (failure === undefined) break;
    }
    expect(cuts).toBeGreaterThan(8);
  });
});
