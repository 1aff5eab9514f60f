/**
 * What variables of stored results are, as CF has it: a name for people, and a unit. Plots of xarray are labelled so.
 *
 * @module
 */

import type { ZarrArraySpec } from "../zarr/metadata.ts";

type Words = readonly [longName: string, unit?: string | undefined];

/** Stores do not know what positions, rows or values are measured in: it is what was handed over. */
const [POSITIONS, ROWS] = ["units of position", "units of the rows"];
const NONE = "1";

/** By name, those of a kind of result before those of all. */
const WORDS: Readonly<Record<string, Readonly<Record<string, Words>>>> = {
  "": {
    time: ["time of the middle of a row", "s"],
    time_bin_start: ["time at which a row begins", "s"],
    time_bin_end: ["time at which a row ends", "s"],
    is_missing: ["whether a row carries no evidence"],
    states: ["discrete state"],
    state: ["discrete state of a state bin"],
    state_ind: ["number of the discrete state of a state bin"],
    interior_index: ["number of a state bin on the full axis"],
    full_state: ["discrete state of a bin on the full axis"],
    full_state_ind: ["number of the discrete state of a bin on the full axis"],
    is_track_interior: ["whether a bin on the full axis is inside the track"],
  },
  path: {
    path_state_bin: ["state bin of the likeliest path"],
    path_state_ind: ["number of the discrete state of the likeliest path"],
  },
  kmeans: {
    centroids: ["centre of a cluster", ROWS],
    ids: ["nearest centroid of a row"],
    distances: ["distance of a row to its centroid", ROWS],
  },
  "kmeans.prediction": {
    ids: ["nearest centroid of a row"],
    distances: ["distance of a row to its centroid", ROWS],
    weights: ["weight of a centroid for a row"],
  },
  "kmeans.distances": { distances: ["distance of a row to a centroid", ROWS] },
  "kmeans.batch": {
    centroids: ["centre of a cluster", ROWS],
    seen: ["rows that a centroid is the mean of"],
  },
  pca: {
    components: ["direction of a component"],
    mean: ["mean of a feature", ROWS],
    explained_variance: ["variance along a component", `square of ${ROWS}`],
    explained_variance_ratio: ["share of the variance that a component explains"],
    singular_values: ["singular value of a component", ROWS],
    scores: ["row along a component", ROWS],
    kept_directions: ["direction that a fit by batches goes on with"],
    kept_singular_values: ["singular value of a direction", ROWS],
  },
  "pca.scores": { scores: ["row along a component", ROWS] },
  "probe.prediction": {
    logits: ["logit of class 1", "nat"],
    probabilities: ["probability of class 1"],
  },
  probe: {
    weights: ["weight of a feature, of its standard deviation", "nat"],
    c: ["inverse strength of the penalty"],
    bias: ["logit of the mean row", "nat"],
    loss: ["loss where the fit ended", "nat"],
    gradient_norm: ["length of the gradient where the fit ended", "nat"],
    distance: ["how far weights are from the optimum, at most, of their length"],
    converged: ["whether the fit converged"],
    mean: ["mean of a feature", ROWS],
    deviation: ["standard deviation of a feature", ROWS],
    training_loss: ["loss of an epoch, in training", "nat"],
    validation_loss: ["loss of an epoch, in validation", "nat"],
    epochs: ["epochs that were run"],
    best_epoch: ["epoch whose parameters are kept"],
  },
  "cpa.model": {
    training_loss: ["loss of an epoch, in training", "nat"],
    validation_loss: ["loss of an epoch, in validation", "nat"],
  },
  acts: {
    offsets: ["token at which a sample ends"],
    detected: ["whether a token is detected"],
    sample_id: ["name of a sample"],
  },
};

/** What the smoother knows, and what the filter does. */
const GIVEN: Readonly<Record<string, string>> = {
  acausal: "given all spikes",
  causal: "given the spikes up to their row",
  predictive: "given the spikes before their row",
};

/** Of every row of a decode, without `acausal_`, `causal_` or `predictive_` before it. */
const OF_ROWS: Readonly<Record<string, Words>> = {
  posterior: ["probability of a state bin"],
  posterior_scale: ["what stored probabilities are to be multiplied by"],
  state_probabilities: ["probability of a discrete state"],
  map_bin: ["likeliest state bin"],
  map_probability: ["probability of the likeliest state bin"],
  entropy: ["entropy over state bins", "nat"],
  hpd_threshold: ["probability at the edge of the highest-density region"],
  hpd_size: ["state bins of the highest-density region"],
  log_normaliser: ["log p(spikes of the row | all spikes before)", "nat"],
};

/** Positions have a dimension in their names. */
const OF_POSITIONS: Readonly<Record<string, Words>> = {
  "": ["position of a state bin", POSITIONS],
  full: ["position of a bin on the full axis", POSITIONS],
  path: ["position of the likeliest path", POSITIONS],
  map: ["position of the likeliest state bin", POSITIONS],
  mean: ["mean position", POSITIONS],
  variance: ["variance of position", `square of ${POSITIONS}`],
};

function positionWords(name: string): Words | undefined {
  const found = /^(?:(full|path|map|mean|variance)_)?(?:([xy])_)?position$/.exec(name);
  if (!found) return undefined;
  const [, what = "", dimension] = found;
  const [longName, unit] = OF_POSITIONS[what]!;
  return [
    dimension === undefined ? longName : longName.replace("position", `${dimension} position`),
    unit,
  ];
}

function wordsOf(kind: string, name: string): Words {
  const [, given, own] = /^(acausal|causal|predictive)_(\w+)$/.exec(name) ?? [];
  if (given !== undefined) {
    const [longName, unit] = OF_ROWS[own!] ?? positionWords(own!) ?? [plain(own!)];
    return [`${longName}, ${GIVEN[given]}`, unit];
  }
  const [family] = kind.split(".");
  return WORDS[kind]?.[name] ?? WORDS[family!]?.[name] ?? WORDS[""]![name] ?? positionWords(name) ??
    [plain(name)];
}

const plain = (name: string) => name.replace(/[_.]/g, " ");

/** An array with its name for people and its unit; what it says of itself stays. */
export function described(kind: string, spec: ZarrArraySpec): ZarrArraySpec {
  const [longName, unit = NONE] = wordsOf(kind, spec.name);
  const units = spec.dtype === "string" ? {} : { units: unit };
  return { ...spec, attributes: { long_name: longName, ...units, ...spec.attributes } };
}
