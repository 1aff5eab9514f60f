import { Buffer } from "node:buffer";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { ChunkError, OutputConflictError, StoreError } from "../../src/errors.ts";
import { fromTypedArray, openArray } from "../../src/array/array.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { partialKey } from "../../src/store/place.ts";
import { openStore } from "../../src/store/open_store.ts";
import { S3Store } from "../../src/store/s3.ts";
import { S3Client, s3Settings } from "../../src/store/s3_client.ts";
import { cases } from "../support/tier.ts";
import { checkStore } from "../../src/zarr/check.ts";
import { blobs } from "../support/blobs.ts";
import { useGpu } from "../support/gpu.ts";
import { useEveryState } from "../support/kept_states.ts";
import { contents } from "../support/small_decode.ts";
import { startS3Server } from "../support/s3_server.ts";
import { expectBytes } from "../store/store_model.ts";
import { describeStoreModel } from "../store/store_model.ts";
import { describeStore } from "../store/store_suite.ts";

const server = await startS3Server();
const variables = {
  AWS_ACCESS_KEY_ID: server.settings.keys!.accessKeyId,
  AWS_SECRET_ACCESS_KEY: server.settings.keys!.secretAccessKey,
  AWS_REGION: server.settings.region,
  AWS_ENDPOINT_URL: server.settings.endpoint!,
};
Object.assign(process.env, variables);

const bytes = (...values: number[]) => Uint8Array.from(values);
const PATIENCE = { attempts: 3, backOffMs: 1, mostWaitMs: 1000, silenceMs: 20_000 };
let folders = 0;
const fresh = (options = {}) =>
  S3Store.open(`bucket/fresh/${folders++}.zarr`, { patience: PATIENCE, ...options });

afterAll(async () => {
  for (const name of Object.keys(variables)) delete process.env[name];
  await server.close();
});

describeStore("S3", "s3://bucket/suite/nested.zarr");
describeStoreModel("S3", async () => await fresh(), { runs: cases(4, 20) });

