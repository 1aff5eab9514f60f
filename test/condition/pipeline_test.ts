import { beforeAll, describe, expect, it } from "vitest";
import type { ConditionReport } from "../../src/condition/condition.ts";
import { run } from "../../src/condition/condition.ts";
import { openStore } from "../../src/store/open_store.ts";
import { writeArray, writeGroup } from "../../src/zarr/group_writer.ts";
import { conditioning } from "../reference/conditioning.ts";
import { vqAssign } from "../reference/vq_assign.ts";
import type { SmallCorpus } from "../support/corpus.ts";
import { smallCorpus, writeGroups } from "../support/corpus.ts";
import { useGpu } from "../support/gpu.ts";
import { removeAfterAll } from "../support/kept_states.ts";
import { recordNumbers } from "../support/record.ts";
import {
  CONDITIONS,
  configOf,
  filesOf,
  numbersOf,
  ONE,
  placesOf,
  planted,
  readModel,
  readText,
  W,
} from "../support/small_conditioning.ts";

const gpu = useGpu();
const { newPlace, lastPlace } = placesOf("condition_pipeline");
removeAfterAll("memory:condition_pipeline");

/** A group of one array, as any program may leave it. */
async function writeFrames(place: string): Promise<void> {
  const store = await openStore(place, { mode: "write" });
  const dims = ["frame", "feature"];
  const frames = {
    name: "frames",
    dtype: "float32" as const,
    shape: [4, 2],
    chunkShape: [4, 2],
    dims,
  };
  await writeArray(store, frames, Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  await writeGroup(store, { attributes: {}, arrays: [frames] });
  await store.close();
}

/** The analysis that others are compared with, and how far it said it was. */
const firstPlace = newPlace("planted");
let first: ConditionReport;
const seen: number[] = [];

beforeAll(async () => {
  first = await run(gpu(), configOf(planted, firstPlace), {
    onProgress: ({ fraction }) => seen.push(fraction),
  });
});

describe("condition.run()", () => {
  it("finds the past that was planted, as its definition does with the stored centroids", async () => {
    const out = firstPlace;
    expect(seen.length).toBeGreaterThan(10);
    expect(seen.every((fraction, i) => fraction <= 1 && fraction >= (seen[i - 1] ?? 0))).toBe(true);
    expect(first.results.map(({ lag, condition }) => `${lag} ${condition}`)).toEqual(
      [1, 2].flatMap((lag) => CONDITIONS!.map(({ name }) => `${lag} ${name}`)),
    );
    expect(first.passed).toBe(true);
    for (const { condition, train, eval: evaluation, passed } of first.results) {
      if (condition === "mean_vq4") expect(passed).toBe(true);
      expect(train.slices.all!.ratio).toBeLessThan(0.2);
      expect(evaluation.slices.all!.ratio).toBeLessThan(0.2);
      expect(train.control.ratio).toBeGreaterThan(0.9);
      expect(train.speakers.length).toBe(4);
      expect(evaluation.speakers.length).toBe(2);
    }

    const splits = JSON.parse(await readText(out, "/splits.json"));
    expect(splits.train_speakers.length).toBe(4);
    expect(splits.holdout_utterances.length).toBe(1);
    const arrays = await readModel(`${out}/models/lag2_mean_vq4.zarr`);
    const { features, frames } = planted;
    const contexts: number[] = [];
    const deltas: number[][] = [];
    planted.utterances.forEach(({ speaker, start, end }, i) => {
      if (!splits.train_speakers.includes(speaker)) return;
      if (splits.holdout_utterances.includes(i)) return;
      for (let t = start + W - 1 + 2; t < end; t++) {
        const x = (frame: number, d: number) => frames[frame * features + d]!;
        for (let d = 0; d < features; d++) {
          contexts.push((x(t - 4, d) + x(t - 3, d) + x(t - 2, d)) / W);
        }
        deltas.push(
          Array.from(
            { length: features },
            (_, d) =>
              (x(t, d) - x(t - 1, d) - (arrays.normalizer_mean as Float32Array)[d]!) /
              (arrays.normalizer_std as Float32Array)[d]!,
          ),
        );
      }
    });
    const { ids } = vqAssign(
      Float32Array.from(contexts),
      arrays.centroids as Float32Array,
      features,
    );
    const twin = conditioning(deltas, [...ids]);
    const own = first.results[3]!.train.slices.all!;
    expect(own.rows).toBe(deltas.length);
    expect(Math.abs(own.ratio - twin.ratio)).toBeLessThan(1e-9);
    expect(Math.abs(own.conditionalEntropy - twin.conditionalEntropy)).toBeLessThan(1e-9);
    expect(arrays.delta_mean!.length).toBe(arrays.cluster_ids!.length * features);
    await recordNumbers(
      "condition_planted",
      first.results.flatMap(({ train, eval: other }) => [
        train.slices.all!.ratio,
        other.slices.all!.ratio,
      ]),
    );
  });

  it("tells what it found in tables, decisions and a page", async () => {
    const out = firstPlace;
    const metrics = JSON.parse(await readText(out, "/metrics.json"));
    expect(metrics.splits.train.rows + metrics.splits.holdout.rows + metrics.splits.eval.rows)
      .toBe(planted.energy.length - 18 * (W + 1));
    const decision = JSON.parse(await readText(out, "/decision.json"));
    expect(decision.passed).toBe(true);
    expect(decision.conditions.length).toBe(6);
    const lines = (await readText(out, "/tables.csv")).trim().split("\n");
    // three splits of three slices and a control
    expect(lines.length).toBe(1 + 6 * 3 * 4);
    expect(lines[0]).toMatch(/^lag,condition,split,slice,rows,clusters,ratio,expected_ratio,/);
    expect(lines[1]).toMatch(/^1,mean_vq4,train,all,\d+,4,0\.\d+/);
    expect((await readText(out, "/speakers.csv")).trim().split("\n").length).toBeGreaterThan(6 * 6);
    const page = await readText(out, "/report.html");
    expect(page.match(/<svg/g)!.length).toBe(3 + 6);
    expect(page).not.toMatch(/NaN|undefined|https?:/);
  });

  it("fails where the past tells nothing", async () => {
    const config = configOf(smallCorpus("walk"), newPlace("walk"), { lags: [1], ...ONE });
    const { passed, results } = await run(gpu(), config);
    expect(passed).toBe(false);
    for (const { train, checks } of results) {
      expect(train.slices.all!.ratio).toBeGreaterThan(0.9);
      expect(checks.find(({ name }) => name === "train ratio")!.passed).toBe(false);
    }
  });

  it("goes on where it was interrupted, to the same files", async () => {
    const out = newPlace("interrupted");
    for (
      const pattern of [/prepare/, /lag 1 mean_vq4, deltas/, /lag 1 pca2_vq4.*iterate/, /lag 2/]
    ) {
      const cancel = new AbortController();
      const running = run(gpu(), configOf(planted, out), {
        signal: cancel.signal,
        onProgress: ({ pass }) => pattern.test(pass) && cancel.abort(new Error("enough")),
      });
      await expect(running).rejects.toThrow("enough");
      expect(gpu().ledger.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });
    }
    const passes = new Set<string>();
    await run(gpu(), configOf(planted, out), { onProgress: ({ pass }) => passes.add(pass) });
    expect([...passes].some((pass) => /lag 1/.test(pass))).toBe(false);
    expect(await filesOf(out)).toEqual(await filesOf(firstPlace));
    // and once more, with nothing to do
    passes.clear();
    const again = await run(gpu(), configOf(planted, out), {
      onProgress: ({ pass }) => passes.add(pass),
    });
    expect(again).toEqual(first);
    expect([...passes]).toEqual(["prepare, compare", "done, stored"]);
  });

  it("refuses a place that holds something else, and replaces results when it is told to", async () => {
    const out = newPlace("conflict");
    const config = configOf(planted, out, ONE);
    await run(gpu(), config);
    const other = { ...config, seed: 43 };
    await expect(run(gpu(), other)).rejects.toThrow("it holds the results of another analysis");
    const replaced = await run(gpu(), other, { overwrite: true });
    expect(replaced.results[0]!.train.control).not.toEqual(first.results[0]!.train.control);
    const strange = newPlace("strange");
    const store = await openStore(strange, { mode: "write" });
    const write = (key: string, text: string) => store.set(key, new TextEncoder().encode(text));
    await write("/notes.txt", "a");
    const refused = async () => {
      for (const overwrite of [false, true]) {
        await expect(run(gpu(), { ...config, out: strange }, { overwrite })).rejects.toThrow(
          "it holds files that are no results",
        );
      }
    };
    await refused();
    // what only has our name
    for (const text of ['{ "input": {} }', "null", "{"]) {
      await write("/condition.json", text);
      await refused();
    }
    await store.delete("/condition.json");
    await store.delete("/notes.txt");
    // what somebody put beside results stays there
    await run(gpu(), { ...config, out: strange });
    await write("/notes.txt", "b");
    await write("/models/lag9_old.zarr/zarr.json", "{}");
    await run(gpu(), { ...other, out: strange }, { overwrite: true });
    const keys = [...(await filesOf(strange)).keys()];
    expect(keys).toContain("/notes.txt");
    expect(keys).not.toContain("/models/lag9_old.zarr/zarr.json");
    expect(keys.filter((key) => key !== "/notes.txt")).toEqual([...(await filesOf(out)).keys()]);
  });

  it("leaves frames.zarr alone where that is somebody else's, such as the input", async () => {
    const folder = newPlace("beside the input");
    const latents = `${folder}/frames.zarr`;
    await writeGroups(planted, latents, 3);
    const arrays = newPlace("beside arrays");
    await writeFrames(`${arrays}/frames.zarr`);
    const others = newPlace("beside others");
    await writeGroups(planted, `${others}/frames.zarr`, 3);
    const isOwn = `Cannot write to ${folder}: ${latents} is read`;
    const isOthers = (out: string) =>
      `Cannot copy frames to ${out}/frames.zarr: it holds something else, name another place`;
    for (
      const [out, message] of [
        [folder, isOwn],
        [arrays, isOthers(arrays)],
        [others, isOthers(others)],
      ] as const
    ) {
      const files = await filesOf(out);
      for (const overwrite of [false, true]) {
        const config = { ...configOf(planted, out, ONE), input: { latents } };
        await expect(run(gpu(), config, { overwrite })).rejects.toThrow(message);
        expect(await filesOf(out)).toEqual(files);
      }
    }
  });

  describe("an input that has changed", () => {
    const many = smallCorpus("cycle", { speakers: 8, utterances: 5 });
    /** Utterance 7 of 40, of which none but the first and every few were once looked at. */
    const changedCorpus = (): SmallCorpus => {
      const frames = many.frames.slice();
      const { start, end } = many.utterances[7]!;
      for (let at = start * 6; at < end * 6; at++) frames[at]! *= -1;
      return { ...many, frames };
    };

    it("is told from what it was in any of its groups", async () => {
      const latents = newPlace("forty");
      await writeGroups(many, latents, 2);
      const config = { ...configOf(many, newPlace("of forty"), ONE), input: { latents } };
      const before = await run(gpu(), config);
      const files = await filesOf(config.out);
      await writeGroups(changedCorpus(), latents, 2);
      await expect(run(gpu(), config)).rejects.toThrow(
        `Cannot go on with "${latents}": results are there of other frames, energies or names than it ` +
          "has now",
      );
      expect(await filesOf(config.out)).toEqual(files);
      const after = await run(gpu(), config, { overwrite: true });
      expect(numbersOf(after)).not.toEqual(numbersOf(before));
      const fresh = { ...config, out: newPlace("fresh") };
      expect(numbersOf(await run(gpu(), fresh))).toEqual(numbersOf(after));
      expect(await filesOf(config.out)).toEqual(await filesOf(fresh.out));
      // as it was before, it has changed once more
      await writeGroups(many, latents, 2);
      await expect(run(gpu(), config)).rejects.toThrow("other frames, energies or names");
    });

    it("is told by energies, speakers and lengths too, and of arrays", async () => {
      const analyse = (corpus: SmallCorpus, overwrite = false) =>
        run(gpu(), configOf(corpus, lastPlace(), ONE), { overwrite });
      newPlace("of arrays");
      const before = await analyse(many);
      expect(await analyse(many)).toEqual(before);
      const energy = many.energy.slice();
      energy[many.utterances[33]!.start + 20]! += 1;
      const utterances = many.utterances.map((own, i) => i === 9 ? { ...own, speaker: "s7" } : own);
      const shifted = many.utterances.map((own, i) =>
        i === 20 ? { ...own, end: own.end + 1 } : i === 21 ? { ...own, start: own.start + 1 } : own
      );
      for (
        const other of [
          changedCorpus(),
          { ...many, energy },
          { ...many, utterances },
          { ...many, utterances: shifted },
        ]
      ) {
        await expect(analyse(other)).rejects.toThrow("other frames, energies or names");
      }
      const after = await analyse(changedCorpus(), true);
      expect(numbersOf(after)).not.toEqual(numbersOf(before));
      await expect(analyse(many)).rejects.toThrow("other frames, energies or names");
    });

    it("is not gone on with", async () => {
      const latents = newPlace("interrupted groups");
      await writeGroups(many, latents, 2);
      const interrupt = async (out: string, pattern: RegExp) => {
        const config = { ...configOf(many, out, { ...ONE, lags: [1, 2] }), input: { latents } };
        const cancel = new AbortController();
        const running = run(gpu(), config, {
          signal: cancel.signal,
          onProgress: ({ pass }) => pattern.test(pass) && cancel.abort(new Error("enough")),
        });
        await expect(running).rejects.toThrow("enough");
        return config;
      };
      const copying = await interrupt(newPlace("copying"), /prepare, copy/);
      const begun = await interrupt(newPlace("begun"), /lag 2/);
      await writeGroups(changedCorpus(), latents, 2);
      await expect(run(gpu(), begun)).rejects.toThrow("other frames, energies or names");
      const fresh = newPlace("anew");
      const wanted = await run(gpu(), { ...begun, out: fresh });
      expect(await run(gpu(), begun, { overwrite: true })).toEqual(wanted);
      expect(await filesOf(begun.out)).toEqual(await filesOf(fresh));
      // a copy without results is made again
      expect(await run(gpu(), copying)).toEqual(wanted);
      expect(await filesOf(copying.out)).toEqual(await filesOf(fresh));
    });
  });
});
