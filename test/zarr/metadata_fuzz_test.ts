/** Metadata in which something is amiss: read, or refused in words. */

import { describe, expect, it } from "vitest";
import { openArray } from "../../src/array/array.ts";
import { ChunkError } from "../../src/errors.ts";
import { openStore } from "../../src/store/open_store.ts";
import { Outcomes } from "../support/foreign_arrays.ts";
import { seeded } from "../support/random.ts";
import { cases } from "../support/tier.ts";

const MUTATIONS = cases(300, 5000);

const random = seeded(7);
const pick = <Value>(values: readonly Value[]): Value =>
  values[Math.floor(random() * values.length)]!;

const codec = (name: string, configuration = {}) => ({ name, configuration });
const WHOLE = {
  "zarr.json": {
    zarr_format: 3,
    node_type: "array",
    shape: [4, 2],
    data_type: "int16",
    chunk_grid: codec("regular", { chunk_shape: [4, 2] }),
    chunk_key_encoding: codec("default", { separator: "/" }),
    fill_value: 1,
    codecs: [
      codec("transpose", { order: [1, 0] }),
      codec("sharding_indexed", {
        chunk_shape: [1, 2],
        codecs: [codec("bytes", { endian: "big" }), codec("zstd", { level: 1, checksum: false })],
        index_codecs: [codec("bytes", { endian: "little" }), codec("crc32c")],
        index_location: "end",
      }),
    ],
    attributes: {},
    dimension_names: ["x", null],
    storage_transformers: [],
  },
  ".zarray": {
    zarr_format: 2,
    shape: [4, 2],
    chunks: [2, 2],
    dtype: "<i2",
    order: "F",
    fill_value: 3,
    compressor: { id: "blosc", cname: "lz4", clevel: 5, shuffle: 1, blocksize: 0 },
    filters: [{ id: "delta", dtype: "<i2", astype: "<i2" }, { id: "shuffle", elementsize: 2 }],
    dimension_separator: ".",
  },
};
const ODD = [
  ...[null, true, 0, -1, 1, 2, 1.5, 1e300, 2 ** 53, "", "x", "0x", "NaN", "\u001b[31m", "<f8", "F"],
  ...[[], [0], [1], [[1]], [4, 2, 1], [2, 4], Array(70).fill(1), {}, { name: "bytes" }, { id: 1 }],
];

/** A copy in which one value, anywhere, is another one or gone. */
function mutated(value: unknown): unknown {
  const copy = structuredClone({ value }) as Record<string, unknown>;
  const places: [Record<string, unknown>, string][] = [];
  const visit = (parent: Record<string, unknown>) => {
    for (const key of Object.keys(parent)) {
      places.push([parent, key]);
      if (typeof parent[key] === "object" && parent[key]) {
        visit(parent[key] as Record<string, unknown>);
      }
    }
  };
  visit(copy.value as Record<string, unknown>);
  const [parent, key] = pick(places);
  if (random() < 0.2) delete parent[key];
  else parent[key] = pick(ODD);
  return copy.value;
}

describe("metadata in which something is amiss", () => {
  it("are understood, or refused in words", async () => {
    const outcomes = new Outcomes();
    for (let i = 0; i < MUTATIONS; i++) {
      const name = pick(Object.keys(WHOLE) as (keyof typeof WHOLE)[]);
      let text = JSON.stringify(mutated(WHOLE[name]));
      if (random() < 0.3) {
        const at = Math.floor(random() * text.length);
        text = text.slice(0, at) + pick([...'0123456789,:[]{}"e-\u0000']) + text.slice(at + 1);
      }
      // digits that no double has
      if (random() < 0.1) text = text.replace(/\d/, "98765432109876543210");
      const store = await openStore(`memory:metadata_fuzz/${i}`);
      await store.set(`/${name}`, new TextEncoder().encode(text));
      try {
        const array = await openArray(store.place);
        const rowElements = array.shape.slice(1).reduce((product, size) => product * size, 1);
        if (rowElements < 1e6) await array.read(0, Math.min(2, array.shape[0]!));
        outcomes.equal++;
      } catch (error) {
        expect(error, text).toBeInstanceOf(ChunkError);
        const { message } = error as ChunkError;
        // deno-lint-ignore no-control-regex
        expect(message).not.toMatch(/[\u0000-\u001f]/);
        if (!/there is no zarr array|it is not JSON|single value/.test(message)) {
          outcomes.refuse(error as ChunkError);
        }
      }
      await store.deleteAll();
    }
    expect(outcomes.equal).toBeGreaterThan(MUTATIONS / 50);
    expect(outcomes.refused).toBeGreaterThan(MUTATIONS / 3);
  });
});
