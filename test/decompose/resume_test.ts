import { describe, expect, it } from "vitest";
import type { ChunkedArray } from "../../src/array/array.ts";
import { fromTypedArray } from "../../src/array/array.ts";
import { contexts } from "../../src/array/contexts.ts";
import { IncrementalPCA } from "../../src/decompose/incremental_pca.ts";
import { PCA } from "../../src/decompose/pca.ts";
import { Random } from "../../src/math/random.ts";
import { Journal } from "../../src/store/journal.ts";
import { openStore } from "../../src/store/open_store.ts";
import type { Plan } from "../../src/stream/plan.ts";
import type { Measured } from "../../src/stream/task.ts";
import { blobs } from "../support/blobs.ts";
import { useGpu } from "../support/gpu.ts";
import type { Where } from "../support/kept_states.ts";
import { onStates, removeAfterAll, useEveryState } from "../support/kept_states.ts";
import { runtime } from "../support/runtime.ts";
import { contents } from "../support/small_decode.ts";

const gpu = useGpu();
useEveryState();

const [ROWS, FEATURES] = [400, 5];
const { points: values } = blobs({ rows: ROWS, features: FEATURES, blobs: 4, spread: 0.4 });
const faintValues = values.map((value, i) => i % FEATURES === 0 ? 1e-4 * value : 10 * value);

/** An array, and flat contexts of it, that tell how often they were read, and of which a read can be last. */
function watch(values: Float32Array, shape: [number, number]) {
  const all = fromTypedArray(values, shape);
  const state = { reads: 0, onRead: (_: number) => {} };
  const rows: ChunkedArray = {
    ...all,
    read: (start, end, options) => {
      state.onRead(++state.reads);
      return all.read(start, end, options);
    },
  };
  const options = { width: 3, lag: 1, mode: "flat", segments: [0, 150, 333] } as const;
  return { state, rows, flat: contexts(rows, options) };
}

const [plain, faint] = [watch(values, [ROWS, FEATURES]), watch(faintValues, [ROWS, FEATURES])];

type Choices = { tileRows?: number; slots?: number };
type Options = Choices & { out: string };
interface Run {
  plan: (options: Options) => Plan<Measured>;
  input: ReturnType<typeof watch>;
  /** Passes that are to be there. */
  passes: string[];
}

const [scores, SMALL] = [true, { tileRows: 128 }];
const RUNS: Record<string, Run> = {
  "PCA": {
    input: plain,
    plan: (options) => new PCA({ components: 2 }).fit(gpu(), plain.rows, { ...options, scores }),
    passes: ["moments", "project"],
  },
  "PCA of flat contexts": {
    input: plain,
    plan: (options) => new PCA({ components: 2 }).fit(gpu(), plain.flat, { ...options, scores }),
    passes: ["moments", "ends of segments", "project"],
  },
  "PCA with a faint component": {
    input: faint,
    plan: (options) =>
      new PCA({ components: FEATURES }).fit(gpu(), faint.rows, { ...options, scores }),
    passes: ["moments", "exact moments", "exact project"],
  },
  "PCA of flat contexts with a faint component": {
    input: faint,
    plan: (options) =>
      new PCA({ components: 3 * FEATURES }).fit(gpu(), faint.flat, { ...options, scores }),
    passes: ["moments", "ends of segments", "exact moments", "exact project"],
  },
  "IncrementalPCA": {
    input: plain,
    plan: ({ tileRows: _, ...options }) =>
      new IncrementalPCA({ components: 2 })
        .fit(gpu(), plain.rows, { ...options, batchRows: 48, scores }),
    passes: ["batches", "project"],
  },
  "IncrementalPCA with a faint component": {
    input: faint,
    plan: ({ tileRows: _, ...options }) =>
      new IncrementalPCA({ components: FEATURES })
        .fit(gpu(), faint.rows, { ...options, batchRows: 99, scores }),
    passes: ["batches", "exact batches", "exact project"],
  },
};

