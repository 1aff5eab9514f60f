import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collect } from "../../src/acts/collect.ts";
import { open } from "../../src/open.ts";
import { runCli } from "../support/cli.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu({ budget: "256 MiB" });
let folder = "";
let stored = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-acts-"));
  stored = join(folder, "acts.zarr");
  // every sample begins with a token that is 1,000 times as long as others
  const layer = (scale: number) =>
    Float32Array.from({ length: 40 }, (_, i) => i % 10 === 0 ? 1000 * scale : i % 2 ? 0 : scale);
  const acts = collect({ [-1]: layer(1), 4: layer(2) }, {
    ...{ dims: "blsh", shape: [20, 2], offsets: [0, 5, 10, 15, 20], producer: "a seed" },
  });
  await acts.save(gpu(), stored);
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

describe("sluice acts", () => {
  it("tells what activations are, and which tokens are far longer than others", async () => {
    const { stdout, code } = await runCli(["acts", "info", stored, "--json"]);
    expect(code).toBe(0);
    const told = JSON.parse(stdout);
    expect(told).toMatchObject({
      ...{ dims: "blsh", dtype: "float32", samples: 4, tokens: 20, layers: [-1, 4] },
      producer: "a seed",
    });
    expect(told.norms[1]).toMatchObject({
      ...{ layer: 4, rows: 20, least: 2, median: 2, most: 2000, long: 4, longFirst: 4 },
      ...{ longShare: 0.2, notFinite: 0 },
    });
    const shown = await runCli(["acts", "info", stored, "--layers=-1"]);
    expect(shown.stdout).toContain("20.00 %, 4 of 4 first tokens");
    expect(shown.stdout).toContain("made by a seed");
  });

  it("pools them into a place, or a cache in which they are found again", async () => {
    const out = join(folder, "pooled.zarr");
    const pooled = await runCli([
      "acts",
      "pool",
      stored,
      "--pool",
      "max",
      "--out",
      out,
      "--json",
      "--quiet",
    ]);
    expect(JSON.parse(pooled.stdout)).toMatchObject({ out, dims: "blh", layers: [-1, 4] });
    const opened = await open(out);
    if (opened.kind !== "acts") throw new Error(`it is ${opened.kind}`);
    const values = await opened.acts.selectLayers(4).features().read(0, 4);
    expect([...values as Float32Array]).toEqual([2000, 0, 2000, 0, 2000, 0, 2000, 0]);
    await opened.close();
    const cache = async () =>
      JSON.parse(
        (await runCli(["acts", "cache", stored, "--out", folder, "--json", "--quiet"])).stdout,
      );
    const [first, again] = [await cache(), await cache()];
    expect(again.out).toBe(first.out);
    expect([first.bytesRead > 0, again.bytesRead]).toEqual([true, 0]);
  });

  it("says what is missing or does not belong together", async () => {
    for (
      const [args, message] of [
        [[], /got nothing, wanted one of info, pool, cache/],
        [["info"], /ACTS is missing/],
        [["pool", stored], /--out is missing/],
        [
          ["pool", stored, "--out", "x", "--window", "3"],
          /--window is given, --pool is mean, wanted rolling/,
        ],
        [["info", stored, "--layers=x"], /Cannot read --layers: got "x"/],
        [["info", stored, "--layers=3"], /there is no layer 3, wanted some of -1, 4/],
        [["info", join(folder, "none")], /nothing there is known/],
      ] as const
    ) {
      const { stderr, code } = await runCli(["acts", ...args]);
      expect(stderr).toMatch(message);
      expect(code).toBe(2);
    }
  });
});
