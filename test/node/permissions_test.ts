/** Deno with the permissions that the docs tell, and with one less. */

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeNpy } from "../../src/array/npy.ts";
import { runCli } from "../support/cli.ts";
import type { PlayedServer } from "../support/played_server.ts";
import { serving, startServer } from "../support/played_server.ts";
import { runtime } from "../support/runtime.ts";
import { seeded } from "../support/random.ts";

const onlyDeno = "Deno alone has permissions";

let folder: string;
let server: PlayedServer;
let flags: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-permissions-"));
  server = await startServer();
  const rows = encodeNpy(Float32Array.from({ length: 2048 }, seeded(3)), [512, 4]);
  await writeFile(join(folder, "rows.npy"), rows);
  server.play(serving({ "/rows.npy": rows }));
  const [, told] = /deno run (--no-prompt .*?)src\/cli\/main\.ts/s.exec(
    await readFile("docs/platforms.md", "utf8"),
  )!;
  flags = told!.replaceAll("\\\n", " ").trim().split(/\s+/)
    .map((flag) => flag.replace("example.org", new URL(server.origin).host));
  // a driver that has to be unpacked is, by a process that may
  if (runtime === "deno") await runCli(["info"]);
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs a k-means in a folder of its own, with some of the flags. */
function fit(some: readonly string[], input = `${server.origin}/rows.npy`) {
  const program = join(process.cwd(), "src/cli/main.ts");
  const command = [
    "kmeans",
    "--input",
    input,
    "--k",
    "2",
    "--out",
    "out.zarr",
    "--quiet",
    "--json",
  ];
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve, reject) => {
    const args = ["run", ...some, program, ...command, "--overwrite"];
    const child = spawn(process.execPath, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (data) => stdout += data);
    child.stderr.on("data", (data) => stderr += data);
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

const without = (name: string) => flags.filter((flag) => !flag.startsWith(`--allow-${name}`));

describe("in Deno", () => {
  it("the permissions that the docs tell are enough", async (context) => {
    if (runtime !== "deno") context.skip(onlyDeno);
    const { code, stdout } = await fit(flags);
    expect(JSON.parse(stdout)).toMatchObject({ rows: 512 });
    expect(code).toBe(0);
  });

  for (
    const [name, words] of [
      ["net", /Deno may not reach 127\.0\.0\.1:\d+, wanted the permission --allow-net=127/],
      ["write", /Cannot write ".*out\.zarr.*": .*--allow-write/],
      // when it asks for the machine's name, or before that for drivers, unless a test has named one already
      ["sys", /Cannot run: Deno was not allowed to\. .*--allow-sys|drivers, wanted --allow-sys/],
    ] as const
  ) {
    it(`a run without --allow-${name} says so`, async (context) => {
      if (runtime !== "deno") context.skip(onlyDeno);
      const { code, stdout, stderr } = await fit(without(name));
      expect(JSON.parse(stdout).error.message).toMatch(words);
      expect(stderr).not.toMatch(/\n +at /);
      const wanted = { net: 2, write: 6, sys: /no adapter/.test(stdout) ? 4 : 2 };
      expect(code).toBe(wanted[name]);
    });
  }

  it("a run that may not read its input says so", async (context) => {
    if (runtime !== "deno") context.skip(onlyDeno);
    const own = `--allow-read=${process.cwd()}`;
    const { code, stdout } = await fit([own, ...without("read")], "rows.npy");
    expect(JSON.parse(stdout).error.message).toMatch(/Cannot read ".*rows\.npy": .*--allow-read/);
    expect(code).toBe(6);
  });
});
