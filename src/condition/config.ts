/**
 * What an analysis is told.
 *
 * @module
 */

import type { CorpusInput } from "./corpus.ts";
import type { Thresholds } from "./decision.ts";
import { DEFAULT_THRESHOLDS } from "./decision.ts";

/** How the past of a frame becomes an id. Either `clusters` or `quartile` is given. */
export interface Condition {
  /** Letters, digits, `_` and `-`. */
  name: string;
  /** The mean of the window's frames, or all of them one after the other. */
  context: "mean" | "flat";
  /** Principal components that are kept of it; the context itself when not given. */
  components?: number;
  /** Clusters of k-means. */
  clusters?: number;
  /** Runs of k-means, of which the best is kept. Default 10. */
  inits?: number;
  /** Iterations of a run at most. Default 100. */
  maxIterations?: number;
  /** Bins between quartiles, four for every component. */
  quartile?: boolean;
}

/** Sets of rows that are looked at by themselves: all; energy above the train rows' median; 0.17 <= t / frames <= 0.83. */
export type SliceName = "all" | "high_energy" | "medial";

/** Settings of an analysis; what is not given is that of the published one. */
export interface ConditionConfig {
  input: CorpusInput;
  /** Folder of the results. */
  out: string;
  /** Frames of a context. Default 8. */
  window?: number;
  /** Frames from a context's last to the target. Default 1, 2, 4. */
  lags?: number[];
  /** Default mean_vq64, pca8_vq256 and pca8_quartile. */
  conditions?: Condition[];
  /** Default all, medial and, where there are energies, high_energy. */
  slices?: SliceName[];
  /** Of split and clusters; controls take seed + 1000 (train), + 2000 (eval) and + 3000. Default 42. */
  seed?: number;
  /** Share of the speakers that are train, rounded down. Default 0.8. */
  trainShare?: number;
  /** Share of train utterances that are held out, rounded down, scored by themselves. Default 0.1. */
  holdout?: number;
  /** The speakers of both splits, by name, instead of a share drawn by the seed. */
  speakers?: { train: string[]; eval: string[] };
  /** Train rows of a cluster that is looked at. Default 100. */
  minClusterSize?: number;
  /** Rows of a speaker that is looked at. Default 50. */
  minSpeakerRows?: number;
  /** Default 0.6, 0.2, 0.65 and 0.05. */
  thresholds?: Partial<Thresholds>;
}

/** Settings with nothing left out. */
export interface Settings
  extends Required<Omit<ConditionConfig, "speakers" | "slices" | "thresholds">> {
  slices: SliceName[] | undefined;
  speakers: { train: string[]; eval: string[] } | undefined;
  thresholds: Thresholds;
}

const CONDITIONS: Condition[] = [
  { name: "mean_vq64", context: "mean", clusters: 64 },
  { name: "pca8_vq256", context: "flat", components: 8, clusters: 256 },
  { name: "pca8_quartile", context: "flat", components: 8, quartile: true },
];
const SLICES: SliceName[] = ["all", "high_energy", "medial"];

const KEYS = {
  config: [
    "input",
    "out",
    "window",
    "lags",
    "conditions",
    "slices",
    "seed",
    "trainShare",
    "holdout",
    "speakers",
    "minClusterSize",
    "minSpeakerRows",
    "thresholds",
  ],
  input: ["latents", "index", "frames", "segments", "speakers", "energy"],
  condition: ["name", "context", "components", "clusters", "inits", "maxIterations", "quartile"],
  speakers: ["train", "eval"],
  thresholds: Object.keys(DEFAULT_THRESHOLDS),
};

/**
 * Checks a configuration, as it may come from a file, and fills in what is not given.
 *
 * @throws {RangeError} If a key is not known or missing, or a value makes no sense; names it.
 */
