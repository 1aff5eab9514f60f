/**
 * What linear probes give back, and how it is stored.
 *
 * @module
 */

import type { NumericArray } from "../types.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import type { Measured } from "../stream/task.ts";
import type { Standard } from "./standard_rows.ts";

/** A fitted probe. */
export interface FittedProbe {
  /** Name of its column of labels. */
  label: string;
  /** Inverse strength of its penalty; `NaN` of a probe that has none. */
  c: number;
  /** `[features]` f64, of features less their mean, over their deviation. */
  weights: Float64Array;
  bias: number;
  /** What was minimised, where it ended. */
  loss: number;
  /** Length of its gradient there, in f64. */
  gradientNorm: number;
  /**
   * How far weights are from the optimum at most, of their length: by that gradient, and how steeply the
   * penalty makes it grow. Without a penalty an estimate.
   */
  distance: number;
  iterations: number;
  /** Whether `distance` is no more than the tolerance. */
  converged: boolean;
}

/** A probe, or why there is none. */
export interface ProbeNumbers extends FittedProbe {
  reason?: string;
}

export interface FitFacts {
  /** Times that rows were gone through: looked at, computed, checked. */
  passes: number;
}

/** What a fit of linear probes tells. */
export interface ProbeFit extends FitFacts, Standard, Measured {
  /**
   * Of every column of labels, of every c; `null` where nothing could be fitted, for the reason of the
   * same place.
   */
  probes: (FittedProbe | null)[];
  reasons: (string | null)[];
}

const NUMBERS = ["c", "bias", "loss", "gradient_norm", "distance", "iterations"] as const;

export type ProbeKind = "logistic" | "mass_mean";

/** What a stored fit is. */
export function probeFormat(kind: ProbeKind): { kind: string; formatVersion: number } {
  return { kind: `probe.${kind}`, formatVersion: 1 };
}

export function linearOutput(
  { kind, out, overwrite, adapter, parameters, labels, c, features }: {
    kind: ProbeKind;
    out: string | undefined;
    overwrite: boolean | undefined;
    adapter: string;
    parameters: Record<string, unknown>;
    labels: readonly string[];
    /** One, of probes that have none. */
    c: readonly number[];
    features: number;
  },
): OutputSpec {
  const probes = labels.length * c.length;
  return {
    ...probeFormat(kind),
    place: out,
    overwrite,
    adapter,
    streamed: [],
    whole: [
      variable("weights", "float64", [probes, features], ["probe", "feature"]),
      ...NUMBERS.map((name) => variable(name, "float64", [probes], ["probe"])),
      variable("converged", "uint8", [probes], ["probe"]),
      variable("mean", "float64", [features], ["feature"]),
      variable("deviation", "float64", [features], ["feature"]),
    ],
    attributes: { parameters, labels },
    longest: { passes: Number.MAX_SAFE_INTEGER, reasons: Array(probes).fill("-".repeat(100)) },
  };
}

export function linearOutcome(
  probes: readonly ProbeNumbers[],
  { mean, deviation }: Standard,
  { passes }: FitFacts,
): Outcome {
  const features = mean.length;
  const weights = new Float64Array(probes.length * features).fill(NaN);
  probes.forEach((probe, i) => {
    if (probe.reason === undefined) weights.set(probe.weights, i * features);
  });
  const number = (of: (probe: ProbeNumbers) => number) =>
    Float64Array.from(probes, (probe) => probe.reason === undefined ? of(probe) : NaN);
  return {
    values: {
      weights,
      c: Float64Array.from(probes, ({ c }) => c),
      bias: number(({ bias }) => bias),
      loss: number(({ loss }) => loss),
      gradient_norm: number(({ gradientNorm }) => gradientNorm),
      distance: number(({ distance }) => distance),
      iterations: number(({ iterations }) => iterations),
      converged: Uint8Array.from(probes, ({ converged }) => Number(converged)),
      mean,
      deviation,
    },
    facts: { passes, reasons: probes.map(({ reason = null }) => reason) },
  };
}

/** A fit that was stored or is held in memory. */
export async function readFit(stored: Stored): Promise<Omit<ProbeFit, keyof Measured>> {
  const { passes, reasons, labels } = stored.attributes as {
    passes: number;
    reasons: (string | null)[];
    labels: string[];
  };
  const read = async (name: string) =>
    Float64Array.from(
      await stored.read(name) as Exclude<NumericArray, BigInt64Array | BigUint64Array>,
    );
  const [weights, mean, deviation] = await Promise.all(
    ["weights", "mean", "deviation"].map(read),
  ) as [Float64Array, Float64Array, Float64Array];
  const [c, bias, loss, gradientNorm, distance, iterations, converged] = await Promise.all(
    [...NUMBERS, "converged"].map(read),
  ) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const features = mean.length;
  const own = reasons.length / labels.length;
  return {
    probes: reasons.map((reason, i) =>
      reason !== null ? null : {
        label: labels[Math.floor(i / own)]!,
        c: c[i]!,
        weights: weights.slice(i * features, (i + 1) * features),
        bias: bias[i]!,
        loss: loss[i]!,
        gradientNorm: gradientNorm[i]!,
        distance: distance[i]!,
        iterations: iterations[i]!,
        converged: converged[i] === 1,
      }
    ),
    reasons,
    passes,
    mean,
    deviation,
  };
}
