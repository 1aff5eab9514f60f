/**
 * The states of a command line: a preset, what was fitted, or a document that has the whole model.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import type { OpenArrayOptions } from "../array/array.ts";
import type { EnvironmentsOptions, GridEdges, StateModel, TrackGraph } from "../hmm/decoder.ts";
import {
  contFrag,
  continuous,
  multiEnvironment,
  nonLocal,
  noSpikeContFrag,
  openParameters,
  stateModel,
} from "../hmm/decoder.ts";
import { encodingOptions, fieldOptions } from "../hmm/encoding_options.ts";
import { clusterlessOptions, environmentsOptions } from "../hmm/decoder_options.ts";
import { continuousOptions, nonLocalOptions } from "../hmm/presets.ts";
import type { ContinuousTransition } from "../hmm/states.ts";
import type { Is, Option, OptionsOf } from "../options.ts";
import { custom, declare, isList, oneOf, place } from "../options.ts";
import { readNumbers } from "./recording.ts";
import type { CommandLine } from "./usage.ts";
import { flagOf, UsageError } from "./usage.ts";

const PRESETS = { continuous, contFrag, noSpikeContFrag, nonLocal };
/** Of documents: this one has to be told names. */
const TOLD_PRESETS: Record<string, (told: never) => StateModel> = { ...PRESETS, multiEnvironment };
const PRESET_NAMES = ["continuous", "contFrag", "noSpikeContFrag", "nonLocal"] as const;

const presetOptions = declare("decode", {
  states: oneOf(PRESET_NAMES, {
    default: "continuous",
    says: `${PRESET_NAMES.slice(0, -1).join(", ")} or ${PRESET_NAMES.at(-1)}`,
  }),
});

/** Options of presets; what one does not have, it refuses. */
const ofPresets = { ...continuousOptions.options, localStd: nonLocalOptions.options.localStd };

/** A document. */
export const modelFile = {
  model: place({
    takes: "JSON",
    says: "a file that has the whole model: states, and observations such as binSize",
  }),
};

const others = {
  parameters: place({
    says: "what sluice em wrote: its states and their probabilities, instead of --states",
  }),
  ...modelFile,
};

export const statesOptions = { ...presetOptions.options, ...ofPresets, ...others };

/** What a document says of spikes. */
const observationOptions = declare("read the model", {
  ...{ ...encodingOptions, ...fieldOptions },
  waveformStd: clusterlessOptions.options.waveformStd,
  environments: custom(
    "a list of { name, intervals, binSize }",
    isList as Is<EnvironmentsOptions["environments"]>,
    { says: "places with bins of their own, as { name, intervals, binSize }" },
  ),
  groups: environmentsOptions.options.groups,
});

export interface ToldStates {
  states: StateModel;
  initialProbs?: ArrayLike<number>;
  /** Options of an encoding, of a document that has some. */
  observations?: OptionsOf<typeof observationOptions>;
}

/**
 * @throws {UsageError} If states are told in two ways, or a document is not as it should be.
 */
export async function readStates(
  line: CommandLine,
  reading: OpenArrayOptions,
): Promise<ToldStates> {
  const { parameters, model } = line.read(others);
  const whole = parameters === undefined ? "model" : "parameters";
  const stray = [
    ...line.given({ ...presetOptions.options, ...ofPresets }),
    ...(parameters !== undefined && model !== undefined ? ["model"] : []),
  ][0];
  if ((parameters ?? model) !== undefined && stray !== undefined) {
    throw new UsageError(`Cannot run: --${whole} says it all, wanted no --${stray} beside it`);
  }
  if (parameters !== undefined) {
    const { states, initialProbs } = await openParameters(parameters);
    return { states, initialProbs };
  }
  if (model !== undefined) return readDocument(model, reading);
  const { states } = presetOptions.check(line.read(presetOptions.options));
  return { states: PRESETS[states](line.read(ofPresets)) };
}

/** Flags of what a document says of spikes. */
export function flagsTold(observations: ToldStates["observations"] = {}): string[] {
  return Object.keys(observations).map((name) => flagOf(name, {} as Option));
}

const DOCUMENT_KEYS = ["states", "initialProbs", "observations"];

