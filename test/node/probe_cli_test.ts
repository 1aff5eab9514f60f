import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collect } from "../../src/acts/collect.ts";
import { openArray, readAll } from "../../src/array/array.ts";
import { encodeNpy } from "../../src/array/npy.ts";
import { auroc } from "../../src/math/classification.ts";
import { runCli } from "../support/cli.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";

const SAMPLES = 60;
const TOKENS = 3;
const HIDDEN = 4;

const gpu = useGpu({ budget: "256 MiB" });
let folder = "";
let acts = "";
let labelsFile = "";
const random = seeded(16);
const labels = Uint8Array.from({ length: SAMPLES }, () => random() < 0.5 ? 1 : 0);
/** Tokens of which each says a little in layer 4, and nothing in layer 0. */
const layer = (gap: number) =>
  Float32Array.from(
    { length: SAMPLES * TOKENS * HIDDEN },
    (_, i) => random() + (i % HIDDEN === 0 ? gap * labels[Math.floor(i / TOKENS / HIDDEN)]! : 0),
  );

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-probe-"));
  acts = join(folder, "acts.zarr");
  labelsFile = join(folder, "labels.npy");
  await writeFile(labelsFile, encodeNpy(labels));
  const offsets = Float64Array.from({ length: SAMPLES + 1 }, (_, i) => TOKENS * i);
  const shape = [SAMPLES * TOKENS, HIDDEN];
  await collect({ 0: layer(0), 4: layer(1) }, { dims: "blsh", shape, offsets }).save(gpu(), acts);
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

const run = async (...args: string[]) => await runCli(["probe", ...args, "--json", "--quiet"]);

describe("sluice probe", () => {
  it("fits a probe of a layer, and predicts by it", async () => {
    const out = join(folder, "probe.zarr");
    const given = ["--acts", acts, "--layers=4"];
    const fit = await run("fit", ...given, "--labels", labelsFile, "--c", "10", "--out", out);
    expect(fit.stderr).toBe("");
    const told = JSON.parse(fit.stdout);
    expect(told).toMatchObject({ out, kind: "logistic", reasons: [null] });
    expect(told.probes[0]).toMatchObject({ c: 10, converged: true });
    const logitsFile = join(folder, "logits.zarr");
    const predicted = await run("predict", out, ...given, "--out", logitsFile);
    expect(JSON.parse(predicted.stdout)).toMatchObject({ samples: SAMPLES });
    const array = await openArray(`${logitsFile}/logits`);
    const logits = await readAll(array) as Float32Array;
    await array.close();
    expect(auroc(labels, logits)).toBeGreaterThan(0.95);
  });

  it("fits a probe of tokens, too", async () => {
    const out = join(folder, "multimax.zarr");
    const given = ["--acts", acts, "--layers=4"];
    const fit = await run(
      ...["fit", ...given, "--labels", labelsFile, "--kind", "multimax", "--hidden", "4"],
      ...["--heads", "2", "--epochs", "2", "--out", out],
    );
    expect(JSON.parse(fit.stdout).probes[0]).toMatchObject({ epochs: 2 });
    const predicted = await run("predict", out, ...given, "--out", join(folder, "tokens.zarr"));
    expect(JSON.parse(predicted.stdout)).toMatchObject({ samples: SAMPLES });
  });

  it("sweeps layers and kinds, by rows that are pooled already too, and writes a page", async () => {
    const pooled = join(folder, "pooled.zarr");
    await runCli(["acts", "pool", acts, "--out", pooled, "--quiet"]);
    const told = [];
    for (const from of [acts, pooled]) {
      const out = join(folder, "sweep");
      const swept = await run(
        ...["sweep", "--acts", from, "--labels", labelsFile, "--kind", "logistic,mass_mean"],
        ...["--c", "1,10", "--out", out, "--overwrite"],
      );
      told.push(JSON.parse(swept.stdout).rows);
    }
    expect(told[1]).toEqual(told[0]);
    expect(
      told[0].map(({ layer, kind, options }: Record<string, unknown>) => [layer, kind, options]),
    )
      .toEqual([0, 4].flatMap((layer) => [
        [layer, "logistic", { c: 1 }],
        [layer, "logistic", { c: 10 }],
        [layer, "mass_mean", {}],
      ]));
    expect(told[0][3].auroc).toBeGreaterThan(0.9);
    const { code, stderr } = await runCli([
      ...["probe", "sweep", "--acts", pooled, "--labels", labelsFile, "--pool", "max"],
      "--quiet",
    ]);
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/--pool is given, and .*pooled\.zarr has no tokens: its dims are blh/),
    ]);
    const page = await readFile(join(folder, "sweep/report.html"), "utf8");
    expect(page).toContain("Which layer knows it?");
    expect(page).toContain("mass_mean");
  });

  it.each([
    [["fit", "--out", "x"], /--labels is missing/],
    [["fit", "--labels", "y.npy", "--out", "x"], /neither --acts nor --features/],
    [["fit", "--features", "a", "--acts", "b", "--labels", "y", "--out", "x"], /both/],
    [["predict", "--acts", "a", "--out", "x"], /PROBE is missing/],
    [["fit", "more", "--acts", "a", "--labels", "y", "--out", "x"], /"more" is one argument/],
    [
      ["fit", "--features", "a.npy", "--pool", "max", "--labels", "y", "--out", "x"],
      /--pool is given/,
    ],
  ])("refuses %s", async (args, wanted) => {
    const { code, stderr } = await runCli(["probe", ...args]);
    expect(stderr).toMatch(wanted);
    expect(code).toBe(2);
  });

  it.each([
    [["fit"], /there are layers 0, 4, wanted one: --layers=0/],
    [["fit", "--layers=4", "--kind", "logistik"], /no probe of kind "logistik".*logistic/],
    [["fit", "--layers=4", "--kind", "mlp,logistic"], /wanted one \(sluice probe sweep/],
    [["fit", "--layers=4", "--hidden", "4"], /--hidden is given, which probes of kind logistic/],
    [["fit", "--layers=9"], /layer 9/],
    [
      ["fit", "--layers=4", "--kind", "attention", "--pool", "max"],
      /--pool is given, and a probe of kind "attention" takes tokens as they are/,
    ],
  ])("refuses what the activations do not have: %s", async (args, wanted) => {
    const given = ["--acts", acts, "--labels", labelsFile, "--out", join(folder, "no.zarr")];
    const { code, stderr } = await runCli(["probe", ...args, ...given, "--quiet"]);
    expect(stderr).toMatch(wanted);
    expect(code).toBe(2);
  });
});