/** In browsers where tabs are closed, in memory elsewhere. */
const FOLDER = `${runtime === "chromium" ? "opfs" : "memory"}:pca-resume-test`;
let places = 0;
const place = () => `${FOLDER}/${places++}`;
removeAfterAll(FOLDER);

async function uninterrupted(plan: Run["plan"], choices: Choices = {}) {
  const out = place();
  const states: Where[] = [];
  const result = await onStates(
    (where) => states.push(where),
    () => plan({ out, ...choices }).run(),
  );
  expect(result.peakBytes.host).toBeLessThanOrEqual(result.projectedBytes.host);
  expect(result.peakBytes.disk).toBeLessThanOrEqual(result.projectedBytes.disk);
  return { states, wanted: await contents(out), seconds: result.seconds };
}

/** Goes on with what a run left, and looks whether it comes to the same. */
async function goesOn(
  plan: Run["plan"],
  out: string,
  wanted: Record<string, string>,
  choices: Choices,
): Promise<Measured> {
  const result = await plan({ out, ...choices }).run();
  expect(await contents(out)).toEqual(wanted);
  expect(await (await openStore(`${out}.journal`)).list("/")).toEqual([]);
  expect(result.peakBytes.host).toBeLessThanOrEqual(result.projectedBytes.host);
  expect(result.peakBytes.disk).toBeLessThanOrEqual(result.projectedBytes.disk);
  return result;
}

describe("a fit of components that was interrupted", () => {
  for (const [name, { plan, input, passes }] of Object.entries(RUNS)) {
    const skip = runtime !== "node" && name !== "PCA of flat contexts"
      ? "what is kept is the same in every runtime"
      : undefined;

    it(`goes on from every state it kept, with other tiles, to the same bits: ${name}`, async (context) => {
      if (skip) context.skip(skip);
      const { wanted, seconds } = await uninterrupted(plan, { tileRows: 400 });
      for (const pass of passes) expect(seconds).toHaveProperty(`${pass}.total`);
      const { states } = await uninterrupted(plan, SMALL);
      const stages = new Set(states.map(({ stage }) => stage.replace(/ \d$/, "")));
      // a stage that turns out not to be needed has a state, too
      for (const pass of passes) expect(stages).toContain(pass);
      // after the last one that is needed, nothing is left to be interrupted
      const last = states.findLastIndex(({ stage }) => passes.includes(stage)) + 1;
      const step = runtime === "node" ? 1 : Math.ceil(last / 2);
      for (let i = last; i > 0; i -= step) {
        const out = place();
        const cancel = new AbortController();
        await onStates(
          (_, count) => count === i && cancel.abort(new Error("interrupted")),
          () =>
            expect(plan({ out, ...SMALL }).run({ signal: cancel.signal })).rejects.toThrow(
              "interrupted",
            ),
        );
        const { resumed } = await goesOn(plan, out, wanted, i % 2 === 0 ? {} : { tileRows: 37 });
        // scores are stored by chunks, of which there is one: states in the middle wait for it
        const waits = ({ stage, row }: Where) => /project/.test(stage) && row > 0;
        const { stage, row } = states.slice(0, i).findLast((state) => !waits(state))!;
        const [, pass, sweep = "0"] = /^(.*?)(?: (\d))?$/.exec(stage)!;
        expect(resumed).toMatchObject({ pass, row });
        expect(resumed!.sweeps ?? 0).toBe(Number(sweep));
      }
    });

    it(`goes on after it was stopped at any tile: ${name}`, async (context) => {
      if (runtime !== "node") context.skip("what is kept is the same in every runtime");
      input.state.reads = 0;
      const { wanted } = await uninterrupted(plan, SMALL);
      const { reads } = input.state;
      expect(reads).toBeGreaterThan(passes.length);
      for (let last = 2; last <= reads; last++) {
        const out = place();
        const cancel = new AbortController();
        input.state.reads = 0;
        input.state.onRead = (count) => count === last && cancel.abort(new Error("interrupted"));
        await expect(plan({ out, ...SMALL }).run({ signal: cancel.signal })).rejects.toThrow(
          "interrupted",
        );
        input.state.onRead = () => {};
        await goesOn(plan, out, wanted, last % 2 === 0 ? {} : { tileRows: 150, slots: 1 });
      }
    });
  }

  it("keeps sums of rows where a block of them ends, reading ahead or not", async (context) => {
    if (runtime === "deno") context.skip("blocks are the same in every runtime");
    for (const name of ["PCA", "PCA of flat contexts", "PCA with a faint component"]) {
      const { states } = await uninterrupted(RUNS[name]!.plan, SMALL);
      expect(states.filter(({ stage, row }) => stage === "moments" && row > 0).length).toBe(3);
    }
  });

  it("is only returned, or gone on with, for the very same rows", async () => {
    // more rows than any sample, of which one is another
    const many = Float32Array.from({ length: 2 * 2000 }, (_, i) => values[i % values.length]!);
    const { rows, flat } = watch(many, [2000, 2]);
    const fits: Run["plan"][] = [
      (options) => new PCA({ components: 1 }).fit(gpu(), rows, options),
      (options) => new PCA({ components: 1 }).fit(gpu(), flat, options),
      ({ tileRows: _, ...options }) =>
        new IncrementalPCA({ components: 1 }).fit(gpu(), rows, { ...options, batchRows: 500 }),
    ];
    for (const fit of fits) {
      const [finished, unfinished] = [place(), place()];
      const { wanted } = await uninterrupted(fit);
      await fit({ out: finished }).run();
      const cancel = new AbortController();
      await onStates(
        () => cancel.abort(new Error("interrupted")),
        () =>
          expect(fit({ out: unfinished, ...SMALL }).run({ signal: cancel.signal })).rejects
            .toThrow("interrupted"),
      );
      const at = 2 * 1037;
      const before = many[at]!;
      for (const value of [before + 2 ** -20, 30 * before]) {
        many[at] = value;
        await expect(fit({ out: finished }).run()).rejects.toThrow("the result of another plan");
        await expect(fit({ out: unfinished }).run()).rejects.toThrow("another plan");
      }
      many[at] = before;
      expect((await fit({ out: finished }).run()).seconds).toEqual({});
      expect((await goesOn(fit, unfinished, wanted, {})).resumed).toBeDefined();
    }
  });
});

