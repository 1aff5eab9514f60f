import { describe, expect, it } from "vitest";
import { formatBytes, formatSeconds } from "../../src/math/format.ts";
import { openStore } from "../../src/store/store.ts";
import { useGpu } from "../support/gpu.ts";
import { recordNumbers } from "../support/record.ts";
import { linearTrack } from "../support/recordings.ts";
import { runtime } from "../support/runtime.ts";
import { sharedDataMissing } from "../support/shared_data.ts";
import {
  decodeTrack,
  medianError,
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

/** OPFS in the browser, a temporary folder elsewhere. */
async function place(stem: string): Promise<string> {
  if (runtime === "chromium") return `opfs:${stem}.zarr`;
  const { mkdtemp } = await import("node:fs/promises");
  const { tmpdir } = await import("node:os");
  return `file:${await mkdtemp(`${tmpdir()}/sluice-`)}/${stem}.zarr`;
}
