/**
 * Which segments go to which part of a split.
 *
 * @module
 */

import { checkSeed, permutation } from "../feed/order.ts";

/** A miss that does not matter: so many windows of one. */
const NEAR = 2000;
/** Segments of which every choice is tried, halves of them against each other. */
const MOST_TRIED = 32;

/**
 * Chooses segments so that they have as near to `ratio` of the windows as may be.
 *
 * @param counts Windows of each segment.
 * @returns Whether each segment is in the first part.
 * @throws {RangeError} If the ratio is not between 0 and 1, or fewer than two segments have windows.
 */
export function splitCounts(counts: readonly number[], ratio: number, seed: number): boolean[] {
  if (!(ratio > 0 && ratio < 1)) {
    throw new RangeError(
      `Cannot split windows: the ratio is ${ratio}, wanted one between 0 and 1`,
    );
  }
  checkSeed(seed, "split windows");
  const counted = [...counts.keys()].filter((segment) => counts[segment]! > 0);
  if (counted.length < 2) {
    throw new RangeError(
      `Cannot split windows: ${counted.length} segment has any, wanted at least 2 to keep frames ` +
        "of one apart from those of the other",
    );
  }
  const order = permutation(counted.length, seed, 0);
  const segments = counted.map((_, place) => counted[order.at(place)]!);
  const sizes = segments.map((segment) => counts[segment]!);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const wanted = ratio * total;
  const apart = (chosen: readonly boolean[]) =>
    Math.abs(sizes.reduce((sum, size, i) => chosen[i] ? sum + size : sum, -wanted));
  let chosen = improve(sizes, wanted);
  if (apart(chosen) > Math.floor(total / NEAR) && sizes.length <= MOST_TRIED) {
    const nearest = tryAll(sizes, wanted);
    if (apart(nearest) < apart(chosen)) chosen = nearest;
  }
  const taken = counts.map(() => false);
  segments.forEach((segment, i) => taken[segment] = chosen[i]!);
  return taken;
}

/** Takes segments in order while they lead nearer, then moves or exchanges them as long as that does. */
function improve(sizes: readonly number[], wanted: number): boolean[] {
  const chosen = sizes.map(() => false);
  let left = wanted;
  let inFirst = 0;
  const flip = (i: number) => {
    left += chosen[i] ? sizes[i]! : -sizes[i]!;
    inFirst += chosen[i] ? -1 : 1;
    chosen[i] = !chosen[i];
  };
  for (let i = 0; i < sizes.length - 1; i++) {
    if (inFirst === 0 || Math.abs(left - sizes[i]!) < Math.abs(left)) flip(i);
  }
  const bySize = [...sizes.keys()].sort((a, b) => sizes[a]! - sizes[b]! || a - b);
  for (;;) {
    let best: { apart: number; moves: number[] } = { apart: Math.abs(left), moves: [] };
    const consider = (apart: number, ...moves: number[]) => {
      if (apart < best.apart) best = { apart, moves };
    };
    const [outer, inner] = [true, false].map((side) => bySize.filter((i) => chosen[i] !== side));
    for (const i of outer!) {
      if (inFirst + 1 < sizes.length) consider(Math.abs(left - sizes[i]!), i);
    }
    for (const i of inner!) if (inFirst > 1) consider(Math.abs(left + sizes[i]!), i);
    // the larger what leaves is, the larger is what fits in its place
    let place = 0;
    for (const leaves of inner!) {
      const room = left + sizes[leaves]!;
      while (place < outer!.length && sizes[outer![place]!]! < room) place++;
      for (const enters of [outer![place - 1], outer![place]]) {
        if (enters !== undefined) consider(Math.abs(room - sizes[enters]!), leaves, enters);
      }
    }
    if (best.moves.length === 0) return chosen;
    best.moves.forEach(flip);
  }
}

/** The choice that is nearest of all, by the sums of each half of the segments. */
function tryAll(sizes: readonly number[], wanted: number): boolean[] {
  const middle = sizes.length >> 1;
  const sumsOf = (own: readonly number[]) => {
    const sums = new Float64Array(2 ** own.length);
    own.forEach((size, i) => {
      for (let choice = 0; choice < 2 ** i; choice++) sums[choice + 2 ** i] = sums[choice]! + size;
    });
    return sums;
  };
  const [low, high] = [sumsOf(sizes.slice(0, middle)), sumsOf(sizes.slice(middle))];
  const rising = Uint32Array.from(low.keys()).sort((a, b) => low[a]! - low[b]!);
  const falling = Uint32Array.from(high.keys()).sort((a, b) => high[b]! - high[a]!);
  let best = { apart: Infinity, first: 0, second: 0 };
  const consider = (i: number | undefined, j: number) => {
    if (i === undefined) return;
    const [first, second] = [rising[i]!, falling[j]!];
    const all = first === low.length - 1 && second === high.length - 1;
    if (all || (first === 0 && second === 0)) return;
    const apart = Math.abs(low[first]! + high[second]! - wanted);
    if (apart < best.apart) best = { apart, first, second };
  };
  for (let i = 0, j = 0; j < falling.length; j++) {
    while (i < rising.length - 1 && low[rising[i]!]! + high[falling[j]!]! < wanted) i++;
    // neither none nor all may be chosen: what is next to them comes instead
    for (const near of [i - 2, i - 1, i, i + 1]) {
      if (near >= 0 && near < rising.length) consider(near, j);
    }
  }
  return sizes.map((_, i) =>
    i < middle ? ((best.first >> i) & 1) === 1 : ((best.second >> (i - middle)) & 1) === 1
  );
}
