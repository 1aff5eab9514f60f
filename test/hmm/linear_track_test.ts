import { describe, expect, it } from "vitest";
import { validateRecording } from "../../src/hmm/recording.ts";
import { rateTable } from "../../src/hmm/sorted_spikes.ts";
import { binSpikes, timeGrid } from "../../src/hmm/time_grid.ts";
import { hmmFilter } from "../reference/hmm_filter.ts";
import { hmmSmooth } from "../reference/hmm_smooth.ts";
import { poissonLikelihood } from "../reference/poisson_likelihood.ts";
import { referenceTransition } from "../reference/transition.ts";
import { useGpu } from "../support/gpu.ts";
import { largestDifference, overStates } from "../support/hmm_problem.ts";
import { recordNumbers } from "../support/record.ts";
import { linearTrack } from "../support/recordings.ts";
import { sharedDataMissing } from "../support/shared_data.ts";
import { cases } from "../support/tier.ts";
import {
  decodeTrack,
  expectLanesAgree,
  medianError,
  runningStretch,
  sampleRows,
  TRACK_CASES,
  trackDecoder,
  worstRowSum,
} from "../support/track.ts";

const gpu = useGpu({ budget: "256 MiB" });

const ROWS = cases(1000, 3000);
const LANE_ROWS = cases(400, 1200);
// the twin multiplies matrices: what it is asked for takes seconds, not minutes
const TWIN_ROWS = 80;
// f32 against f64, and taps cut at 8 standard deviations
const TOLERANCE = 4e-6;

describe("the recording on a linear track", () => {
  it("has the grid that its rules give: 73 x 82 bins, 992 interior", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const { grid, encoding } = trackDecoder(await linearTrack(), TRACK_CASES[0]!);
    expect(grid.shape).toEqual([73, 82]);
    expect(grid.interiorIndex.length).toBe(992);
    expect(encoding.mergedStamps).toBe(1);
    expect(encoding.intervals.length).toBe(1);
  });

  for (const track of TRACK_CASES) {
    it(`${track.name}: a moving stretch of ${ROWS} rows lies near the animal`, async (context) => {
      const missing = sharedDataMissing();
      if (missing) context.skip(missing);
      const recording = await linearTrack();
      const start = runningStretch(recording, track.step * ROWS);
      const time = { start, stop: start + track.step * ROWS };
      const stem = `track_${track.preset}_${1000 * track.step}ms`;
      const result = await decodeTrack(gpu(), recording, track, { time, out: `memory:${stem}` });
      expect(result.posterior.shape[0]).toBe(ROWS);
      const error = await medianError(recording, result);
      console.log(
        `${track.name}: median ${error.pixels.toFixed(1)} px over ${error.rows} running rows, ` +
          `log-likelihood ${result.marginalLogLikelihood}`,
      );
      expect(error.pixels).toBeLessThan(track.mostPixels);
      expect(await worstRowSum(result)).toBeLessThan(1e-5);
      expect(result.peakBytes.gpu).toBeLessThanOrEqual(256 * 2 ** 20);
      await recordNumbers(stem, [
        // scaled so that the comparison's 1e-5 means a millinat in the log-likelihood
        result.marginalLogLikelihood / 100,
        error.pixels / 1000,
        ...await sampleRows(result, 20),
      ]);
      await result.close();
    });

    it(`${track.name}: agrees with the f64 twin`, async (context) => {
      const missing = sharedDataMissing();
      if (missing) context.skip(missing);
      const recording = await linearTrack();
      const decoder = trackDecoder(recording, track);
      const start = runningStretch(recording, track.step * TWIN_ROWS);
      const time = { start, stop: start + track.step * TWIN_ROWS, step: track.step };
      const out = `memory:twin_${track.name}`;
      const result = await decoder.smooth(gpu(), { time, out }).run();

      const bins = decoder.grid.interiorIndex.length;
      const states = decoder.states.names.length;
      const { spikes } = validateRecording(recording.position, recording.spikes);
      const likelihoods = poissonLikelihood(
        rateTable(decoder.encoding, track.step),
        bins,
        binSpikes(spikes, timeGrid(time)),
      );
      const transition = referenceTransition(decoder.grid, decoder.states, 8);
      const forward = hmmFilter({
        initial: new Float64Array(states * bins).fill(1 / (states * bins)),
        transition,
        logLikelihoods: overStates(likelihoods, bins, states),
      });
      const posterior = await result.posterior.read(0, TWIN_ROWS) as Float32Array;
      expect(largestDifference(posterior, hmmSmooth(forward, transition))).toBeLessThan(TOLERANCE);
      expect(Math.abs(result.marginalLogLikelihood - forward.marginalLogLikelihood))
        .toBeLessThan(1e-3);
      await result.close();
    });
  }

  it("is the same in two lanes", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const recording = await linearTrack();
    const [track] = TRACK_CASES;
    const start = runningStretch(recording, track!.step * LANE_ROWS);
    const time = { start, stop: start + track!.step * LANE_ROWS };
    await expectLanesAgree(gpu(), recording, track!, [2], (lanes) => ({
      time,
      // a second lane that starts from a guess, not with the first row
      burnInRows: 128,
      out: `memory:track_lanes_${lanes}`,
    }));
  });
});
