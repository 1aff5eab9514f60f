import { describe, expect, it } from "vitest";
import { BudgetError, LedgerError } from "../../src/errors.ts";
import { bufferBytes, Ledger } from "../../src/gpu/ledger.ts";
import { BufferUsage } from "../../src/gpu/usage.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu();

/** A ledger with a budget of 1000 bytes of each kind. */
const ledger = () =>
  new Ledger(() => gpu().device, { gpu: 1000, host: 1000 }, () => gpu().throwIfFailed());

describe("an account", () => {
  it("takes no more host or disk bytes than were promised, and says by how many", () => {
    for (const kind of ["host", "disk"] as const) {
      const account = ledger().open("decode", { gpu: 0, host: 0, disk: 0, [kind]: 100 });
      account.take(kind, 60, "rows");
      account.take(kind, 40, "more rows");
      expect(() => account.take(kind, 1, "one row")).toThrow(LedgerError);
      expect(() => account.take(kind, 1, "one row")).toThrow(
        `"decode" promised 100 B of ${kind} memory and holds 100 B; "one row" would add 1 B`,
      );
      account.giveBack(kind, 100);
      expect([account.live[kind], account.peak[kind]]).toEqual([0, 100]);
      account.take(kind, 10, "a few rows");
      expect([account.live[kind], account.peak[kind]]).toEqual([10, 100]);
      account.giveBack(kind, 10);
      account.close();
    }
  });

  it("makes no buffer beyond its promise, and none of those asked for with it", async () => {
    const account = ledger().open("decode", { gpu: 64, host: 0, disk: 0 });
    const usage = BufferUsage.STORAGE;
    const wanted = [{ label: "a", bytes: 60, usage }, { label: "b", bytes: 8, usage }];
    await expect(account.createBuffers(wanted)).rejects.toThrow(
      '"decode" promised 64 B of gpu memory and holds 60 B; "b" would add 8 B',
    );
    expect(account.live.gpu).toBe(0);
    const [buffer] = await account.createBuffers([{ label: "c", bytes: 61, usage }]);
    expect([account.live.gpu, account.peak.gpu]).toEqual([64, 64]);
    account.destroyBuffer(buffer!);
    account.destroyBuffer(buffer!);
    expect(account.live.gpu).toBe(0);
    account.close();
  });

  it("counts for all accounts of its device, now and at most", () => {
    const own = ledger();
    const accounts = ["decode", "fit"].map((name) =>
      own.open(name, { gpu: 0, host: 100, disk: 0 })
    );
    accounts[0]!.take("host", 60, "rows");
    accounts[1]!.take("host", 30, "rows");
    expect([own.live.host, own.peak.host]).toEqual([90, 90]);
    accounts[0]!.giveBack("host", 60);
    accounts[0]!.close();
    expect([own.live.host, own.peak.host, own.reserved.host]).toEqual([30, 90, 100]);
    accounts[1]!.abandon();
    expect([own.live.host, own.peak.host, own.reserved.host]).toEqual([0, 90, 0]);
  });

  it("says what leaked, of the host as of the device", async () => {
    const own = ledger();
    const account = own.open("decode", { gpu: 64, host: 100, disk: 50 });
    account.take("disk", 50, "result");
    account.take("host", 30, "rows");
    expect(() => account.close()).toThrow(
      '"decode" leaked 0 B of GPU memory (no buffers) and 30 B of host memory',
    );
    const other = own.open("fit", { gpu: 64, host: 0, disk: 0 });
    await other.createBuffers([{ label: "points", bytes: 16, usage: BufferUsage.STORAGE }]);
    expect(() => other.close()).toThrow(
      '"fit" leaked 16 B of GPU memory (points) and 0 B of host memory',
    );
    // what was written stays, and everything promised is free again
    expect(own.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });
  });

  it("may be abandoned with what it holds, once", async () => {
    const own = ledger();
    const account = own.open("decode", { gpu: 64, host: 100, disk: 0 });
    account.take("host", 100, "rows");
    await account.createBuffers([{ label: "points", bytes: 16, usage: BufferUsage.STORAGE }]);
    account.abandon();
    account.close();
    expect(own.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });
  });
});

describe("a budget", () => {
  it("is shared by accounts that are open, for device and host each", () => {
    for (const kind of ["gpu", "host"] as const) {
      const own = ledger();
      const promise = (bytes: number) => ({ gpu: 0, host: 0, disk: 0, [kind]: bytes });
      const first = own.open("first", promise(600));
      const error = (() => {
        try {
          own.open("second", promise(401));
        } catch (error) {
          return error;
        }
      })();
      expect(error).toBeInstanceOf(BudgetError);
      expect(error).toMatchObject({
        projectedBytes: 401,
        budgetBytes: 1000,
        smallestBudgetBytes: 1001,
      });
      const second = own.open("second", promise(400));
      first.close();
      own.open("third", promise(600)).close();
      second.close();
      expect(own.reserved[kind]).toBe(0);
    }
  });

  it("is not for the disk", () => {
    ledger().open("decode", { gpu: 0, host: 0, disk: 1e9 }).close();
  });
});

it("buffers are multiples of 4 bytes, and none is empty", () => {
  expect([0, 1, 4, 5, 8].map(bufferBytes)).toEqual([4, 4, 4, 8, 8]);
});