describe("a projection that was interrupted", () => {
  // 64 components: 16,384 rows are a chunk
  const [rows, features] = [40_000, 64];
  const random = new Random(7);
  const some = Float32Array.from({ length: rows * features }, () => random.uniform());
  for (const [pass, faintest] of [["project", 1], ["exact project", 1e-3]] as const) {
    it(`goes on in the middle of its rows: ${pass}`, async (context) => {
      if (runtime !== "node") context.skip("what is kept is the same in every runtime");
      const points = fromTypedArray(
        some.map((value, i) => i % features === 0 ? faintest * value : value),
        [rows, features],
      );
      const model = new PCA({ components: features });
      const { explainedVariance } = await model.fit(gpu(), points).run();
      expect(explainedVariance.at(-1)! / explainedVariance[0]! < 1e-4).toBe(pass !== "project");
      const plan: Run["plan"] = (options) => model.transform(gpu(), points, options);
      const { wanted } = await uninterrupted(plan, { tileRows: 4096 });
      expect(Object.keys(wanted).filter((key) => key.startsWith("/scores/c")).length).toBe(3);
      for (const [stopped, row] of [[5, 4000], [9, 20_000]] as const) {
        const out = place();
        const cancel = new AbortController();
        const append = Journal.prototype.append;
        let lines = 0;
        Journal.prototype.append = async function (entry) {
          await append.call(this, entry);
          if (++lines === stopped) cancel.abort(new Error("interrupted"));
        };
        try {
          await expect(plan({ out, tileRows: 4000 }).run({ signal: cancel.signal })).rejects
            .toThrow("interrupted");
        } finally {
          Journal.prototype.append = append;
        }
        const { resumed } = await goesOn(plan, out, wanted, { tileRows: 3000 });
        // a state is kept, the next one when its rows are stored
        expect(resumed).toMatchObject({ pass, row });
      }
    });
  }
});
