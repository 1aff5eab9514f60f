/**
 * What an analysis is told.
 *
 * @module
 */

import { formatCount } from "../math/format.ts";
import type { CheckedOf, GivenOf, Is, Option, OptionsOf } from "../options.ts";
import {
  custom,
  declare,
  flag,
  isObject,
  list,
  number,
  oneOf,
  place,
  record,
  text,
  whole,
} from "../options.ts";
import { kmeansOptions } from "../cluster/kmeans_options.ts";
import type { CorpusInput } from "./inputs.ts";
import type { Thresholds } from "./decision.ts";
import { thresholdOptions } from "./decision.ts";
import { MOST_QUARTILE_DIMS } from "./quartiles.ts";
import type { Id } from "./rows.ts";
import { splitChoices } from "./splits.ts";

const { inits, maxIterations } = kmeansOptions.options;

const condition = {
  /** Letters, digits, `_` and `-`. */
  name: text({ required: true, says: "letters, digits, _ and -" }),
  /** The mean of the window's frames, or all of them one after the other. */
  context: oneOf(["mean", "flat"], {
    required: true,
    says: "the mean of the window's frames, or all of them one after the other",
  }),
  /** Principal components that are kept of it; the context itself when not given. */
  components: whole({ from: 1, otherwise: "the context itself", says: "principal components" }),
  /** Clusters of k-means. */
  clusters: whole({ from: 1, says: "clusters of k-means" }),
  /** Runs of k-means, of which the best is kept. Default 10. */
  inits: { ...inits, otherwise: "10" },
  /** Iterations of a run at most. Default 100. */
  maxIterations: whole({
    from: 1,
    otherwise: String(maxIterations.default),
    says: "iterations of a run at most",
  }),
  /** Bins between quartiles, four for every component. */
  quartile: flag({ says: "bins between quartiles, four for every component, instead of clusters" }),
};

/** How the past of a frame becomes an id. Either `clusters` or `quartile` is given. */
export type Condition = GivenOf<typeof condition>;

/** Sets of rows that are looked at by themselves: all; energy above the median; 0.17 <= t / frames <= 0.83. */
export type SliceName = "all" | "high_energy" | "medial";

const CONDITIONS: Condition[] = [
  { name: "mean_vq64", context: "mean", clusters: 64 },
  { name: "pca8_vq256", context: "flat", components: 8, clusters: 256 },
  { name: "pca8_quartile", context: "flat", components: 8, quartile: true },
];
const SLICES: readonly SliceName[] = ["all", "high_energy", "medial"];
const ENERGY_MEDIANS = ["frames", "rows"] as const;

const isPlaceOrArray = (value: unknown) =>
  typeof value === "string" && value !== "" || isObject(value);
const array = (says: string) =>
  custom("a place or an array", isPlaceOrArray as Is<unknown>, { says });

const input = {
  latents: place({ says: "store of a zarr group for each utterance" }),
  frames: array("array of all frames instead, [frames, features]"),
  segments: array("first frame of every utterance, from 0"),
  speakers: array("speaker of every utterance; an array or a .json list"),
  index: place({
    says:
      "table with utterance_id, speaker_id and n_frames: .csv, .parquet or .json; instead of segments " +
      "and speakers, or beside latents",
  }),
  energy: array("energy of every frame"),
};

const { seed, shuffle, trainShare, holdout, speakers } = splitChoices;

