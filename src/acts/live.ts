/**
 * Activations of a model that runs: they come block by block, once, and are stored in parts.
 *
 * @module
 */

import { fromTypedArray } from "../array/array.ts";
import { OutputConflictError } from "../errors.ts";
import { parseBytes } from "../math/format.ts";
import { openStore } from "../store/open_store.ts";
import { childPlace } from "../store/place.ts";
import type { ActsAttributes } from "./acts_task.ts";
import { arraySource } from "./array_source.ts";
import type { LiveOptions } from "./options.ts";
import { liveOptions } from "./options.ts";
import type { LiveBlock, LiveBlocks, LiveStream } from "./live_blocks.ts";
import { doneKey, partName, partsOf } from "./parts.ts";
import { LostValueError, roundTo } from "./row_steps.ts";
import type { ActsSource } from "./source.ts";
import { openActsSource } from "./stored.ts";
import { storedAttributes } from "../stream/places.ts";
import type { ActsFacts, StoredValues } from "./types.ts";
import { createValues, TYPE_BYTES } from "./types.ts";

const ACTION = "collect activations";

/** Samples that came, in memory. */
interface Gathered {
  ids: string[];
  offsets: number[];
  layers: StoredValues[][];
  detected: number[];
  bytes: number;
}

/** A stream that was checked. */
export function liveStream(
  blocks: LiveBlocks,
  options: LiveOptions,
  factsOf: (told: ReturnType<typeof liveOptions.check>) => ActsFacts,
): LiveStream {
  const told = liveOptions.check(options);
  const { layers, hidden, dtype, writer, partBytes } = told;
  if (!/^[\w.-]+$/.test(writer)) {
    throw new RangeError(
      `Cannot ${ACTION}: writer is "${writer}", wanted letters, digits, dots and hyphens`,
    );
  }
  return {
    ...{ blocks, hidden, dtype, writer, layers: Array.from(layers) },
    partBytes: parseBytes(partBytes),
    facts: factsOf(told),
  };
}

/** A source without samples: of it chains are checked before anything comes. */
export function emptySource(live: LiveStream): ActsSource {
  return { ...sourceOf(live, nothing(live)), name: "a model", live };
}

function nothing({ layers }: LiveStream): Gathered {
  return { ids: [], offsets: [0], layers: layers.map(() => []), detected: [], bytes: 0 };
}

/** What came, as a source. */
function sourceOf(
  { layers, hidden, dtype, facts }: LiveStream,
  { ids, offsets, layers: parts, detected }: Gathered,
): ActsSource {
  const tokens = offsets.at(-1)!;
  const each = parts.map((blocks) => {
    const values = createValues(dtype, tokens * hidden);
    let at = 0;
    for (const block of blocks) {
      values.set(block, at);
      at += block.length;
    }
    return fromTypedArray(values, [tokens, hidden]);
  });
  return arraySource({
    name: "a model",
    dims: "blsh",
    arrays: { each },
    dtype,
    layers,
    tokens: { offsets, detectionMask: detected.includes(0) ? detected : undefined },
    ids,
    facts,
  });
}

