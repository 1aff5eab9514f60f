/**
 * Files that vLLM writes, one for each request: `hidden_states` [tokens, layers, hidden] and `token_ids`.
 *
 * @module
 */

import { openArray } from "../../array/array.ts";
import type { ChunkedArray } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import type { OpenStoreOptions } from "../../store/open_store.ts";
import { arraySource } from "../array_source.ts";
import type { ActsSource } from "../source.ts";
import { joinSources } from "../source.ts";
import type { ActsType } from "../types.ts";
import { fingerprintOf } from "./fingerprint.ts";

const STATES = "hidden_states";

/**
 * A sample is a request, named as its file. Layers are numbered as they come; which those are only the server's
 * configuration tells.
 *
 * @throws {ChunkError} If a file has no `hidden_states`, or of another shape.
 */
export async function openRequestActs(
  files: readonly string[],
  { dtype, ...reading }: OpenStoreOptions & { dtype?: ActsType | undefined },
): Promise<ActsSource> {
  const sources: ActsSource[] = [];
  try {
    for (const file of [...files].sort()) {
      const [states, ids] = [
        await openArray(`${file}/${STATES}`, reading),
        await openArray(`${file}/token_ids`, reading),
      ];
      await ids.close();
      sources.push(sourceOf(file, states, ids.shape[0]!, { dtype, ...reading }));
    }
    return sources.length === 1 ? sources[0]! : joinSources(sources);
  } catch (error) {
    for (const source of sources) await source.close();
    throw error;
  }
}

function sourceOf(
  file: string,
  states: ChunkedArray,
  tokens: number,
  { dtype, ...reading }: OpenStoreOptions & { dtype: ActsType | undefined },
): ActsSource {
  if (states.shape.length !== 3 || states.shape[0] !== tokens) {
    throw new ChunkError(
      `Cannot load activations from ${file}: ${STATES} is [${
        states.shape.join(", ")
      }] of ${tokens} ` +
        `token_ids, wanted [${tokens}, layers, hidden]`,
      file,
    );
  }
  const name = /([^/\\]+)\.safetensors$/i.exec(file)![1]!;
  return arraySource({
    name: file,
    dims: "blsh",
    arrays: { all: states },
    dtype,
    tokens: { offsets: [0, tokens] },
    ids: [name],
    facts: { producer: "vLLM" },
    fingerprint: () => fingerprintOf([file], reading),
    close: () => states.close(),
  });
}
