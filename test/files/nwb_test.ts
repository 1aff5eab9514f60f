import { describe, expect, it } from "vitest";
import { ChunkError } from "../../src/errors.ts";
import type { H5File, H5Group } from "../../src/files/h5wasm.ts";
import { H5Access } from "../../src/files/h5wasm.ts";
import { Hdf5File } from "../../src/files/hdf5_array.ts";
import { isNwb, openSeries, readUnits, spatialSeries } from "../../src/files/nwb.ts";
import { readNwb } from "../../src/io/nwb_recording.ts";
import { createFile } from "../../src/files/sync_file.ts";
import { libraryArrays, libraryFile, putFiles } from "../support/library_files.ts";

type Values = Float64Array | Int16Array | Uint8Array | Int32Array;
type Attributes = Record<string, string | number>;

const DTYPES = new Map<unknown, string>([
  [Float64Array, "<d"],
  [Int16Array, "<h"],
  [Int32Array, "<i"],
  [Uint8Array, "<B"],
]);

/** Writes groups, then datasets; a number is a single value. */
async function write(
  groups: Record<string, Attributes>,
  datasets: Record<string, [values: Values | number, attributes?: Attributes, shape?: number[]]>,
): Promise<Hdf5File> {
  const place = "memory:nwb_test/a.nwb";
  const output = await createFile(place, { overwrite: true });
  const access = await H5Access.open(output.file, "w");
  const file = access.file as H5File & { create_group(path: string): H5Group };
  const put = (object: H5File | H5Group, attributes: Attributes) => {
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "string") object.create_attribute(name, value, null, "S");
      else object.create_attribute(name, Float64Array.of(value), [], "<d");
    }
  };
  put(file, { nwb_version: "2.7.0" });
  for (const [path, attributes] of Object.entries(groups)) put(file.create_group(path), attributes);
  for (const [name, [values, attributes = {}, shape]] of Object.entries(datasets)) {
    const isOne = typeof values === "number";
    const data = isOne ? Float64Array.of(values) : values;
    const dataset = file.create_dataset({
      name,
      data,
      shape: isOne ? [] : shape ?? [data.length],
      dtype: DTYPES.get(data.constructor)!,
    });
    put(dataset as unknown as H5Group, attributes);
  }
  access.close();
  await output.finish();
  return await Hdf5File.open(place);
}

const SERIES = { s: { neurodata_type: "SpatialSeries" } };
const DATA: [Values, Attributes] = [Int16Array.of(1, 2, 3), {
  unit: "m",
  conversion: 0.5,
  offset: 10,
}];
const STAMPS: [Values, Attributes] = [Float64Array.of(1, 2, 3), { unit: "seconds" }];

describe("openSeries()", () => {
  it("reads samples in their unit, [samples, 2] too, and leaves those that are in it as they are", async () => {
    const file = await write({ ...SERIES, t: {} }, {
      "s/data": [Int16Array.of(1, 2, 3, 4, 5, 6), { conversion: 0.5, offset: 10 }, [3, 2]],
      "s/timestamps": STAMPS,
      "t/data": [Int16Array.of(1, 2, 3), { conversion: 1 }],
      "t/starting_time": [5, { rate: 4, unit: "seconds" }],
    });
    const { values, unit } = openSeries(file, "s");
    expect([values.shape, values.dtype, unit]).toEqual([[3, 2], "float64", undefined]);
    expect(await values.read(1, 3)).toEqual(Float64Array.of(11.5, 12, 12.5, 13));
    const plain = openSeries(file, "t");
    expect(await plain.values.read(0, 3)).toEqual(Int16Array.of(1, 2, 3));
    expect(await plain.times.read(1, 3)).toEqual(Float64Array.of(5.25, 5.5));
    expect(spatialSeries(file)).toEqual(["s"]);
    file.close();
  });

  it.each<[string, Parameters<typeof write>[1], RegExp]>([
    ["without times", { "s/data": DATA }, /it is no time series/],
    [
      "with too few times",
      { "s/data": DATA, "s/timestamps": [Float64Array.of(1, 2)] },
      /3 samples and timestamps of shape \[2\]/,
    ],
    ["with times in milliseconds", {
      "s/data": DATA,
      "s/timestamps": [Float64Array.of(1, 2, 3), { unit: "ms" }],
    }, /timestamps are in ms, wanted seconds/],
    ["with a start and no rate", { "s/data": DATA, "s/starting_time": [1] }, /its rate is missing/],
    ["with a rate of 0", { "s/data": DATA, "s/starting_time": [1, { rate: 0 }] }, /with 0 Hz/],
    [
      "that starts at NaN",
      { "s/data": DATA, "s/starting_time": [NaN, { rate: 1 }] },
      /starts at NaN s/,
    ],
    ["whose channels differ", {
      "s/data": DATA,
      "s/timestamps": STAMPS,
      "s/channel_conversion": [Float64Array.of(1)],
    }, /its channels have conversions of their own/],
    ["with a conversion of 0", {
      "s/data": [Int16Array.of(1, 2, 3), { conversion: 0 }],
      "s/timestamps": STAMPS,
    }, /conversion is 0/],
    ["with a conversion of NaN", {
      "s/data": [Int16Array.of(1, 2, 3), { conversion: NaN }],
      "s/timestamps": STAMPS,
    }, /conversion is .*, wanted a finite number/],
    ["with a conversion of words", {
      "s/data": [Int16Array.of(1, 2, 3), { conversion: "cm" }],
      "s/timestamps": STAMPS,
    }, /conversion is "cm"/],
  ])("refuses a series %s", async (_, datasets, message) => {
    const file = await write(SERIES, datasets);
    expect(() => openSeries(file, "s")).toThrow(ChunkError);
    expect(() => openSeries(file, "s")).toThrow(message);
    file.close();
  });
});

