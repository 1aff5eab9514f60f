import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import type { Store } from "../../src/store/store.ts";
import { blobs } from "../support/blobs.ts";
import { ForgetfulStore, PowerCutError } from "../support/forgetful_store.ts";
import { useGpu } from "../support/gpu.ts";
import { smallPlan } from "../support/small_decode.ts";
import { cases } from "../support/tier.ts";

// other files of this worker have loaded the real one, and will want it
vi.hoisted(() => vi.resetModules());
afterAll(() => {
  vi.resetModules();
});

/** What `memory:` places are on. */
const disk = vi.hoisted(() => ({ now: undefined as unknown as ForgetfulStore }));

vi.mock("../../src/store/memory.ts", () => ({
  MemoryStore: class {
    constructor(name: string) {
      return folderOf(() => disk.now, `/${name}`, `memory:${name}`);
    }
  },
}));

/** A folder of a store, as a store of its own. */
function folderOf(store: () => ForgetfulStore, folder: string, place: string): Store {
  return {
    place,
    get: (key) => store().get(folder + key),
    getRange: (key, range) => store().getRange(folder + key, range),
    size: (key) => store().size(folder + key),
    set: (key, bytes) => store().set(folder + key, bytes),
    append: (key, options) => store().append(folder + key, options),
    lock: () => store().lock(),
    availableBytes: () => store().availableBytes(),
    delete: (key) => store().delete(folder + key),
    deleteAll: (prefix = "/", isOwn) =>
      store().deleteAll(folder + prefix, isOwn && ((key) => isOwn(key.slice(folder.length)))),
    list: async (prefix) =>
      (await store().list(folder + prefix)).map((key) => key.slice(folder.length)),
    close: () => store().close(),
  };
}

const gpu = useGpu();
beforeEach(() => {
  disk.now = new ForgetfulStore();
});

async function contents(): Promise<Record<string, Uint8Array>> {
  const keys = await disk.now.list("/");
  return Object.fromEntries(
    await Promise.all(keys.map(async (key) => [key, (await disk.now.get(key))!])),
  );
}

/** Calls that a cut has to be tried at. */
const TELLING = [
  /^set .*\/state\//,
  /^append .*log/,
  /^sync .*log/,
  /^sync .*posterior/,
  /^delete .*\/state\/.*\d$/,
  /^finish .*posterior/,
  /^set .*(centroids|ids).*\d$/,
  /^set .*[^/]\.zarr.zarr\.json$/,
];

/** The second call of each kind (of every other one, where it has to be quick), and what comes right behind a sync: counted from 1. */
function cutsOf(history: readonly string[]): number[] {
  return TELLING.filter((_, i) => i % cases(2, 1) === 0).flatMap((kind) => {
    const calls = [...history.keys()].filter((i) => kind.test(history[i]!));
    const cut = (calls[1] ?? calls[0] ?? -1) + 1;
    return cut === 0 ? [] : /^sync/.test(history[cut - 1]!) ? [cut, cut + 1] : [cut];
  });
}

/** Cuts a run off at calls of every kind, goes on, and looks for the same bytes. */
async function cutOff(run: () => Promise<{ resumed?: { damaged?: string } }>): Promise<void> {
  await run();
  const wanted = await contents();
  const { history } = disk.now;
  for (const cut of cutsOf(history)) {
    const what = `cut at ${cut} of ${history.length}: ${history[cut - 1]}`;
    disk.now = new ForgetfulStore(new Map(), cut);
    await expect(run(), what).rejects.toThrow(PowerCutError);
    disk.now = disk.now.cutPower(cut);
    const { resumed } = await run();
    // nothing that the log tells of is lost
    expect(resumed?.damaged, what).toBeUndefined();
    expect(await contents(), what).toEqual(wanted);
  }
}

describe("after a power cut at any moment", () => {
  it("a decode goes on to the same bytes", async () => {
    const options = { tileRows: 192, chunkRows: 64, shardChunks: 4, lanes: 1, causal: false };
    await cutOff(async () => {
      const result = await smallPlan(gpu(), "memory:a/decode.zarr", options).run();
      await result.close();
      return result;
    });
  });

  it("a fit goes on to the same bytes", async () => {
    const { points } = blobs({ rows: 300, features: 3, blobs: 4, spread: 0.3 });
    const rows = fromTypedArray(points, [300, 3]);
    await cutOff(() => {
      const model = new KMeans({ k: 4, seed: 2, inits: 2, maxIterations: 3 });
      return model.fit(gpu(), rows, { out: "memory:a/fit.zarr" }).run();
    });
  });
});
