import { describe, expect, it } from "vitest";
import { ChunkError } from "../../src/errors.ts";
import { Journal, openJournal } from "../../src/store/journal.ts";
import { openStore } from "../../src/store/store.ts";

describe("a journal", () => {
  it("lies beside its output and gives back what it was told", async () => {
    const journal = await openJournal("memory:journal_test/out.zarr");
    expect(journal.place).toBe("memory:journal_test/out.zarr.journal");
    expect(await journal.readState()).toBeUndefined();
    expect(await journal.loadCheckpoint(0)).toBeUndefined();

    const values = Float32Array.of(0.5, -1, 1e-30);
    await journal.saveCheckpoint(3, values);
    await journal.writeState({ rows: 7 });
    expect(await journal.loadCheckpoint(3)).toEqual(values);
    expect(values).toEqual(Float32Array.of(0.5, -1, 1e-30));
    expect(await journal.readState()).toEqual({ rows: 7 });

    await journal.deleteAll();
    expect(await journal.loadCheckpoint(3)).toBeUndefined();
    expect(await journal.readState()).toBeUndefined();
  });

  it("takes the bytes it says for a checkpoint", async () => {
    const journal = await openJournal("memory:journal_test/size");
    await journal.saveCheckpoint(0, new Float32Array(5).subarray(1));
    const store = await openStore(journal.place);
    const [key] = await store.list("/");
    expect(await store.size(key!)).toBe(Journal.checkpointBytes(4));
  });

  it("does not give back a checkpoint with a flipped bit, or one cut short", async () => {
    const journal = await openJournal("memory:journal_test/damaged");
    const store = await openStore(journal.place);
    await journal.saveCheckpoint(1, Float32Array.of(1, 2, 3));
    const [key] = await store.list("/");
    const bytes = (await store.get(key!))!;
    for (let bit = 0; bit < bytes.length * 8; bit += 5) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      await store.set(key!, damaged);
      await expect(journal.loadCheckpoint(1)).rejects.toThrow(/is damaged, its checksum/);
    }
    for (const length of [0, 3, 8, 13]) {
      await store.set(key!, bytes.slice(0, length));
      await expect(journal.loadCheckpoint(1)).rejects.toThrow(ChunkError);
    }
  });

  it("says so when its state is cut short", async () => {
    const journal = await openJournal("memory:journal_test/state");
    await journal.writeState({ rows: 7 });
    const store = await openStore(journal.place);
    await store.set("/state.json", (await store.get("/state.json"))!.slice(0, 9));
    await expect(journal.readState()).rejects.toThrow(/its 9 bytes are not JSON/);
  });
});
