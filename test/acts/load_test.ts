import { beforeEach, describe, expect, it } from "vitest";
import type { Acts } from "../../src/acts/acts.ts";
import { load } from "../../src/acts/load.ts";
import { openArray, readAll } from "../../src/array/array.ts";
import { H5Access } from "../../src/files/h5wasm.ts";
import { createFile } from "../../src/files/sync_file.ts";
import { openStore } from "../../src/store/open_store.ts";
import { useGpu } from "../support/gpu.ts";
import { runtime } from "../support/runtime.ts";
import { sharedDataMissing, sharedFile } from "../support/shared_data.ts";
import { collect } from "../../src/acts/collect.ts";

const gpu = useGpu();
const encode = (text: string) => new TextEncoder().encode(text);

/** Two layers of three tokens of two channels, bfloat16; samples of 2, 0 and 1. */
const LAYERS: Record<number, Uint16Array> = {
  2: Uint16Array.of(0x3f80, 0x4000, 0x4040, 0x4080, 0xbf80, 0x0000),
  11: Uint16Array.of(0x4120, 0x41a0, 0x41f0, 0x4220, 0xc120, 0x3f00),
};
const VALUES = [[1, 2, 10, 20], [3, 4, 30, 40], [-1, 0, -10, 0.5]];
const MEANS = [[2, 3, 20, 30], [0, 0, 0, 0], [-1, 0, -10, 0.5]];
const OFFSETS = BigInt64Array.of(0n, 2n, 2n, 3n);
const META = {
  ...{ format: "memmap_v1", dims: "blsh", total_tokens: 3, n_layers: 2, hidden_dim: 2 },
  ...{ layers: [2, 11], n_samples: 3 },
};
const bytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer, byteOffset, byteLength).slice();

/** A file of safetensors. */
function tensors(
  entries: Record<string, { dtype: string; shape: number[]; data: ArrayBufferView }>,
  odd = "",
): Uint8Array {
  let at = 0;
  const header: Record<string, unknown> = { __metadata__: { odd } };
  for (const [name, { dtype, shape, data }] of Object.entries(entries)) {
    header[name] = { dtype, shape, data_offsets: [at, at += data.byteLength] };
  }
  const text = encode(JSON.stringify(header));
  const file = new Uint8Array(8 + text.length + at);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  let end = 8 + text.length;
  for (const { data } of Object.values(entries)) {
    file.set(bytes(data), end);
    end += data.byteLength;
  }
  return file;
}

let places = 0;
async function folder(files: Record<string, Uint8Array>): Promise<string> {
  const place = `memory:acts-load-test/${places++}`;
  const store = await openStore(place, { mode: "write" });
  for (const [name, contents] of Object.entries(files)) await store.set(`/${name}`, contents);
  await store.close();
  return place;
}

const memmap = (changed: Record<string, Uint8Array> = {}, meta: object = META) =>
  folder({
    "meta.json": encode(JSON.stringify(meta)),
    "offsets.bin": bytes(OFFSETS),
    "detection_mask.bin": Uint8Array.of(1, 1, 1),
    "layer_2.bin": bytes(LAYERS[2]!),
    "layer_11.bin": bytes(LAYERS[11]!),
    ...changed,
  });

const SAEV = {
  ...{ protocol: "2.1", dtype: "float32", ckpt: "a model", layers: [4, 9], cls_token: true },
  ...{ content_tokens_per_example: 2, d_model: 2, n_examples: 5, max_tokens_per_shard: 17 },
};

