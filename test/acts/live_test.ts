import { describe, expect, it } from "vitest";
import { collectLive } from "../../src/acts/collect.ts";
import type { LiveBlock } from "../../src/acts/live_blocks.ts";
import { load } from "../../src/acts/load.ts";
import type { ModelBatch } from "../../src/acts/transformers.ts";
import { hiddenStates } from "../../src/acts/transformers.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu();
const OPTIONS = { layers: [-1, 3], hidden: 2, producer: "a model" };

/** A prompt of three tokens that do not count, then tokens one by one. */
async function* blocks(ids: readonly string[], asked: string[] = []): AsyncGenerator<LiveBlock> {
  for (const id of ids) {
    asked.push(id);
    const of = (first: number, tokens: number) => ({
      [-1]: new Float32Array(2 * tokens).fill(first),
      3: new Float32Array(2 * tokens).fill(10 * first),
    });
    const number = Number(id.slice(1));
    yield { id, layers: of(100, 3), detected: false };
    yield { id, layers: of(number, 1) };
    await Promise.resolve();
    yield { id, layers: of(number + 2, 1) };
  }
}

describe("activations of a model that runs", () => {
  it("are pooled as they come, block by block", async () => {
    const acts = collectLive(blocks(["s1", "s5"]), OPTIONS).meanPool();
    const { values, layers, ids, shape } = await acts.realize(gpu());
    expect([layers, ids, shape]).toEqual([[-1, 3], ["s1", "s5"], [2, 2, 2]]);
    expect([...values]).toEqual([2, 2, 20, 20, 6, 6, 60, 60]);
  });

  it("are stored in parts, and go on by sample ids where a writer stopped", async () => {
    const place = "memory:live acts";
    const ids = ["s1", "s2", "s3", "s4"];
    // a part for each sample
    const options = { ...OPTIONS, partBytes: 1 };
    const failing = async function* () {
      yield* blocks(ids.slice(0, 3));
      throw new Error("the model is gone");
    };
    await expect(collectLive(failing, options).maxPool().save(gpu(), place)).rejects.toThrow(
      "gone",
    );
    await expect(load(place)).rejects.toThrow(/the writer "0" has not finished/);
    const known: string[][] = [];
    const asked: string[] = [];
    const acts = collectLive(({ done }) => {
      known.push([...done]);
      return blocks(ids.filter((id) => !done.has(id)), asked);
    }, options).maxPool();
    const stored = await acts.save(gpu(), place);
    expect(known).toEqual([["s1", "s2"]]);
    expect(asked).toEqual(["s3", "s4"]);
    expect(stored.ids).toEqual(ids);
    const { values } = await stored.selectLayers(3).realize(gpu());
    expect([...values]).toEqual([30, 30, 40, 40, 50, 50, 60, 60]);
    // a model that does not ask brings all again, and what is there is not taken twice
    const other = "memory:live acts of a model that does not ask";
    await expect(collectLive(failing, options).maxPool().save(gpu(), other)).rejects.toThrow(
      "gone",
    );
    const whole = await collectLive(blocks(ids), options).maxPool().save(gpu(), other);
    expect([whole.ids, [...(await whole.selectLayers(3).realize(gpu())).values]]).toEqual([
      ids,
      [30, 30, 40, 40, 50, 50, 60, 60],
    ]);
    // finished: nothing is asked
    await acts.save(gpu(), place);
    expect(known.length).toBe(1);
    // a model that brings all again brings nothing twice
    const again = await collectLive(blocks([...ids, "s9"]), options).maxPool().save(gpu(), place);
    expect(again.ids).toEqual(ids);
    await expect(collectLive(blocks(ids), options).meanPool().save(gpu(), place))
      .rejects.toThrow(/part-0-00000.zarr was made in another way/);
  });

  it("of several writers are merged, and a sample that two of them have is refused by name", async () => {
    const place = "memory:acts of writers";
    const write = (writer: string, ids: string[]) =>
      collectLive(blocks(ids), { ...OPTIONS, writer }).lastPool().save(gpu(), place);
    await write("a", ["s1", "s2"]);
    await write("b", ["s3"]);
    expect((await load(place)).ids).toEqual(["s1", "s2", "s3"]);
    await expect(write("c", ["s4", "s2"])).rejects.toThrow(
      /the sample id "s2" is in .*part-a-00000.zarr and in .*part-c-00000.zarr/,
    );
  });

  it("are refused where blocks do not belong together", async () => {
    const run = (...given: LiveBlock[]) =>
      collectLive(
        (async function* () {
          await Promise.resolve();
          yield* given;
        })(),
        OPTIONS,
      ).meanPool().realize(gpu());
    const layers = { [-1]: new Float32Array(2), 3: new Float32Array(2) };
    await expect(run({ id: "a", layers: { 3: new Float32Array(2) } })).rejects.toThrow(
      /layer -1 of sample "a" is missing, there are 3, wanted -1, 3/,
    );
    await expect(run({ id: "a", layers: { ...layers, 3: new Float32Array(4) } })).rejects.toThrow(
      /layer 3 of sample "a" has 4 elements, wanted 1 tokens of 2/,
    );
    await expect(run({ id: "a", layers }, { id: "b", layers }, { id: "a", layers })).rejects
      .toThrow(
        /blocks of sample "a" come after those of another one/,
      );
    await expect(run({ id: "a", layers, detected: [1, 1] })).rejects.toThrow(
      /detected of sample "a" has 2 elements, wanted 1/,
    );
    await expect(run()).rejects.toThrow(/brought no sample/);
    const large = { id: "a", layers: { [-1]: Float32Array.of(1, 2), 3: Float32Array.of(1, 1e5) } };
    const half = collectLive(
      (async function* () {
        await Promise.resolve();
        yield large;
      })(),
      { ...OPTIONS, dtype: "float16" },
    );
    await expect(half.meanPool().realize(gpu())).rejects.toThrow(
      'Cannot collect activations: layer 3 of sample "a", token 0 of its block, channel 1 is 100000, ' +
        "which float16 does not hold",
    );
    const live = collectLive(blocks(["s1"]), OPTIONS);
    expect(() => live.sliceBatch([0])).toThrow(/a model brings them one by one/);
    expect(() => live.selectLayers(3).tokens()).toThrow(/wanted save\(gpu, place\) or realize/);
  });
});

