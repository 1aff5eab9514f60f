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
    const filesOf = async (times: number) => {
      const place = join(folder, `repeated-${times}`);
      await mkdir(place);
      return await writeRecording(place, repeat(recording, times));
    };
    const decode = async (options: string[]) => {
      const run = await runProcess([
        ...["decode", ...options, "--bin-size", "0.7", "--states", "contFrag", "--step", "0.04"],
        ...["--budget", "8MiB", "--chunk-rows", "250"],
        // lanes hold memory of their own, however long they are
        ...[
          "--lanes",
          "1",
          "--out",
          join(folder, `${crypto.randomUUID()}.zarr`),
          "--json",
          "--quiet",
        ],
      ], { env: NOTHING_KEPT });
      const { peakResidentBytes, rows, states } = JSON.parse(run.stdout);
      return { resident: peakResidentBytes as number, posterior: 4 * rows * states };
    };
    const [one, ten] = [await decode(await filesOf(1)), await filesOf(10)];
    const long = await decode(ten);
    const more = long.posterior - one.posterior;
    // what is held shows every time, what is only collected late does not
    for (let again = 0; again < 2 && long.resident - one.resident >= more / 2; again++) {
      long.resident = Math.min(long.resident, (await decode(ten)).resident);
    }
    const mebibytes = (key: "resident" | "posterior") =>
      [one, long].map((run) => Math.round(run[key] / 2 ** 20)).join(" and ");
    console.log(
      `${runtime}: resident ${mebibytes("resident")} MiB for posteriors of ${
        mebibytes("posterior")
      } MiB`,
    );
    expect(more).toBeGreaterThan(18 * 2 ** 20);
    // inputs and garbage collection move it a little; holding the posterior would show twice over
    expect(long.resident - one.resident).toBeLessThan(more / 2);
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
