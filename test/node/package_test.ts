import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeRecording } from "../support/cli.ts";
import { smallRecording } from "../support/recordings.ts";
import { runtime } from "../support/runtime.ts";
import { LEFT_OUT, quick } from "../support/tier.ts";

const run = promisify(execFile);
// npm is a script on Windows
const shell = process.platform === "win32";
const INSTALL = ["i", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];

describe("the packed package", () => {
  let folder: string;
  let consumer: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-package-"));
    consumer = join(folder, "consumer");
    await mkdir(consumer);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("installs beside webgpu in an empty folder and finds the adapter", async (ctx) => {
    if (quick) ctx.skip(LEFT_OUT);
    // packing builds dist/: once is enough, and two at a time would mix
    if (runtime === "deno") ctx.skip("the package is packed and installed in the Node run");
    await run("npm", ["pack", "--pack-destination", folder, "--loglevel=error"], { shell });
    const { version, devDependencies } = JSON.parse(await readFile("package.json", "utf8"));
    await writeFile(join(consumer, "package.json"), '{ "private": true, "type": "module" }');
    const packed = join(folder, `sluice-${version}.tgz`);
    // the latter has the driver for machines without a GPU
    const others = ["webgpu", "@sparticuz/chromium"]
      .map((name) => `${name}@${devDependencies[name]}`);
    await run("npm", [...INSTALL, packed, ...others], { cwd: consumer, shell });

    const info = await run("npx", ["--no-install", "sluice", "info", "--json"], {
      cwd: consumer,
      shell,
    });
    expect(JSON.parse(info.stdout).adapter.name).not.toBe("");

    const script =
      "import { openGpu, VERSION } from 'sluice'; console.log(typeof openGpu, VERSION)";
    const imported = await run(process.execPath, ["--input-type=module", "-e", script], {
      cwd: consumer,
    });
    expect(imported.stdout.trim()).toBe(`function ${version}`);

    const files = await writeRecording(consumer, smallRecording({ seconds: 2 }));
    const decode = await run(
      "npx",
      ["--no-install", "sluice", "decode", ...files, "--out", "out.zarr", "--json", "--quiet"],
      { cwd: consumer, shell },
    );
    expect(JSON.parse(decode.stdout).rows).toBe(100);
    expect(JSON.parse(await readFile(join(consumer, "out.zarr/zarr.json"), "utf8")))
      .toMatchObject({ zarr_format: 3, attributes: { complete: true } });
  });
});
