/**
 * What activations are read from: layers as rows, tokens of samples, and what is known of them.
 *
 * @module
 */

import type { ReadOptions } from "../chunked_array.ts";
import { digestOf } from "../math/digest.ts";
import type { LiveStream } from "./live_blocks.ts";
import type { ByteCount, Plane } from "./plane.ts";
import type { SourceTokens } from "./tokens.ts";
import type { ActsFacts, ActsType, Dims, StoredValues } from "./types.ts";

export interface ActsSource {
  /** Of messages: `a typed array`, `acts.zarr`. */
  readonly name: string;
  readonly dims: Dims;
  readonly dtype: ActsType;
  readonly hidden: number;
  /** Layer ids in the order of planes; `undefined` without a layer axis. */
  readonly layers: readonly number[] | undefined;
  /** One for each layer, or the only one. */
  readonly planes: readonly Plane[];
  readonly samples: number;
  /** A name for each sample, where they have some. */
  readonly ids: readonly string[] | undefined;
  /** Where there is an axis s. */
  readonly tokens: SourceTokens | undefined;
  readonly facts: ActsFacts;
  /** What was read so far. */
  readonly count: ByteCount;
  /** What is still to come, of a model that runs: there are no samples yet. */
  readonly live?: LiveStream;
  /** Equal for equal activations; another one when they may have changed. */
  fingerprint(options: ReadOptions): Promise<string>;
  close(): Promise<void>;
}

/** What a sample is called in messages. */
export function sampleName({ ids }: Pick<ActsSource, "ids">, sample: number): string {
  return ids ? `sample ${sample} ("${ids[sample]}")` : `sample ${sample}`;
}

/** Some samples and layers of a source. */
export function viewOf(
  source: ActsSource,
  samples: ArrayLike<number>,
  planes: ArrayLike<number>,
  { hasLayers }: { hasLayers: boolean },
): ActsSource {
  const { layers, ids, tokens } = source;
  const chosen = Array.from(samples);
  const own = Array.from(planes);
  return {
    ...source,
    dims: (hasLayers ? source.dims : source.dims.replace("l", "")) as Dims,
    layers: hasLayers ? own.map((i) => layers![i]!) : undefined,
    planes: own.map((i) => source.planes[i]!),
    samples: chosen.length,
    ids: ids && chosen.map((sample) => ids[sample]!),
    tokens: tokens
      ? chosenTokens(tokens, chosen)
      : chosenTokens(oneTokenEach(source.samples), chosen),
    fingerprint: async (options) =>
      await digestOf([
        await source.fingerprint(options),
        Float64Array.from(chosen),
        Float64Array.from(own),
      ]),
  };
}

/** Samples of one row each, as tokens. */
export function oneTokenEach(samples: number): SourceTokens {
  return {
    offsets: Float64Array.from({ length: samples + 1 }, (_, i) => i),
    detected: undefined,
    stretches: (sample, from, to) => [[sample + from, sample + to]],
  };
}

function chosenTokens(tokens: SourceTokens, chosen: readonly number[]): SourceTokens {
  const { detected } = tokens;
  const offsets = new Float64Array(chosen.length + 1);
  chosen.forEach((sample, i) => {
    offsets[i + 1] = offsets[i]! + tokens.offsets[sample + 1]! - tokens.offsets[sample]!;
  });
  const own = detected && new Uint8Array(offsets.at(-1)!);
  chosen.forEach((sample, i) =>
    own?.set(detected!.subarray(tokens.offsets[sample], tokens.offsets[sample + 1]), offsets[i])
  );
  return {
    offsets,
    detected: own,
    stretches: (sample, from, to) => tokens.stretches(chosen[sample]!, from, to),
  };
}

/**
 * Samples of several sources, one source after the other.
 *
 * @throws {RangeError} If they are not of a kind, or a sample id comes twice.
 */
