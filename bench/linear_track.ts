/** The recording of a rat on a linear track, where it is: `SLUICE_DATA`, or `../shared`. */

import process from "node:process";
import { openArray, readAll } from "../src/array/array.ts";
import type { TestRecording } from "../test/support/recordings.ts";

export async function readLinearTrack(): Promise<TestRecording> {
  const data = `${process.env.SLUICE_DATA || "../shared"}/data/linear-track`;
  const read = async (name: string) =>
    Float64Array.from(
      await readAll(await openArray(`${data}/${name}.npy`)) as ArrayLike<number>,
      Number,
    );
  return {
    position: { times: await read("position_times"), values: await read("position_xy") },
    spikes: {
      times: await read("spike_times"),
      units: Uint32Array.from(await read("spike_units")),
    },
  };
}
