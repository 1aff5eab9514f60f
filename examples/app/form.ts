/** Fields: what arrays are taken for, and the options of an analysis. */

import type { ListedArray } from "sluice";
import type { AnalysisName, Role, Settings, Source } from "./settings.ts";

type Value = number | string;

interface Field {
  name: string;
  label: string;
  /** Choices of a list; without them a number. */
  choices?: readonly (readonly [value: string, label: string])[];
  least?: number;
}

const BUDGET: Field = { name: "budget", label: "GPU memory allowed, MiB", least: 1 };

const FIELDS: Record<AnalysisName, readonly Field[]> = {
  decode: [
    { name: "binSize", label: "Edge of a bin, unit of positions", least: 0 },
    { name: "rate", label: "Rows a second", least: 0 },
    {
      name: "states",
      label: "How position moves",
      choices: [["contFrag", "continuous or fragmented"], ["continuous", "continuous"]],
    },
    { name: "movementVar", label: "Variance of a step, unit squared", least: 0 },
    { name: "positionStd", label: "Spread of place fields, unit", least: 0 },
    BUDGET,
  ],
  kmeans: [{ name: "k", label: "Clusters", least: 1 }, { name: "seed", label: "Seed" }, BUDGET],
  pca: [{ name: "components", label: "Components", least: 1 }, BUDGET],
};

export const DEFAULTS: Record<AnalysisName, Record<string, Value>> = {
  decode: {
    binSize: 5,
    rate: 50,
    states: "contFrag",
    movementVar: 12,
    positionStd: 6,
    budget: 256,
  },
  kmeans: { k: 16, seed: 0, budget: 256 },
  pca: { components: 8, budget: 256 },
};

const ANALYSES = [
  ["decode", "Decode position from spikes"],
  ["kmeans", "Cluster rows (k-means)"],
  ["pca", "Principal components of rows"],
] as const;

const ROLES: Record<Role, { label: string; axes: readonly number[]; likely: RegExp }> = {
  positionTimes: {
    label: "Times of positions, s",
    axes: [1],
    likely: /(pos|track).*(time|stamp)|^pt\b|timestamps/i,
  },
  position: { label: "Positions", axes: [1, 2], likely: /pos(?!.*(time|stamp))|(^|_)xy|^p$/i },
  spikeTimes: { label: "Times of spikes, s", axes: [1], likely: /(spike|unit).*time|^t$/i },
  spikeUnits: {
    label: "Unit of each spike",
    axes: [1],
    likely: /(spike|unit).*(unit|cluster|id)|cluster|^u$/i,
  },
  rows: { label: "Rows [rows, features]", axes: [2], likely: /./ },
};

const nameOf = (place: string) => place.replace(/^.*\/inputs\//, "").replace(/\.npy$/, "");

const fits = ({ shape, dtype }: ListedArray, role: Role) =>
  shape !== undefined && dtype !== "string" && ROLES[role].axes.includes(shape.length);

/** Roles of an analysis, and what names say of them. */
export function guessRoles(source: Source, analysis: AnalysisName): Settings["roles"] {
  if (source.kind === "simulation" || (source.nwb !== undefined && analysis === "decode")) {
    return {};
  }
  const taken = new Set<string>();
  const roles: Settings["roles"] = {};
  for (const role of rolesOf(source, analysis)) {
    const arrays = source.arrays!.filter((array) => fits(array, role) && !taken.has(array.place));
    const found = arrays.find(({ place }) => ROLES[role].likely.test(nameOf(place)));
    if (!found) continue;
    taken.add(found.place);
    roles[role] = found.place;
  }
  return roles;
}

/** The analysis that arrays suit. */
export function guessAnalysis({ kind, nwb, arrays = [] }: Source): AnalysisName {
  const spikes = arrays.some((array) => ROLES.spikeTimes.likely.test(nameOf(array.place)));
  return kind === "simulation" || nwb !== undefined || spikes ? "decode" : "kmeans";
}

function rolesOf({ kind, nwb }: Source, analysis: AnalysisName): readonly Role[] {
  if (kind === "simulation") return [];
  if (analysis !== "decode") return ["rows"];
  // an NWB file has the rest
  return nwb === undefined
    ? ["positionTimes", "position", "spikeTimes", "spikeUnits"]
    : ["position"];
}

/** Fills the form in which arrays are chosen. */
export function fillRoles(form: HTMLFormElement, { source, analysis, roles }: Settings): void {
  const { nwb, arrays = [] } = source;
  const lists = rolesOf(source, analysis).map((role) => {
    const series = role === "position" && nwb !== undefined;
    const choices = series ? seriesOf(nwb, arrays) : arrays.filter((array) => fits(array, role))
      .map(({ place, shape, dtype }): [string, string] => [
        place,
        `${nameOf(place)}  ${dtype} [${shape!.join(", ")}]`,
      ]);
    const none = series ? "the only one" : "choose an array";
    return labelled(
      ROLES[role].label,
      list(role, [["", none], ...choices], roles[role] ?? ""),
    );
  });
  form.hidden = source.kind === "simulation";
  form.replaceChildren(labelled("Analysis", list("analysis", ANALYSES, analysis)), ...lists);
}

/** Time series of an NWB file, by their paths in it. */
function seriesOf(nwb: string, arrays: readonly ListedArray[]): [string, string][] {
  return arrays.filter(({ place }) => place.startsWith(`${nwb}/`) && place.endsWith("/data"))
    .map(({ place }) => place.slice(nwb.length + 1, -"/data".length))
    .map((path) => [path, path]);
}

/** Fills the form of an analysis' options. */
export function fillOptions(form: HTMLFormElement, { analysis, options }: Settings): void {
  form.replaceChildren(...FIELDS[analysis].map(({ name, label, choices, least }) => {
    const value = options[name] ?? DEFAULTS[analysis][name]!;
    if (choices) return labelled(label, list(name, choices, String(value)));
    const input = document.createElement("input");
    Object.assign(input, {
      type: "number",
      name,
      value: String(value),
      step: "any",
      required: true,
    });
    if (least !== undefined) input.min = String(least);
    return labelled(label, input);
  }));
}

export function readForm(form: HTMLFormElement): Record<string, string> {
  return Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
}

function labelled(text: string, field: HTMLElement): HTMLLabelElement {
  const label = document.createElement("label");
  label.append(text, field);
  return label;
}

function list(
  name: string,
  choices: readonly (readonly [string, string])[],
  value: string,
): HTMLSelectElement {
  const select = document.createElement("select");
  select.name = name;
  for (const [own, label] of choices) select.add(new Option(label, own, false, own === value));
  return select;
}