export function joinSources(sources: readonly ActsSource[]): ActsSource {
  const [first] = sources as [ActsSource];
  const facts = (own: ActsSource): Record<string, unknown> => ({
    dims: own.dims,
    dtype: own.dtype,
    hidden: own.hidden,
    layers: own.layers?.join(),
    producer: own.facts.producer,
    "hook point": own.facts.hookPoint,
    "layers after the final norm": own.facts.afterFinalNorm?.join(),
    "sample ids": own.ids ? "given" : undefined,
  });
  for (const other of sources) {
    for (const [what, wanted] of Object.entries(facts(first))) {
      const own = facts(other)[what];
      if (own === wanted) continue;
      throw new RangeError(
        `Cannot join activations: ${what} is ${own ?? "not known"} in ${other.name}, ` +
          `${wanted ?? "not known"} in ${first.name}, wanted the same`,
      );
    }
  }
  const ids = first.ids && sources.flatMap((source) => source.ids!);
  checkIds(ids, "join activations", (at) => {
    let before = 0;
    return sources.find(({ samples }) => (before += samples) > at)!.name;
  });
  const parts = sources.map(({ samples, tokens }) => tokens ?? oneTokenEach(samples));
  const close = async () => {
    for (const source of sources) await source.close();
  };
  return {
    ...first,
    name: `${sources.length} joined`,
    planes: first.planes.map((_, i) => new JoinedPlane(sources.map(({ planes }) => planes[i]!))),
    samples: sources.reduce((sum, { samples }) => sum + samples, 0),
    ids,
    tokens: joinTokens(parts, sources.map(({ planes }) => planes[0]!.rows)),
    count: { bytes: 0 },
    fingerprint: async (options) => {
      const prints: string[] = [];
      for (const source of sources) prints.push(await source.fingerprint(options));
      return await digestOf(prints);
    },
    close,
  };
}

/** @throws {RangeError} If an id comes twice. */
export function checkIds(
  ids: readonly string[] | undefined,
  action: string,
  nameOf?: (at: number) => string,
): void {
  const seen = new Map<string, number>();
  ids?.forEach((id, at) => {
    const before = seen.get(id);
    if (before !== undefined) {
      const where = nameOf
        ? `in ${nameOf(before)} and in ${nameOf(at)}`
        : `of samples ${before} and ${at}`;
      throw new RangeError(
        `Cannot ${action}: the sample id "${id}" is ${where}, wanted every id once`,
      );
    }
    seen.set(id, at);
  });
}

function joinTokens(parts: readonly SourceTokens[], rows: readonly number[]): SourceTokens {
  const owner: [part: number, sample: number][] = [];
  const offsets = [0];
  for (const [i, part] of parts.entries()) {
    const before = offsets.at(-1)!;
    for (let sample = 0; sample + 1 < part.offsets.length; sample++) {
      owner.push([i, sample]);
      offsets.push(before + part.offsets[sample + 1]!);
    }
  }
  const firstRows = rows.map((_, i) => rows.slice(0, i).reduce((sum, own) => sum + own, 0));
  let detected: Uint8Array | undefined;
  if (parts.some((part) => part.detected)) {
    detected = new Uint8Array(offsets.at(-1)!).fill(1);
    let at = 0;
    for (const part of parts) {
      if (part.detected) detected.set(part.detected, at);
      at += part.offsets.at(-1)!;
    }
  }
  return {
    offsets: Float64Array.from(offsets),
    detected,
    *stretches(sample, from, to) {
      const [part, own] = owner[sample]!;
      for (const [start, end] of parts[part]!.stretches(own, from, to)) {
        yield [firstRows[part]! + start, firstRows[part]! + end];
      }
    },
  };
}

/** Rows of several planes, one after the other. */
class JoinedPlane implements Plane {
  readonly parts: readonly Plane[];
  readonly rows: number;
  readonly hidden: number;
  readonly dtype: ActsType;
  readonly unitRows = 1;
  readonly rowBytes: number;

  constructor(parts: readonly Plane[]) {
    this.parts = parts;
    const [{ hidden, dtype }] = parts as [Plane];
    this.hidden = hidden;
    this.dtype = dtype;
    this.rows = parts.reduce((sum, { rows }) => sum + rows, 0);
    this.rowBytes = Math.max(...parts.map(({ rowBytes }) => rowBytes));
  }

  hostBytes(rows: number): number {
    return Math.max(...this.parts.map((part) => part.hostBytes(rows)));
  }

  read(): Promise<StoredValues> {
    throw new TypeError("Cannot read joined rows: wanted a reader, which reads each part");
  }
}
