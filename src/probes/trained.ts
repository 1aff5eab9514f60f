/**
 * All kinds of probes that are trained by batches, and those that were stored.
 *
 * @module
 */

import { openStored } from "../stream/places.ts";
import { unmeasured } from "../stream/task.ts";
import { AttentionProbe } from "./attention.ts";
import { GatedBipolarProbe } from "./gated_bipolar.ts";
import { MlpProbe } from "./mlp.ts";
import { MultiMaxProbe } from "./multimax.ts";
import { PositionalAttentionProbe } from "./positional_attention.ts";
import { RollingAttentionProbe } from "./rolling_attention.ts";
import { SoftAttentionProbe } from "./soft_attention.ts";
import type { StoredTrainedProbe, TrainedAttributes } from "./trained_probe.ts";
import { readLearned, TrainedProbe } from "./trained_probe.ts";
import { TRAINED_FORMAT } from "./training.ts";
import { ChunkError } from "../errors.ts";

/** Probes by the names of their kinds. */
export const TRAINED = {
  mlp: MlpProbe,
  attention: AttentionProbe,
  multimax: MultiMaxProbe,
  gated_bipolar: GatedBipolarProbe,
  soft_attention: SoftAttentionProbe,
  rolling_attention: RollingAttentionProbe,
  positional_attention: PositionalAttentionProbe,
} as const;

export type TrainedName = keyof typeof TRAINED;

/**
 * A probe of a kind.
 *
 * @param options By their names in TypeScript.
 */
export function createTrained(name: TrainedName, options: object): TrainedProbe {
  return new (TRAINED[name] as new (options: object) => TrainedProbe)(options);
}

/** Opens what a fit left at a place. All of it is in memory: there is nothing to close. */
export async function openTrained(place: string): Promise<StoredTrainedProbe> {
  const stored = await openStored(place, TRAINED_FORMAT);
  const { probe, options } = stored.attributes as unknown as TrainedAttributes;
  if (!Object.hasOwn(TRAINED, probe)) {
    throw new ChunkError(
      `Cannot open ${place}: it holds a probe of kind "${probe}", wanted one of ${
        Object.keys(TRAINED).join(", ")
      }`,
      place,
    );
  }
  const named = Object.entries(options).map(([key, value]) => [
    key.replace(/_[a-z]/g, (part) => part[1]!.toUpperCase()),
    value,
  ]);
  const model = createTrained(probe as TrainedName, Object.fromEntries(named));
  const learned = await readLearned(stored);
  const { probes, reasons } = learned;
  model.learn(learned);
  return { model, place, probes, reasons, ...unmeasured(), close: () => Promise.resolve() };
}