describe("hidden states of a graph", () => {
  const tensor = (values: number[], dims: number[]) => ({
    ...{ data: Float32Array.from(values), dims, type: "float32" },
  });
  const batches: ModelBatch[] = [{
    ids: ["long", "short"],
    // padded on the left
    inputs: { attention_mask: { data: BigInt64Array.of(1n, 1n, 0n, 1n), dims: [2, 2] } },
    detectionMask: [0, 1, 1, 1],
  }];
  const outputs = {
    last_hidden_state: tensor([0, 0, 0, 0], [2, 2, 1]),
    "hidden_states.0": tensor([1, 2, 3, 4], [2, 2, 1]),
    "hidden_states.1": tensor([5, 6, 7, 8], [2, 2, 1]),
  };
  const options = { layers: [-1, 0], hidden: 1 };

  for (
    const [what, model] of [
      ["a function", () => Promise.resolve(outputs)],
      ["a session", { run: () => Promise.resolve(outputs), outputNames: Object.keys(outputs) }],
      ["a model with a session", { session: { run: () => Promise.resolve(outputs) } }],
    ] as const
  ) {
    it(`that ${what} runs are layers from -1, without padding`, async () => {
      const acts = collectLive(hiddenStates(model, batches), options);
      const { values, offsets, detected } = await acts.realize(gpu());
      expect([...values]).toEqual([1, 5, 2, 6, 4, 8]);
      expect([...offsets!]).toEqual([0, 2, 3]);
      expect([...detected!]).toEqual([0, 1, 1]);
    });
  }

  it("that has none are asked for, by what it has and how it is exported", async () => {
    const bare = { run: () => Promise.resolve({}), outputNames: ["logits"] };
    await expect(collectLive(hiddenStates(bare, batches), options).realize(gpu())).rejects.toThrow(
      /its outputs are logits, wanted hidden_states.0.*export it with them/,
    );
    const late = () => Promise.resolve({ logits: outputs["hidden_states.0"] });
    await expect(collectLive(hiddenStates(late, batches), options).realize(gpu())).rejects.toThrow(
      /its outputs are logits/,
    );
  });
});