/** An object in a file of JSON. */
async function readObject(file: string, what: string, wanted: string): Promise<object> {
  const refuse = (is: string, instead = wanted): never => {
    throw new UsageError(`Cannot use the ${what} ${file}: ${is}, wanted ${instead}`);
  };
  const text = await readFile(file, "utf8").catch((error) =>
    refuse(`it cannot be read (${error.code ?? error.message})`, "a file of JSON")
  );
  let told: unknown;
  try {
    told = JSON.parse(text);
  } catch (error) {
    refuse(`it is no JSON: ${(error as Error).message}`);
  }
  return typeof told === "object" && told !== null && !Array.isArray(told)
    ? told
    : refuse("it is no object");
}

/** Names of a track graph, as the original's files may have them too. */
const TRACK_KEYS: Record<string, keyof TrackGraph> = {
  ...{ nodes: "nodes", edges: "edges", edgeOrder: "edgeOrder", edgeSpacing: "edgeSpacing" },
  ...{ edge_order: "edgeOrder", edge_spacing: "edgeSpacing" },
};

/** @throws {UsageError} If a file has no track graph, or something else beside it. */
export async function readTrack(file: string): Promise<TrackGraph> {
  const told = await readObject(file, "track graph", "{ nodes, edges }");
  return Object.fromEntries(
    Object.entries(told).map(([key, value]) => {
      if (TRACK_KEYS[key]) return [TRACK_KEYS[key], value];
      throw new UsageError(
        `Cannot use the track graph ${file}: it has "${key}", wanted nodes, edges, edgeOrder, edgeSpacing`,
      );
    }),
  ) as unknown as TrackGraph;
}

/** @throws {UsageError} If a file has something else than bins. */
export async function readGrid(file: string): Promise<GridEdges> {
  const told = await readObject(file, "grid", "{ edges, interior }");
  const stray = Object.keys(told).find((key) => key !== "edges" && key !== "interior");
  if (stray === undefined) return told as GridEdges;
  throw new UsageError(`Cannot use the grid ${file}: it has "${stray}", wanted edges, interior`);
}

async function readDocument(file: string, reading: OpenArrayOptions): Promise<ToldStates> {
  const refuse = (is: string, wanted: string): never => {
    throw new UsageError(`Cannot use the model ${file}: ${is}, wanted ${wanted}`);
  };
  const told = await readObject(file, "model", "{ states, observations }");
  const stray = Object.keys(told).find((key) => !DOCUMENT_KEYS.includes(key));
  if (stray !== undefined) refuse(`it has "${stray}"`, DOCUMENT_KEYS.join(", "));
  const { states, initialProbs, observations } = told as Record<string, unknown>;
  if (typeof states !== "object" || states === null) {
    return refuse(`states is ${JSON.stringify(states)}`, "{ preset, ... } or { names, ... }");
  }
  const probabilities = typeof initialProbs === "string"
    ? (await readNumbers(initialProbs, reading)).values
    : initialProbs as ArrayLike<number> | undefined;
  return {
    states: await statesOf(states as Record<string, unknown>, refuse, reading),
    ...(probabilities && { initialProbs: probabilities }),
    ...(observations !== undefined && {
      // what is not said has its default elsewhere
      observations: onlyTold(observationOptions.check(observations as object), observations),
    }),
  };
}

/** A preset with its options, or a mix of one's own; a matrix may be the place of an array. */
async function statesOf(
  { preset, ...told }: Record<string, unknown>,
  refuse: (is: string, wanted: string) => never,
  reading: OpenArrayOptions,
): Promise<StateModel> {
  if (!("names" in told)) {
    const make = Object.hasOwn(TOLD_PRESETS, String(preset)) && TOLD_PRESETS[String(preset)];
    if (make) return make(told as never);
    return refuse(`preset is ${JSON.stringify(preset)}`, Object.keys(TOLD_PRESETS).join(", "));
  }
  const { transitions } = told as { transitions?: ContinuousTransition[][] };
  if (Array.isArray(transitions)) {
    for (const block of transitions.flat()) {
      if (block?.kind !== "matrix" || typeof block.values !== "string") continue;
      block.values = (await readNumbers(block.values, reading)).values;
    }
  }
  return stateModel({ ...told, ...(preset !== undefined && { preset }) } as StateModel);
}

function onlyTold<Checked extends object>(checked: Checked, told: unknown): Checked {
  const names = Object.keys(told as object);
  return Object.fromEntries(
    Object.entries(checked).filter(([name]) => names.includes(name)),
  ) as Checked;
}
