import { beforeAll, describe, expect, it } from "vitest";
import { StoreError } from "../../src/errors.ts";
import { crc32c } from "../../src/math/crc32c.ts";
import { markerKey } from "../../src/parts/markers.ts";
import { readPartPlan, STAGES_KEY } from "../../src/parts/part_plan.ts";
import { encodeSealed } from "../../src/parts/sealed.ts";
import { openStore } from "../../src/store/open_store.ts";
import { siblingPlace } from "../../src/store/place.ts";
import { checkpointPace } from "../../src/stream/checkpoints.ts";
import type { Measured } from "../../src/stream/task.ts";
import { useGpu } from "../support/gpu.ts";
import { filesAt, PartsAt, SHARED_ROWS, sharedPlan } from "../support/parts.ts";

const gpu = useGpu();
const STAGE = "rows/roots";
let opened = 0;
const somewhere = () => `memory:parts_rows_test/${opened++}`;
const first = somewhere();
let alone: Record<string, string>;

beforeAll(async () => {
  await sharedPlan(gpu(), first).run();
  alone = await filesAt(first);
});

/** Parts of the plan of these tests. */
async function submit(count: number, place = somewhere()) {
  const parts = await PartsAt.submit(place, count, () => sharedPlan(gpu(), place));
  return { place, parts };
}

