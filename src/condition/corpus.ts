/**
 * Frames of many utterances: one array with the frames at which utterances begin, or a zarr store with a
 * group for each utterance, which is copied into one array first.
 *
 * @module
 */

import type {
  Corpus,
  CorpusInput,
  FramesInput,
  IdentifiedCorpus,
  IdentifyOptions,
  OpenedCorpus,
} from "./inputs.ts";
import type { ChunkedArray, ReadOptions } from "../array/array.ts";
import { openArray } from "../array/array.ts";
import { digestRows } from "../feed/points.ts";
import { digestOf } from "../math/digest.ts";
import { openGroups } from "./groups.ts";

import { changedInput, checkUnchanged, digestCorpus, identify, stampArrays } from "./identity.ts";
import { nameOf, oneKind, readIndex, readNames, readValues } from "./names.ts";
import type { Utterance } from "./rows.ts";
import { checkEnergy, checkFrames } from "./rows.ts";

/**
 * Opens a corpus.
 *
 * @throws {ChunkError} If something is missing or damaged; names the utterance.
 * @throws {RangeError} If shapes, segments, speakers and index do not belong together.
 */
export function openCorpus(input: CorpusInput, options: ReadOptions = {}): Promise<OpenedCorpus> {
  return "latents" in input ? openGroups(input, options) : openFrames(input);
}

async function openFrames(input: FramesInput): Promise<OpenedCorpus> {
  const opened: ChunkedArray[] = [];
  const open = async (source: string | ChunkedArray) => {
    if (typeof source !== "string") return source;
    const array = await openArray(source);
    opened.push(array);
    return array;
  };
  const close = async () => {
    for (const array of opened) await array.close();
  };
  try {
    const frames = await open(input.frames);
    checkFrames(frames, "frames");
    const told = await frameUtterances(input, frames.shape[0]!);
    const energy = input.energy === undefined ? undefined : await open(input.energy);
    if (energy) checkEnergy(energy, frames.shape[0]!, "energy");
    const corpus = { frames, energy, ...told, close };
    return { ...corpus, identify: (options) => identifyFrames(input, corpus, options) };
  } catch (error) {
    await close();
    throw error;
  }
}

async function identifyFrames(
  input: FramesInput,
  corpus: Corpus,
  { record, expected, overwrite, onRead, signal }: IdentifyOptions,
): Promise<IdentifiedCorpus> {
  const { frames, energy } = corpus;
  const sources = [input.frames, ...input.energy === undefined ? [] : [input.energy]];
  const stamp = () => stampArrays(sources);
  const name = typeof input.frames === "string" ? input.frames : "frames";
  const before = await stamp();
  const found = await identify(name, stamp, overwrite ? undefined : record, async () => {
    const parts: string[] = [];
    for (const [i, array] of [frames, ...energy ? [energy] : []].entries()) {
      const onShare = (share: number) => i === 0 && onRead?.(share, "compare");
      parts.push(await digestRows(array, { onShare, ...(signal && { signal }) }));
    }
    return await digestOf(parts);
  });
  const digest = await digestCorpus(corpus, found.contents);
  if (expected !== undefined && digest !== expected) throw changedInput(name);
  return {
    ...corpus,
    digest,
    record: found.record,
    checkUnchanged: () => checkUnchanged(name, before, stamp),
    // the arrays are those of the opened corpus
    close: () => Promise.resolve(),
  };
}

type Told = Pick<Corpus, "utterances" | "kinds" | "empty">;

async function frameUtterances(input: FramesInput, frames: number): Promise<Told> {
  const { index } = input;
  if (index !== undefined) {
    const table = await readIndex(index, ["utterance_id", "speaker_id", "n_frames"]);
    let next = 0;
    const utterances = table.map(({ id, speaker, frames }) => {
      if (frames === undefined) {
        throw new RangeError(`Cannot use the index "${index}": it has no n_frames of "${id.text}"`);
      }
      if (speaker === undefined) {
        throw new RangeError(
          `Cannot use the index "${index}": it has no speaker_id of "${id.text}"`,
        );
      }
      const start = next;
      next += frames;
      return { id: id.text, speaker: speaker.text, start, end: next };
    });
    if (next !== frames) {
      throw new RangeError(
        `Cannot use the index "${index}": its utterances have ${next} frames together, there are ` +
          `${frames}`,
      );
    }
    const kinds = {
      speaker: oneKind(table.map(({ id, speaker }) => [id.text, speaker!]), "speaker_id"),
      utterance: oneKind(table.map(({ id }) => [id.text, id]), "utterance_id"),
    };
    return withoutEmpty(utterances, kinds);
  }
  const { segments, speakers } = input;
  const firsts = typeof segments === "string"
    ? Array.from(await readValues(segments), Number)
    : Array.from(segments ?? []);
  const names = typeof speakers === "string"
    ? await readNames(speakers)
    : Array.from(speakers ?? []);
  if (firsts.length === 0 || firsts.length !== names.length) {
    throw new RangeError(
      `Cannot tell utterances apart: there are ${firsts.length} segments and ${names.length} ` +
        "speakers, wanted a speaker for each segment, or an index",
    );
  }
  const own = names.map((name, i) => {
    const speaker = nameOf(name, () => `the speaker of segment ${i}`);
    if (speaker) return speaker;
    throw new RangeError(
      `Cannot tell speakers apart: that of segment ${i} is ${
        JSON.stringify(name) ?? name
      }, wanted a ` +
        "text or a whole number",
    );
  });
  const utterances = firsts.map((start, i) => {
    const end = firsts[i + 1] ?? frames;
    const isFirst = i > 0 || start === 0;
    if (!(Number.isInteger(start) && isFirst && start <= end && end <= frames)) {
      throw new RangeError(
        `Cannot tell utterances apart: segment ${i} has the frames from ${start} up to ${end}, wanted ` +
          `ascending ones from 0 within the ${frames} frames`,
      );
    }
    return { id: String(i), speaker: own[i]!.text, start, end };
  });
  const speaker = oneKind(own.map((name, i) => [`segment ${i}`, name]), "speaker");
  return withoutEmpty(utterances, { speaker, utterance: "number" });
}

function withoutEmpty(utterances: readonly Utterance[], kinds: Corpus["kinds"]): Told {
  const own = utterances.filter(({ start, end }) => end > start);
  return { utterances: own, kinds, empty: utterances.length - own.length };
}