describe("readUnits()", () => {
  it("reads the spikes of every unit by its id, as h5py wrote them", async () => {
    const { spike_times, spike_units } = libraryArrays("nwb");
    for (const name of ["stamps.nwb", "steady.nwb"]) {
      const place = await putFiles("nwb_test", { [name]: await libraryFile(name) });
      const file = await Hdf5File.open(`${place}/${name}`);
      expect(isNwb(file)).toBe(true);
      const { times, units, ids } = await readUnits(file);
      expect(times).toEqual(spike_times!.values);
      expect(units).toEqual(Float64Array.from(spike_units!.values as BigInt64Array, Number));
      expect(ids).toEqual([7, 2, 9]);
      file.close();
    }
  });

  const times: [Values] = [Float64Array.of(1, 2, 3)];

  it("numbers units that have no ids, and keeps those without spikes", async () => {
    const file = await write({ units: {} }, {
      "units/spike_times": times,
      "units/spike_times_index": [Uint8Array.of(2, 2, 3)],
    });
    expect(await readUnits(file)).toEqual({
      times: Float64Array.of(1, 2, 3),
      units: Float64Array.of(0, 0, 2),
      ids: [0, 1, 2],
    });
    file.close();
  });

  it.each<[string, Parameters<typeof write>[1], RegExp]>([
    ["without spikes", {}, /it has no spike_times and spike_times_index/],
    ["that end before they begin", {
      "units/spike_times": times,
      "units/spike_times_index": [Uint8Array.of(2, 1)],
    }, /list 1 of its spikes ends at 1, after 2 of 3/],
    ["that end beyond the last", {
      "units/spike_times": times,
      "units/spike_times_index": [Uint8Array.of(2, 4)],
    }, /ends at 4, after 2 of 3/],
    ["with spikes of nobody", {
      "units/spike_times": times,
      "units/spike_times_index": [Uint8Array.of(2)],
    }, /1 of its spikes belong to no unit/],
    ["with the same id twice", {
      "units/spike_times": times,
      "units/spike_times_index": [Uint8Array.of(2, 3)],
      "units/id": [Int32Array.of(4, 4)],
    }, /two of its units have the same id/],
    ["with too few ids", {
      "units/spike_times": times,
      "units/spike_times_index": [Uint8Array.of(2, 3)],
      "units/id": [Int32Array.of(4)],
    }, /1 ids and 2 lists/],
    ["with spikes in samples", {
      "units/spike_times": [Float64Array.of(1), { unit: "samples" }],
      "units/spike_times_index": [Uint8Array.of(1)],
    }, /spike_times are in samples, wanted seconds/],
    ["with lists of lists", {
      "units/spike_times": times,
      "units/spike_times_index": [Uint8Array.of(2, 3)],
      "units/spike_times_index_index": [Uint8Array.of(2)],
    }, /lists of lists/],
  ])("refuses units %s", async (_, datasets, message) => {
    const file = await write({ units: {} }, datasets);
    await expect(readUnits(file)).rejects.toThrow(ChunkError);
    await expect(readUnits(file)).rejects.toThrow(message);
    file.close();
  });
});

describe("readNwb()", () => {
  it("gives what a decoder takes: spikes in the order of time, and the only position in its unit", async () => {
    const { spike_times, spike_units, position, times } = libraryArrays("nwb");
    const files = await putFiles("readNwb", {
      "a.nwb": await libraryFile("stamps.nwb"),
      "two.nwb": await libraryFile("two.nwb"),
    });
    const read = await readNwb(`${files}/a.nwb`);
    const inOrder = Array.from(spike_times!.values, Number).map((time, i) => ({
      ...{ time, unit: Number(spike_units!.values[i]) },
    })).sort((a, b) => a.time - b.time);
    expect([...read.spikes.times]).toEqual(inOrder.map(({ time }) => time));
    expect([...read.spikes.units]).toEqual(inOrder.map(({ unit }) => unit));
    expect([...read.position.values]).toEqual(Array.from(position!.values, Number));
    expect(read.position.shape).toEqual(position!.shape);
    expect([...read.position.times as Float64Array]).toEqual(Array.from(times!.values, Number));
    await expect(readNwb(`${files}/two.nwb`)).rejects.toThrow(
      /it has 2 positions \(SpatialSeries\), wanted one: name one of .*head.*, .*tail/,
    );
    const named = await readNwb(`${files}/two.nwb`, {
      position: "processing/behavior/Position/tail",
    });
    expect(named.unit).toBe(read.unit);
  });
});
