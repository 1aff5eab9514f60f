import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, describe, expect, it } from "vitest";
import { OutputConflictError, StoreError } from "../../src/errors.ts";
import type { Holder } from "../../src/store/file_lock.ts";
import { isGone, thisProcess } from "../../src/store/file_lock.ts";
import { openStore } from "../../src/store/open_store.ts";
import { runtime } from "../support/runtime.ts";
import { cases } from "../support/tier.ts";

const folder = mkdtempSync(join(tmpdir(), `sluice-lock-${runtime}-`));
afterAll(() => rmSync(folder, { recursive: true }));

let places = 0;
const fresh = () => join(folder, `place-${places++}`);

const OUTERMOST = "pid:[4026531836]";
const holder: Holder = {
  host: "a",
  machine: "1",
  boot: "b",
  namespace: OUTERMOST,
  pid: 12,
  started: "100",
};
const own: Holder = { ...holder, pid: 13, started: "200" };
const container = { namespace: "pid:[4026532001]" };

describe("a process that holds a lock", () => {
  it("is gone when the same host, boot and namespace say so, and not before", () => {
    expect(isGone(holder, own, undefined)).toBe(true);
    // another process has its number by now
    expect(isGone(holder, own, { started: "150" })).toBe(true);
    expect(isGone(holder, own, { started: "100" })).toBe(false);
    // nobody may ask when it started
    expect(isGone(holder, own, { started: undefined })).toBe(false);
    for (
      const [theirs, ours] of [
        [{ host: "b" }, {}],
        [{ machine: "2" }, {}],
        [container, {}],
        [{}, container],
        [container, { namespace: "pid:[4026532002]" }],
        [{ boot: undefined }, {}],
        [{ namespace: undefined }, {}],
        // containers are given the same names on other machines
        [{ ...container, boot: "c" }, container],
        [{ boot: "c", machine: undefined }, { machine: undefined }],
      ] as const
    ) {
      const what = JSON.stringify([theirs, ours]);
      expect(isGone({ ...holder, ...theirs }, { ...own, ...ours }, undefined), what).toBe(false);
    }
  });

  it("is gone when its machine, outside all containers, was booted again", () => {
    expect(isGone({ ...holder, boot: "c" }, own, { started: "100" })).toBe(true);
  });

  it("of a container is not taken for one of its own by another container of the host", async () => {
    const place = fresh();
    mkdirSync(place);
    const other = { ...await thisProcess(), namespace: "pid:[1]", pid: 2 ** 30 };
    await writeFile(join(place, "lock"), JSON.stringify(other));
    const store = await openStore(place);
    await expect(store.lock("/lock")).rejects.toThrow(OutputConflictError);
    await expect(store.lock("/lock")).rejects.toThrow(/if it is gone, remove ".*lock"/);
  });
});

describe("what is in the place of a lock and is none", () => {
  it("is an error that says what to do", async () => {
    for (
      const [plant, what] of [
        [(path: string) => mkdirSync(path), /a folder .*if no run is at work there, remove it/],
        [
          (path: string) => symlinkSync(join(folder, "nowhere"), path),
          /it is a link, .*if no run is at work there, remove it/,
        ],
      ] as const
    ) {
      const place = fresh();
      mkdirSync(place);
      plant(join(place, "lock"));
      const store = await openStore(place);
      await expect(store.lock("/lock")).rejects.toThrow(StoreError);
      await expect(store.lock("/lock")).rejects.toThrow(what);
    }
    expect(existsSync(join(folder, "nowhere"))).toBe(false);
  });

  it("counts as taken while it may still be written to its end", async () => {
    const place = fresh();
    mkdirSync(place);
    await writeFile(join(place, "lock"), '{"host":');
    const store = await openStore(place);
    await expect(store.lock("/lock")).rejects.toThrow(/another process is at work/);
  });
});

describe("a stale lock", () => {
  const program = runtime === "deno"
    ? ["run", "--allow-all", "test/support/lock_child.ts"]
    : ["tools/run.mjs", "lock_child"];

  it("is taken by exactly one of three processes that race for it", async () => {
    for (let round = 0; round < cases(1, 5); round++) {
      const place = fresh();
      mkdirSync(place);
      const gone = { ...await thisProcess(), pid: 2 ** 30 };
      await writeFile(join(place, "lock"), JSON.stringify(gone));
      const children = Array.from(
        { length: 3 },
        () => spawn(process.execPath, [...program, place]),
      );
      const lines = children.map((child) => linesOf(child.stdout));
      await Promise.all(lines.map((next) => next()));
      for (const child of children) child.stdin.write("go\n");
      const ends = await Promise.all(lines.map((next) => next()));
      expect(ends.sort()).toEqual(["OutputConflictError", "OutputConflictError", "won"]);
      expect(readdirSync(place)).toEqual(["lock"]);
      for (const child of children) child.stdin.end();
      await Promise.all(
        children.map((child) => new Promise((resolve) => child.on("close", resolve))),
      );
    }
  });

  it("is taken by one of many in a process", async () => {
    const place = fresh();
    mkdirSync(place);
    await writeFile(join(place, "lock"), JSON.stringify({ ...await thisProcess(), pid: 2 ** 30 }));
    const store = await openStore(place);
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => store.lock("/lock")));
    const [won, ...others] = tries.filter(({ status }) => status === "fulfilled");
    expect(others).toEqual([]);
    await (won as PromiseFulfilledResult<() => Promise<void>>).value();
    expect(existsSync(place)).toBe(false);
  });
});

/** Hands out what a stream says, line by line. */
function linesOf(stream: NodeJS.ReadableStream): () => Promise<string> {
  let text = "";
  let wake = () => {};
  stream.on("data", (data) => {
    text += data;
    wake();
  });
  stream.on("end", () => {
    text += "ended\n";
    wake();
  });
  return async () => {
    while (!text.includes("\n")) await new Promise<void>((resolve) => wake = resolve);
    const end = text.indexOf("\n");
    const line = text.slice(0, end);
    text = text.slice(end + 1);
    return line;
  };
}
