import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { TestContext } from "vitest";
import { describe, expect, it } from "vitest";
import { PYTHON, pythonMissing } from "../support/python.ts";
import { runtime } from "../support/runtime.ts";

const PACKAGE = pathToFileURL(resolve("src/mod.ts")).href;
const CELLS = [
  `import { fromTypedArray, KMeans, live, openGpu, plot } from "${PACKAGE}";
const gpu = await openGpu({ budget: "64 MiB" });
gpu`,
  `const rows = fromTypedArray(Float32Array.from({ length: 4000 }, (_, i) => i % 7), [1000, 4]);
const plan = new KMeans({ k: 2, inits: 1 }).fit(gpu, rows, { out: "memory:notebook" });
plan`,
  `const run = live(plan);
const result = await run.result;
result`,
  `await plot("memory:notebook")`,
];

/** What the cells of a notebook show, run top to bottom in a kernel of Deno. */
async function shownBy(cells: readonly string[], context: TestContext) {
  const missing = pythonMissing(["nbclient", "nbformat"]);
  if (missing) context.skip(missing);
  if (runtime !== "deno") context.skip("a kernel of Deno is what Deno runs");
  const folder = await mkdtemp(join(tmpdir(), "sluice-notebook-"));
  try {
    const { execPath } = await import("node:process");
    const said = execFileSync(PYTHON, ["test/support/run_notebook.py", folder, execPath], {
      input: JSON.stringify(cells),
      encoding: "utf8",
      stdio: ["pipe", "pipe", "ignore"],
    });
    return JSON.parse(said) as Record<string, string>[][];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe("a notebook of Deno", () => {
  it("shows a device, a plan, a run as it goes, its result and a picture of it", async (context) => {
    const [device, plan, run, picture] = await shownBy(CELLS, context);
    expect(device).toMatchObject([{ "text/html": expect.stringContaining(">GPU &quot;") }]);
    expect(plan).toMatchObject([{
      "text/html": expect.stringContaining("in all (passes share"),
    }]);
    // one bar, which has come to its end, and the result
    expect(run).toMatchObject([
      {
        type: "display_data",
        "text/html": expect.stringMatching(/done: kmeans: assign.*value="1"/),
      },
      { type: "execute_result", "text/html": expect.stringContaining("centroids") },
    ]);
    expect(picture).toMatchObject([{
      "image/svg+xml": expect.stringMatching(/^<svg .*cluster/s),
    }]);
  });

  it("runs as it is among the examples, from a session to a picture and a position", async (context) => {
    const { cells } = JSON.parse(await readFile("examples/notebooks/decode.ipynb", "utf8"));
    const own = (cells as { cell_type: string; source: string; outputs?: unknown[] }[])
      .filter(({ cell_type }) => cell_type === "code");
    // what a run leaves is nobody's to read in a list of changes
    for (const { outputs } of own) expect(outputs).toEqual([]);
    const shown = await shownBy(own.map(({ source }) => source), context);
    expect(shown).toHaveLength(own.length);
    expect(shown.at(-2)).toMatchObject([{
      "image/svg+xml": expect.stringMatching(/^<svg .*true/s),
    }]);
    const position = shown.at(-1)![0]!["text/plain"]!
      // deno-lint-ignore no-control-regex
      .replace(/\x1b\[\d+m/g, "").match(/\d+\.?\d*/g)!.map(Number);
    expect(position).toHaveLength(2);
    for (const own of position) expect(own >= 0 && own <= 100).toBe(true);
  });
});
