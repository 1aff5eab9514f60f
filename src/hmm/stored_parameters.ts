/**
 * Parameters as a search stores them.
 *
 * @module
 */

import { ChunkError } from "../errors.ts";
import { openStore } from "../store/open_store.ts";
import { withoutMatrices } from "./decode_task.ts";
import type { FoundParameters } from "./em_parameters.ts";
import type { StateModel } from "./states.ts";
import { stateModel } from "./states.ts";

const FORMAT = "sluice.em.parameters";
const FORMAT_VERSION = 1;

/** The file of a search that has them. */
export const PARAMETERS_KEY = "/parameters.json";

export function parametersText(found: FoundParameters): string {
  const { states, initialProbs, logLikelihoods, converged, falls, warnings } = found;
  return JSON.stringify({
    ...{ format: FORMAT, format_version: FORMAT_VERSION },
    states: withoutMatrices(states),
    initial_probs: [...initialProbs],
    log_likelihoods: logLikelihoods,
    ...{ converged, falls, warnings },
  });
}

/**
 * Opens the parameters that a search stored.
 *
 * @param place The `out` of the search.
 * @throws {ChunkError} If there are none, or a newer version wrote them.
 * @throws {TypeError} If a transition has a matrix of the caller's own, which is not stored.
 */
export async function openParameters(place: string): Promise<FoundParameters> {
  const store = await openStore(place);
  const bytes = await store.get(PARAMETERS_KEY).finally(() => store.close());
  let told;
  try {
    told = bytes && JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new ChunkError(`Cannot open ${place}: its parameters are not JSON`, place, cause);
  }
  if (told?.format !== FORMAT) {
    throw new ChunkError(`Cannot open ${place}: no parameters are stored there`, place);
  }
  if (told.format_version > FORMAT_VERSION) {
    throw new ChunkError(
      `Cannot open ${place}: it has format version ${told.format_version}, this package reads up to ` +
        `${FORMAT_VERSION}`,
      place,
    );
  }
  const states: StateModel = told.states;
  if (states.transitions.flat().some(({ kind }) => kind === "matrix")) {
    throw new TypeError(
      `Cannot use the parameters of ${place}: a transition is a matrix, which is not stored, wanted ` +
        "discreteTransition and initialProbs of the result beside the matrix",
    );
  }
  return {
    states: stateModel(states),
    initialProbs: Float64Array.from(told.initial_probs),
    logLikelihoods: told.log_likelihoods,
    ...{ converged: told.converged, falls: told.falls, warnings: told.warnings },
  };
}
