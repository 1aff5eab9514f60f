/** A zarr group as a decode stores it, small and seeded, with an array of every element type beside. */

import type { Codec } from "../../src/zarr/codecs.ts";
import type { NumericType } from "../../src/zarr/data_types.ts";
import { createElements } from "../../src/zarr/data_types.ts";
import { openStore } from "../../src/store/open_store.ts";
import type { ZarrArraySpec, ZarrFormat } from "../../src/zarr/metadata.ts";
import { writeArray, writeGroup } from "../../src/zarr/group_writer.ts";
import type { NumericArray } from "../../src/types.ts";
import { seeded } from "./random.ts";

export const NUMERIC_TYPES = [
  "bool",
  "int8",
  "int16",
  "int32",
  "int64",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
  "float16",
  "float32",
  "float64",
] as const satisfies readonly NumericType[];

/** Bins of the box, and those of them that are on the track. */
export const BOX_BINS = 11;
const INTERIOR = [1, 2, 3, 5, 6, 9];
const NAMES = ["Continuous", "Fragmentiert é"];

export interface SmallGroupOptions {
  rows?: number;
  chunkRows?: number;
  zarrFormat?: ZarrFormat;
  codec?: Codec;
  attributes?: Record<string, unknown>;
}

/** Writes the group; returns the elements of its arrays by name. */
export async function writeSmallGroup(
  place: string,
  {
    rows = 103,
    chunkRows = 20,
    zarrFormat = 3,
    codec = "none",
    attributes = {},
  }: SmallGroupOptions = {},
): Promise<Record<string, NumericArray | readonly string[]>> {
  const random = seeded(7);
  const bins = NAMES.length * INTERIOR.length;
  const arrays: { spec: ZarrArraySpec; data: NumericArray | readonly string[] }[] = [];
  const add = (
    name: string,
    dims: readonly string[],
    shape: readonly number[],
    dtype: ZarrArraySpec["dtype"],
    data: NumericArray | readonly string[],
    more: Partial<ZarrArraySpec> = {},
  ) => {
    const chunkShape = shape.map((size, axis) =>
      axis === 0 && dims[0] === "time" ? Math.min(size, chunkRows) : size
    );
    arrays.push({ spec: { name, dims, shape, chunkShape, dtype, codec, ...more }, data });
  };
  const perBin = Array.from({ length: bins }, (_, i) => Math.floor(i / INTERIOR.length));
  const perBoxBin = Array.from({ length: NAMES.length * BOX_BINS }, (_, i) => i);
  const interior = perBin.map((state, i) => state * BOX_BINS + INTERIOR[i % INTERIOR.length]!);
  const full = NAMES.length * BOX_BINS;
  const times = Float64Array.from({ length: rows }, (_, row) => 12.5 + 0.002 * row);
  const units = { attributes: { units: "s" } };
  const text = { stringLength: 20, codec: "none" } as const;
  const posterior = Float32Array.from({ length: rows * bins }, random);
  // not every row is known
  posterior.fill(NaN, 0, bins);
  add("time", ["time"], [rows], "float64", times, units);
  add("states", ["states"], [2], "string", NAMES, text);
  add("state", ["state_bins"], [bins], "string", perBin.map((state) => NAMES[state]!), text);
  add("state_ind", ["state_bins"], [bins], "int32", Int32Array.from(perBin));
  add(
    "position",
    ["state_bins"],
    [bins],
    "float64",
    Float64Array.from(interior, (bin) => 0.5 + bin % BOX_BINS),
  );
  add("interior_index", ["state_bins"], [bins], "int32", Int32Array.from(interior));
  add(
    "full_state",
    ["full_state_bins"],
    [full],
    "string",
    perBoxBin.map((bin) => NAMES[Math.floor(bin / BOX_BINS)]!),
    text,
  );
  add(
    "full_state_ind",
    ["full_state_bins"],
    [full],
    "int32",
    Int32Array.from(perBoxBin, (bin) => Math.floor(bin / BOX_BINS)),
  );
  add(
    "full_position",
    ["full_state_bins"],
    [full],
    "float64",
    Float64Array.from(perBoxBin, (bin) => 0.5 + bin % BOX_BINS),
  );
  add(
    "is_track_interior",
    ["full_state_bins"],
    [full],
    "bool",
    Uint8Array.from({ length: full }, (_, bin) => Number(INTERIOR.includes(bin % BOX_BINS))),
  );
  add("acausal_posterior", ["time", "state_bins"], [rows, bins], "float32", posterior);
  add(
    "acausal_state_probabilities",
    ["time", "states"],
    [rows, 2],
    "float32",
    Float32Array.from({ length: 2 * rows }, random),
  );
  for (const dtype of NUMERIC_TYPES) {
    const shape = [rows, 3, 2];
    const data = dtype === "float16" ? new Uint16Array(rows * 6) : createElements(dtype, rows * 6);
    for (let i = 0; i < data.length; i++) {
      const value = Math.floor(random() * (dtype === "bool" ? 2 : 100));
      data[i] = dtype.endsWith("int64") ? BigInt(value) as never : value;
    }
    add(`a_${dtype}`, ["time", "row", "column"], shape, dtype, data);
  }

  const store = await openStore(place, { mode: "write" });
  await writeGroup(store, {
    zarrFormat,
    attributes: {
      format: "sluice.decode",
      format_version: 1,
      complete: true,
      coordinates: "state state_ind position interior_index full_state full_state_ind " +
        "full_position is_track_interior",
      marginal_log_likelihoods: [-1234.5678901234567],
      parameters: { grid: { bin_size: 3, shape: [11] }, causal: false },
      adapter: "Größe",
      nothing: null,
      empty: "",
      words: ["a", "ß"],
      ...attributes,
    },
    arrays: arrays.map(({ spec }) => spec),
  });
  for (const { spec, data } of arrays) await writeArray(store, spec, data, zarrFormat);
  await store.close();
  return Object.fromEntries(arrays.map(({ spec, data }) => [spec.name, data]));
}
