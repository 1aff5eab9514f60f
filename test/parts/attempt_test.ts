import { describe, expect, it } from "vitest";
import { PartsError, StoreError } from "../../src/errors.ts";
import { attemptPart, markersOf, resultsOf } from "../../src/parts/attempt.ts";
import {
  createOnce,
  findNextStage,
  markerKey,
  stagesSoFar,
  stopKey,
  stopLoop,
} from "../../src/parts/markers.ts";
import type { PartPlan, StoredPlan } from "../../src/parts/part_plan.ts";
import {
  hashOf,
  openParts,
  PARTS_VERSION,
  PLAN_KEY,
  readPartPlan,
} from "../../src/parts/part_plan.ts";
import { encodeSealed } from "../../src/parts/sealed.ts";
import { VERSION } from "../../src/version.ts";

/** A loop of at most twelve turns between two stages. */
const STAGES: PartPlan["stages"] = [
  { name: "first", parts: 1 },
  { loop: "it", most: 12, stages: [{ name: "it/sums", parts: 2 }, { name: "it/merge", parts: 1 }] },
  { name: "last", parts: 1 },
];
let opened = 0;

async function planned() {
  const store = await openParts(`memory:attempt_test/${opened++}`, "write");
  const of = { version: PARTS_VERSION, sluice: VERSION, commands: [["x"]], folder: "/", count: 2 };
  const parts: PartPlan = { ...of, stages: STAGES };
  const plan: StoredPlan = { version: 3, hash: await hashOf(parts), parts };
  await store.set(PLAN_KEY, new TextEncoder().encode(JSON.stringify(plan)));
  const run = (stage: string, part = 0) =>
    attemptPart(
      store,
      { stage, part },
      () => Promise.resolve({ adapter: "a", driver: "d", result: Uint8Array.of(part) }),
    );
  const next = async () => await findNextStage(store, (await readPartPlan(store)).parts);
  /** Everything that is missing, until a stage of that name is next. */
  const runTo = async (stage: string) => {
    for (let at = await next(); !at.done && at.stage !== stage; at = await next()) {
      for (const part of at.missing) await run(at.stage, part);
    }
  };
  return { store, plan, run, next, runTo };
}

describe("attempts at parts of a loop", () => {
  it("come turn after turn, each once the turn before is done", async () => {
    const { run, next, runTo } = await planned();
    await run("first");
    expect(await next()).toEqual({ done: false, stage: "it/sums/0", parts: 2, missing: [0, 1] });
    await expect(run("it/merge/0")).rejects.toThrow(
      'Cannot run part 0 of "it/merge/0": of "it/sums/0" 2 parts are missing (0, 1), wanted all before it',
    );
    await run("it/sums/0", 1);
    expect(await next()).toMatchObject({ stage: "it/sums/0", missing: [0] });
    await runTo("it/sums/1");
    await expect(run("it/sums/2")).rejects.toThrow(PartsError);
    // two digits: markers of turn 10 are none of turn 1
    await runTo("it/merge/10");
    expect(await next()).toMatchObject({ stage: "it/merge/10", missing: [0] });
    await runTo("");
    expect(await next()).toEqual({ done: true });
  });

  it("end with the turn that a stop marker names: what is queued ahead has nothing to do", async () => {
    const { store, run, next, runTo } = await planned();
    await runTo("it/merge/1");
    await createOnce(store, stopKey("it"), encodeSealed({ turn: 1 }));
    await run("it/merge/1");
    expect(await next()).toMatchObject({ stage: "last" });
    expect(await run("it/sums/2")).toEqual({ marker: undefined, isOwn: false });
    expect((await run("it/sums/1")).isOwn).toBe(false);
    await run("last");
    expect(await next()).toEqual({ done: true });
    const names = [...await stagesSoFar(store, (await readPartPlan(store)).parts)]
      .map(({ name }) => name);
    expect(names).toEqual([
      ...["first", "it/sums/0", "it/merge/0", "it/sums/1", "it/merge/1", "last"],
    ]);
  });

  it("are of loops that end once: an attempt that finds otherwise is refused", async () => {
    const { store } = await planned();
    await stopLoop(store, "it", 0, false);
    await stopLoop(store, "it", 1, true);
    await stopLoop(store, "it", 1, true);
    await stopLoop(store, "it", 0, false);
    for (const [turn, isLast] of [[1, false], [2, false], [0, true], [2, true]] as const) {
      await expect(stopLoop(store, "it", turn, isLast), `${turn}`).rejects.toThrow(
        `Cannot go on after turn ${turn} of "it": another attempt ended it after turn 1`,
      );
    }
  });

  it("are of turns that there may be, and of parts that there are", async () => {
    const { run } = await planned();
    for (const stage of ["it/sums", "it/sums/12", "it/sums/x", "it", "rows"]) {
      await expect(run(stage), stage).rejects.toThrow(
        "wanted one of first, it/sums/0, it/merge/0, last",
      );
    }
    await expect(run("it/sums/0", 2)).rejects.toThrow(/it has 2 parts, wanted one from 0 to 1/);
    await expect(run("it/sums/0", 0.5)).rejects.toThrow(RangeError);
  });

  it("give results in the order of parts, and none that another version made", async () => {
    const { store, plan, run } = await planned();
    await run("first");
    for (const part of [1, 0]) await run("it/sums/0", part);
    const stage = { name: "it/sums/0", parts: 2 };
    const results = await resultsOf(store, await markersOf(store, plan, stage, "merge"));
    expect(results).toEqual([Uint8Array.of(0), Uint8Array.of(1)]);
    const marker = { plan: plan.hash, stage: stage.name, part: 1, parts: 2, sluice: "9.9" };
    await store.set(markerKey(stage.name, 1), encodeSealed(marker));
    const mixed = await markersOf(store, plan, stage, "merge").catch((error) => error);
    expect(mixed).toBeInstanceOf(StoreError);
    expect(mixed.message).toMatch(/part 1 of "it\/sums\/0" was run by version 9\.9, this is/);
  });
});
