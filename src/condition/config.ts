/**
 * What an analysis is told.
 *
 * @module
 */

import { formatCount, wantedNames } from "../math/format.ts";
import type { CorpusInput } from "./corpus.ts";
import type { Thresholds } from "./decision.ts";
import { DEFAULT_THRESHOLDS } from "./decision.ts";
import { MOST_QUARTILE_DIMS } from "./quartiles.ts";
import type { Id } from "./rows.ts";
import type { Shuffle } from "./splits.ts";

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

/** Sets of rows that are looked at by themselves: all; energy above the median; 0.17 <= t / frames <= 0.83. */
export type SliceName = "all" | "high_energy" | "medial";

/** Settings of an analysis; what is not given is that of the published one, but for `holdout`. */
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
  /**
   * Whose shuffle draws the split: Python's `random.Random(seed)`, of whole numbers in their order, as was
   * published, or `numpy.random.default_rng(seed)`, of texts in theirs. Default `python`.
   */
  shuffle?: Shuffle;
  /** Share of the speakers that are train, rounded down. Default 0.8. */
  trainShare?: number;
  /**
   * Share of the train utterances that are held out, rounded down, or those utterances by name; scored by
   * themselves. Default 0.1. In the published analysis models were fitted to them too: 0.
   */
  holdout?: number | Id[];
  /** The speakers of both splits, by name, instead of a share drawn by the seed; others are left out. */
  speakers?: { train: Id[]; eval: Id[] };
  /** What high energy lies above: the median of all frames of train speakers, or of train rows. Default `frames`. */
  energyMedian?: "frames" | "rows";
  /** Utterances that are shorter are left out, for which `frameRate` is needed. Default 0; published 3. */
  minSeconds?: number;
  /** Frames a second; 12.5 in the published analysis. */
  frameRate?: number;
  /** Train rows of a cluster that is looked at. Default 100. */
  minClusterSize?: number;
  /** Rows of a speaker that is looked at. Default 50. */
  minSpeakerRows?: number;
  /** Default 0.6, 0.2, 0.65 and 0.05. */
  thresholds?: Partial<Thresholds>;
}

/** Settings with nothing left out. */
export interface Settings
  extends Required<Omit<ConditionConfig, "speakers" | "slices" | "thresholds" | "frameRate">> {
  slices: SliceName[] | undefined;
  speakers: { train: Id[]; eval: Id[] } | undefined;
  frameRate: number | undefined;
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
    "shuffle",
    "trainShare",
    "holdout",
    "speakers",
    "energyMedian",
    "minSeconds",
    "frameRate",
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
 * @throws {RangeError} If a key is not known or missing, or a value makes no sense; names it, and the key
 * that was likely meant.
 */
export function checkConfig(config: unknown): Settings {
  const given = known(config, KEYS.config, "the configuration") as unknown as ConditionConfig;
  const input = checkInput(given.input);
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
    given.slices.forEach((name) => oneOf(name, SLICES, "slice"));
  }
  const { speakers, holdout = 0.1, minSeconds = 0, frameRate } = given;
  if (speakers) {
    known(speakers, KEYS.speakers, "speakers");
    for (const split of ["train", "eval"] as const) {
      list(speakers[split], `speakers.${split}`);
    }
    checkIds([...speakers.train, ...speakers.eval], "speaker", "train and eval");
  }
  if (Array.isArray(holdout)) checkIds(holdout, "utterance", "holdout");
  else share(holdout, 1, "holdout");
  share(minSeconds, Infinity, "minSeconds");
  if (frameRate !== undefined && !(Number.isFinite(frameRate) && frameRate > 0)) {
    refuse(`frameRate is ${JSON.stringify(frameRate)}, wanted frames a second, above 0`);
  }
  if ((minSeconds > 0) !== (frameRate !== undefined)) {
    refuse(
      minSeconds > 0
        ? `minSeconds is ${minSeconds} and frameRate is missing, wanted frames a second`
        : `frameRate is ${frameRate} and minSeconds is missing, for which it would be used`,
    );
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
    shuffle: oneOf(given.shuffle ?? "python", ["python", "numpy"], "shuffle"),
    trainShare: share(given.trainShare ?? 0.8, 1, "trainShare"),
    holdout,
    speakers,
    energyMedian: oneOf(given.energyMedian ?? "frames", ["frames", "rows"], "energyMedian"),
    minSeconds,
    frameRate,
    minClusterSize: whole(given.minClusterSize ?? 100, 1, "minClusterSize"),
    minSpeakerRows: whole(given.minSpeakerRows ?? 50, 2, "minSpeakerRows"),
    thresholds: { ...DEFAULT_THRESHOLDS, ...limits },
  };
}

function checkInput(value: unknown): CorpusInput {
  const input = known(value, KEYS.input, "input");
  if (("latents" in input) === ("frames" in input)) {
    refuse(
      "input has " + ("latents" in input ? "both" : "none") + " of latents and frames, wanted one",
    );
  }
  if ("latents" in input && ("segments" in input || "speakers" in input || "energy" in input)) {
    refuse("input has latents, wanted nothing beside them but index");
  }
  const twice = input.index === undefined
    ? undefined
    : ["segments", "speakers"].find((key) => input[key] !== undefined);
  if (twice !== undefined) refuse(`input has both of index and ${twice}, wanted one`);
  for (const [key, place] of Object.entries(input)) {
    const isText = typeof place === "string" && place !== "";
    const isArray = typeof place === "object" && place !== null && !/latents|index/.test(key);
    if (isText || isArray || place === undefined) continue;
    refuse(`${key} of input is ${JSON.stringify(place)}, wanted a place`);
  }
  return input as unknown as CorpusInput;
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
  if (quartile && components === undefined) {
    refuse(`${name} has no components, wanted 1 to ${MOST_QUARTILE_DIMS} for quartiles`);
  }
  if (quartile && components! > MOST_QUARTILE_DIMS) {
    refuse(
      `${name} has ${components} components, which are 4^${components} = ` +
        `${
          formatCount(4 ** components!)
        } bins; ids of 32 bits tell 4^${MOST_QUARTILE_DIMS} apart, ` +
        `wanted at most ${MOST_QUARTILE_DIMS} for quartiles`,
    );
  }
}

/** Texts or whole numbers, each once: what reads the same is the same. */
function checkIds(ids: readonly unknown[], what: string, where: string): void {
  const found = new Map<string, unknown>();
  for (const id of ids) {
    if (!(typeof id === "string" && id !== "" || Number.isSafeInteger(id))) {
      refuse(
        `${what} ${JSON.stringify(id)} of ${where} is no name, wanted a text or a whole number`,
      );
    }
    const text = String(id);
    if (found.has(text)) {
      const before = JSON.stringify(found.get(text));
      const own = JSON.stringify(id);
      refuse(
        before === own
          ? `${what} ${own} is in ${where} twice, wanted once`
          : `${what}s ${before} and ${own} are in ${where}, wanted names of one kind`,
      );
    }
    found.set(text, id);
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
  if (stray !== undefined) unknownName(`"${stray}" of ${what}`, stray, keys);
  return value as Record<string, unknown>;
}

function oneOf<Name extends string>(value: Name, names: readonly Name[], what: string): Name {
  if (!names.includes(value)) unknownName(`${what} ${JSON.stringify(value)}`, value, names);
  return value;
}

function unknownName(what: string, name: unknown, names: readonly string[]): never {
  refuse(`${what} is not known, ${wantedNames(name, names)}`);
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
