/**
 * Folders of saev: `metadata.json`, `shards.json`, and shards of f32, [examples, layers, tokens, width].
 *
 * Source: https://github.com/OSU-NLP-Group/saev, docs/src/developers/protocol.md, protocol 2.1. Beyond what that
 * says, writers leave every shard as long as a full one, and may leave one of no examples behind the last.
 *
 * @module
 */

import { openArray } from "../../array/array.ts";
import { ChunkError } from "../../errors.ts";
import { chosenRows } from "../../feed/chosen.ts";
import type { OpenStoreOptions } from "../../store/open_store.ts";
import { openStore } from "../../store/open_store.ts";
import { childPlace } from "../../store/place.ts";
import { parseJson } from "../../zarr/json.ts";
import { arraySource } from "../array_source.ts";
import type { ActsSource } from "../source.ts";
import { joinSources } from "../source.ts";
import { fingerprintOf } from "./fingerprint.ts";

const METADATA = "/metadata.json";
export const SAEV_SHARDS = "/shards.json";
const PROTOCOL = "2.1";

/** Names of numbers: as they are written, and as the protocol has them. */
const TOKENS = ["content_tokens_per_example", "patches_per_ex"] as const;
const MOST_TOKENS = ["max_tokens_per_shard", "patches_per_shard"] as const;

/** @throws {ChunkError} If a file is missing or of another length, or the protocol is another one. */
export async function openSaevActs(place: string, reading: OpenStoreOptions): Promise<ActsSource> {
  const refuse = (reason: string) =>
    new ChunkError(`Cannot load activations from ${place}: ${reason}`, place);
  const store = await openStore(place, reading);
  const sources: ActsSource[] = [];
  try {
    const [described, listed] = [await store.get(METADATA), await store.get(SAEV_SHARDS)];
    if (!described) throw refuse("metadata.json is missing");
    const meta = parseJson(described) as Record<string, unknown>;
    const { protocol, dtype, layers, cls_token: hasClass, ckpt } = meta;
    if (protocol !== PROTOCOL || dtype !== "float32") {
      throw refuse(
        `its protocol is ${JSON.stringify(protocol)} of ${JSON.stringify(dtype)}, wanted ` +
          `"${PROTOCOL}" of "float32"`,
      );
    }
    const wholeOf = (names: readonly string[], least: number) => {
      const value = names.map((name) => meta[name]).find((value) => value !== undefined);
      if (Number.isSafeInteger(value) && value as number >= least) return value as number;
      throw refuse(`its ${names[0]} is ${JSON.stringify(value)}, wanted a whole number`);
    };
    if (!Array.isArray(layers) || !layers.every(Number.isInteger) || layers.length === 0) {
      throw refuse(`its layers are ${JSON.stringify(layers)}, wanted their numbers`);
    }
    if (typeof hasClass !== "boolean") {
      throw refuse(`its cls_token is ${JSON.stringify(hasClass)}, wanted true or false`);
    }
    const [tokens, width] = [wholeOf(TOKENS, 0) + Number(hasClass), wholeOf(["d_model"], 1)];
    const full = Math.floor(wholeOf(MOST_TOKENS, 1) / (tokens * layers.length));
    const exampleBytes = 4 * layers.length * tokens * width;
    const shards = parseJson(listed!) as ({ name?: string; n_examples?: number } | null)[];
    if (!Array.isArray(shards)) throw refuse("shards.json is no list");
    let examples = 0;
    for (const [i, shard] of shards.entries()) {
      const { name = "", n_examples: own = -1 } = shard ?? {};
      const wanted = `acts${String(i).padStart(6, "0")}.bin`;
      const isWhole = Number.isSafeInteger(own) && own >= 0 && own <= full;
      // a shard in the middle that is not full would move what follows
      if (name !== wanted || !isWhole || (own < full && i < shards.length - 1)) {
        throw refuse(
          `shard ${i} of shards.json is ${JSON.stringify(name)} of ${own} examples, wanted ` +
            `"${wanted}" of ${full}, or of fewer at the end`,
        );
      }
      examples += own;
      if (own === 0) continue;
      const bytes = await store.size(`/${name}`);
      if (bytes !== full * exampleBytes && bytes !== own * exampleBytes) {
        throw refuse(
          bytes === undefined
            ? `${name} is missing`
            : `${name} has ${bytes} bytes, metadata.json wants ${full * exampleBytes}`,
        );
      }
      const file = childPlace(place, name);
      const array = await openArray(`${file}/float32x${tokens}x${width}`, reading);
      sources.push(arraySource({
        name: file,
        dims: "blsh",
        // what lies behind its examples was never written
        arrays: { each: layers.map((_, i) => chosenRows(array, rowsOf(own, i, layers.length))) },
        layers,
        // those of pictures: none is padding
        tokens: { attentionMask: new Uint8Array(own * tokens).fill(1) },
        facts: {
          collected: `by saev, protocol ${PROTOCOL}`,
          ...typeof ckpt === "string" && { producer: ckpt },
        },
        places: [file],
        fingerprint: () => fingerprintOf([file, childPlace(place, METADATA.slice(1))], reading),
        close: () => array.close(),
      }));
    }
    if (examples !== wholeOf(["n_examples"], 1)) {
      throw refuse(
        `shards.json has ${examples} examples, metadata.json ${meta.n_examples}: it is not finished`,
      );
    }
    return sources.length === 1 ? sources[0]! : joinSources(sources);
  } catch (error) {
    for (const source of sources) await source.close();
    throw error;
  } finally {
    await store.close();
  }
}

/** Rows of a layer, where those of all layers of an example follow each other. */
function rowsOf(examples: number, layer: number, layers: number): Float64Array {
  return Float64Array.from({ length: examples }, (_, example) => example * layers + layer);
}
