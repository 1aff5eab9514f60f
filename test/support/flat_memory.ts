/** Resident memory of a decode and of one ten times as long, from their processes. */

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { NOTHING_KEPT, runProcess, writeRecording } from "./cli_process.ts";
import { smallRecording } from "./recordings.ts";
import { runtime } from "./runtime.ts";

export async function expectFlatMemory(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), `sluice-memory-${runtime}-`));
  try {
    // what is built, is built in the process that runs it
    await runProcess(["--version"], {});
    const recording = smallRecording({ seconds: 22, dimensions: 2 });
    const resident: number[] = [];
    const posteriorBytes: number[] = [];
    for (const times of [1, 10]) {
      const place = join(folder, `repeated-${times}`);
      await mkdir(place);
      const options = await writeRecording(place, repeat(recording, times));
      const run = await runProcess([
        "decode",
        ...options,
        "--bin-size",
        "0.7",
        "--states",
        "contFrag",
        "--step",
        "0.04",
        "--budget",
        "8MiB",
        "--chunk-rows",
        "250",
        // lanes hold memory of their own, however long they are
        "--lanes",
        "1",
        "--out",
        join(place, "out.zarr"),
        "--json",
        "--quiet",
      ], { env: NOTHING_KEPT });
      const summary = JSON.parse(run.stdout);
      resident.push(summary.peakResidentBytes);
      posteriorBytes.push(4 * summary.rows * summary.states);
    }
    const grown = resident[1]! - resident[0]!;
    const more = posteriorBytes[1]! - posteriorBytes[0]!;
    console.log(
      `${runtime}: resident ${
        resident.map((bytes) => Math.round(bytes / 2 ** 20)).join(" and ")
      } ` +
        `MiB for posteriors of ${
          posteriorBytes.map((bytes) => Math.round(bytes / 2 ** 20)).join(" and ")
        } MiB`,
    );
    expect(more).toBeGreaterThan(18 * 2 ** 20);
    // inputs and garbage collection move it a little; holding the posterior would show twice over
    expect(grown).toBeLessThan(more / 2);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function repeat(
  { position, spikes }: ReturnType<typeof smallRecording>,
  times: number,
): ReturnType<typeof smallRecording> {
  const seconds = position.times.at(-1)! + 0.02;
  const shifted = (source: Float64Array) =>
    Float64Array.from(
      { length: times * source.length },
      (_, i) => source[i % source.length]! + seconds * Math.floor(i / source.length),
    );
  return {
    position: {
      times: shifted(position.times),
      values: Float64Array.from(
        { length: times * position.values.length },
        (_, i) => position.values[i % position.values.length]!,
      ),
    },
    spikes: {
      times: shifted(spikes.times),
      units: Uint32Array.from(
        { length: times * spikes.units.length },
        (_, i) => spikes.units[i % spikes.units.length]!,
      ),
    },
  };
}
