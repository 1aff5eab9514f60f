/**
 * Place fields by a GLM, which the host fits: of a small recording of our own, and of a rat on a linear track
 * where that is (`SLUICE_DATA`, or `../shared`).
 */

import { existsSync } from "node:fs";
import process from "node:process";
import { continuous, sortedSpikes } from "../src/hmm/decoder.ts";
import { PlaceSplines, ratesAt } from "../src/hmm/glm_encoding.ts";
import { formatTable } from "../src/math/format.ts";
import type { TestRecording } from "../test/support/recordings.ts";
import { smallRecording } from "../test/support/recordings.ts";
import { checkWithin, median } from "./harness.ts";
import { readLinearTrack } from "./linear_track.ts";
import type { ResultRow } from "./results.ts";

const REPEATS = 3;

export async function runGlmFit(): Promise<ResultRow[]> {
  const cases: { recording: TestRecording; binSize: number; knotSpacing: number }[] = [{
    recording: smallRecording({ seconds: 600, dimensions: 2, units: 12 }),
    ...{ binSize: 2, knotSpacing: 5 },
  }];
  if (existsSync(`${process.env.SLUICE_DATA || "../shared"}/data/linear-track`)) {
    cases.push({ recording: await readLinearTrack(), binSize: 6, knotSpacing: 30 });
  }
  const rows = cases.map(({ recording, ...sizes }): ResultRow => {
    const fit = () =>
      sortedSpikes({ ...recording, ...sizes, placeFields: "glm", states: continuous() });
    const { encoding: { glm } } = fit();
    const found = glm!;
    const splines = new PlaceSplines(found.knots);
    checkLevels(recording, (place) => ratesAt(found, splines, place));
    const milliseconds = Array.from({ length: REPEATS }, () => {
      const began = process.cpuUsage();
      fit();
      const { user, system } = process.cpuUsage(began);
      return (user + system) / 1000;
    });
    const knots = found.knots.map(({ length }) => length).join(" x ");
    const { times } = recording.position;
    const seconds = Math.round(times.at(-1)! - times[0]!);
    return {
      bench: "glm_fit",
      case: `${knots} knots, ${recording.spikes.times.length} spikes in ${seconds} s`,
      cpuMs: median(milliseconds),
    };
  });
  console.log(
    `\n${
      formatTable([
        ["", "processor ms"],
        ...rows.map((row) => [row.case, (row.cpuMs as number).toFixed(0)]),
      ])
    }\n`,
  );
  return rows;
}

/** A level that costs nothing expects as many spikes as there were, of units that have some. */
function checkLevels(
  { position: { times, values }, spikes }: TestRecording,
  rates: (place: Float64Array) => Float64Array,
): void {
  const dimensions = values.length / times.length;
  const counts: number[] = [];
  spikes.units.forEach((unit) => counts[unit] = (counts[unit] ?? 0) + 1);
  const expected = counts.map(() => 0);
  for (let i = 1; i + 1 < times.length; i++) {
    const seconds = (times[i + 1]! - times[i - 1]!) / 2;
    rates(values.subarray(i * dimensions, (i + 1) * dimensions))
      .forEach((rate, unit) => expected[unit]! += seconds * rate);
  }
  // ends of the recording, and frames that were lost
  counts.forEach((count, unit) =>
    checkWithin("glm_fit", Math.abs(expected[unit]! / count - 1), 0.01)
  );
}
