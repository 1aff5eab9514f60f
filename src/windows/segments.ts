/**
 * The ways in which people say where episodes lie, and which of them they want.
 *
 * @module
 */

import type { Segment } from "../array/window_view.ts";
import { segmentsOf } from "../array/window_view.ts";
import { isList, isObject } from "../options.ts";

/**
 * Where segments lie: the first frame of each, from 0; `[from, to]` of each, which leaves out what lies
 * between; as segments are told, with ids; where each ends, one past its last frame; or the id of the segment
 * that each frame is of.
 */
export type Segments =
  | ArrayLike<number>
  | readonly Segment[]
  | readonly (readonly [from: number, to: number])[]
  | { readonly ends: ArrayLike<number> }
  | { readonly ids: ArrayLike<number | bigint | string> };

/** Which segments: by number, or by id where they have one; or whether each is. */
export type WantedSegments = ArrayLike<number | string> | readonly boolean[];

export const isSegments = (value: unknown) =>
  isList(value) || isObject(value) && ("ends" in (value as object) || "ids" in (value as object));

/** @throws {RangeError} If segments do not follow each other within the frames, or one is empty. */
export function readSegments(given: Segments, frames: number): Segment[] {
  if ("ends" in given) return segmentsByEnds(given.ends, frames);
  if ("ids" in given) return segmentsByIds(given.ids, frames);
  if (isObject(given[0]) && !isList(given[0])) return segmentsAsTold(given as Segment[], frames);
  return isList(given[0])
    ? segmentsByPairs(given as [number, number][], frames)
    : segmentsOf(given as ArrayLike<number>, frames);
}

function segmentsByEnds(given: ArrayLike<number>, frames: number): Segment[] {
  const ends = Array.from(given, Number);
  if (ends.length === 0) {
    throw new RangeError("Cannot make windows: ends of segments are empty, wanted at least one");
  }
  if (ends.at(-1) !== frames) {
    throw new RangeError(
      `Cannot make windows: the last segment ends at frame ${
        ends.at(-1)
      }, there are ${frames} frames`,
    );
  }
  return segmentsOf([0, ...ends.slice(0, -1)], frames);
}

function segmentsAsTold(told: readonly Segment[], frames: number): Segment[] {
  const segments = segmentsByPairs(told.map(({ start, end }) => [start, end]), frames);
  const ids = told.map(({ id }) => id).filter((id) => id !== undefined);
  if (ids.length > 0 && new Set(ids).size !== told.length) {
    throw new RangeError(
      `Cannot make windows: ${told.length} segments have ${
        new Set(ids).size
      } ids, wanted one of its own each`,
    );
  }
  return segments.map((segment, i) => ids.length > 0 ? { ...segment, id: ids[i]! } : segment);
}

function segmentsByPairs(pairs: readonly ArrayLike<number>[], frames: number): Segment[] {
  let before = 0;
  return pairs.map((pair, i) => {
    const [start, end] = Array.from(pair, Number) as [number, number];
    const isWhole = pair.length === 2 && Number.isInteger(start) && Number.isInteger(end);
    if (!isWhole || start < before || start >= end || end > frames) {
      throw new RangeError(
        `Cannot make windows: segment ${i} is [${
          Array.from(pair)
        }], wanted [from, to] with at least one ` +
          `of the frames from ${before} to ${frames}`,
      );
    }
    before = end;
    return { start, end };
  });
}

function segmentsByIds(ids: ArrayLike<number | bigint | string>, frames: number): Segment[] {
  if (ids.length !== frames) {
    throw new RangeError(`Cannot make windows: got ${ids.length} ids, there are ${frames} frames`);
  }
  const segments: Segment[] = [];
  const seen = new Set<number | string>();
  for (let frame = 0; frame < frames; frame++) {
    const given = ids[frame]!;
    const id = typeof given === "bigint" ? idOf(given) : given;
    const last = segments.at(-1);
    if (last && id === last.id) last.end = frame + 1;
    else {
      if (Number.isNaN(id) || seen.has(id)) {
        throw new RangeError(
          `Cannot make windows: frame ${frame} has the id ${id}` +
            (seen.has(id) ? " again, wanted all frames of a segment after one another" : ""),
        );
      }
      seen.add(id);
      segments.push({ start: frame, end: frame + 1, id });
    }
  }
  return segments;
}

/** A number where that is exact: ids that are made by a hash have 64 bits. */
function idOf(given: bigint): number | string {
  const id = Number(given);
  return Number.isSafeInteger(id) ? id : String(given);
}

/**
 * Segments that are listed.
 *
 * @returns Whether each is.
 * @throws {RangeError} If there is no such segment, one is named twice, or a mask has another length.
 */
export function chooseSegments(wanted: WantedSegments, segments: readonly Segment[]): boolean[] {
  const list = Array.from(wanted as ArrayLike<number | string | boolean>);
  if (list.length > 0 && list.every((own) => typeof own === "boolean")) {
    if (list.length === segments.length) return list;
    throw new RangeError(
      `Cannot choose segments: got ${list.length} of true or false, there are ${segments.length} segments`,
    );
  }
  const hasIds = segments[0]?.id !== undefined;
  const numbers = new Map(
    segments.map(({ id }, number): [number | string, number] => [id ?? number, number]),
  );
  const taken = segments.map(() => false);
  for (const name of list) {
    const number = numbers.get(name as number | string);
    if (number === undefined) {
      throw new RangeError(
        `Cannot choose segment ${String(name)}: there are ${segments.length}, ` +
          (hasIds
            ? `with ids from ${segments[0]!.id} to ${segments.at(-1)!.id}`
            : "numbered from 0"),
      );
    }
    if (taken[number]) throw new RangeError(`Cannot choose segment ${String(name)} twice`);
    taken[number] = true;
  }
  return taken;
}