/** A folder of saev with so many examples, two a shard; numbers are 1, 2, …, and NaN where none were written. */
function saev(
  examples: number,
  meta: object = SAEV,
  changed: Record<string, Uint8Array> = {},
): Promise<string> {
  const files: Record<string, Uint8Array> = {};
  const shards = Array.from({ length: Math.floor(examples / 2) + 1 }, (_, shard) => {
    const name = `acts${String(shard).padStart(6, "0")}.bin`;
    const own = Math.min(2, examples - 2 * shard);
    const values = Float32Array.from(
      { length: 2 * 12 },
      (_, i) => i < 12 * own ? 24 * shard + i + 1 : NaN,
    );
    files[name] = bytes(values);
    return { name, n_examples: own };
  });
  const described = {
    "metadata.json": encode(JSON.stringify(meta)),
    "shards.json": encode(JSON.stringify(shards)),
  };
  return folder({ ...described, ...files, ...changed });
}

const shardsOf = (examples: number[]) =>
  JSON.stringify(examples.map((own, i) => ({ name: `acts00000${i}.bin`, n_examples: own })));

async function expectLayers(acts: Acts): Promise<void> {
  expect([acts.dims, acts.dtype, acts.layers, acts.samples]).toEqual([
    "blsh",
    "bfloat16",
    [2, 11],
    3,
  ]);
  const { values } = await acts.cast("float32").realize(gpu());
  expect([...values]).toEqual(VALUES.flat());
  expect([...(await acts.meanPool().realize(gpu())).values]).toEqual(MEANS.flat());
  await acts.close();
}

