/** Decodes whose lanes parts share: what is stored is what one run alone stores. */

import { beforeAll, describe, expect, it } from "vitest";
import type { DecodeOptions } from "../../src/hmm/decoder.ts";
import { continuous, sortedSpikes, stateModel } from "../../src/hmm/decoder.ts";
import { markerKey } from "../../src/parts/markers.ts";
import { openStore } from "../../src/store/open_store.ts";
import { checkStore } from "../../src/zarr/check.ts";
import { crc32c } from "../../src/math/crc32c.ts";
import { useGpu } from "../support/gpu.ts";
import { filesAt, PartsAt } from "../support/parts.ts";
import { smallRecording } from "../support/recordings.ts";
import { LEFT_OUT, quick } from "../support/tier.ts";

const gpu = useGpu();
let opened = 0;
const somewhere = () => `memory:parts_lanes_test/${opened++}`;

type Choices = Partial<DecodeOptions>;
type Decoder = ReturnType<typeof sortedSpikes>;

const recording = (seconds: number) => ({
  ...smallRecording({ seconds, units: 4 }),
  binSize: 8,
  positionStd: 3,
});

/** What nothing is forgotten in: every lane starts wrong, and is run again to its end. */
const still = sortedSpikes({
  ...recording(5),
  states: stateModel({
    names: ["still"],
    initial: [1],
    discreteTransition: [[1]],
    transitions: [[{ kind: "identity" }]],
  }),
});

/** Four lanes of 64 rows or fewer, a file each. */
function planOf(out: string, choices: Choices = {}, decoder: Decoder = still) {
  return decoder.smooth(gpu(), {
    ...{ time: { step: 0.02 }, lanes: 4, burnInRows: 16, tileRows: 64, chunkRows: 64 },
    ...choices,
    out,
  });
}

async function alone(choices: Choices = {}, decoder?: Decoder) {
  const out = somewhere();
  const result = await planOf(out, choices, decoder).run();
  const { lanes } = result;
  await result.close();
  return { lanes, files: await filesAt(out) };
}

async function submit(count: number, choices: Choices = {}, decoder?: Decoder) {
  const place = somewhere();
  const plan = () => planOf(place, choices, decoder);
  return { place, parts: await PartsAt.submit(place, count, plan) };
}

/** In the order of the plan, but for parts of a stage. */
const STAGES = [
  ["lanes/filter", 1],
  ["lanes/filter", 0],
  ["repair/filter", 0],
  ["lanes/smooth", 0],
  ["lanes/smooth", 1],
  ["repair/smooth", 0],
] as const;

/** The same plan, that calls back before every tile it reads. */
function reads(plan: ReturnType<typeof planOf>, onRead: () => void | Promise<void>) {
  const { task } = plan.made;
  const { layout } = task;
  task.layout = (tileRows) => {
    const { passes, ...others } = layout.call(task, tileRows);
    const told = passes.map((pass) => ({
      ...pass,
      read: async (...told: Parameters<typeof pass.read>) => {
        await onRead();
        return await pass.read(...told);
      },
    }));
    return { ...others, passes: told };
  };
  return plan;
}

let wanted: Record<string, string>;

beforeAll(async () => {
  const { lanes, files } = await alone();
  expect(lanes.count).toBe(4);
  // all but one, both ways
  expect(lanes.redoneRows).toBe(2 * 3 * 64);
  wanted = files;
});

