import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readAll } from "../../src/array/array.ts";
import { openResult } from "../../src/hmm/decode_result.ts";
import { openNetcdf } from "../../src/files/hdf5_array.ts";
import { runCli, writeRecording } from "../support/cli.ts";
import { describeMemory, exportMemory } from "../support/export_memory.ts";
import { smallRecording } from "../support/recordings.ts";
import { runtime } from "../support/runtime.ts";
import { writeSmallGroup } from "../support/small_group.ts";

let folder: string;
let place: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-export-${runtime}-`));
  place = join(folder, "in.zarr");
  await writeSmallGroup(place, { rows: 3000, chunkRows: 100 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("sluice export", () => {
  it("writes a file, tells its size, and shows how far it is", async () => {
    const file = join(folder, "new/folder/a.nc");
    const run = await runCli(["export", place, file, "--deflate", "4", "--json"]);
    expect(run.code).toBe(0);
    expect(JSON.parse(run.stdout)).toMatchObject({
      place: file,
      variables: 24,
      fileBytes: expect.any(Number),
      peakResidentBytes: expect.any(Number),
    });
    expect(run.stderr).toMatch(/time \(24\/24\) 100 %/);
    const array = await openNetcdf(file, "acausal_posterior");
    expect(array.shape).toEqual([3000, 12]);
    await array.close();
    const again = await runCli(["export", place, file, "--quiet", "--expand", "--overwrite"]);
    expect(again.stdout).toMatch(/a\.nc: 20 variables, [\d.]+ MiB; /);
    const expanded = await openNetcdf(file, "acausal_posterior");
    expect(expanded.shape).toEqual([3000, 22]);
    const values = await readAll(expanded) as Float32Array;
    expect(values.filter((value) => Number.isNaN(value)).length).toBe(3000 * 10 + 12);
    await expanded.close();
  });

  it("writes what a decode in 16 bits stored, as f32", async () => {
    const files = await writeRecording(folder, smallRecording({ seconds: 4 }));
    const [out, file] = [join(folder, "decode.zarr"), join(folder, "decode.nc")];
    const decode = (...args: string[]) =>
      runCli(["decode", ...files, "--out", out, "--json", "--quiet", ...args]);
    const options = ["--dtype", "u16", "--codec", "delta-zstd", "--summaries", "map,entropy"];
    expect((await decode(...options)).code).toBe(0);
    expect((await runCli(["export", out, file, "--quiet"])).code).toBe(0);
    const result = await openResult(out);
    const stored = { ...result.summaries, acausal_posterior: result.posterior };
    expect(Object.keys(stored).sort()).toEqual([
      "acausal_entropy",
      "acausal_map_bin",
      "acausal_map_position",
      "acausal_map_probability",
      "acausal_posterior",
    ]);
    for (const [name, array] of Object.entries(stored)) {
      const found = await openNetcdf(file, name);
      const types = { acausal_map_bin: "int32", acausal_map_position: "float64" };
      expect(found.dtype).toBe(types[name as keyof typeof types] ?? "float32");
      expect(await readAll(found), name).toEqual(await readAll(array));
      await found.close();
    }
    await result.close();
    for (const [option, value] of [["dtype", "u8"], ["summaries", "mode"], ["codec", "zip"]]) {
      const run = await decode("--overwrite", `--${option}`, value!);
      expect(run.code).toBe(2);
      expect(JSON.parse(run.stdout).error.message).toMatch(
        new RegExp(`"${value}", .*wanted one of`),
      );
    }
  });

  it("refuses what it cannot do, each with its exit code", async () => {
    const file = join(folder, "b.nc");
    const refused = async (args: string[], code: number, message: RegExp) => {
      const run = await runCli(["export", ...args, "--json", "--quiet"]);
      expect(JSON.parse(run.stdout).error.message).toMatch(message);
      expect(run.code).toBe(code);
    };
    await refused([place], 2, /wanted the place of a store and the place of a file/);
    await refused([place, file, "--deflate", "10"], 2, /deflate is 10, wanted a whole number/);
    await refused([join(folder, "nothing.zarr"), file], 2, /there is no zarr group/);
    await refused([place, "https://example.org/b.nc"], 6, /servers are read only/);
    expect((await runCli(["export", place, file, "--quiet"])).code).toBe(0);
    await refused([place, file], 5, /there is a file already/);
  });

  it("stays under 200 MiB of memory for 200 MB", async (context) => {
    if (runtime === "deno") context.skip("Deno exports 3 GB in npm run test:long");
    const memory = await exportMemory(48);
    console.log(describeMemory(memory));
    expect(memory.fileBytes).toBeGreaterThan(200e6);
    expect(memory.residentBytes).toBeLessThan(200 * 2 ** 20);
  });
});
