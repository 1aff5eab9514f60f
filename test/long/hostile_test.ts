/** What a command holds, at most, when its input is absurd or means harm. Linux, which says so. */

import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setInterval } from "node:timers";
import { createGzip, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCli } from "../support/cli.ts";
import type { Play, PlayedServer } from "../support/played_server.ts";
import { startServer } from "../support/played_server.ts";
import { runtime } from "../support/runtime.ts";

const BUDGET = 64 * 2 ** 20;
const MOST = BUDGET + 200e6;

let folder: string;
let server: PlayedServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-hostile-${runtime}-`));
  server = await startServer();
  // in a checkout the first one builds the program
  await runCli(["--version"]);
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

/** Most bytes that a process ever had resident, as far as it still says so. */
function mostResident(pid: number, before: number): number {
  try {
    const [, kilobytes] = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))!;
    return Math.max(before, 1024 * Number(kilobytes));
  } catch {
    return before;
  }
}

async function run(args: readonly string[]) {
  let resident = 0;
  let watch: ReturnType<typeof setInterval> | undefined;
  const { code, stderr } = await runCli(args, {
    onStart: (_kill, pid) => {
      watch = setInterval(() => resident = mostResident(pid, resident), 5);
    },
  });
  clearInterval(watch);
  expect(stderr).not.toMatch(/^\s+at /m);
  const [said] = stderr.trim().split("\n").slice(-1);
  expect(resident).toBeGreaterThan(20e6);
  expect(resident).toBeLessThan(MOST);
  return { code, said: `${(resident / 1e6).toFixed(0)} MB resident; ${said}` };
}

const array = (shape: number[], chunk: number[], more: object = {}) =>
  JSON.stringify({
    ...{ zarr_format: 3, node_type: "array", shape, data_type: "float32", fill_value: 0 },
    chunk_grid: { name: "regular", configuration: { chunk_shape: chunk } },
    chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
    codecs: [{ name: "bytes", configuration: { endian: "little" } }],
    attributes: {},
    ...more,
  });

/** Writes a zarr array; returns its place. */
async function zarr(name: string, metadata: string, chunk?: Uint8Array): Promise<string> {
  const place = join(folder, name);
  await mkdir(join(place, "c/0"), { recursive: true });
  await writeFile(join(place, "zarr.json"), metadata);
  if (chunk) await writeFile(join(place, "c/0/0"), chunk);
  return place;
}

/** Zeros of so many bytes as gzip, which takes a thousandth of them. */
async function bomb(bytes: number): Promise<Uint8Array> {
  const gzip = createGzip({ level: 9 });
  const pieces: Uint8Array[] = [];
  gzip.on("data", (piece: Uint8Array) => pieces.push(piece));
  const ended = new Promise((resolve) => gzip.on("end", resolve));
  const zeros = new Uint8Array(2 ** 24);
  for (let written = 0; written < bytes; written += zeros.byteLength) {
    if (!gzip.write(zeros)) await new Promise((resolve) => gzip.once("drain", resolve));
  }
  gzip.end();
  await ended;
  return Buffer.concat(pieces);
}

async function npy(name: string, header: string, length = header.length): Promise<string> {
  const file = join(folder, name);
  const prefix = new Uint8Array(12);
  prefix.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 2, 0]);
  new DataView(prefix.buffer).setUint32(8, length, true);
  await writeFile(file, [prefix, new TextEncoder().encode(header)]);
  return file;
}

/** A file that says it has so many bytes and takes none. */
async function sparse(name: string, begin: Uint8Array, bytes: number): Promise<string> {
  const file = join(folder, name);
  const handle = await open(file, "w");
  await handle.write(begin);
  await handle.truncate(bytes);
  await handle.close();
  return file;
}

const endless: Play = (_request, response) => {
  response.writeHead(200);
  const piece = Buffer.alloc(2 ** 16, " ");
  const send = () => {
    while (!response.destroyed && response.write(piece));
  };
  response.on("drain", send);
  send();
};
const gzipped = [
  { name: "bytes", configuration: { endian: "little" } },
  { name: "gzip", configuration: { level: 9 } },
];

/** How each is made, and the place it is at. */
const INPUTS: Record<string, () => Promise<string>> = {
  "a chunk of 6 MB that inflates to 6 GB": async () =>
    await zarr("bomb.zarr", array([1000, 4], [1000, 4], { codecs: gzipped }), await bomb(6e9)),
  "a chunk of 4 GB that is there and compressed to nothing": async () =>
    await zarr(
      "large.zarr",
      array([1_000_000, 1000], [1_000_000, 1000], { codecs: gzipped }),
      gzipSync(new Uint8Array(2 ** 20)),
    ),
  "chunks of no rows": async () => await zarr("zero.zarr", array([1000, 4], [0, 4])),
  "a shape of 2^53 rows": async () =>
    await zarr("shape.zarr", array([Number.MAX_SAFE_INTEGER, 4], [64, 4])),
  "metadata of 300 MB": async () =>
    await zarr("long.zarr", array([10, 4], [10, 4], { attributes: { x: " ".repeat(3e8) } })),
  "metadata that is nested 2,000,000 times": async () =>
    await zarr("deep.zarr", "[".repeat(2e6) + "]".repeat(2e6)),
  "an .npy header of 4 GB": async () => await npy("header.npy", "{", 2 ** 32 - 1),
  "an .npy file of a shape that it has no bytes for": async () =>
    await npy("short.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (10**12, 4)}\n"),
  "a safetensors header of 2^60 bytes": async () =>
    await sparse("header.safetensors", Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 16), 1e10),
  "a safetensors header of 1 GB": async () =>
    await sparse("large.safetensors", Uint8Array.of(0, 0, 0, 0x40, 0, 0, 0, 0), 2e9),
  "a parquet footer of 2 GB": async () => {
    const file = await sparse("x.parquet", new TextEncoder().encode("PAR1"), 3e9);
    const handle = await open(file, "r+");
    const end = Uint8Array.of(0, 0, 0, 0x78, 0x50, 0x41, 0x52, 0x31);
    await handle.write(end, 0, 8, 3e9 - 8);
    await handle.close();
    return file;
  },
  "an .h5 file of 10 GB of nothing": async () =>
    await sparse("x.h5", Uint8Array.of(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a), 1e10),
  "a zip of 10 GB of nothing": async () =>
    await sparse("x.zarr.zip", Uint8Array.of(0x50, 0x4b, 3, 4), 1e10),
  "metadata from a server that never end": () => {
    server.play(endless);
    return Promise.resolve(`${server.origin}/x.zarr`);
  },
  "a file from a server that never ends": () => {
    server.play(endless);
    return Promise.resolve(`${server.origin}/x.npy`);
  },
};

const kmeans = (place: string) => ["kmeans", "--input", place, "--k", "2", "--budget", "64MiB"];

describe("a command that is given what is absurd holds no more than its budget and 200 MB", () => {
  it.each(Object.entries(INPUTS))("and refuses %s", async (what, make) => {
    const { code, said } = await run(kmeans(await make()));
    console.log(`${what}: ${said}`);
    expect([2, 3, 4, 5]).toContain(code);
  });

  it("and reads the rows of a missing chunk of 4 GB, which are 0", async () => {
    const place = await zarr("missing.zarr", array([1000, 4], [1_000_000, 1000]));
    const { code, said } = await run([...kmeans(place), "--out", join(folder, "fit.zarr")]);
    console.log(`a missing chunk of 4 GB: ${said}`);
    expect(code).toBe(0);
  });
});