describe("lanes that parts share", () => {
  it("are stored as by one alone, in 4, 3, 2 and 1 parts, the last first", async () => {
    for (const count of [4, 3, 2, 1]) {
      const { place, parts } = await submit(count);
      await parts.runAll();
      expect(await filesAt(place), `${count} parts`).toEqual(wanted);
      expect(await parts.store.list("/results")).toEqual([]);
    }
  });

  it("come to the same whatever tiles each part has", async () => {
    const { place, parts } = await submit(3);
    let turn = 0;
    const plan = () => planOf(place, { tileRows: [64, 23, 40, 9, 17][turn++ % 5]! });
    for (let next = await parts.next(); !next.done; next = await parts.next()) {
      for (const part of next.missing) await parts.run(next.stage, part, plan);
    }
    expect(await filesAt(place)).toEqual(wanted);
  });

  it("go on with a choice that the first part left to itself", async (context) => {
    if (quick) context.skip(LEFT_OUT);
    const { files } = await alone({ operator: "dense" });
    const { place, parts } = await submit(2);
    await parts.run("begin", 0, () => planOf(place, { operator: "dense" }));
    await parts.runAll();
    expect(await filesAt(place)).toEqual(files);
    expect(files).not.toEqual(wanted);
  });

  it("that start right are not run again", async () => {
    // from row to row almost all is forgotten
    const decoder = sortedSpikes({ ...recording(5), states: continuous({ movementVar: 400 }) });
    const choices = { burnInRows: 32 };
    const { lanes, files } = await alone(choices, decoder);
    expect(lanes.redoneRows).toBe(0);
    const { place, parts } = await submit(3, choices, decoder);
    await parts.runAll();
    expect(await filesAt(place)).toEqual(files);
  });

  const variants: Record<string, Choices> = {
    "shards": { chunkRows: 8, shardChunks: 4, causal: true, predictive: true },
    "compressed files, and summaries": {
      codec: "gzip",
      chunkRows: 16,
      zarrFormat: 2,
      summaries: ["map", "mean"],
    },
    "summaries alone": { posterior: false, summaries: ["map", "entropy", "logNormaliser"] },
    "shards that are compressed": { codec: "gzip", chunkRows: 16, shardChunks: 2, dtype: "u16" },
  };
  for (const [what, choices] of Object.entries(variants)) {
    it(`are stored as by one alone in ${what}`, async () => {
      const { files } = await alone(choices);
      const { place, parts } = await submit(3, choices);
      await parts.runAll();
      expect(await filesAt(place)).toEqual(files);
    });
  }

  it("meet what they left as those of one alone", async (context) => {
    if (quick) context.skip(LEFT_OUT);
    const decoder = sortedSpikes({ ...recording(44), states: continuous({ movementVar: 4 }) });
    const choices = { lanes: 2, burnInRows: 1, tileRows: 1152, chunkRows: 384, shardChunks: 3 };
    const { lanes, files } = await alone(choices, decoder);
    // one meeting each way, at the first row where that is possible
    expect(lanes.redoneRows).toBe(1024 + 128);
    const { place, parts } = await submit(2, choices, decoder);
    await parts.runAll();
    expect(await filesAt(place)).toEqual(files);
  });

  it("may be done twice, and by twins that come after the end: the first marker counts", async () => {
    const { place, parts } = await submit(2);
    await parts.run("begin");
    let end!: () => void;
    const ended = new Promise<void>((resolve) => end = resolve);
    const late: Promise<{ isOwn: boolean }>[] = [];
    for (const [stage, part] of STAGES) {
      let read!: () => void;
      const reading = new Promise<void>((resolve) => read = resolve);
      const plan = () =>
        reads(planOf(place, { tileRows: 16 }), async () => {
          read();
          await ended;
        });
      late.push(parts.run(stage, part, plan));
      await reading;
      const twins = await Promise.all([parts.run(stage, part), parts.run(stage, part)]);
      expect(twins.map(({ isOwn }) => isOwn).sort(), stage).toEqual([false, true]);
    }
    await parts.run("finish");
    expect(await filesAt(place)).toEqual(wanted);
    end();
    for (const { isOwn } of await Promise.all(late)) expect(isOwn).toBe(false);
    expect(await filesAt(place)).toEqual(wanted);
    expect(await parts.store.list("/results")).toEqual([]);
  });

  it("are done again where a part was ended half way, in any stage and at the end", async () => {
    const choices = { codec: "gzip", chunkRows: 16 } as const;
    const { files } = await alone(choices);
    const { place, parts } = await submit(2, choices);
    await parts.run("begin");
    for (const [stage, part] of STAGES) {
      const stop = new AbortController();
      let tiles = 0;
      const plan = () =>
        reads(
          planOf(place, { ...choices, tileRows: 16 }),
          () => void (++tiles === 4 && stop.abort()),
        );
      await expect(parts.run(stage, part, plan, stop.signal), stage).rejects.toThrow(/abort/);
      await parts.run(stage, part);
    }
    // files that were put right are in place by then, of other lengths
    const ended = () => {
      const plan = planOf(place, choices);
      plan.made.task.finish = () => {
        throw new Error("power cut");
      };
      return plan;
    };
    await expect(parts.run("finish", 0, ended)).rejects.toThrow("power cut");
    await parts.finishTwice();
    expect(await filesAt(place)).toEqual(files);
  });

  it("say what they miss: a state, a file that was put right, and one that a part stored", async () => {
    const { place, parts } = await submit(2);
    for (const [stage, part] of [["begin", 0], ...STAGES.slice(0, 2)] as const) {
      await parts.run(stage, part);
    }
    const change = async (pattern: RegExp) => {
      const key = (await parts.store.list("/results")).find((key) => pattern.test(key))!;
      const bytes = (await parts.store.get(key))!;
      await parts.store.set(key, bytes.map((byte, i) => i === 90 ? byte ^ 1 : byte));
      return () => parts.store.set(key, bytes);
    };
    const mend = await change(/^\/results\/lanes\/filter\/1\/.*\/state\/filter\/0+64$/);
    await expect(parts.run("repair/filter")).rejects.toThrow(
      new RegExp(`Cannot use part 1 of "lanes/filter": .*; remove ${markerKey("lanes/filter", 1)}`),
    );
    await mend();
    for (const [stage, part] of STAGES.slice(2)) await parts.run(stage, part);
    const mendFile = await change(/repair\/smooth\/.*\/files\/acausal_posterior\/c\/1\/0$/);
    await expect(parts.run("finish")).rejects.toThrow(
      new RegExp(`Cannot finish parts: .* is damaged, .*; remove ${markerKey("repair/smooth", 0)}`),
    );
    await mendFile();
    // of the last lane, which starts right backward
    const stored = await openStore(place);
    const chunk = (await stored.get("/acausal_posterior/c/3/0"))!;
    await stored.delete("/acausal_posterior/c/3/0");
    await expect(parts.run("finish")).rejects.toThrow(
      new RegExp(`acausal_posterior/c/3/0.*remove that marker.*`),
    );
    await stored.set("/acausal_posterior/c/3/0", chunk);
    await parts.run("finish");
    expect(await filesAt(place)).toEqual(wanted);
  });

  it("stay as they are in shards that another adapter made, and are told of", async () => {
    const choices = { chunkRows: 8, shardChunks: 4 };
    const { files } = await alone(choices);
    const { place, parts } = await submit(2, choices);
    for (const [stage, part] of [["begin", 0], ...STAGES.slice(0, 4)] as const) {
      await parts.run(stage, part);
    }
    const first = somewhere();
    await (await planOf(first, choices).run()).close();
    const key = "/acausal_posterior/c/6/0";
    const shard = (await (await openStore(first)).get(key))!;
    const chunkBytes = (shard.length - 4 * 16 - 4) / 4;
    const stored = await openStore(place);
    shard[9]! ^= 1;
    await stored.set(key, shard);
    await expect(parts.run("lanes/smooth", 1)).rejects.toThrow(
      /posterior\/c\/6\/0 is there and does not match its checksum/,
    );
    const sum = crc32c(shard.subarray(0, chunkBytes - 4));
    new DataView(shard.buffer).setUint32(chunkBytes - 4, sum, true);
    await stored.set(key, shard);
    await parts.runAll();
    expect(parts.warnings).toEqual([expect.stringContaining("last bits may differ")]);
    const own = await filesAt(place);
    const others = Object.keys(files).filter((name) => own[name] !== files[name]);
    expect(others).toEqual([key, "/checksums.txt"]);
    expect(await checkStore(place)).toMatchObject({ state: "whole", hasChecksums: true });
  });

  it("cannot be fewer than two, nor than parts", async () => {
    const one = await submit(1, { lanes: 1 });
    await expect(one.parts.run("begin")).rejects.toThrow(
      'Cannot run "decode" in parts: it has one lane, in which each row waits for the one before, wanted several',
    );
    const { parts } = await submit(5);
    await expect(parts.run("begin")).rejects.toThrow(
      'Cannot run "decode" in 5 parts: it has 4 lanes of 64 rows, which no part can cut, wanted at most 4 parts',
    );
  });
});
