/** Runs of the library that the trained probes come from, recorded in f64: see golden/probes in the shared data. */

import { openArray } from "../../src/array/array.ts";
import type { ProbeName, Sizes } from "../reference/probes.ts";
import { sharedFile, sharedJson } from "./shared_data.ts";

/** What was recorded, by the names of its files. */
export const GOLDEN_PROBES: Record<
  string,
  { probe: ProbeName; sizes: Sizes; rate: number; decay: number }
> = {
  mlp_relu: { probe: "mlp", sizes: { features: 12, hidden: 16 }, rate: 1e-3, decay: 1e-2 },
  mlp_gelu: {
    probe: "mlp",
    sizes: { features: 12, hidden: 16, gelu: true },
    rate: 1e-3,
    decay: 1e-2,
  },
  attention: { probe: "attention", sizes: { features: 8, hidden: 6 }, rate: 5e-4, decay: 1e-3 },
  multimax: {
    probe: "multimax",
    sizes: { features: 8, hidden: 7, heads: 3 },
    rate: 5e-4,
    decay: 1e-3,
  },
  gated: {
    probe: "gated",
    sizes: { features: 8, hidden: 7, gates: 5, sparse: 1e-2, orthogonal: 1e-2 },
    rate: 5e-4,
    decay: 1e-3,
  },
  soft: { probe: "soft", sizes: { features: 8, hidden: 6, heads: 3 }, rate: 5e-4, decay: 1e-3 },
  rollattn: {
    probe: "rollattn",
    sizes: { features: 8, hidden: 6, heads: 3, window: 4 },
    rate: 5e-4,
    decay: 1e-3,
  },
  posattn: { probe: "posattn", sizes: { features: 8, heads: 3 }, rate: 5e-4, decay: 1e-3 },
};

/** All values of a file. */
export async function golden(name: string): Promise<Float64Array> {
  const array = await openArray(await sharedFile(`golden/probes/${name}.npy`));
  const values = await array.read(0, array.shape[0]!);
  await array.close();
  return Float64Array.from(values as Float64Array, Number);
}

/** What a probe was trained on. */
export interface GoldenRun {
  values: Float64Array;
  features: number;
  /** Of features, a row each. */
  offsets: Float64Array;
  detected: Uint8Array;
  labels: Float64Array;
  batches: readonly (readonly number[])[];
}

export async function goldenRun(name: string): Promise<GoldenRun> {
  if (name.startsWith("mlp")) {
    const [values, labels] = [await golden("mlp_X"), await golden("mlp_y")];
    const rows = (first: number) => Array.from({ length: 32 }, (_, i) => first + i);
    return {
      ...{ values, labels, features: 12, batches: [0, 32, 64].map(rows) },
      offsets: Float64Array.from({ length: labels.length + 1 }, (_, i) => i),
      detected: new Uint8Array(labels.length).fill(1),
    };
  }
  const [values, offsets, detected, labels] = await Promise.all(
    ["seq_x", "seq_offsets", "seq_det", "seq_y"].map(golden),
  ) as [Float64Array, Float64Array, Float64Array, Float64Array];
  const { seq_batches: batches } = await sharedJson("golden/probes/meta.json") as {
    seq_batches: number[][];
  };
  return {
    ...{ values, labels, features: 8, batches, offsets },
    detected: Uint8Array.from(detected),
  };
}

export function mostDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.prototype.reduce.call(
    a,
    (most, value, i) => Math.max(most as number, Math.abs(value as number - b[i]!)),
    0,
  ) as number;
}