describe("load() opens", () => {
  it("a memmap folder of probelab", async () => {
    await expectLayers(await load(await memmap()));
    const masked = await load(await memmap({ "detection_mask.bin": Uint8Array.of(0, 1, 1) }));
    expect([...(await masked.meanPool().realize(gpu())).values].slice(0, 4)).toEqual([
      3,
      4,
      30,
      40,
    ]);
  });

  const layer = (id: number) => ({ dtype: "BF16", shape: [3, 2], data: LAYERS[id]! });
  const offsets = { dtype: "I64", shape: [4], data: OFFSETS };

  for (const odd of ["", "x", "xyz"]) {
    it(`a file of tensors of layers, with a header ${odd.length} longer`, async () => {
      const file = tensors({ "layer.11": layer(11), offsets, "layer.2": layer(2) }, odd);
      await expectLayers(await load(`${await folder({ "a.safetensors": file })}/a.safetensors`));
    });
  }

  it("tensors of bits, where it is told which", async () => {
    const bits = (id: number) => ({ ...layer(id), dtype: "U16" });
    const file = tensors({ "layer.11": bits(11), offsets, "layer.2": bits(2) });
    const place = `${await folder({ "a.safetensors": file })}/a.safetensors`;
    await expectLayers(await load(place, { dtype: "bfloat16" }));
    await expect(load(place)).rejects.toThrow(/elements are uint16, which may be bits of/);
  });

  it("tensors of several files that an index lists", async () => {
    const map = {
      "layer.2": "b.safetensors",
      "layer.11": "a.safetensors",
      offsets: "a.safetensors",
    };
    const place = await folder({
      "acts.safetensors.index.json": encode(JSON.stringify({ weight_map: map })),
      "a.safetensors": tensors({ "layer.11": layer(11), offsets }),
      "b.safetensors": tensors({ "layer.2": layer(2) }),
    });
    await expectLayers(await load(`${place}/acts.safetensors.index.json`));
    const bad = await folder({
      "acts.safetensors.index.json": encode(JSON.stringify({ weight_map: { "layer.2": "../b" } })),
    });
    await expect(load(`${bad}/acts.safetensors.index.json`)).rejects.toThrow(
      /does not name files beside it/,
    );
  });

  it("a folder with a file for each request, named as they are", async () => {
    const request = (tokens: number, first: number) =>
      tensors({
        hidden_states: {
          ...{ dtype: "F32", shape: [tokens, 2, 1] },
          data: Float32Array.from({ length: 2 * tokens }, (_, i) => first + i),
        },
        token_ids: { dtype: "I64", shape: [tokens], data: new BigInt64Array(tokens) },
      });
    const place = await folder({
      "req-b.safetensors": request(1, 7),
      "req-a.safetensors": request(2, 0),
      "req-a.safetensors.lock": new Uint8Array(0),
    });
    const acts = await load(place);
    expect([acts.ids, acts.layers]).toEqual([["req-a", "req-b"], [0, 1]]);
    expect([...(await acts.meanPool().realize(gpu())).values]).toEqual([1, 2, 7, 8]);
    // of one layer all are read, since they lie side by side
    expect(acts.selectLayers(0).reading()).toEqual({ needed: 12, forced: 24 });
    const short = await folder({ "r.safetensors": request(2, 0).subarray(0, -1) });
    await expect(load(short)).rejects.toThrow(/bytes, its header wants/);
  });

  it("a folder of saev, and of its shards only the examples that were written", async () => {
    const acts = await load(await saev(5));
    expect([acts.dims, acts.dtype, acts.layers, acts.samples]).toEqual([
      ...["blsh", "float32", [4, 9]],
      5,
    ]);
    const { values } = await acts.realize(gpu());
    // by tokens first: [examples, tokens, layers, 2]
    const at = (i: number) =>
      12 * Math.floor(i / 12) + 6 * (i >> 1 & 1) + 2 * (i % 12 >> 2) + i % 2;
    expect([...values]).toEqual(Array.from({ length: 5 * 2 * 3 * 2 }, (_, i) => at(i) + 1));
    // a layer of an example lies apart from others
    expect(acts.selectLayers(9).reading()).toEqual({ needed: 5 * 24, forced: 5 * 24 });
    const layer = await acts.selectLayers(9).meanPool().realize(gpu());
    // rows of a layer begin at 7, 19, … and have 3 tokens of 2
    expect([...layer.values]).toEqual([0, 1, 2, 3, 4].flatMap((i) => [9 + 12 * i, 10 + 12 * i]));
    await acts.close();
    // a writer that filled its last shard has begun another one, and protocols have other names of numbers
    const { content_tokens_per_example, max_tokens_per_shard, ...rest } = SAEV;
    const named = {
      ...rest,
      patches_per_ex: content_tokens_per_example,
      patches_per_shard: max_tokens_per_shard,
    };
    const even = await load(await saev(4, { ...named, n_examples: 4 }));
    expect([...(await even.meanPool().realize(gpu())).values].slice(-2)).toEqual([45, 46]);
  });

  it("HDF5 files of probelab, of which one layer costs all that lie beside it", async () => {
    const write = async (
      attributes: Record<string, string>,
      filtered: object = {},
      maskShape = [3],
    ) => {
      const place = `memory:acts-load-test/${places++}.h5`;
      const output = await createFile(place, { overwrite: true });
      const access = await H5Access.open(output.file, "w");
      for (const [name, value] of Object.entries(attributes)) {
        access.file.create_attribute(name, value, null, "S");
      }
      const put = (name: string, data: unknown, shape: number[], dtype: string) =>
        access.file.create_dataset({ name, data, shape, dtype } as never);
      const data = Uint16Array.from({ length: 12 }, (_, i) => {
        const [token, layer, channel] = [Math.floor(i / 4), i & 2 ? 11 : 2, i % 2];
        return LAYERS[layer]![2 * token + channel]!;
      });
      access.file.create_dataset(
        { name: "data", data, shape: [3, 2, 2], dtype: "<H", ...filtered } as never,
      );
      put("layers", BigInt64Array.of(2n, 11n), [2], "<q");
      put("offsets", OFFSETS, [4], "<q");
      put("detection_mask", Uint8Array.of(1, 1, 1), maskShape, "<B");
      access.close();
      await output.finish();
      return place;
    };
    const acts = await load(await write({ dims: "blsh", dtype: "torch.bfloat16" }));
    expect(acts.selectLayers(2).reading()).toEqual({ needed: 12, forced: 24 });
    await expectLayers(acts);
    // a chunk that is compressed is read for any of its tokens, too
    const whole = await load(
      await write({ dims: "blsh", dtype: "torch.bfloat16" }, {
        ...{ chunks: [2, 2, 2], compression: "gzip", compression_opts: 4 },
      }),
    );
    expect(whole.selectLayers(2).reading()).toEqual({ needed: 12, forced: 24 });
    const second = whole.selectLayers(2).sliceBatch(2, 3);
    expect(second.reading()).toEqual({ needed: 4, forced: 8 });
    const first = whole.selectLayers(2).select("s", 0).sliceBatch(0, 1);
    expect(first.reading()).toEqual({ needed: 4, forced: 16 });
    expect(first.explain()).toContain("4.00 times what is needed");
    await expectLayers(whole);
    await expect(load(await write({ dims: "blsh" }))).rejects.toThrow(
      /elements are uint16, which may be bits of bfloat16 or float16/,
    );
    await expectLayers(await load(await write({ dims: "blsh" }), { dtype: "bfloat16" }));
    const told = { dims: "blsh", dtype: "torch.bfloat16" };
    await expect(load(await write(told, {}, [3, 1]))).rejects.toThrow(
      /its dataset "detection_mask" is \[3, 1\], wanted one axis/,
    );
    await expect(load(await write({ dims: "lbsh" }))).rejects.toThrow(/its dims are "lbsh"/);
    await expect(load(await write({ dims: "blsh", dtype: "torch.int8" }))).rejects.toThrow(
      /its dtype is "torch.int8"/,
    );
  });

  it("several places, merged by sample ids", async () => {
    const own = (ids: string[]) =>
      collect(Float32Array.from(ids, Number), { dims: "bh", shape: [ids.length, 1], ids });
    const [a, b] = ["memory:acts merged/a", "memory:acts merged/b"];
    await own(["1", "2"]).save(gpu(), a);
    await own(["3", "2"]).save(gpu(), b);
    await expect(load([a, b])).rejects.toThrow(
      /the sample id "2" is in .*merged\/a and in .*merged\/b/,
    );
    await own(["3"]).save(gpu(), b, { overwrite: true });
    const merged = await load([a, b]);
    expect(merged.ids).toEqual(["1", "2", "3"]);
    expect([...await merged.features().read(1, 3) as Float32Array]).toEqual([2, 3]);
  });
});

