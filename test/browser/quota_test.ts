/** Decodes into a private file system that has too little room, or runs out of it. */

import { describe, expect, it } from "vitest";
import { cdp } from "vitest/browser";
import { QuotaError } from "../../src/errors.ts";
import { contFrag, sortedSpikes } from "../../src/hmm/decoder.ts";
import { Journal } from "../../src/store/journal.ts";
import { openStore } from "../../src/store/open_store.ts";
import { useGpu } from "../support/gpu.ts";
import { smallRecording } from "../support/recordings.ts";

const gpu = useGpu();

const decoder = sortedSpikes({
  ...smallRecording(),
  states: contFrag({ movementVar: 4 }),
  binSize: 3,
  positionStd: 3,
});

const plan = (out: string) =>
  decoder.smooth(gpu(), {
    time: { step: 0.02 },
    causal: true,
    chunkRows: 16,
    shardChunks: 4,
    tileRows: 48,
    out,
  });

/** What a run that must fail fails with. */
async function quotaErrorOf(run: Promise<unknown>): Promise<QuotaError> {
  const error = await run.then(() => undefined, (error) => error);
  expect(error).toBeInstanceOf(QuotaError);
  return error;
}

async function entriesOfRoot(): Promise<string[]> {
  const root = await navigator.storage.getDirectory();
  const names: string[] = [];
  for await (const name of root.keys()) names.push(name);
  return names.sort();
}

/** Every file of a store, by key. */
async function contents(place: string): Promise<Map<string, Uint8Array>> {
  const store = await openStore(place);
  const files = new Map<string, Uint8Array>();
  for (const key of await store.list("/")) files.set(key, (await store.get(key))!);
  await store.close();
  return files;
}

async function deleteAll(place: string): Promise<void> {
  const store = await openStore(place);
  await store.deleteAll();
  await store.close();
}

/** Sets what the browser allows this site, from what it holds now on; nothing for its own rule. */
async function setRoom(bytes?: number): Promise<void> {
  const browser = cdp() as { send(method: string, options: object): Promise<unknown> };
  const { usage = 0 } = await navigator.storage.estimate();
  await browser.send("Storage.overrideQuotaForOrigin", {
    origin: location.origin,
    ...(bytes !== undefined && { quotaSize: usage + bytes }),
  });
}

describe("a browser's storage", () => {
  it("that is too small is refused before any work, with both numbers", async () => {
    const before = await entriesOfRoot();
    const small = plan(`opfs:quota_test-${crypto.randomUUID()}`);
    navigator.storage.estimate = () => Promise.resolve({ quota: 5000, usage: 1000 });
    try {
      const { message, neededBytes, availableBytes } = await quotaErrorOf(small.run());
      expect(neededBytes).toBe(small.projected.disk);
      expect(availableBytes).toBe(4000);
      for (const bytes of [neededBytes, availableBytes]) expect(message).toContain(`(${bytes} B)`);
    } finally {
      // the one of the prototype is there again
      delete (navigator.storage as Partial<StorageManager>).estimate;
    }
    expect(await entriesOfRoot()).toEqual(before);
  });

  it("that runs out is told with the file, and the run goes on when there is room", async () => {
    const out = `opfs:quota_test-${crypto.randomUUID()}`;
    const append = Journal.prototype.append;
    let steps = 0;
    Journal.prototype.append = async function (entry) {
      await append.call(this, entry);
      if (++steps === 2) await setRoom(1);
    };
    try {
      const { message, neededBytes, availableBytes } = await quotaErrorOf(plan(out).run());
      expect(message).toContain(`Cannot write "${out}`);
      expect(neededBytes).toBeGreaterThan(0);
      // what the browser had set aside for open files, a MiB each, may be free again by now
      expect(availableBytes).toBeLessThan(4 * 2 ** 20);
    } finally {
      Journal.prototype.append = append;
      await setRoom();
    }
    expect(gpu().ledger.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });
    const result = await plan(out).run();
    expect(result.resumed).toBeDefined();
    await result.close();
    const whole = "memory:quota_test";
    await (await plan(whole).run()).close();
    expect(await contents(out)).toEqual(await contents(whole));
    await deleteAll(out);
  });
});
