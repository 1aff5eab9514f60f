/**
 * What a stored posterior takes, and how far it is from the f32 it was computed as: a stretch of the
 * recording on a linear track with contFrag where it is there (`SLUICE_DATA`, or `../shared`), else of
 * a simulated session. Prints a table in Markdown, then one JSON line a row of it.
 */

import process from "node:process";
import { openArray, readAll } from "../src/array/array.ts";
import { ChunkError } from "../src/errors.ts";
import type { Gpu } from "../src/gpu/device.ts";
import type { PosteriorType, SortedSpikesDecoder } from "../src/hmm/decoder.ts";
import { contFrag, simulateSession, sortedSpikes } from "../src/hmm/decoder.ts";
import { POSTERIOR_TYPES } from "../src/hmm/posterior_types.ts";
import { exportNetcdf } from "../src/io/netcdf_export.ts";
import type { Codec } from "../src/zarr/codecs.ts";
import { openStore } from "../src/store/open_store.ts";
import type { PosteriorErrors } from "../test/support/posterior_errors.ts";
import { chunkBytes, posteriorErrors } from "../test/support/posterior_errors.ts";
import type { TestRecording } from "../test/support/recordings.ts";
import { runningStretch, TRACK_CASES, trackDecoder } from "../test/support/track.ts";
import { checkWithin } from "./harness.ts";
import type { ResultRow } from "./results.ts";

const ROWS = 500;
const STEP = 0.02;
const DEFLATE = 4;
const PLACE = "memory:posterior-types-bench";

const CODECS_OF: Record<PosteriorType, readonly Codec[]> = {
  f32: ["none", "zstd", "gzip"],
  f16: ["none", "zstd"],
  u16: ["none", "zstd", "delta-zstd"],
  "u16-linear": ["none", "zstd", "delta-zstd"],
};

interface Stretch {
  name: string;
  decoder: SortedSpikesDecoder;
  start: number;
}

async function openStretches(): Promise<Stretch[]> {
  const folder = `${process.env.SLUICE_DATA || "../shared"}/data/linear-track`;
  const read = async (name: string) => {
    const values = await readAll(await openArray(`${folder}/${name}.npy`));
    return Float64Array.from(values as ArrayLike<number>, Number);
  };
  let recording: TestRecording;
  try {
    recording = {
      position: { times: await read("position_times"), values: await read("position_xy") },
      spikes: {
        times: await read("spike_times"),
        units: Uint32Array.from(await read("spike_units")),
      },
    };
  } catch (error) {
    if (!(error instanceof ChunkError)) throw error;
    const session = simulateSession({ seed: 11, seconds: 120, arena: [100, 100] });
    const decoder = sortedSpikes({ ...session, states: contFrag({ movementVar: 6 }), binSize: 4 });
    return [{ name: "a simulated session", decoder, start: 60 }];
  }
  const track = TRACK_CASES.find(({ preset }) => preset === "contFrag")!;
  const decoder = trackDecoder(recording, track);
  return [
    { name: "the linear track, running", decoder, start: runningStretch(recording, ROWS * STEP) },
    { name: "the linear track, resting", decoder, start: recording.position.times[0]! + 100 },
  ];
}

async function decode(
  gpu: Gpu,
  { decoder, start }: Stretch,
  dtype: PosteriorType,
  codec: Codec,
): Promise<{ values: Float32Array; width: number; bytes: number }> {
  const time = { start, stop: start + ROWS * STEP, step: STEP };
  const plan = decoder.smooth(gpu, {
    time,
    out: PLACE,
    dtype,
    codec,
    // chunks at the edge are stored whole: there is none
    chunkRows: ROWS,
    overwrite: true,
  });
  const result = await plan.run();
  const values = await readAll(result.posterior) as Float32Array;
  const width = result.posterior.shape[1]!;
  await result.close();
  const bytes = await chunkBytes(PLACE, ["acausal_posterior", "acausal_posterior_scale"]);
  return { values, width, bytes };
}

/** Bytes the posterior takes in a NetCDF file of the store: with it, less without it. */
async function netcdfBytes(): Promise<number> {
  const file = `${PLACE}-netcdf/a.nc`;
  const sizes: number[] = [];
  const store = await openStore(PLACE);
  for (let i = 0; i < 2; i++) {
    sizes.push((await exportNetcdf(PLACE, file, { deflate: DEFLATE, overwrite: true })).fileBytes);
    await store.deleteAll("/acausal_posterior");
  }
  await store.close();
  return sizes[0]! - sizes[1]!;
}

async function compareTypes(gpu: Gpu, stretch: Stretch): Promise<ResultRow[]> {
  const exact = await decode(gpu, stretch, "f32", "none");
  const cases: ({ dtype: PosteriorType; codec: string; bytes: number } & PosteriorErrors)[] = [];
  for (const dtype of POSTERIOR_TYPES) {
    for (const codec of CODECS_OF[dtype]) {
      const { values, width, bytes } = await decode(gpu, stretch, dtype, codec);
      const errors = posteriorErrors(values, exact.values, width);
      if (dtype === "u16") {
        checkWithin("L1 of u16 rows", errors.l1Max, 1e-4);
        checkWithin("sum of u16 rows", errors.rowSum, 1e-6);
        checkWithin("entropy of u16 rows", errors.entropy, 1e-3);
        checkWithin("largest bin of u16 rows", errors.argmaxMismatches, 0);
      }
      cases.push({ dtype, codec, bytes, ...errors });
      if (dtype === "f32" && codec === "none") {
        const file = { codec: `NetCDF deflate ${DEFLATE}`, bytes: await netcdfBytes() };
        cases.push({ dtype, ...file, ...errors });
      }
    }
  }
  const header = ["dtype", "compression", "bytes/row", "of f32", "L1 max", "L1 mean"];
  const power = (value: number) => value === 0 ? "0" : value.toExponential(1);
  const table = [
    [...header, "row sum", "entropy, nat", "argmax off"],
    ["---", "---", ...Array(7).fill("--:")],
    ...cases.map(({ dtype, codec, bytes, ...errors }) => [
      dtype,
      codec,
      (bytes / ROWS).toFixed(0),
      `${(100 * bytes / exact.bytes).toFixed(1)} %`,
      power(errors.l1Max),
      power(errors.l1Mean),
      power(errors.rowSum),
      power(errors.entropy),
      `${errors.argmaxMismatches}`,
    ]),
  ];
  const markdown = table.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  console.log(
    `posterior_types: ${ROWS} contFrag rows of ${exact.width} bins, ${stretch.name}, ` +
      `${gpu.adapter.name}\n\n${markdown}\n`,
  );
  return cases.map(({ dtype, codec, ...row }) => ({
    bench: "posterior_types",
    case: `${dtype}, ${codec}, ${stretch.name}`,
    rows: ROWS,
    width: exact.width,
    ...row,
  }));
}

export const posteriorTypesBench = {
  name: "posterior_types",
  async run(gpu: Gpu): Promise<ResultRow[]> {
    const rows: ResultRow[] = [];
    for (const stretch of await openStretches()) rows.push(...await compareTypes(gpu, stretch));
    return rows;
  },
};
