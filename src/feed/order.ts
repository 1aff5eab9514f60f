/**
 * The order in which an epoch goes through its windows. Integer arithmetic alone, so that a seed means
 * the same order in every runtime; any position can be worked out on its own, so nothing has to be stored.
 *
 * @module
 */

import { philox, Random } from "../math/random.ts";
import type { OptionsOf } from "../options.ts";
import { declare, whole } from "../options.ts";

/**
 * How an epoch is shuffled: not at all, exactly by a seed, or on two levels. Two levels shuffle blocks
 * of `block` neighbouring windows, then the windows of every `pool` blocks among themselves: a table
 * on disk is then read about once an epoch, and windows of one block stay within one pool.
 */
export type Shuffle = false | number | TwoLevelShuffle;

const seed = whole({ required: true, from: 0, to: 2 ** 32 - 1, says: "of the order" });

export const twoLevelOptions = declare("shuffle", {
  seed,
  /** Windows of a block. Default 1024. */
  block: whole({ default: 1024, from: 1, says: "windows of a block" }),
  /** Blocks that are shuffled together. Default 10. */
  pool: whole({ default: 10, from: 1, says: "blocks that are shuffled together" }),
});

export type TwoLevelShuffle = OptionsOf<typeof twoLevelOptions>;

/** A permutation of [0, length): what stands at a position. */
export interface Order {
  readonly length: number;
  at(position: number): number;
  /** On two levels: the last position up to here at which a pool begins or the order ends. */
  poolBefore?(position: number): number;
}

// An even number, so that the halves end where they began.
const ROUNDS = 8;
// Networks over a few items reach too few of their permutations: up to 17 of them the pairs that follow
// each other are seen to be uneven. Such short ones are listed.
const LISTED = 4096;

// What keeps uses of one seed apart.
export const STREAMS = { exact: 1, blocks: 2, pools: 3, sampler: 4 } as const;

/**
 * A permutation of [0, length) given by a seed, an epoch and a stream. A Feistel network whose halves
 * count to a and b, the product of which is at least `length`; what lies beyond is sent through again.
 *
 * Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains", sections 4 and 5.
 */
export function permutation(length: number, seed: number, epoch: number, stream = 0): Order {
  const keys = [0, 1].flatMap((half) => philox([epoch, stream, half, 0], [seed, 0x5eed]));
  if (length <= LISTED) return listed(length, new Random(keys[0]!, keys[1]!));
  const a = Math.ceil(Math.sqrt(length));
  const b = Math.ceil(length / a);
  const once = (item: number): number => {
    // halves swap their meaning every round, and with it what they count to
    let [left, right] = [item % a, Math.floor(item / a)];
    for (let round = 0; round < ROUNDS; round++) {
      const modulus = round % 2 === 0 ? a : b;
      const shift = Math.floor(mix(right ^ keys[round]!) / 2 ** 32 * modulus);
      const sum = left + shift;
      [left, right] = [right, sum >= modulus ? sum - modulus : sum];
    }
    return left + a * right;
  };
  return {
    length,
    at(position) {
      let item = once(position);
      while (item >= length) item = once(item);
      return item;
    },
  };
}

/** Shuffled by Fisher and Yates. */
function listed(length: number, random: Random): Order {
  const items = Uint32Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
  return { length, at: (position) => items[position]! };
}

/** The finalizer of MurmurHash3 (Appleby): every bit of 32 depends on every other. */
function mix(bits: number): number {
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** The order of an epoch of so many windows. */
export function orderOf(shuffle: Shuffle, length: number, epoch: number): Order {
  if (shuffle === false) return { length, at: (position) => position };
  if (typeof shuffle === "number") return permutation(length, shuffle, epoch, STREAMS.exact);
  return twoLevelOrder(twoLevelOptions.check(shuffle), length, epoch);
}

function twoLevelOrder(
  { seed, block, pool }: Required<TwoLevelShuffle>,
  length: number,
  epoch: number,
): Order {
  const blockCount = Math.ceil(length / block);
  const blocks = permutation(blockCount, seed, epoch, STREAMS.blocks);
  // the last block of the table may be short; all positions behind it move up
  const missing = blockCount * block - length;
  let short = 0;
  while (blocks.at(short) !== blockCount - 1) short++;
  // every pool has as many blocks as any other, or one less
  const poolCount = Math.ceil(blockCount / pool);
  const poolStart = (own: number) => firstOf(Math.ceil(own * blockCount / poolCount));
  const poolOf = (place: number) => Math.floor(place * poolCount / blockCount);
  const firstOf = (place: number) => place * block - (place > short ? missing : 0);
  /** The place of the block that a position is in. */
  const placeOf = (position: number) => {
    const place = Math.floor(position / block);
    return place >= short && firstOf(place + 1) <= position ? place + 1 : place;
  };
  let [known, inside]: [number, Order | undefined] = [-1, undefined];
  return {
    length,
    poolBefore: (position) => position >= length ? length : poolStart(poolOf(placeOf(position))),
    at(position) {
      const own = poolOf(placeOf(position));
      const first = poolStart(own);
      if (own !== known) {
        const end = poolStart(own + 1);
        inside = permutation(end - first, seed, epoch, STREAMS.pools + (own + 1) * 16);
        known = own;
      }
      // back to a position between block and block, before windows were shuffled
      const plain = first + inside!.at(position - first);
      const place = placeOf(plain);
      return blocks.at(place) * block + plain - firstOf(place);
    },
  };
}

/** The same shuffle with all that is left to defaults. */
export function fullShuffle(shuffle: Shuffle): Shuffle {
  if (typeof shuffle !== "object") return shuffle;
  const { seed, block, pool } = twoLevelOptions.check(shuffle);
  return { seed, block, pool };
}

/**
 * @throws {TypeError} If a seed, block or pool is no number.
 * @throws {RangeError} If the seed is not a whole number of 32 bits, or a block or pool not one from 1.
 */
export function checkShuffle(shuffle: Shuffle): void {
  if (typeof shuffle === "number") checkSeed(shuffle, "shuffle");
  else if (shuffle) twoLevelOptions.check(shuffle);
}

export function checkSeed(given: number, action: string): void {
  seed.check(given, { action, name: "the seed" });
}

/** An order in a few words. */
export function describeShuffle(shuffle: Shuffle): string {
  if (shuffle === false) return "not shuffled";
  if (typeof shuffle === "number") return `exact, seed ${shuffle}`;
  const { seed, block, pool } = twoLevelOptions.check(shuffle);
  return `two levels, ${pool} blocks of ${block}, seed ${seed}`;
}