export function checkConfig(config: unknown): Settings {
  const given = known(config, KEYS.config, "the configuration") as unknown as ConditionConfig;
  const input = known(given.input, KEYS.input, "input") as unknown as CorpusInput;
  if (("latents" in input) === ("frames" in input)) {
    refuse(
      "input has " + ("latents" in input ? "both" : "none") + " of latents and frames, wanted one",
    );
  }
  if ("latents" in input && ("segments" in input || "speakers" in input || "energy" in input)) {
    refuse("input has latents, wanted nothing beside them but index");
  }
  if (typeof given.out !== "string" || given.out === "") refuse("out is missing");
  const lags = given.lags ?? [1, 2, 4];
  list(lags, "lags");
  lags.forEach((lag) => whole(lag, 1, "a lag"));
  if (new Set(lags).size < lags.length) refuse(`lags are ${lags}, wanted each once`);
  const conditions = given.conditions ?? CONDITIONS;
  list(conditions, "conditions");
  conditions.forEach(checkCondition);
  const names = conditions.map(({ name }) => name);
  if (new Set(names).size < names.length) {
    refuse(`conditions are named ${names}, wanted other names`);
  }
  if (given.slices) {
    list(given.slices, "slices");
    const stray = given.slices.find((name) => !SLICES.includes(name));
    if (stray !== undefined) {
      refuse(`slice "${stray}" is not known, wanted one of ${SLICES.join(", ")}`);
    }
  }
  if (given.speakers) {
    known(given.speakers, KEYS.speakers, "speakers");
    for (const split of ["train", "eval"] as const) {
      list(given.speakers[split], `speakers.${split}`);
    }
    const both = given.speakers.train.find((speaker) => given.speakers!.eval.includes(speaker));
    if (both !== undefined) refuse(`speaker "${both}" is in train and in eval, wanted one of them`);
  }
  const limits = known(given.thresholds ?? {}, KEYS.thresholds, "thresholds");
  for (const [name, value] of Object.entries(limits)) share(value, Infinity, `thresholds.${name}`);
  return {
    input,
    out: given.out,
    window: whole(given.window ?? 8, 1, "window"),
    lags,
    conditions,
    slices: given.slices,
    seed: whole(given.seed ?? 42, 0, "seed"),
    trainShare: share(given.trainShare ?? 0.8, 1, "trainShare"),
    holdout: share(given.holdout ?? 0.1, 1, "holdout"),
    speakers: given.speakers,
    minClusterSize: whole(given.minClusterSize ?? 100, 1, "minClusterSize"),
    minSpeakerRows: whole(given.minSpeakerRows ?? 50, 2, "minSpeakerRows"),
    thresholds: { ...DEFAULT_THRESHOLDS, ...limits },
  };
}

function checkCondition(condition: Condition): void {
  known(condition, KEYS.condition, "a condition");
  const { name, context, components, clusters, quartile = false } = condition;
  if (typeof name !== "string" || !/^[\w-]+$/.test(name)) {
    refuse(`a condition is named "${name}", wanted letters, digits, _ and -`);
  }
  if (context !== "mean" && context !== "flat") {
    refuse(`the context of ${name} is "${context}", wanted mean or flat`);
  }
  if ((clusters !== undefined) === quartile) {
    refuse(`${name} has ${quartile ? "both" : "none"} of clusters and quartile, wanted one`);
  }
  for (const key of ["components", "clusters", "inits", "maxIterations"] as const) {
    if (condition[key] !== undefined) whole(condition[key], 1, `${key} of ${name}`);
  }
  if (quartile && !(components! <= 15)) {
    refuse(`${name} has ${components ?? "no"} components, wanted 1 to 15 for quartiles`);
  }
}

function refuse(problem: string): never {
  throw new RangeError(`Cannot read the configuration: ${problem}`);
}

function known(value: unknown, keys: readonly string[], what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    refuse(
      `${what} is ${value === undefined ? "missing" : JSON.stringify(value)}, wanted an object`,
    );
  }
  const stray = Object.keys(value).find((key) => !keys.includes(key));
  if (stray !== undefined) {
    refuse(`"${stray}" of ${what} is not known, wanted one of ${keys.join(", ")}`);
  }
  return value as Record<string, unknown>;
}

function list(value: unknown, what: string): void {
  if (Array.isArray(value) && value.length > 0) return;
  refuse(`${what} is ${JSON.stringify(value)}, wanted a list of at least one`);
}

function whole(value: unknown, least: number, what: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
  refuse(`${what} is ${JSON.stringify(value)}, wanted a whole number from ${least}`);
}

function share(value: unknown, most: number, what: string): number {
  if (typeof value === "number" && value >= 0 && value < most) return value;
  refuse(
    `${what} is ${JSON.stringify(value)}, wanted a number from 0` + (most === 1 ? " below 1" : ""),
  );
}
