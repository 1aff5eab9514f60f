import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeRecording } from "../support/cli.ts";
import { install, pack, runIn, sameVersion } from "../support/packed.ts";
import { smallRecording } from "../support/recordings.ts";
import { runtime } from "../support/runtime.ts";
import { LEFT_OUT, quick } from "../support/tier.ts";

describe("the packed package", () => {
  let folder: string;
  let consumer: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-package-"));
    consumer = join(folder, "consumer");
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("installs beside webgpu in an empty folder and finds the adapter", async (ctx) => {
    if (quick) ctx.skip(LEFT_OUT);
    // packing builds dist/: once is enough, and two at a time would mix
    if (runtime === "deno") ctx.skip("the package is packed and installed in the Node run");
    const packed = await pack(folder);
    // the latter has the driver for machines without a GPU
    const others = ["webgpu", "@sparticuz/chromium"];
    await install(consumer, [packed, ...await Promise.all(others.map(sameVersion))]);
    const sluice = (...args: string[]) => runIn(consumer, "npx", "--no-install", "sluice", ...args);

    expect(JSON.parse(await sluice("info", "--json")).adapter.name).not.toBe("");

    const script =
      "import { openGpu, VERSION } from 'sluice'; console.log(typeof openGpu, VERSION)";
    const imported = await runIn(consumer, process.execPath, "--input-type=module", "-e", script);
    const { version } = JSON.parse(await readFile("package.json", "utf8"));
    expect(imported.trim()).toBe(`function ${version}`);

    const files = await writeRecording(consumer, smallRecording({ seconds: 2 }));
    const decode = await sluice("decode", ...files, "--out", "out.zarr", "--json", "--quiet");
    expect(JSON.parse(decode).rows).toBe(100);
    expect(JSON.parse(await readFile(join(consumer, "out.zarr/zarr.json"), "utf8")))
      .toMatchObject({ zarr_format: 3, attributes: { complete: 1 } });
  });
});