describe("a store in a bucket", () => {
  afterEach(() => {
    server.fault = () => undefined;
    server.dropsQuotes = false;
  });

  it("leaves nothing behind where it was only opened", async () => {
    const before = server.objects.size;
    const store = await openStore("s3://bucket/opened.zarr", { mode: "write" });
    await store.close();
    expect(server.objects.size).toBe(before);
  });

  it("joins what grew in many pieces, of any sizes, through parts of an upload", async () => {
    const store = await fresh();
    const appender = await store.append("/x");
    const MIB = 2 ** 20;
    const sizes = [3, 300_000, 1, 6 * MIB, 2 * MIB, 2 * MIB, 2 * MIB, 9 * MIB, 7];
    const whole = Buffer.alloc(sizes.reduce((sum, size) => sum + size));
    for (let i = 0; i < whole.length; i++) whole[i] = i % 251;
    let at = 0;
    for (const size of sizes) await appender.append(whole.subarray(at, at += size));
    const part = await store.getRange(partialKey("/x"), { offset: 299_990, length: 40 });
    expectBytes(part, whole.subarray(299_990, 300_030));
    await appender.finish();
    expectBytes(await store.get("/x"), whole);
    expect(await store.size(partialKey("/x"))).toBeUndefined();
  });

  it("has few objects for a log of many entries", async () => {
    const store = await fresh();
    const appender = await store.append("/log");
    for (let i = 0; i < 50; i++) await appender.append(new Uint8Array(10).fill(i));
    await appender.close();
    const names = [...server.objects.keys()].filter((name) => name.includes("/log.partial/"));
    expect(names).toHaveLength(1);
    expect(await store.size(partialKey("/log"))).toBe(500);
  });

  it("takes nothing that lies behind a gap", async () => {
    const store = await fresh();
    const appender = await store.append("/x");
    for (let i = 0; i < 3; i++) await appender.append(new Uint8Array(300_000).fill(i));
    await appender.close();
    const folder = `${store.place.slice("s3://".length)}/x.partial/`;
    const pieces = () =>
      [...server.objects.keys()].filter((name) => name.startsWith(folder)).sort();
    expect(pieces()).toHaveLength(3);
    const client = await S3Client.open("bucket", server.settings);
    await client.delete(pieces()[1]!.slice("bucket/".length));
    expect(await store.size(partialKey("/x"))).toBe(300_000);
    const again = await store.append("/x", { keep: 300_000 });
    await again.append(bytes(7));
    await again.finish();
    expect(await store.size("/x")).toBe(300_001);
    expect(pieces()).toEqual([]);
  });

  it("asks again while the server has trouble, also while another writes the same", async () => {
    const store = await fresh();
    let left = 2;
    server.fault = () => left-- > 0 ? { answer: [left ? 503 : 409, "SlowDown"] } : undefined;
    await store.set("/x", bytes(1, 2));
    expect(await store.get("/x")).toEqual(bytes(1, 2));
  });

  it("names what the server said, and what was written", async () => {
    const store = await fresh();
    server.fault = (_, method) => method === "PUT" ? { answer: [403, "AccessDenied"] } : undefined;
    const setting = store.set("/x", bytes(1));
    await expect(setting).rejects.toThrow(StoreError);
    await expect(setting).rejects.toThrow(
      /Cannot write "http:.*\/bucket\/fresh\/\d+\.zarr\/x": the server answered 403 Forbidden \(AccessDenied: it was so\)/,
    );
    server.fault = () => ({ answer: [500, "InternalError"] });
    await expect(store.get("/x")).rejects.toThrow(ChunkError);
  });

  it("notices what a server did not join, though it said 200", async () => {
    const store = await fresh();
    const appender = await store.append("/x");
    for (let i = 0; i < 3; i++) await appender.append(new Uint8Array(6 * 2 ** 20));
    let posts = 0;
    server.fault = (_, method) =>
      method === "POST" && posts++ === 1 ? { answer: [200, "InternalError"] } : undefined;
    await expect(appender.finish()).rejects.toThrow(/the server answered InternalError: it was so/);
    expect(await store.get("/x")).toBeUndefined();
  });

  it("sees who asks nothing signed, and that keys are wrong", async () => {
    const unsigned = await fresh({ settings: { ...server.settings, keys: undefined } });
    await expect(unsigned.set("/x", bytes(1))).rejects.toThrow(
      /was not signed, as AWS_ACCESS_KEY_ID/,
    );
    const keys = { accessKeyId: "AKID", secretAccessKey: "other" };
    const wrong = await fresh({ settings: { ...server.settings, keys } });
    await expect(wrong.set("/x", bytes(1))).rejects.toThrow(/SignatureDoesNotMatch/);
  });

  it("is refused to writers where the server heeds no conditions", async () => {
    await (await fresh()).checkWritable();
    const careless = await startS3Server();
    careless.heedsConditions = false;
    const other = await fresh({ settings: careless.settings });
    await expect(other.checkWritable()).rejects.toThrow(/wanted one that heeds If-None-Match/);
    expect(careless.objects.size).toBe(0);
    await careless.close();
  });

  it("keeps its lock though the answer to its request was lost", async () => {
    const store = await fresh();
    let first = true;
    server.fault = (name, method) => {
      if (method !== "PUT" || !name.endsWith("/lock") || !first) return undefined;
      first = false;
      return { lost: true };
    };
    const unlock = await store.lock("/lock");
    await expect(store.lock("/lock")).rejects.toThrow(OutputConflictError);
    await unlock();
    expect(await store.list("/")).toEqual([]);
  });

  it.each([false, true])(
    "renews its lock while it is held, and takes over one that nobody renews; tags without quotes: %s",
    async (dropsQuotes) => {
      server.dropsQuotes = dropsQuotes;
      const leases = { lastsMs: 60_000, renewMs: 5 };
      const place = `bucket/leases/${folders++}.zarr`;
      const sleepy = await S3Store.open(place, {
        ...{ settings: server.settings, patience: PATIENCE },
        leases: { ...leases, renewMs: 100_000_000 },
      });
      await sleepy.lock("/lock");
      const other = await S3Store.open(place, { settings: server.settings, leases });
      await expect(other.lock("/lock")).rejects.toThrow(
        /process \d+ on .* is at work there; if it is gone, its lock ends in (60|59) s/,
      );
      server.pass(61_000);
      const unlock = await other.lock("/lock");
      // the clock goes on, and the lock is renewed all the while
      const renewals = () =>
        server.asked.filter((request) => request === `PUT ${place}/lock`).length;
      const before = renewals();
      while (renewals() < before + 3) await new Promise((resolve) => setTimeout(resolve, 5));
      server.pass(61_000);
      const after = renewals();
      while (renewals() < after + 2) await new Promise((resolve) => setTimeout(resolve, 5));
      await expect(sleepy.lock("/lock")).rejects.toThrow(OutputConflictError);
      await unlock();
      expect(await other.list("/")).toEqual([]);
    },
  );

  it("writes nothing any more once its lock was taken over", async () => {
    const place = `bucket/leases/${folders++}.zarr`;
    const options = { settings: server.settings, patience: PATIENCE };
    const slow = await S3Store.open(place, {
      ...options,
      leases: { lastsMs: 60_000, renewMs: 30 },
    });
    const appender = await slow.append("/log");
    const unlock = await slow.lock("/lock");
    // to whom every lease has ended
    const other = await S3Store.open(place, { ...options, leases: { lastsMs: 0, renewMs: 30 } });
    const unlockOther = await other.lock("/lock");
    const writing = async () => {
      for (;;) {
        await slow.set("/x", bytes(1));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    await expect(writing()).rejects.toThrow(/was not renewed for more than 60 s, and process \d+/);
    await expect(appender.append(bytes(1))).rejects.toThrow(StoreError);
    await unlock();
    expect(await other.list("/")).toContain("/lock");
    await unlockOther();
    expect(await other.list("/")).not.toContain("/lock");
  });

  it("is where arrays are opened", async () => {
    const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }".padEnd(117) + "\n";
    const npy = new Uint8Array(128 + 8);
    npy.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0]);
    npy.set(new TextEncoder().encode(header), 10);
    npy.set(new Uint8Array(Float32Array.of(3, 4).buffer), 128);
    const store = await openStore("s3://bucket/arrays", { mode: "write" });
    await store.set("/x.npy", npy);
    const array = await openArray("s3://bucket/arrays/x.npy");
    expect(array.shape).toEqual([2, 1]);
    await array.close();
  });
});

