import { beforeAll, describe, expect, it } from "vitest";
import type { ConditionReport } from "../../src/condition/condition.ts";
import { plan, run } from "../../src/condition/condition.ts";
import { BudgetError } from "../../src/errors.ts";
import { smallCorpus, writeGroups } from "../support/corpus.ts";
import { lendGpu, useGpu } from "../support/gpu.ts";
import { removeAfterAll } from "../support/kept_states.ts";
import {
  CONDITIONS,
  configOf,
  filesOf,
  inputOf,
  numbersOf,
  placesOf,
  planted,
  readModel,
} from "../support/small_conditioning.ts";

const gpu = useGpu();
const { newPlace, lastPlace } = placesOf("condition_plan");
removeAfterAll("memory:condition_plan");

/** The analysis that others are compared with. */
let first: ConditionReport;
beforeAll(async () => {
  first = await run(gpu(), configOf(planted, newPlace("planted")));
});

describe("the plan of an analysis", () => {
  it("keeps to a budget, and says what it needs", async () => {
    const small = await lendGpu({ budget: "300 KiB" });
    try {
      const config = configOf(planted, newPlace("budget"), { conditions: [CONDITIONS![1]!] });
      expect(numbersOf(await run(small, config))).toEqual(numbersOf(first, "pca2_vq4"));
      const wide = { name: "wide", context: "flat" as const, clusters: 200 };
      await expect(run(small, { ...config, out: newPlace("wide"), conditions: [wide] }))
        .rejects.toThrow(BudgetError);
      // before groups are copied
      const [latents, out] = [newPlace("large groups"), newPlace("large")];
      await writeGroups(planted, latents, 3);
      await expect(run(small, { ...config, input: { latents }, out, conditions: [wide] }))
        .rejects.toThrow(BudgetError);
      expect([...(await filesOf(out)).keys()]).toEqual([]);
    } finally {
      small.close();
    }
  });

  it("says what every condition takes before a frame is read, and takes no more", async () => {
    const own = configOf(planted, newPlace("planned"));
    const { frames } = inputOf(planted);
    let reads = 0;
    const counted = {
      ...frames,
      read: (...args: Parameters<typeof frames.read>) => {
        reads++;
        return frames.read(...args);
      },
    };
    const latents = newPlace("planned groups");
    await writeGroups(planted, latents, 3);
    for (const input of [{ ...inputOf(planted), frames: counted }, { latents }]) {
      const out = newPlace("planned");
      const analysis = await plan(gpu(), { ...own, input, out });
      try {
        expect(reads).toBe(0);
        expect([...(await filesOf(out)).keys()]).toEqual([]);
        const table = analysis.explain();
        expect(table).toMatch(/^Series "condition": 6 parts on /);
        // two lags of each
        for (const { name } of CONDITIONS!) expect(table).toMatch(new RegExp(`\\n${name} +2\\n`));
        const ofPca = table.slice(table.indexOf("\npca2_vq4"), table.indexOf("\npca2_quartile"));
        const works = ofPca.split("\n").slice(2).map((line) => /^ {2}(\S.*?) {2,}/.exec(line)?.[1]);
        expect(works).toEqual([
          "scores, ids and slices, all the while",
          "pca",
          "pca transform",
          "kmeans",
          "kmeans predict",
          "moments",
          "at most",
        ]);
        const { projected } = analysis;
        const most = { gpu: 0, host: 0 };
        const report = await analysis.run({
          onProgress: () => {
            const { reserved } = gpu().ledger;
            most.gpu = Math.max(most.gpu, reserved.gpu);
            most.host = Math.max(most.host, reserved.host);
          },
        });
        expect(numbersOf(report)).toEqual(numbersOf(first));
        expect(most).toEqual(projected);
      } finally {
        await analysis.close();
      }
      reads = 0;
    }
  });

  it("counts the bins of 13 to 15 components that have rows, or says how many would fit", async () => {
    const wide = smallCorpus("cycle", { speakers: 9, utterances: 6, features: 24, seed: 4 });
    const quartiles = [13, 15].map((components) => ({
      name: `pca${components}_quartile`,
      context: "flat" as const,
      components,
      quartile: true,
    }));
    const conditions = { lags: [1], conditions: quartiles, minClusterSize: 1 };
    const { results } = await run(gpu(), configOf(wide, newPlace("bins"), conditions));
    for (const [i, { clusters, effectiveClusters, train, eval: other }] of results.entries()) {
      const { components } = quartiles[i]!;
      expect(clusters).toBe(4 ** components);
      const { rows, clusters: taken } = train.slices.all!;
      // every bin that has a train row counts, and every train row is in one
      expect([rows, taken]).toEqual([train.rows, effectiveClusters]);
      expect(effectiveClusters).toBeLessThanOrEqual(train.rows);
      expect(other.slices.all!.rows).toBeLessThanOrEqual(other.rows);
      const arrays = await readModel(
        `${lastPlace()}/models/lag1_pca${components}_quartile.zarr`,
      );
      const ids = [...arrays.cluster_ids as Int32Array];
      expect(ids).toEqual(ids.slice().sort((a, b) => a - b));
      expect(ids.at(-1)!).toBeGreaterThan(4 ** 12);
      expect((arrays.cluster_rows as Float64Array).reduce((sum, count) => sum + count)).toBe(
        train.rows,
      );
    }
    const tight = await lendGpu({ budget: { gpu: "64 MiB", host: "2 MiB" } });
    try {
      const out = newPlace("tight");
      const refusal = run(tight, configOf(wide, out, conditions));
      await expect(refusal).rejects.toThrow(BudgetError);
      const message = String(await refusal.catch(String));
      const pattern = new RegExp(
        "Cannot analyse pca13_quartile: up to [\\d,]+ clusters of at least 1 of [\\d,]+ rows need \\d\\.\\d+ MiB of host " +
          "memory, \\d\\.\\d+ MiB of the budget of 2.00 MiB is free; [\\d,]+ would fit \\(minClusterSize (\\d+)\\)",
      );
      expect(message).toMatch(pattern);
      expect([...(await filesOf(out)).keys()]).toEqual([]);
      const minClusterSize = Number(pattern.exec(message)![1]);
      const one = { ...conditions, conditions: quartiles.slice(0, 1), minClusterSize };
      expect((await run(tight, configOf(wide, out, one))).results.length).toBe(1);
      expect(tight.ledger.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });
    } finally {
      tight.close();
    }
  });

  it("refuses tables of 2 GiB and more where nothing is said of the host, before it reads", async () => {
    const [rows, features] = [4_000_000, 512];
    let reads = 0;
    const frames = {
      shape: [rows, features],
      dtype: "float32" as const,
      dims: undefined,
      chunkRows: 1000,
      read: () => Promise.reject(new Error(`read ${++reads}`)),
      close: () => Promise.resolve(),
    };
    const input = { frames, segments: [0, rows / 2], speakers: ["a", "b"] };
    const analyse = (minClusterSize: number, components: number) => {
      const conditions = [{ name: "bins", context: "mean" as const, components, quartile: true }];
      const speakers = { train: ["a"], eval: ["b"] };
      const out = newPlace("huge");
      return run(gpu(), {
        input,
        out,
        speakers,
        holdout: 0,
        lags: [1],
        conditions,
        minClusterSize,
      });
    };
    await expect(analyse(1, 13)).rejects.toThrow(
      /up to 1,999,992 clusters of at least 1 of 1,999,992 rows need \d+\.?\d* GiB of host memory, .* GiB is free/,
    );
    expect(reads).toBe(0);
    // what fits is begun
    await expect(analyse(100, 13)).rejects.toThrow("read 1");
  });
});