describe("rows that parts share", () => {
  it("are stored as by one alone, in 1, 2, 3 and 7 parts, the last first", async () => {
    for (const count of [1, 2, 3, 7]) {
      const { place, parts } = await submit(count);
      await parts.runAll();
      expect(await filesAt(place), `${count} parts`).toEqual(alone);
    }
  });

  it("come to the same whatever tiles each run has", async () => {
    const place = somewhere();
    await sharedPlan(gpu(), place, { tileRows: 4096 }).run();
    expect(await filesAt(place)).toEqual(alone);
    const other = somewhere();
    let tileRows = 700;
    const parts = await PartsAt.submit(
      other,
      3,
      () => sharedPlan(gpu(), other, { tileRows: tileRows += 333 }),
    );
    await parts.runAll();
    expect(await filesAt(other)).toEqual(alone);
  });

  it("come to the same where one alone was interrupted within a section, and went on", async () => {
    const { everyMs, times } = checkpointPace;
    Object.assign(checkpointPace, { everyMs: 0, times: 0 });
    try {
      const place = somewhere();
      const stop = new AbortController();
      const onTile = (start: number) => start >= 13_000 && stop.abort();
      const run = sharedPlan(gpu(), place, { onTile }).run({ signal: stop.signal });
      await expect(run).rejects.toThrow(/abort/);
      const { resumed } = await sharedPlan(gpu(), place).run() as unknown as Measured;
      expect(resumed!.row % 5000).toBeGreaterThan(0);
      expect(resumed!.row).toBeGreaterThan(5000);
      expect(await filesAt(place)).toEqual(alone);
    } finally {
      Object.assign(checkpointPace, { everyMs, times });
    }
  });

  it("may be done twice, and by a twin that comes after the end: the first marker counts", async () => {
    const { place, parts } = await submit(3);
    await parts.run("begin");
    expect((await parts.run("begin")).isOwn).toBe(false);
    const twins = await Promise.all([parts.run(STAGE, 1), parts.run(STAGE, 1)]);
    expect(twins.map(({ isOwn }) => isOwn).sort()).toEqual([false, true]);
    expect(twins[0]!.marker).toEqual(twins[1]!.marker);
    // one that was at work all the while writes its last rows after the end
    let goOn!: () => void;
    const end = new Promise<void>((resolve) => goOn = resolve);
    const late = parts.run(STAGE, 0, () => {
      const plan = sharedPlan(gpu(), place);
      const { layout } = plan.made.task;
      plan.made.task.layout = (tileRows) => {
        const { passes, ...others } = layout(tileRows);
        const slow = passes.map((pass) => ({
          ...pass,
          read: async (...told: Parameters<typeof pass.read>) => {
            if (told[0].start > 3000) await end;
            return await pass.read(...told);
          },
        }));
        return { ...others, passes: slow };
      };
      return plan;
    });
    await parts.runAll();
    const written = await filesAt(place);
    goOn();
    const { marker, isOwn } = await late;
    expect({ isOwn, part: marker?.part }).toEqual({ isOwn: false, part: 0 });
    expect(written).toEqual(alone);
    expect(await filesAt(place)).toEqual(alone);
    expect(await parts.next()).toEqual({ done: true });
  });

  it("are done again where a part was ended half way, before and after files of it were stored", async () => {
    for (const row of [0, 6500]) {
      const { place, parts } = await submit(2);
      await parts.run("begin");
      const stop = new AbortController();
      const onTile = (start: number) => start >= row && stop.abort();
      const plan = () => sharedPlan(gpu(), place, { onTile });
      await expect(parts.run(STAGE, 0, plan, stop.signal)).rejects.toThrow(/abort/);
      expect(await parts.next()).toMatchObject({ stage: STAGE, missing: [0, 1] });
      await parts.runAll();
      expect(await filesAt(place)).toEqual(alone);
    }
  });

  it("are refused at their end while a part is missing, and by who comes too early", async () => {
    const { place, parts } = await submit(3);
    await expect(parts.run(STAGE, 0)).rejects.toThrow(/has none of that name/);
    await parts.run("begin");
    await parts.run(STAGE, 0);
    await parts.run(STAGE, 2);
    await expect(parts.run("finish")).rejects.toThrow(
      `Cannot run part 0 of "finish": of "${STAGE}" 1 parts are missing (1), wanted all before it`,
    );
    await expect(parts.run(STAGE, 3)).rejects.toThrow(/it has 3 parts, wanted one from 0 to 2/);
    // nobody ends it alone meanwhile
    await expect(sharedPlan(gpu(), place).run()).rejects.toThrow(/it is being made in parts/);
    await parts.runAll();
    expect(await filesAt(place)).toEqual(alone);
    // and what is finished is found, with nothing left beside it
    await sharedPlan(gpu(), place).run();
    const journal = await openStore(siblingPlace(place, ".journal"));
    expect(await journal.list("/")).toEqual([]);
  });

  it("cannot be cut more often than there are sections, nor where something else is", async () => {
    const { parts } = await submit(8);
    await expect(parts.run("begin")).rejects.toThrow(
      `Cannot run "roots" in 8 parts: its ${SHARED_ROWS} rows are 7 times 5000, which no part can cut`,
    );
    const { place, parts: others } = await submit(2);
    await (await openStore(place)).set("/letter", Uint8Array.of(1));
    await expect(others.run("begin")).rejects.toThrow(/files that are no result/);
  });

  it("are refused where the input is another by then", async () => {
    const { place, parts } = await submit(2);
    await parts.run("begin");
    const other = () => sharedPlan(gpu(), place, { seed: 8 });
    await expect(parts.run(STAGE, 0, other)).rejects.toThrow(/is not what it was when/);
  });

  it("say which file is damaged or gone, of markers, of results and of rows", async () => {
    const { place, parts } = await submit(2);
    await parts.run("begin");
    for (const part of [0, 1]) await parts.run(STAGE, part);
    const key = markerKey(STAGE, 1);
    const marker = (await parts.store.get(key))!;
    await parts.store.set(key, marker.slice(0, -3));
    await expect(parts.run("finish")).rejects.toThrow(`${key}: it is damaged`);
    await expect(parts.run(STAGE, 1)).rejects.toThrow(StoreError);
    await parts.store.set(key, (await parts.store.get(markerKey(STAGE, 0)))!);
    await expect(parts.run("finish")).rejects.toThrow(
      `${key}: it is of part 0 of "${STAGE}", wanted one of part 1`,
    );
    const { hash } = await readPartPlan(parts.store);
    const others = new TextDecoder().decode(marker).slice(9).replace(hash, "other");
    await parts.store.set(key, encodeSealed(JSON.parse(others)));
    await expect(parts.run("finish")).rejects.toThrow(`${key}: it is of another plan`);
    await parts.store.set(key, marker);
    const [, result] = await parts.store.list("/results");
    const bytes = (await parts.store.get(result!))!;
    await parts.store.set(result!, bytes.map((byte, i) => i === 90 ? byte ^ 1 : byte));
    await expect(parts.run("finish")).rejects.toThrow(/is damaged, wanted what its marker says/);
    await parts.store.set(result!, bytes);
    const stages = (await parts.store.get(STAGES_KEY))!;
    await parts.store.set(STAGES_KEY, stages.slice(1));
    await expect(parts.run("finish")).rejects.toThrow(
      /stages: it is damaged.*; remove the result and its journal, and submit again/,
    );
    await parts.store.delete(STAGES_KEY);
    await expect(parts.run("finish")).rejects.toThrow(/stages is missing; remove the result/);
    await parts.store.set(STAGES_KEY, stages);
    const rows = await openStore(place);
    const chunk = (await rows.get("/roots/c/3"))!;
    await rows.delete("/roots/c/3");
    await expect(parts.run("finish")).rejects.toThrow(
      new RegExp(`roots/c/3.*${markerKey(STAGE, 0)}`),
    );
    await rows.set("/roots/c/3", chunk);
    await parts.run("finish");
    expect(await filesAt(place)).toEqual(alone);
    // as one leaves it that was killed with its last stroke: whoever comes then tidies up
    await parts.store.set(result!, bytes);
    await parts.run("finish");
    expect(await parts.store.list("/results")).toEqual([]);
  });

  it("are left alone where all is stored but the last marker", async () => {
    const { place, parts } = await submit(2);
    await parts.runAll("finish");
    await parts.finishTwice();
    expect(await filesAt(place)).toEqual(alone);
  });

  it("are not added to where what the first part left is gone", async () => {
    const { place, parts } = await submit(2);
    await parts.run("begin");
    await parts.run(STAGE, 0);
    await (await openStore(place, { mode: "write" })).deleteAll();
    const gone = /is not what its first part left there; remove the result and its journal/;
    await expect(parts.run(STAGE, 1)).rejects.toThrow(gone);
    expect(await filesAt(place)).toEqual({});
    const marker = (await parts.store.get(markerKey(STAGE, 0)))!;
    const text = new TextDecoder().decode(marker).slice(9).replace('"part":0', '"part":1');
    await parts.store.set(markerKey(STAGE, 1), encodeSealed(JSON.parse(text)));
    await expect(parts.run("finish")).rejects.toThrow(gone);
  });

  it("of several adapters are told of, and what is stored first stays", async () => {
    const { place, parts } = await submit(2);
    await parts.run("begin");
    const rows = await openStore(place);
    // as an attempt on another adapter leaves it, which was killed
    const chunk = (await (await openStore(first)).get("/roots/c/2"))!;
    chunk[9]! ^= 1;
    await rows.set("/roots/c/2", chunk);
    await expect(parts.run(STAGE, 0)).rejects.toThrow(
      /roots\/c\/2 is there and does not match its checksum/,
    );
    new DataView(chunk.buffer).setUint32(chunk.length - 4, crc32c(chunk.subarray(0, -4)), true);
    await rows.set("/roots/c/2", chunk);
    await parts.runAll();
    expect(parts.warnings).toEqual([expect.stringContaining("last bits may differ")]);
    expect((await rows.get("/roots/c/2"))![9]).toBe(chunk[9]);
  });
});
