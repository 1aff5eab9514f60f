/**
 * A decode under the names, dims and coordinates that non_local_detector gives its results, so that its `load_results()` and
 * what it computes of results take ours.
 *
 * @module
 */

import { fromTypedArray } from "../array/array.ts";
import { ChunkError } from "../errors.ts";
import type { NumericArray } from "../types.ts";
import type { ZarrVariable } from "../zarr/group.ts";

const DECODE_FORMAT = "sluice.decode";
/** Rows of probabilities; all else that a row has here has no name there. */
const PROBABILITIES = /^(acausal|causal|predictive)_(posterior|state_probabilities)$/;
/** Coordinates that mean the same here and there. */
const SHARED = /^(time|time_bin_start|time_bin_end|states|state|position|[xy]_position)$/;
/** What states have there, and what it is called by default: here there may be one of each. */
const OF_STATES = ["environments", "encoding_groups"] as const;
const ATTRIBUTES = ["marginal_log_likelihoods", "time_bin_convention", "time_units"];

interface Named {
  variables: ZarrVariable[];
  attributes: Record<string, unknown>;
}

/**
 * @param variables Of a decode, its bins expanded.
 * @throws {ChunkError} If it is no decode.
 */
export function withReferenceNames({ variables, attributes }: Named, place: string): Named {
  if (attributes.format !== DECODE_FORMAT) {
    throw new ChunkError(
      `Cannot export ${place} under names of non_local_detector: it is no decode, wanted one`,
      place,
    );
  }
  const find = (name: string) => variables.find((variable) => variable.name === name);
  const rows = find("time")!.shape[0]!;
  const states = find("states")!;
  const named = variables.filter(({ name }) => PROBABILITIES.test(name) || SHARED.test(name));
  const added = [
    find("is_missing") ?? flags("is_missing", new Uint8Array(rows)),
    // bins own their start alone, but for the last of all
    ...(find("time_bin_end")
      ? [flags("time_bin_end_inclusive", new Uint8Array(rows).fill(1, rows - 1))]
      : []),
    // there it has a dim of its own, so that it is no part of the index of bins
    { ...find("state_ind")!, dims: ["state_ind"] },
    ...OF_STATES.map((name) => find(name) ?? ofStates(name, states.shape[0]!)),
  ];
  const all = [...named, ...added];
  const result = states.shape[0] === 1 ? all.flatMap(squeezed) : all;
  const coordinates = result.filter(({ name, dims }) =>
    !PROBABILITIES.test(name) && !dims.includes(name)
  );
  return {
    variables: result,
    attributes: {
      ...Object.fromEntries(
        ATTRIBUTES.filter((name) => attributes[name] !== undefined)
          .map((name) => [name, attributes[name]]),
      ),
      coordinates: coordinates.map(({ name }) => name).join(" "),
    },
  };
}

/**
 * A single state has no dim there. What is told of states is left out then: `load_results()` would take single values for
 * levels of the index of bins.
 */
function squeezed(variable: ZarrVariable): ZarrVariable[] {
  const { dims, shape, array } = variable;
  if (!dims.includes("states")) return [variable];
  if (dims.length === 1) return [];
  const kept = { dims: dims.slice(0, 1), shape: shape.slice(0, 1) };
  return [{ ...variable, ...kept, array: array && { ...array, ...kept } }];
}

function flags(name: string, values: Uint8Array): ZarrVariable {
  return numbers(name, values, ["time"], "bool");
}

/** One environment without a name, and one group, 0. */
function ofStates(name: typeof OF_STATES[number], states: number): ZarrVariable {
  if (name === "encoding_groups") return numbers(name, new Int32Array(states), ["states"], "int32");
  return {
    ...numbers(name, new Uint8Array(states), ["states"], "bool"),
    array: undefined,
    readText: () => Promise.resolve(new Array<string>(states).fill("")),
  };
}

function numbers(
  name: string,
  values: NumericArray,
  dims: readonly string[],
  dtype: "bool" | "int32",
): ZarrVariable {
  return {
    ...{ name, dims, shape: [values.length], attributes: {}, fillValue: undefined },
    array: { ...fromTypedArray(values), dtype },
    readText: () => Promise.resolve([]),
  };
}
