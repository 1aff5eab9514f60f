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

  it("HDF5 files of probelab, of which one layer costs all that lie beside it", async () => {
    const write = async (attributes: Record<string, string>) => {
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
      put("data", data, [3, 2, 2], "<H");
      put("layers", BigInt64Array.of(2n, 11n), [2], "<q");
      put("offsets", OFFSETS, [4], "<q");
      put("detection_mask", Uint8Array.of(1, 1, 1), [3], "<B");
      access.close();
      await output.finish();
      return place;
    };
    const acts = await load(await write({ dims: "blsh", dtype: "torch.bfloat16" }));
    expect(acts.selectLayers(2).reading()).toEqual({ needed: 12, forced: 24 });
    await expectLayers(acts);
    await expect(load(await write({ dims: "blsh" }))).rejects.toThrow(
      /elements are uint16, which may be bits of bfloat16 or float16/,
    );
    await expectLayers(await load(await write({ dims: "blsh" }), { dtype: "bfloat16" }));
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
          '"format_version":1',
          '"format_version":2',
          /format version 2, this package reads up to 1/,
        ],
        ['"complete":true', '"complete":false', /its run has not finished/],
      ] as const
    ) {
      const changed = text.replaceAll(/\s+/g, "").replace(from, to);
      expect(changed).not.toBe(text.replaceAll(/\s+/g, ""));
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
