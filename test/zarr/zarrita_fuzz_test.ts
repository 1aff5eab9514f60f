/** Arrays that zarrita wrote, against what is read of them. */

import { describe, it } from "vitest";
import * as zarr from "zarrita";
import { readAll } from "../../src/array/array.ts";
import { openStore } from "../../src/store/open_store.ts";
import type { Store } from "../../src/store/store.ts";
import type { NumericArray } from "../../src/types.ts";
import { elementCount } from "../../src/zarr/data_types.ts";
import { openZarrArray } from "../../src/zarr/zarr_array.ts";
import { expectSameElements, Outcomes } from "../support/foreign_arrays.ts";
import { seeded } from "../support/random.ts";
import { cases } from "../support/tier.ts";

const ARRAYS = cases(20, 300);

const random = seeded(15);
const below = (bound: number) => Math.floor(random() * bound);
const pick = <Value>(...choices: Value[]): Value => choices[below(choices.length)]!;
const shuffled = (length: number) =>
  Array.from({ length }, (_, i) => [random(), i]).sort(([a], [b]) => a! - b!).map(([, i]) => i!);

const TYPES = {
  int8: [Int8Array, "|i1"],
  int16: [Int16Array, "<i2"],
  int32: [Int32Array, "<i4"],
  int64: [BigInt64Array, "<i8"],
  uint8: [Uint8Array, "|u1"],
  uint16: [Uint16Array, "<u2"],
  uint32: [Uint32Array, "<u4"],
  uint64: [BigUint64Array, "<u8"],
  float32: [Float32Array, "<f4"],
  float64: [Float64Array, "<f8"],
} as const;
type Type = keyof typeof TYPES;

function valuesOf(dtype: Type, length: number): NumericArray {
  const [Values] = TYPES[dtype];
  const wild = random() < 0.5;
  const values = new Values(length);
  for (let i = 0; i < length; i++) {
    const value = wild ? (random() - 0.5) * 2 ** 40 : i;
    values[i] = dtype.endsWith("64") && dtype !== "float64"
      ? BigInt(Math.floor(value)) * 1001n
      : value;
  }
  return values;
}

interface CodecOptions {
  name: string;
  configuration: Record<string, unknown>;
}

/** One `transpose` at most: of two zarrita keeps the first. */
function codecsOf(dtype: Type, rank: number): CodecOptions[] {
  const [{ BYTES_PER_ELEMENT: elementsize }, stored] = TYPES[dtype];
  const codecs: CodecOptions[] = [];
  if (random() < 0.4) codecs.push({ name: "transpose", configuration: { order: shuffled(rank) } });
  const isDelta = codecs.length === 0 && random() < 0.2;
  if (isDelta) codecs.push({ name: "numcodecs.delta", configuration: { dtype: stored } });
  codecs.push({
    name: "bytes",
    configuration: { endian: isDelta ? "little" : pick("little", "big") },
  });
  const bytes = [
    { name: "numcodecs.shuffle", configuration: { elementsize } },
    { name: "zstd", configuration: { level: pick(1, 7), checksum: false } },
    { name: "numcodecs.lz4", configuration: { acceleration: 1 } },
    {
      name: "blosc",
      configuration: {
        cname: pick("lz4", "zstd", "zlib", "blosclz", "lz4hc"),
        clevel: below(10),
        shuffle: pick(0, 1, 2),
        blocksize: pick(0, 512),
      },
    },
  ];
  if (random() < 0.8) codecs.push(pick(...bytes));
  return codecs;
}

describe("arrays that zarrita wrote", () => {
  it("are read bit by bit", async () => {
    const outcomes = new Outcomes();
    for (let i = 0; i < ARRAYS; i++) {
      const dtype = pick(...Object.keys(TYPES) as Type[]);
      const shape = Array.from({ length: 1 + below(3) }, () => 1 + below(9));
      const codecs = codecsOf(dtype, shape.length);
      const values = valuesOf(dtype, elementCount(shape));
      const made = `${dtype} [${shape}] ${JSON.stringify(codecs)}`;

      const store = await openStore(`memory:zarrita_fuzz/${i}.zarr`);
      const written = await zarr.create(zarr.root(store).resolve("/x"), {
        shape,
        chunkShape: shape.map((size) => 1 + below(size + 2)),
        dtype,
        codecs: codecs as unknown as zarr.CodecMetadata[],
        // it cannot write big integers to JSON
        fillValue: pick(0, 1, 7),
      }) as zarr.Array<zarr.DataType, Store>;
      const stride = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
      await zarr.set(written, null, { data: values, shape, stride } as never);
      const array = await openZarrArray(store, "/x");
      expectSameElements(dtype, await readAll(array), new Uint8Array(values.buffer), made);
      outcomes.equal++;
      await store.deleteAll();
    }
    outcomes.print(`${ARRAYS} arrays of zarrita`);
  });
});
