/** A zarr group with a posterior of any size, as a decode stores it: cheap to make. */

import { openStore } from "../../src/store/open_store.ts";
import type { ZarrArraySpec } from "../../src/zarr/metadata.ts";
import { ChunkWriter } from "../../src/zarr/chunk_writer.ts";
import { writeArray, writeGroup } from "../../src/zarr/group_writer.ts";
import { seeded } from "./random.ts";

/** State bins, and bins of the box they are expanded to. */
export const LARGE_BINS = 1024;
const BOX_BINS = 1280;
const CHUNK_ROWS = 1024;

/** Writes `chunks` chunks of 4 MiB. The rows of each begin elsewhere in the same numbers. */
export async function writeLargeGroup(place: string, chunks: number): Promise<void> {
  const rows = chunks * CHUNK_ROWS;
  const posterior: ZarrArraySpec = {
    name: "acausal_posterior",
    shape: [rows, LARGE_BINS],
    chunkShape: [CHUNK_ROWS, LARGE_BINS],
    shardChunks: 16,
    dtype: "float32",
    dims: ["time", "state_bins"],
  };
  const coordinate = (name: string, dim: string, size: number): ZarrArraySpec => ({
    name,
    shape: [size],
    chunkShape: [size],
    dtype: "int32",
    dims: [dim],
  });
  const index = coordinate("interior_index", "state_bins", LARGE_BINS);
  const box = coordinate("full_state_ind", "full_state_bins", BOX_BINS);
  const store = await openStore(place, { mode: "write" });
  await writeGroup(store, {
    attributes: { coordinates: "interior_index full_state_ind" },
    arrays: [posterior, index, box],
  });
  await writeArray(store, index, Int32Array.from({ length: LARGE_BINS }, (_, bin) => bin + 100));
  await writeArray(store, box, new Int32Array(BOX_BINS));
  const random = seeded(4);
  const elements = CHUNK_ROWS * LARGE_BINS;
  const values = Float32Array.from({ length: elements + chunks }, random);
  const writer = new ChunkWriter(store, posterior);
  for (let chunk = 0; chunk < chunks; chunk++) {
    await writer.write(chunk * CHUNK_ROWS, values.subarray(chunk, chunk + elements));
  }
  await writer.finish();
  await store.close();
}