/** Gathers blocks into parts; each holds whole samples. */
async function* gather(
  live: LiveStream,
  done: ReadonlySet<string>,
  partBytes: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Gathered> {
  const { blocks, layers, hidden, dtype } = live;
  const there = new Set(done);
  let part = nothing(live);
  let current: string | undefined;
  const tokenBytes = TYPE_BYTES[dtype] * hidden * layers.length;
  for await (const block of typeof blocks === "function" ? blocks({ done }) : blocks) {
    signal?.throwIfAborted();
    const { id } = block;
    if (typeof id !== "string" || id === "") {
      throw new TypeError(`Cannot ${ACTION}: a block has no id, wanted the name of its sample`);
    }
    if (id !== current) {
      current = id;
      // a model that does not ask what is there brings it again
      if (done.has(id)) continue;
      if (there.has(id)) {
        throw new RangeError(
          `Cannot ${ACTION}: blocks of sample "${id}" come after those of another one, wanted all of a ` +
            "sample one after the other, and every id once",
        );
      }
      there.add(id);
      if (part.bytes >= partBytes) {
        yield part;
        part = nothing(live);
      }
      part.ids.push(id);
      part.offsets.push(part.offsets.at(-1)!);
    } else if (done.has(id)) continue;
    const tokens = takeBlock(live, block, part);
    part.offsets[part.offsets.length - 1]! += tokens;
    part.bytes += tokens * tokenBytes;
  }
  if (part.ids.length > 0) yield part;
}

/** Adds the tokens of a block; how many those are. */
function takeBlock(
  { layers, hidden, dtype }: LiveStream,
  { id, layers: given, detected }: LiveBlock,
  part: Gathered,
): number {
  let tokens: number | undefined;
  const values = layers.map((layer) => {
    const own = given[layer];
    const where = `layer ${layer} of sample "${id}"`;
    if (!own) {
      throw new RangeError(
        `Cannot ${ACTION}: ${where} is missing, there are ${
          Object.keys(given).join(", ") || "none"
        }, wanted ${layers.join(", ")}`,
      );
    }
    const count = own.length / hidden;
    if (!Number.isInteger(count) || (tokens !== undefined && count !== tokens)) {
      throw new RangeError(
        `Cannot ${ACTION}: ${where} has ${own.length} elements, wanted ${
          tokens === undefined
            ? `a whole number of tokens of ${hidden}`
            : `${tokens} tokens of ${hidden}`
        }`,
      );
    }
    tokens = count;
    if (own instanceof Float32Array) {
      try {
        return roundTo(own.slice(), dtype);
      } catch (error) {
        if (!(error instanceof LostValueError)) throw error;
        const { position, message } = error;
        throw new RangeError(
          `Cannot ${ACTION}: ${where}, token ${
            Math.floor(position / hidden)
          } of its block, channel ${position % hidden} is ${message}`,
        );
      }
    }
    if (own instanceof Uint16Array && dtype !== "float32") return own.slice();
    throw new TypeError(
      `Cannot ${ACTION}: ${where} is a ${(own as object).constructor.name}, wanted a Float32Array` +
        (dtype === "float32" ? "" : `, or a Uint16Array of bits of ${dtype}`),
    );
  });
  const scored = typeof detected === "object"
    ? Array.from(detected, Number)
    : new Array<number>(tokens!).fill(detected === false ? 0 : 1);
  if (scored.length !== tokens || scored.some((own) => own !== 0 && own !== 1)) {
    throw new RangeError(
      `Cannot ${ACTION}: detected of sample "${id}" has ${scored.length} elements, wanted ${tokens} of 0 ` +
        "or 1",
    );
  }
  values.forEach((own, i) => part.layers[i]!.push(own));
  for (const own of scored) part.detected.push(own);
  return tokens!;
}

/** All that comes, in memory. */
export async function gatherAll(
  live: LiveStream,
  signal: AbortSignal | undefined,
): Promise<ActsSource> {
  for await (const part of gather(live, new Set(), Infinity, signal)) return sourceOf(live, part);
  throw new RangeError(`Cannot ${ACTION}: the model brought no sample, wanted at least 1`);
}

/**
 * Stores what comes, part by part. Parts that are there stay, and their samples are not taken again.
 *
 * @param save Stores a part, with what is to be done with it.
 * @param wanted What parts will say of themselves.
 */
export async function saveLive(
  live: LiveStream,
  place: string,
  { overwrite, signal }: { overwrite: boolean; signal?: AbortSignal | undefined },
  wanted: ActsAttributes,
  save: (source: ActsSource, place: string) => Promise<void>,
): Promise<void> {
  const { writer } = live;
  const store = await openStore(place, { mode: "write" });
  try {
    if (await storedAttributes(place) !== undefined) {
      throw new OutputConflictError(
        `Cannot write to ${place}: it holds a result, name another place`,
        place,
      );
    }
    const unlock = await store.lock(`/writer-${writer}.lock`);
    try {
      const keys = await store.list("/");
      const own = partsOf(keys).filter((part) => part.writer === writer);
      if (overwrite) {
        await store.delete(doneKey(writer));
        for (const { name } of own) await store.deleteAll(`/${name}`);
        own.length = 0;
      } else if (keys.includes(doneKey(writer))) {
        await checkParts(place, own.slice(0, 1), wanted);
        return;
      }
      const done = await checkParts(place, own, wanted);
      let index = done.parts;
      for await (const part of gather(live, done.ids, live.partBytes, signal)) {
        await save(sourceOf(live, part), childPlace(place, partName(writer, index++)));
      }
      if (index === 0) {
        throw new RangeError(`Cannot ${ACTION}: the model brought no sample, wanted at least 1`);
      }
      await store.set(doneKey(writer), new TextEncoder().encode(`${index} parts\n`));
    } finally {
      await unlock();
    }
  } finally {
    await store.close();
  }
}

/** Samples of parts that are complete. @throws {OutputConflictError} If they were made in another way. */
async function checkParts(
  place: string,
  parts: readonly { name: string }[],
  wanted: ActsAttributes,
): Promise<{ parts: number; ids: Set<string> }> {
  const ids = new Set<string>();
  const told = ({ samples: _, ...rest }: ActsAttributes) => JSON.stringify(rest);
  for (const [i, { name }] of parts.entries()) {
    const path = childPlace(place, name);
    const attributes = await storedAttributes(path);
    if (attributes?.complete !== true && i === parts.length - 1) return { parts: i, ids };
    if (told(attributes?.acts as ActsAttributes) !== told(wanted)) {
      throw new OutputConflictError(
        `Cannot go on with ${place}: ${name} was made in another way than is asked for, allow ` +
          "overwriting or name another place or writer",
        place,
      );
    }
    const source = await openActsSource(path);
    for (const id of source.ids ?? []) ids.add(id);
    await source.close();
  }
  return { parts: parts.length, ids };
}
