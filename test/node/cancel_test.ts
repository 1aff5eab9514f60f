/** Commands that are cancelled, wherever they are, and whose output nobody reads. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeNpy } from "../../src/array/npy.ts";
import type { CliOptions, Signal } from "../support/cli.ts";
import { runCli } from "../support/cli.ts";
import type { PlayedServer } from "../support/played_server.ts";
import { serving, startServer } from "../support/played_server.ts";
import { seeded } from "../support/random.ts";
import { runtime } from "../support/runtime.ts";

let folder: string;
let server: PlayedServer;
let rows: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-cancel-${runtime}-`));
  server = await startServer();
  rows = join(folder, "rows.npy");
  const next = seeded(7);
  await writeFile(rows, encodeNpy(Float32Array.from({ length: 4096 * 4 }, next), [4096, 4]));
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const fit = (
  input: string,
  ...extra: string[]
) => ["kmeans", "--input", input, "--k", "3", ...extra];

/** Runs a command until the server has been asked, and then sends it a signal. */
async function cancelledAtServer(name: Signal, input: string, options: CliOptions = {}) {
  let kill!: (name: Signal) => void;
  const run = runCli(fit(input), { ...options, onStart: (own) => kill = own });
  while (server.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  kill(name);
  return await run;
}

describe("a command", () => {
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    it(`is cancelled by ${name} while a server says nothing`, async () => {
      server.play(() => {});
      const address = `${server.origin}/rows.npy?sig=secret`;
      const { code, stderr } = await cancelledAtServer(name, address);
      expect(code).toBe(130);
      expect(stderr).toMatch(/^sluice: Cancelled: /m);
      expect(stderr).not.toMatch(/secret|\n +at /);
    });
  }

  it("that does not listen is left after a while, without a stack", async (context) => {
    if (runtime === "deno") context.skip("what comes before a command is given to Node alone here");
    const deaf =
      "globalThis.fetch = () => (process.stderr.write('asked\\n'), new Promise(() => {}));";
    let asked = false;
    const { code, signal, stderr } = await runCli(fit("http://localhost/rows.npy"), {
      env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(deaf)}` },
      onStderr: (text, kill) => {
        if (asked || !/asked/.test(text)) return;
        asked = true;
        kill("SIGINT");
      },
    });
    // shells call it 130
    expect([code, signal]).toEqual([null, "SIGINT"]);
    expect(stderr).toBe("asked\nsluice: Cancelled: run the same command again to go on\n");
  });

  it("is ended at once by a second signal, even while it is busy", async () => {
    server.play(() => {});
    const { code, signal } = await cancelledAtServer("SIGINT", `${server.origin}/rows.npy`, {
      stopAt: /Cancelled/,
      // it stands still for as long as this is not over
      onStop: (kill) => {
        kill("SIGINT");
        return new Promise(() => {});
      },
    });
    expect([code, signal]).toEqual([null, "SIGINT"]);
  });

  it("says an address without what is secret in it", async () => {
    server.play(serving({}));
    const address = server.origin.replace("//", "//name:password@");
    for (const json of [[], ["--json"]]) {
      const run = await runCli(fit(`${address}/x.zarr?sig=secret`, ...json));
      expect(run.code).toBe(2);
      expect(run.stdout + run.stderr).toMatch(/no zarr array/);
      expect(run.stdout + run.stderr).not.toMatch(/secret|password/);
    }
  });
});

describe("a run whose output nobody reads", () => {
  for (const unread of [["stderr"], ["stdout"], ["stdout", "stderr"]] as const) {
    it(`goes on to its end without ${unread.join(" and ")}`, async () => {
      const out = join(folder, `${unread.join("-")}.zarr`);
      const run = await runCli(fit(rows, "--out", out), { unread });
      expect(run.stderr).not.toMatch(/EPIPE|\n +at /);
      expect([run.code, run.signal]).toEqual([0, null]);
      const again = await runCli(["check", out]);
      expect(again.stdout).toMatch(/whole: every chunk is there/);
    });
  }
});