describe("load() refuses", () => {
  const cases: [string, () => Promise<string>, RegExp][] = [
    [
      "a version that it does not know",
      () => memmap({}, { ...META, format: "memmap_v2" }),
      /its format is "memmap_v2", wanted "memmap_v1"/,
    ],
    [
      "a layer that is cut short",
      () => memmap({ "layer_11.bin": new Uint8Array(10) }),
      /layer_11.bin has 10 bytes, meta.json wants 12/,
    ],
    [
      "a layer that is missing",
      () => memmap({}, { ...META, layers: [2, 5] }),
      /layer_5.bin is missing/,
    ],
    [
      "offsets that fall",
      () => memmap({ "offsets.bin": bytes(BigInt64Array.of(0n, 3n, 2n, 3n)) }),
      /offset 2 is 2 after 3/,
    ],
    [
      "shards of another protocol",
      () => saev(5, { ...SAEV, protocol: "1.1" }),
      /its protocol is "1.1" of "float32", wanted "2.1" of "float32"/,
    ],
    [
      "shards that are not all there",
      () => saev(4),
      /shards.json has 4 examples, metadata.json 5: it is not finished/,
    ],
    [
      "a shard that is cut short",
      () => saev(5, SAEV, { "acts000001.bin": new Uint8Array(95) }),
      /acts000001.bin has 95 bytes, metadata.json wants 96/,
    ],
    [
      "a shard in the middle that is not full",
      () => saev(5, SAEV, { "shards.json": encode(shardsOf([2, 1, 2])) }),
      /shard 1 of shards.json is "acts000001.bin" of 1 examples, wanted "acts000001.bin" of 2/,
    ],
    [
      "a list of shards that is none",
      () => saev(5, SAEV, { "shards.json": encode("{}") }),
      /shards.json is no list/,
    ],
    [
      "a folder of nothing that it knows",
      () => folder({ "x.txt": encode("x") }),
      /nothing there is known/,
    ],
    [
      "tensors of no layer",
      async () =>
        `${await folder({
          "a.safetensors": tensors({
            weight: { dtype: "F32", shape: [1], data: new Float32Array(1) },
          }),
        })}/a.safetensors`,
      /it has weight, wanted one tensor for each layer/,
    ],
    [
      "a mask of padded samples beside offsets, though it has as many elements",
      async () =>
        `${await folder({
          "a.safetensors": tensors({
            "layer.0": { dtype: "F32", shape: [4, 1], data: new Float32Array(4) },
            offsets: { dtype: "I64", shape: [3], data: BigInt64Array.of(0n, 1n, 4n) },
            detection_mask: { dtype: "U8", shape: [2, 2], data: Uint8Array.of(1, 1, 1, 1) },
          }),
        })}/a.safetensors`,
      /"detection_mask" is \[2, 2\], layers are \[4, 1\], wanted one axis/,
    ],
    [
      "16 bits that may be of two kinds",
      async () =>
        `${await folder({
          "a.safetensors": tensors({
            "layer.0": { dtype: "U16", shape: [1, 1], data: new Uint16Array(1) },
          }),
        })}/a.safetensors`,
      /elements are uint16, which may be bits of bfloat16 or float16/,
    ],
  ];
  for (const [what, place, message] of cases) {
    it(what, async () => await expect(load(await place())).rejects.toThrow(message));
  }

  it("what is not finished, or of a newer version", async () => {
    const place = "memory:acts of a newer version";
    await collect(new Float32Array(1), { dims: "bh", shape: [1, 1] }).save(gpu(), place);
    const store = await openStore(place, { mode: "write" });
    const text = new TextDecoder().decode((await store.get("/zarr.json"))!);
    await store.delete("/checksums.txt");
    for (
      const [from, to, message] of [
        [
          '"format_version": 1',
          '"format_version": 2',
          /format version 2, this package reads up to 1/,
        ],
        ['"complete": 1', '"complete": 0', /its run has not finished/],
      ] as const
    ) {
      const changed = text.replace(from, to);
      expect(changed).not.toBe(text);
      await store.set("/zarr.json", encode(changed));
      await expect(load(place)).rejects.toThrow(message);
    }
    await store.close();
  });
});

const missing = sharedDataMissing() ??
  (runtime === "chromium" ? "browsers have no folders" : undefined);

describe("files that others wrote", () => {
  beforeEach((context) => {
    if (missing) context.skip(missing);
  });

  for (const name of ["probelab_memmap", "probelab_bf16.h5", "acts.safetensors.index.json"]) {
    it(`are what they were: ${name}`, async () => {
      const at = (file: string) => sharedFile(`golden/probes/fmt/${file}`);
      const wanted = await readAll(await openArray(await at("expected_f32.npy")));
      const acts = await load(await at(name) as string);
      expect([acts.layers, acts.dtype]).toEqual([[2, 5, 11], "bfloat16"]);
      const all = acts.cast("float32");
      expect([...(await all.realize(gpu())).values]).toEqual([...wanted as Float32Array]);
      if (acts.dims === "blsh") {
        const offsets = await readAll(await openArray(await at("expected_offsets.npy")));
        const detected = await readAll(await openArray(await at("expected_det.npy")));
        const own = acts.selectLayers(5).tokens();
        expect([...own.offsets]).toEqual(Array.from(offsets, Number));
        expect([...own.detected!]).toEqual(Array.from(detected, Number));
      }
      await acts.close();
    });
  }
});
