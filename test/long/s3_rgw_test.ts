import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { partialKey } from "../../src/store/place.ts";
import { S3Store } from "../../src/store/s3.ts";
import { S3Client } from "../../src/store/s3_client.ts";
import { runtime } from "../support/runtime.ts";
import { describeStoreModel, expectBytes } from "../store/store_model.ts";

const PORT = 18_080;
const settings = {
  ...{ endpoint: `http://127.0.0.1:${PORT}`, region: "us-east-1" },
  keys: { accessKeyId: "AKID", secretAccessKey: "SECRET" },
};
const LEASES = { lastsMs: 4000, renewMs: 300 };

/** Why there is no Ceph. */
function missing(): string | undefined {
  if (runtime === "chromium") return "browsers start no servers";
  if (process.getuid?.() !== 0) return "Ceph is started as root alone";
  try {
    for (const program of ["radosgw", "ceph-mon", "ceph-osd"]) execFileSync("which", [program]);
  } catch {
    return "radosgw, ceph-mon and ceph-osd are not installed";
  }
  return undefined;
}

const why = missing();
const folder = why === undefined ? mkdtempSync(join(tmpdir(), "sluice-rgw-")) : "";
let opened = 0;
const fresh = (leases = LEASES) =>
  S3Store.open(`bucket/fresh/${opened++}.zarr`, { settings, leases });

describe("a bucket of Ceph", () => {
  if (why !== undefined) {
    it("is a store", (context) => context.skip(why));
    return;
  }

  beforeAll(async () => {
    await promisify(execFile)("test/support/rgw_up.sh", [folder, String(PORT)]);
    Object.assign(process.env, {
      ...{ AWS_ACCESS_KEY_ID: "AKID", AWS_SECRET_ACCESS_KEY: "SECRET" },
      AWS_ENDPOINT_URL: settings.endpoint,
    });
    // an object without a name is the bucket
    await (await S3Client.open("bucket", settings)).put("", new Uint8Array(0));
  }, 600_000);

  afterAll(() => {
    const pids = readFileSync(join(folder, "pids"), "utf8").trim().split("\n");
    for (const pid of pids) process.kill(Number(pid), "SIGKILL");
    rmSync(folder, { recursive: true });
  });

  describe("as any other", () => {
    describeStoreModel("S3", () => fresh(), { runs: 10 });
  });

  it("joins what grew in pieces, and lists more than a page", async () => {
    const store = await fresh();
    await store.checkWritable();
    const appender = await store.append("/x");
    const MIB = 2 ** 20;
    const sizes = [3, 300_000, 1, 6 * MIB, 2 * MIB, 2 * MIB, 2 * MIB, 9 * MIB, 7];
    const whole = new Uint8Array(sizes.reduce((sum, size) => sum + size)).map((_, i) => i % 251);
    let at = 0;
    for (const size of sizes) await appender.append(whole.subarray(at, at += size));
    await appender.finish();
    expectBytes(await store.get("/x"), whole);
    expect(await store.size(partialKey("/x"))).toBeUndefined();
    for (let i = 0; i < 1100; i += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, j) => {
        return store.set(`/many/${i + j}`, new Uint8Array(1));
      }));
    }
    expect(await store.list("/many")).toHaveLength(1100);
  });

  it("renews a lock for longer than it lasts", async () => {
    const store = await fresh();
    const unlock = await store.lock("/lock");
    await new Promise((resolve) => setTimeout(resolve, 2 * LEASES.lastsMs));
    await expect(store.lock("/lock")).rejects.toThrow(/is at work there/);
    await store.set("/x", new Uint8Array(1));
    await unlock();
    expect(await store.list("/")).toEqual(["/x"]);
  });
});
