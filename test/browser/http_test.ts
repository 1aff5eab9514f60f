/** Reading from servers, good and bad ones, as pages do: browsers follow redirects and decompress by themselves. */

import { describe, expect, it } from "vitest";
import { ChunkError } from "../../src/errors.ts";
import type { HttpOptions } from "../../src/store/http.ts";
import { HttpStore } from "../../src/store/http.ts";
import { PATIENCE } from "../../src/store/http_request.ts";

const value = Uint8Array.from({ length: 100 }, (_, i) => i);
const RANGE = { offset: 4, length: 3 };
const hasty = { ...PATIENCE, backOffMs: 1, mostWaitMs: 1500, silenceMs: 20_000, attempts: 3 };

/** A store that test/support/played_routes.ts plays, and what was asked of it. */
function play(kind: string, options: HttpOptions = {}) {
  const place = `${location.origin}/played/${kind}/${crypto.randomUUID()}`;
  return {
    store: new HttpStore(place, options, hasty),
    heard: async (): Promise<{ asked: string[]; abandoned: number }> =>
      await (await fetch(`${place}/heard`)).json(),
  };
}

async function refusalOf(read: Promise<unknown>): Promise<string> {
  const error = await read.then(() => undefined, (error) => error);
  expect(error).toBeInstanceOf(ChunkError);
  return error.message;
}

describe("a page reads a value of a server", () => {
  it.each(["good", "no-head", "s3", "near"])("%s", async (kind) => {
    const { store, heard } = play(kind);
    expect(await store.get("/x")).toEqual(value);
    expect(await store.size("/x")).toBe(100);
    expect(await store.getRange("/x", RANGE)).toEqual(value.subarray(4, 7));
    expect(await store.getRange("/x", { suffixLength: 2 })).toEqual(value.subarray(98));
    expect((await heard()).asked.filter((line) => !line.startsWith("GET"))).toEqual([]);
  });

  it("that knows no ranges, once", async () => {
    const { store, heard } = play("no-ranges");
    for (let offset = 0; offset < 20; offset++) {
      const part = await store.getRange("/x", { offset, length: 5 });
      expect(part).toEqual(value.subarray(offset, offset + 5));
    }
    expect(await store.size("/x")).toBe(100);
    expect((await heard()).asked).toHaveLength(1);
  });

  it.each(["busy", "dropping"])("that is %s at first, again", async (kind) => {
    const { store, heard } = play(kind);
    expect(await store.get("/x")).toEqual(value);
    expect((await heard()).asked.length).toBeGreaterThan(1);
  });

  it("that compresses it on the way, as it was", async () => {
    expect(await play("compressed").store.get("/x")).toEqual(value);
  });
});

describe("a page is refused", () => {
  it.each([
    ["another-range", /the server sent bytes 0 to 3, wanted 4 to 7/],
    ["no-content-range", /does not say which range it sent/],
    ["short-range", /the server sent 2 bytes, wanted 3, 3 times|did not answer, or not to the end/],
    // Chromium itself takes nothing compressed where a range was asked for
    ["compressed", /did not answer, or does not allow this page to read it, 3 times/],
    ["compressed-range", /in gzip, wanted its bytes|did not answer, or does not allow/],
    ["far", /sends us to [^ ]+, wanted .* allowHosts names/],
  ])("%s", async (kind, wanted) => {
    expect(await refusalOf(play(kind).store.getRange("/x", RANGE))).toMatch(wanted);
  });

  it("a chunk for which a server answers 403, unless it is said to be missing", async () => {
    expect(await refusalOf(play("s3").store.get("/x/c/0"))).toMatch(/403.*forbiddenIsMissing/);
    expect(await play("s3").store.get("/zarr.json")).toBeUndefined();
    expect(await play("s3", { forbiddenIsMissing: true }).store.get("/x/c/0")).toBeUndefined();
  });
});

it("an abort reaches a server that says nothing", async () => {
  const reason = new Error("enough");
  const cancel = new AbortController();
  const { store, heard } = play("silent");
  const read = store.get("/x", { signal: cancel.signal });
  while ((await heard()).asked.length === 0);
  cancel.abort(reason);
  await expect(read).rejects.toBe(reason);
  while ((await heard()).abandoned === 0);
});
