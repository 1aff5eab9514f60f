import { describe, expect, it } from "vitest";
import type { TestContext } from "vitest";
import type { DecodeOptions, SortedSpikesDecoder } from "../../src/hmm/decoder.ts";
import { contFrag, simulateSession, sortedSpikes } from "../../src/hmm/decoder.ts";
import { compress } from "../../src/zarr/codecs.ts";
import { openStore } from "../../src/store/open_store.ts";
import { useGpu } from "../support/gpu.ts";
import { chunkBytes, posteriorErrors } from "../support/posterior_errors.ts";
import { linearTrack } from "../support/recordings.ts";
import { sharedDataMissing } from "../support/shared_data.ts";
import { runningStretch, TRACK_CASES, trackDecoder } from "../support/track.ts";

const gpu = useGpu();

const ROWS = 120;
const STEP = 0.02;
const POSTERIOR = ["acausal_posterior", "acausal_posterior_scale"];

interface Stretch {
  decoder: SortedSpikesDecoder;
  start: number;
}

/** A rat in a box, made up. */
function simulated(): Stretch {
  const session = simulateSession({ seed: 11, seconds: 60, arena: [80, 60], units: 40 });
  const decoder = sortedSpikes({ ...session, states: contFrag({ movementVar: 6 }), binSize: 4 });
  return { decoder, start: 30 };
}

/** The rat on the linear track: a stretch it runs, or one from `start` seconds on. */
async function recorded(context: TestContext, start?: number): Promise<Stretch> {
  const missing = sharedDataMissing();
  if (missing) context.skip(missing);
  const recording = await linearTrack();
  const track = TRACK_CASES.find(({ preset }) => preset === "contFrag")!;
  const decoder = trackDecoder(recording, track);
  const first = recording.position.times[0]!;
  return {
    decoder,
    start: start === undefined ? runningStretch(recording, ROWS * STEP) : first + start,
  };
}

const STRETCHES: [string, (context: TestContext) => Stretch | Promise<Stretch>][] = [
  ["simulated", simulated],
  ["recorded, running", (context) => recorded(context)],
  ["recorded, resting", (context) => recorded(context, 100)],
];

let outputs = 0;

async function decode({ decoder, start }: Stretch, options: Partial<DecodeOptions>) {
  const out = `memory:posterior-types-test-${outputs++}`;
  const result = await decoder.smooth(gpu(), {
    time: { start, stop: start + ROWS * STEP, step: STEP },
    out,
    chunkRows: ROWS,
    shardChunks: 1,
    ...options,
  }).run();
  const [rows, width] = result.posterior.shape as [number, number];
  const values = await result.posterior.read(0, rows) as Float32Array;
  await result.close();
  return { out, values, rows, width, bytes: await chunkBytes(out, POSTERIOR) };
}

/** The one chunk of a posterior, without its checksum. */
async function readStored(out: string): Promise<Uint8Array> {
  const store = await openStore(out);
  const bytes = (await store.get("/acausal_posterior/c/0/0"))!;
  await store.close();
  return bytes.subarray(0, -4);
}

describe("root-scaled u16", () => {
  for (const [name, open] of STRETCHES) {
    it(`keeps contFrag rows in half the bytes, and 30 % fewer compressed: ${name}`, async (context) => {
      const stretch = await open(context);
      const exact = await decode(stretch, {});
      const stored = await decode(stretch, { dtype: "u16" });
      const { rows, width } = exact;
      expect(rows).toBe(ROWS);
      const errors = posteriorErrors(stored.values, exact.values, width);
      expect(errors.l1Max).toBeLessThanOrEqual(1e-4);
      expect(errors.rowSum).toBeLessThanOrEqual(1e-6);
      expect(errors.entropy).toBeLessThanOrEqual(1e-3);
      expect(errors.argmaxMismatches).toBe(0);
      // each array ends in a checksum of 4 bytes
      expect(exact.bytes - 4).toBe(4 * rows * width);
      expect(stored.bytes - 8).toBe(2 * rows * width + 4 * rows);
      const shares: Record<string, number> = {};
      const chunk = await readStored(stored.out);
      for (const codec of ["zstd", "delta-zstd"] as const) {
        shares[codec] = (await compress(codec, "uint16", chunk)).length / chunk.length;
      }
      console.log(
        `${name}: L1 ${errors.l1Max.toExponential(1)}, row sums ${
          errors.rowSum.toExponential(1)
        }, ` +
          `entropy ${errors.entropy.toExponential(1)} nat, compressed to ${JSON.stringify(shares)}`,
      );
      // zstd alone takes the low bits of broad rows for noise: 5 to 35 % here
      expect(shares["delta-zstd"]).toBeLessThanOrEqual(0.7);
      expect(shares["delta-zstd"]).toBeLessThan(shares.zstd!);
    });
  }
});
