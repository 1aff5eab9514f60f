import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeNpy } from "../../src/array/npy.ts";
import { runCli } from "../support/cli.ts";
import { runtime } from "../support/runtime.ts";
import { someFrames } from "../support/window_frames.ts";

let folder: string;
let frames: string;
let segments: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-windows-${runtime}-`));
  frames = join(folder, "frames.npy");
  segments = join(folder, "segments.npy");
  await writeFile(frames, encodeNpy(someFrames(500, 6), [500, 6]));
  await writeFile(segments, encodeNpy(BigInt64Array.of(0n, 200n, 205n)));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const sluice = (verb: string, ...extra: string[]) =>
  runCli(["windows", verb, frames, "--size", "10", "--batch", "32", "--quiet", ...extra]);

describe("sluice windows", () => {
  it("info counts windows, and tells what memory and each shuffle cost", async () => {
    const json = await sluice("info", "--segments", segments, "--no-gpu", "--json");
    expect(json.code).toBe(0);
    // 191 + 0 + 286
    expect(JSON.parse(json.stdout)).toMatchObject({
      windows: 477,
      shape: [477, 10, 6],
      segments: 3,
      shortSegments: 1,
      batches: 15,
      framesIn: "host",
      fromDisk: { rounds: 1, bytesRead: 12_000 - 5 * 24 },
    });
    const text = await sluice("info", "--shuffle", "two-level:3:16x4", "--frames-in", "disk");
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(/491 windows of 1 segments, 16 batches an epoch/);
    expect(text.stdout).toMatch(/two levels, 4 blocks of 16, seed 3 \(this one\)/);
    expect(text.stdout).toMatch(/2 pools of frames/);
  });

  it("bench makes batches eager and lazy, and times them", async () => {
    const run = await sluice("bench", "--no-gpu", "--batches", "4", "--step-ms", "1", "--json");
    expect(run.code).toBe(0);
    const { modes, stepMs } = JSON.parse(run.stdout);
    expect(stepMs).toBe(1);
    expect(modes.map(({ mode }: { mode: string }) => mode))
      .toEqual(["lazy, frames left on disk", "lazy, frames in memory", "eager"]);
    for (const { timing } of modes) {
      expect(timing.batches).toBe(4);
      expect(timing.waitMs).toBeGreaterThan(0);
    }
    const [, lazy, eager] = modes;
    expect(eager.projectedBytes.host - lazy.projectedBytes.host).toBeGreaterThan(8 * 12_000);
  });

  it("refuses what it cannot do: codes 2 and 3", async () => {
    const refused = async (code: number, message: RegExp, ...extra: string[]) => {
      const run = await sluice("info", "--no-gpu", "--json", ...extra);
      expect(run.code).toBe(code);
      expect(JSON.parse(run.stdout).error.message).toMatch(message);
    };
    await refused(2, /a window has 501 frames, the longest of 1 segments has 500/, "--size", "501");
    await refused(2, /stride is 0/, "--stride", "0");
    await refused(2, /--shuffle: got "maybe"/, "--shuffle", "maybe");
    await refused(2, /frames on the device want a GPU/, "--frames-in", "device");
    await refused(3, /\(1024 B\) are free/, "--budget", "1KiB");
    expect((await runCli(["windows", "info", frames])).code).toBe(2);
    expect((await runCli(["windows", "look", frames, "--size", "3"])).code).toBe(2);
  });
});
