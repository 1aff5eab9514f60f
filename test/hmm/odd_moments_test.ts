import { describe, expect, it } from "vitest";
import { StoredOutput } from "../../src/stream/stored_output.ts";
import { openResult } from "../../src/hmm/decode_result.ts";
import { Journal, openJournal } from "../../src/store/journal.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { openStore } from "../../src/store/open_store.ts";
import { useGpu } from "../support/gpu.ts";
import { checkStored, hashesOf, smallDecode } from "../support/interrupted_decode.ts";

const gpu = useGpu();

let places = 0;
const place = () => `memory:odd-moments-test-${places++}`;

const decode = async (out: string, options = {}) => {
  const result = await smallDecode(gpu(), out, options).run();
  await result.close();
  return result;
};

async function finished(): Promise<string> {
  const out = place();
  await decode(out);
  return out;
}

/** Decodes until a method is called for the how many-th time, which then fails instead. */
async function stoppedAt<Name extends string>(
  out: string,
  prototype: { [name in Name]: (...args: never[]) => Promise<unknown> },
  method: Name,
  call = 1,
  options = {},
): Promise<void> {
  const original = prototype[method];
  let calls = 0;
  prototype[method] = function (this: unknown, ...args: never[]) {
    if (++calls >= call) return Promise.reject(new Error("stopped"));
    return original.apply(this, args);
  } as typeof original;
  try {
    await expect(smallDecode(gpu(), out, options).run()).rejects.toThrow("stopped");
  } finally {
    prototype[method] = original;
  }
}

describe("a decode that was stopped", () => {
  it("after its last tile is finished by the next run, which computes nothing", async () => {
    const out = place();
    await stoppedAt(out, StoredOutput.prototype, "finish");
    const { write } = StoredOutput.prototype;
    let computed = 0;
    StoredOutput.prototype.write = function (...args) {
      computed++;
      return write.apply(this, args);
    };
    try {
      expect((await decode(out)).resumed).toMatchObject({ pass: "smooth", row: 0 });
    } finally {
      StoredOutput.prototype.write = write;
    }
    expect(computed).toBe(0);
    expect(await hashesOf(out)).toEqual(await hashesOf(await finished()));
  });

  it("before its journal is cleared has it cleared by the next run", async () => {
    const out = place();
    // the first call begins it
    await stoppedAt(out, Journal.prototype, "clear", 2);
    const journal = await openJournal(out);
    expect(await journal.isEmpty()).toBe(false);
    expect((await decode(out)).resumed).toBeUndefined();
    expect(await journal.isEmpty()).toBe(true);
    await journal.close();
  });

  it("between any two of its first writes is no decode yet, or one whose coordinates are right", async () => {
    const whole = await finished();
    let opened = 0;
    for (let write = 1;; write += 3) {
      const out = place();
      const { set } = MemoryStore.prototype;
      let writes = 0;
      let stopped = false;
      MemoryStore.prototype.set = function (key, ...rest) {
        // the first state tells that the first writes are over
        stopped ||= ++writes >= write && !key.startsWith("/state");
        if (stopped) return Promise.reject(new Error("stopped"));
        if (key.startsWith("/state")) writes = -Infinity;
        return set.call(this, key, ...rest);
      };
      let error: unknown;
      try {
        await decode(out);
      } catch (thrown) {
        error = thrown;
      } finally {
        MemoryStore.prototype.set = set;
      }
      if (!error) break;
      expect((error as Error).message).toMatch("stopped");
      if (await checkStored(out, whole) !== undefined) opened++;
      if (write % 4 === 1) await decode(out);
    }
    // the group is the last of them
    expect(opened).toBe(0);
  });

  it("while it began again is begun once more by the next run", async () => {
    const out = place();
    const { set } = MemoryStore.prototype;
    let writes = 0;
    MemoryStore.prototype.set = function (key, ...rest) {
      // coordinates are there then, and the group is not
      if (this.place === out && ++writes === 4) return Promise.reject(new Error("stopped"));
      return set.call(this, key, ...rest);
    };
    try {
      await expect(decode(out)).rejects.toThrow("stopped");
    } finally {
      MemoryStore.prototype.set = set;
    }
    const { deleteAll } = MemoryStore.prototype;
    for (const removed of ["/log", "/state"]) {
      MemoryStore.prototype.deleteAll = function (prefix) {
        return prefix === removed
          ? Promise.reject(new Error("stopped"))
          : deleteAll.call(this, prefix);
      };
      try {
        await expect(decode(out)).rejects.toThrow("stopped");
      } finally {
        MemoryStore.prototype.deleteAll = deleteAll;
      }
    }
    await decode(out);
    expect(await hashesOf(out)).toEqual(await hashesOf(await finished()));
  });

  it("while it removed what it overwrites is not taken for finished", async () => {
    const out = await finished();
    const { deleteAll } = MemoryStore.prototype;
    MemoryStore.prototype.deleteAll = async function (prefix) {
      if (this.place !== out) return await deleteAll.call(this, prefix);
      await deleteAll.call(this, "/acausal_posterior");
      throw new Error("stopped");
    };
    try {
      await expect(decode(out, { overwrite: true })).rejects.toThrow("stopped");
    } finally {
      MemoryStore.prototype.deleteAll = deleteAll;
    }
    await expect(openResult(out)).rejects.toThrow(/the decode has not finished, run it again/);
    expect((await (await openStore(out)).list("/")).length).toBeGreaterThan(0);
    await decode(out);
    expect(await hashesOf(out)).toEqual(await hashesOf(await finished()));
  });
});