export const conditionConfig = declare("read the configuration", {
  /** The frames and whose they are. */
  input: record(input, { required: true, says: "the frames and whose they are" }) as Option<
    CorpusInput,
    "required"
  >,
  /** Folder of the results. */
  out: place({ required: true, says: "folder of the results" }),
  /** Frames of a context. Default 8. */
  window: whole({ default: 8, from: 1, says: "frames of a context" }),
  /** Frames from a context's last to the target. Default 1, 2, 4. */
  lags: list(
    whole({ from: 1 }),
    { default: [1, 2, 4], says: "frames from a context's last to the target" },
    1,
  ),
  /** Default mean_vq64, pca8_vq256 and pca8_quartile. */
  conditions: list(record(condition, {}), {
    default: CONDITIONS,
    flag: false,
    otherwise: "mean_vq64, pca8_vq256 and pca8_quartile",
    says: "how the past of a frame becomes an id",
  }, 1),
  /** Default all, medial and, where there are energies, high_energy. */
  slices: list(oneOf(SLICES, {}), {
    otherwise: "all, medial and, where there are energies, high_energy",
    says: "sets of rows that are looked at by themselves",
  }, 1),
  seed,
  shuffle,
  trainShare,
  holdout,
  speakers,
  /** What high energy lies above: the median of all frames of train speakers, or of train rows. Default `frames`. */
  energyMedian: oneOf(ENERGY_MEDIANS, {
    default: "frames",
    says:
      "what the median of energies is of: all frames of train speakers, as was published, or train rows",
  }),
  /** Utterances that are shorter are left out, for which `frameRate` is needed. Default 0; published 3. */
  minSeconds: number({
    default: 0,
    from: 0,
    says: "shorter utterances are left out; published 3, with frameRate 12.5",
  }),
  /** Frames a second; 12.5 in the published analysis. */
  frameRate: number({ above: 0, says: "frames a second, for minSeconds" }),
  /** Train rows of a cluster that is looked at. Default 100. */
  minClusterSize: whole({
    default: 100,
    from: 1,
    says: "train rows of a cluster that is looked at",
  }),
  /** Rows of a speaker that is looked at. Default 50. */
  minSpeakerRows: whole({ default: 50, from: 2, says: "rows of a speaker that is looked at" }),
  /** Default 0.6, 0.2, 0.65 and 0.05. */
  thresholds: record(thresholdOptions.options, {
    default: {},
    otherwise: "0.6, 0.2, 0.65 and 0.05",
    says: "what has to hold",
  }),
});

/** Settings of an analysis; what is not given is that of the published one, but for `holdout`. */
export type ConditionConfig = OptionsOf<typeof conditionConfig>;

/** Settings with nothing left out. */
export interface Settings extends CheckedOf<typeof conditionConfig.options> {
  thresholds: Thresholds;
}

/**
 * Checks a configuration, as it may come from a file, and fills in what is not given.
 *
 * @throws {TypeError} If a key is not known or missing, or a value is of another kind; names it, and the key
 * that was likely meant.
 * @throws {RangeError} If a value makes no sense.
 */
export function checkConfig(config: unknown): Settings {
  const settings = conditionConfig.check(config) as Settings;
  const { lags, conditions, speakers, holdout, minSeconds, frameRate } = settings;
  checkInput(settings.input as unknown as Record<string, unknown>);
  if (new Set(lags).size < lags.length) refuse(`lags are ${lags}, wanted each once`);
  conditions.forEach(checkCondition);
  const names = conditions.map(({ name }) => name);
  if (new Set(names).size < names.length) {
    refuse(`conditions are named ${names}, wanted other names`);
  }
  if (speakers) checkIds([...speakers.train, ...speakers.eval], "speaker", "train and eval");
  if (typeof holdout !== "number") checkIds(holdout, "utterance", "holdout");
  if ((minSeconds > 0) !== (frameRate !== undefined)) {
    refuse(
      minSeconds > 0
        ? `minSeconds is ${minSeconds} and frameRate is missing, wanted frames a second`
        : `frameRate is ${frameRate} and minSeconds is missing, for which it would be used`,
    );
  }
  return settings;
}

function checkInput(input: Record<string, unknown>): void {
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
}

function checkCondition({ name, components, clusters, quartile = false }: Condition): void {
  if (!/^[\w-]+$/.test(name)) {
    refuse(`a condition is named "${name}", wanted letters, digits, _ and -`);
  }
  if ((clusters !== undefined) === quartile) {
    refuse(`${name} has ${quartile ? "both" : "none"} of clusters and quartile, wanted one`);
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

/** Each once: what reads the same is the same. */
function checkIds(ids: readonly Id[], what: string, where: string): void {
  const found = new Map<string, Id>();
  for (const id of ids) {
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
