import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeNpy } from "../../src/array/npy.ts";
import { predict, transform } from "../../src/cli/apply.ts";
import { decode } from "../../src/cli/decode.ts";
import { kmeans } from "../../src/cli/kmeans.ts";
import { pca } from "../../src/cli/pca.ts";
import { probe } from "../../src/cli/probe.ts";
import type { CommandContext } from "../../src/cli/usage.ts";
import { viterbi } from "../../src/cli/viterbi.ts";
import { overlapping } from "../../src/store/overlap.ts";

let folder: string;
const file = (name: string) => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-own-place-"));
  await mkdir(file("result.zarr"));
  await writeFile(file("result.zarr/x.npy"), encodeNpy(new Float32Array(4), [2, 2]));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("commands refuse a place that holds what they read, before they open anything", () => {
  const reading = ["--input", "IN", "--out", "OUT"];
  const commands: [string, (context: CommandContext) => Promise<void>, string[]][] = [
    ["kmeans", kmeans, ["--k", "2", ...reading]],
    ["kmeans --init", kmeans, ["--input", "there.npy", "--init", "IN", "--out", "OUT"]],
    ["pca", pca, ["--components", "2", ...reading]],
    ["predict", predict, ["IN", "--input", "there.npy", "--out", "OUT"]],
    ["transform", transform, ["IN", "--input", "there.npy", "--out", "OUT"]],
    ["decode", decode, [
      ...["--spike-times", "t.npy", "--spike-units", "u.npy", "--position-times", "p.npy"],
      ...["--position", "IN", "--out", "OUT"],
    ]],
    ["decode of a recording", decode, ["IN", "--out", "OUT"]],
    ["viterbi", viterbi, ["--log-likelihoods", "IN", "--out", "OUT"]],
    ["probe fit", probe, ["fit", "--features", "IN", "--labels", "y.npy", "--out", "OUT"]],
    ["probe fit, by labels", probe, ["fit", "--acts", "a", "--labels", "IN", "--out", "OUT"]],
    ["probe predict", probe, ["predict", "IN", "--acts", "a.zarr", "--out", "OUT"]],
  ];
  for (const [name, command, args] of commands) {
    it(`as ${name}`, async () => {
      const own = args.map((arg) =>
        arg === "IN" ? file("result.zarr/x.npy") : arg === "OUT" ? file("result.zarr") : arg
      );
      const { signal } = new AbortController();
      const message = /Cannot write to .*result\.zarr: .*x\.npy is read, wanted a place/;
      await expect(command({ args: [...own, "--overwrite", "--quiet"], signal })).rejects
        .toThrow(message);
    });
  }

  it("by any name: relative, or by a link", async () => {
    const place = file("result.zarr");
    await symlink(folder, file("link"));
    for (
      const other of [
        relative(process.cwd(), place),
        `${folder}/./other/../result.zarr/`,
        file("link/result.zarr"),
        file("link/result.zarr/x.npy/there/is/none"),
        `file:${folder}`,
      ]
    ) expect(await overlapping(place, ["memory:a", other])).toBe(other);
    expect(await overlapping(place, [file("link/result.zar"), file("result.zarr2")])).toBe(
      undefined,
    );
  });
});
