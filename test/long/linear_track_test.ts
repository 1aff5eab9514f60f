import { describe, expect, it } from "vitest";
import { formatBytes, formatSeconds } from "../../src/math/format.ts";
import { openStore } from "../../src/store/open_store.ts";
import { useGpu } from "../support/gpu.ts";
import { recordNumbers } from "../support/record.ts";
import type { TestRecording } from "../support/recordings.ts";
import { linearTrack } from "../support/recordings.ts";
import { runtime } from "../support/runtime.ts";
import { sharedDataMissing } from "../support/shared_data.ts";
import type { TrackCase } from "../support/track.ts";
import {
  decodeTrack,
  expectLanesAgree,
  medianError,
  runningStretch,
  sampleRows,
  TRACK_CASES,
  worstRowSum,
} from "../support/track.ts";

const gpu = useGpu({ budget: "256 MiB" });

describe("the whole recording on a linear track, on disk, under 256 MiB", () => {
  for (const track of TRACK_CASES) {
    const stem = `whole_track_${track.preset}_${1000 * track.step}ms`;
    it(`${track.name} stays within ${track.mostPixels} px of the running animal`, async (context) => {
      const missing = sharedDataMissing();
      if (missing) context.skip(missing);
      const recording = await linearTrack();
      const out = await place(stem);
      try {
        const result = await decodeTrack(gpu(), recording, track, { out, overwrite: true });
        const error = await medianError(recording, result);
        const rowSum = await worstRowSum(result);
        console.log(
          `${runtime}, ${track.name}: ${result.posterior.shape[0]} rows in ` +
            `${formatSeconds(result.seconds.total!)}, median ${error.pixels.toFixed(2)} px over ` +
            `${error.rows} running rows, log-likelihood ${result.marginalLogLikelihood}, ` +
            `row sums within ${rowSum.toExponential(1)}, GPU peak ` +
            `${formatBytes(result.peakBytes.gpu)} of ${formatBytes(result.projectedBytes.gpu)}`,
        );
        expect(error.pixels).toBeLessThan(track.mostPixels);
        expect(rowSum).toBeLessThan(1e-5);
        expect(result.peakBytes.gpu).toBeLessThanOrEqual(result.projectedBytes.gpu);
        expect(result.projectedBytes.gpu).toBeLessThanOrEqual(256 * 2 ** 20);
        await recordNumbers(stem, [
          // scaled so that the comparison's 1e-5 means a millinat in the log-likelihood
          result.marginalLogLikelihood / 100,
          error.pixels / 1000,
          ...await sampleRows(result, 40),
        ]);
        await result.close();
      } finally {
        const store = await openStore(out, { mode: "write" });
        await store.deleteAll();
        await store.close();
      }
    });
  }
});

describe("lanes", () => {
  const [slow, , fast] = TRACK_CASES as [TrackCase, TrackCase, TrackCase];
  for (
    const { track, seconds } of [{ track: slow, seconds: undefined }, { track: fast, seconds: 80 }]
  ) {
    it(`change nothing: ${track.name}, ${seconds ?? "all"} seconds`, async (context) => {
      const missing = sharedDataMissing();
      if (missing) context.skip(missing);
      if (runtime !== "node") context.skip("shorter stretches are compared in every runtime");
      const recording = await linearTrack();
      const time = seconds === undefined ? {} : timeOf(recording, seconds);
      const places = await Promise.all([1, 2, 8, 64].map(async (lanes) => ({
        lanes,
        out: await place(`lanes_${lanes}`),
      })));
      await expectLanesAgree(gpu(), recording, track, [2, 8, 64], (lanes) => ({
        time,
        out: places.find((some) => some.lanes === lanes)!.out,
      }));
      for (const { out } of places) {
        const store = await openStore(out, { mode: "write" });
        await store.deleteAll();
        await store.close();
      }
    });
  }
});

function timeOf(recording: TestRecording, seconds: number) {
  const start = runningStretch(recording, seconds);
  return { start, stop: start + seconds };
}

/** OPFS in the browser, a temporary folder elsewhere. */
async function place(stem: string): Promise<string> {
  if (runtime === "chromium") return `opfs:${stem}.zarr`;
  const { mkdtemp } = await import("node:fs/promises");
  const { tmpdir } = await import("node:os");
  return `file:${await mkdtemp(`${tmpdir()}/sluice-`)}/${stem}.zarr`;
}
