/** Small seeded corpora: frames of a few utterances of a few speakers. */

import type { Utterance } from "../../src/condition/rows.ts";
import { Random } from "../../src/math/random.ts";
import { openStore } from "../../src/store/open_store.ts";
import type { ZarrFormat } from "../../src/zarr/metadata.ts";
import { writeArray, writeGroup } from "../../src/zarr/group_writer.ts";

export interface SmallCorpus {
  /** `[frames, features]`. */
  frames: Float32Array;
  energy: Float32Array;
  features: number;
  utterances: Utterance[];
}

/**
 * `cycle`: frames go round four places, so that the past tells what comes next; `walk`: it does not.
 * Speakers in order, their utterances of unequal lengths together.
 */
export function smallCorpus(
  kind: "cycle" | "walk",
  { speakers = 6, utterances = 3, features = 6, seed = 1 } = {},
): SmallCorpus {
  const random = new Random(seed);
  const places = Float64Array.from({ length: 4 * features }, () => 2 * random.normal());
  const values: number[] = [];
  const energy: number[] = [];
  const list: Utterance[] = [];
  for (let speaker = 0; speaker < speakers; speaker++) {
    for (let utterance = 0; utterance < utterances; utterance++) {
      const start = energy.length;
      const frames = 36 + random.integer(10);
      const phase = random.integer(4);
      for (let t = 0; t < frames; t++) {
        energy.push(random.uniform());
        for (let d = 0; d < features; d++) {
          const before = t === 0 ? 0 : values.at(-features)!;
          values.push(
            kind === "walk"
              ? before + random.normal()
              : places[(t + phase) % 4 * features + d]! + 0.2 * random.normal(),
          );
        }
      }
      const id = `s${speaker}-u${utterance}`;
      list.push({ id, speaker: `s${speaker}`, start, end: energy.length });
    }
  }
  return {
    frames: Float32Array.from(values),
    energy: Float32Array.from(energy),
    features,
    utterances: list,
  };
}

/** Writes a zarr group for each utterance; `speakerId` says how a speaker is told. */
export async function writeGroups(
  { frames, energy, features, utterances }: SmallCorpus,
  place: string,
  format: ZarrFormat,
  { speakerId = String }: { speakerId?: (speaker: string) => unknown } = {},
): Promise<void> {
  for (const { id, speaker, start, end } of utterances) {
    const store = await openStore(`${place}/${id}`, { mode: "write" });
    const count = end - start;
    const x = {
      name: "x",
      dtype: "float32" as const,
      shape: [count, features],
      chunkShape: [16, features],
      dims: ["time", "feature"],
    };
    const own = {
      ...x,
      name: "energy",
      shape: [count],
      chunkShape: [Math.max(1, count)],
      dims: ["time"],
    };
    await writeArray(store, x, frames.subarray(start * features, end * features), format);
    await writeArray(store, own, energy.subarray(start, end), format);
    await writeGroup(store, {
      zarrFormat: format,
      attributes: { speaker_id: speakerId(speaker), n_frames: count },
      arrays: [x, own],
    });
    await store.close();
  }
}
