/**
 * Samplers: which windows an epoch has, and how often. The order in which they come is the shuffle's.
 *
 * @module
 */

import { philox } from "../math/random.ts";
import type { OptionsOf } from "../options.ts";
import { declare, number, whole } from "../options.ts";
import { checkSeed, permutation, STREAMS } from "./order.ts";

/** Chooses the windows of an epoch. */
export interface Sampler {
  /** In a few words, with all that changes what is drawn. */
  readonly name: string;
  /** Most windows an epoch may have, of so many. */
  most(windows: number): number;
  /** Windows of an epoch, ascending; one that comes more than once is repeated. */
  draw(windows: number, epoch: number): Uint32Array;
}

/**
 * Every `step`-th window from `offset` on: a share of the data that is spread over all of it.
 *
 * @throws {RangeError} If the step is not a whole number from 1, or the offset not one below it.
 */
export function everyNth(step: number, offset = 0): Sampler {
  if (
    !(Number.isInteger(step) && step >= 1 && Number.isInteger(offset) && offset >= 0) ||
    offset >= step
  ) {
    throw new RangeError(
      `Cannot take every ${step}th window from ${offset}: wanted a whole number from 1 and an ` +
        "offset below it",
    );
  }
  const count = (windows: number) => Math.max(0, Math.ceil((windows - offset) / step));
  return {
    name: `every ${step}th from ${offset}`,
    most: count,
    draw: (windows) => Uint32Array.from({ length: count(windows) }, (_, i) => offset + i * step),
  };
}

/**
 * Every window about as often as its weight says: trunc(w) times, and once more with probability
 * w - trunc(w), anew each epoch. The rule of exphil.
 *
 * @param weights A weight per window, not negative; see {@link Windows.atLabels} for weights of frames.
 * @throws {RangeError} If a weight is negative or not finite.
 */
export function weighted(weights: ArrayLike<number>, seed = 0): Sampler {
  checkSeed(seed, "sample by weight");
  let most = 0;
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i]!;
    if (!(weight >= 0 && weight < 2 ** 32)) {
      throw new RangeError(`Cannot sample by weight: window ${i} has ${weight}, wanted 0 or more`);
    }
    most += Math.ceil(weight);
  }
  return {
    name: `weighted, seed ${seed}`,
    most: () => most,
    draw(windows, epoch) {
      checkCount(weights.length, windows, "weights");
      const drawn: number[] = [];
      for (let window = 0; window < windows; window++) {
        const weight = weights[window]!;
        let copies = Math.floor(weight);
        const word = philox([window, epoch, 0, STREAMS.sampler], [seed, 0x5a3b])[0];
        if (word / 2 ** 32 < weight - copies) copies++;
        for (let copy = 0; copy < copies; copy++) drawn.push(window);
      }
      return Uint32Array.from(drawn);
    },
  };
}

export const balanceOptions = declare("balance classes", {
  /** Of the repeats, and of the part that comes. Default 0. */
  seed: whole({ default: 0, from: 0, to: 2 ** 32 - 1, says: "of what comes more or less often" }),
  /** Windows of an epoch; as many as there are when not given. */
  count: whole({ from: 0, otherwise: "as many as there are", says: "windows of an epoch" }),
});

export type BalanceOptions = OptionsOf<typeof balanceOptions>;

/**
 * Every class as often as the others, and within a class every window as often as the others, both to
 * within one. Windows of a rare class are repeated; of a frequent one a part comes, another each epoch.
 *
 * @param classes A class per window.
 */
export function balanced(classes: ArrayLike<number>, options: BalanceOptions = {}): Sampler {
  const { seed, count = classes.length } = balanceOptions.check(options);
  const members = new Map<number, number[]>();
  for (let window = 0; window < classes.length; window++) {
    const own = members.get(classes[window]!);
    if (own) own.push(window);
    else members.set(classes[window]!, [window]);
  }
  const groups = [...members].sort(([a], [b]) => a - b).map(([, own]) => Uint32Array.from(own));
  return {
    name: `balanced over ${groups.length} classes, ${count} windows, seed ${seed}`,
    most: () => count,
    draw(windows, epoch) {
      checkCount(classes.length, windows, "classes");
      const drawn = new Uint32Array(count);
      let at = 0;
      groups.forEach((own, group) => {
        // what does not divide goes to other classes each epoch
        const place = (group + epoch) % groups.length;
        const share = Math.floor(count / groups.length) + (place < count % groups.length ? 1 : 0);
        for (let i = 0; i + own.length <= share; i += own.length, at += own.length) {
          drawn.set(own, at);
        }
        const order = permutation(own.length, seed, epoch, STREAMS.sampler + (group + 1) * 16);
        for (let i = 0; i < share % own.length; i++) drawn[at++] = own[order.at(i)]!;
      });
      return drawn.sort();
    },
  };
}

function checkCount(given: number, windows: number, what: string): void {
  if (given !== windows) {
    throw new RangeError(`Cannot sample: got ${given} ${what}, there are ${windows} windows`);
  }
}

export const rarityOptions = declare("weigh presses", {
  /** Columns of `pressed`. */
  buttons: whole({ required: true, from: 1, says: "buttons of a frame" }),
  /** The largest weight. */
  factor: number({ required: true, above: 0, to: Infinity, says: "the largest weight" }),
});

export type RarityOptions = OptionsOf<typeof rarityOptions>;

/**
 * Weights that make rare presses come more often: the largest min(sqrt(1 / rate), factor) of the buttons
 * that are pressed in a frame, and 1 where none is. The rule of exphil.
 *
 * @param pressed [frames, buttons], not 0 where a button is pressed.
 * @returns [frames] f64.
 */
export function rarityWeights(
  pressed: ArrayLike<number>,
  options: RarityOptions,
): Float64Array {
  const { buttons, factor } = rarityOptions.check(options);
  const frames = pressed.length / buttons;
  if (!Number.isInteger(frames)) {
    throw new RangeError(
      `Cannot weigh presses: got ${pressed.length} elements, wanted ${buttons} a frame`,
    );
  }
  const counts = new Float64Array(buttons);
  for (let i = 0; i < pressed.length; i++) if (pressed[i]) counts[i % buttons]!++;
  const weights = new Float64Array(frames).fill(1);
  for (let i = 0; i < pressed.length; i++) {
    if (!pressed[i]) continue;
    const frame = Math.floor(i / buttons);
    const weight = Math.min(Math.sqrt(frames / counts[i % buttons]!), factor);
    weights[frame] = Math.max(weights[frame]!, weight);
  }
  return weights;
}