describe("a result in a bucket", () => {
  const gpu = useGpu();
  useEveryState();
  // distances are in chunks of 16,384 rows
  const [rows, features, k] = [20_000, 2, 64];
  const { points: values } = blobs({ rows, features, blobs: k, spread: 0.3 });
  const points = fromTypedArray(values, [rows, features]);
  const predict = (out: string, tileRows: number) => {
    const model = KMeans.from(values.slice(0, k * features), { k });
    return model.predict(gpu(), points, { out, tileRows, topK: k, temperature: 0.5 });
  };

  it("is the same as elsewhere, also when its run was interrupted", async () => {
    const wanted = "memory:s3-test/wanted.zarr";
    await (await predict(wanted, 4096).run()).close();
    const out = `s3://bucket/results/${folders++}.zarr`;
    const cancel = new AbortController();
    let lines = 0;
    server.fault = (name, method) => {
      // the log is begun empty, and tells of chunks once they are there
      const isLog = method === "PUT" && name.includes(".journal/log/");
      if (isLog && lines++ === 9) cancel.abort(new Error("interrupted"));
      return undefined;
    };
    const interrupted = predict(out, 2048).run({ signal: cancel.signal });
    await expect(interrupted).rejects.toThrow("interrupted");
    server.fault = () => undefined;
    const stored = await predict(out, 1024).run();
    expect(stored.resumed).toBeDefined();
    await stored.close();
    expect(await contents(out)).toEqual(await contents(wanted));
    const left = [...server.objects.keys()].filter((name) => name.includes(".journal"));
    expect(left).toEqual([]);
    expect(await checkStore(out)).toMatchObject({ state: "whole" });
  });
});

describe("the environment", () => {
  it("says who asks and where", () => {
    expect(s3Settings({})).toEqual({ endpoint: undefined, region: "us-east-1" });
    const some = {
      ...{ AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b", AWS_SESSION_TOKEN: "c" },
      ...{ AWS_DEFAULT_REGION: "eu-north-1", AWS_ENDPOINT_URL: "http://h" },
    };
    expect(s3Settings(some)).toEqual({
      ...{ endpoint: "http://h", region: "eu-north-1" },
      keys: { accessKeyId: "a", secretAccessKey: "b", sessionToken: "c" },
    });
  });

  it("is refused where it names half of what is needed", () => {
    const wanted = "wanted AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    expect(() => s3Settings({ AWS_ACCESS_KEY_ID: "a" })).toThrow(wanted);
    expect(() => s3Settings({ AWS_SECRET_ACCESS_KEY: "a" })).toThrow(wanted);
    expect(() => s3Settings({ AWS_PROFILE: "lab" })).toThrow(/files with profiles are not read/);
    expect(() => s3Settings({ AWS_ENDPOINT_URL: "host:9000" })).toThrow(/wanted an address/);
  });

  it("is not asked about what names no bucket", async () => {
    await expect(openStore("s3:x")).rejects.toThrow(/names no bucket, wanted s3:\/\/bucket/);
  });
});
