/**
 * Samplers: which windows an epoch has, and how often. The order in which they come is the shuffle's.
 *
 * @module
 */

import { philox } from "../math/random.ts";
import type { Is, OptionsOf } from "../options.ts";
import { custom, declare, isObject, number, whole } from "../options.ts";
import { atOnce } from "../turns.ts";
import { checkSeed, STREAMS } from "./order.ts";

/** Chooses the windows of an epoch. It is asked when the epoch begins, not before. */
export interface Sampler {
  /** In a few words, with all that changes what is drawn. */
  readonly name: string;
  /** Most windows an epoch may have, of so many: it is what memory is promised for. */
  most(windows: number): number;
  /** How many an epoch has in the mean, where that is known before any is drawn. */
  mean?(windows: number): number;
  /** Windows of an epoch, ascending; one that comes more than once is repeated. */
  draw(windows: number, epoch: number): Uint32Array | Promise<Uint32Array>;
  /** The same in steps, where many take long: others have their turns between them. */
  steps?(windows: number, epoch: number): Iterator<unknown, Uint32Array>;
}

/** A sampler that draws at once, or in steps. */
export interface SteppedSampler extends Sampler {
  mean(windows: number): number;
  draw(windows: number, epoch: number): Uint32Array;
  steps(windows: number, epoch: number): Iterator<unknown, Uint32Array>;
}

/** Windows that are looked at in a step: a millisecond or two. */
const STEP = 2 ** 14;

function stepped(own: Omit<SteppedSampler, "draw">): SteppedSampler {
  return { ...own, draw: (windows, epoch) => atOnce(own.steps(windows, epoch)) };
}

/**
 * Every `step`-th window from `offset` on: a share of the data that is spread over all of it.
 *
 * @throws {RangeError} If the step is not a whole number from 1, or the offset not one below it.
 */
export function everyNth(step: number, offset = 0): SteppedSampler {
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
  return stepped({
    name: `every ${step}th from ${offset}`,
    most: count,
    mean: count,
    *steps(windows) {
      const drawn = new Uint32Array(count(windows));
      for (let i = 0; i < drawn.length; i++) {
        if (i % STEP === 0) yield;
        drawn[i] = offset + i * step;
      }
      return drawn;
    },
  });
}

/**
 * Every window about as often as its weight says: trunc(w) times, and once more with probability
 * w - trunc(w), anew each epoch. The rule of exphil.
 *
 * @param weights A weight per window, not negative; see {@link Windows.atLabels} for weights of frames.
 * They are read each time an epoch begins; their sum, each rounded up, must not grow.
 * @throws {RangeError} If a weight is negative or not finite.
 */
export function weighted(weights: ArrayLike<number>, seed = 0): SteppedSampler {
  checkSeed(seed, "sample by weight");
  let most = 0;
  for (let i = 0; i < weights.length; i++) most += Math.ceil(checkedWeight(weights, i));
  return stepped({
    name: `weighted, seed ${seed}`,
    most: () => most,
    mean(windows) {
      checkCount(weights.length, windows, "weights");
      let sum = 0;
      for (let window = 0; window < windows; window++) sum += checkedWeight(weights, window);
      return sum;
    },
    *steps(windows, epoch) {
      checkCount(weights.length, windows, "weights");
      const drawn = new Uint32Array(most);
      let count = 0;
      for (let window = 0; window < windows; window++) {
        if (window % STEP === 0) yield;
        const weight = checkedWeight(weights, window);
        let copies = Math.floor(weight);
        const word = philox([window, epoch, 0, STREAMS.sampler], [seed, 0x5a3b])[0];
        if (word / 2 ** 32 < weight - copies) copies++;
        if (count + copies > most) {
          throw new RangeError(
            `Cannot sample by weight: weights were raised, windows up to ${window} come ` +
              `${count + copies} times, wanted at most the ${most} of all of them at first`,
          );
        }
        for (; copies > 0; copies--) drawn[count++] = window;
      }
      return drawn.subarray(0, count);
    },
  });
}

function checkedWeight(weights: ArrayLike<number>, window: number): number {
  const weight = weights[window]!;
  if (weight >= 0 && weight < 2 ** 32) return weight;
  throw new RangeError(`Cannot sample by weight: window ${window} has ${weight}, wanted 0 or more`);
}

export const priorityOptions = declare("sample by priority", {
  /** Windows of an epoch; as many as there are when not given. */
  count: whole({ from: 1, otherwise: "as many as there are", says: "windows of an epoch" }),
  /** Of what is drawn. Default 0. */
  seed: whole({ default: 0, from: 0, to: 2 ** 32 - 1, says: "of what is drawn" }),
});

export type PriorityOptions = OptionsOf<typeof priorityOptions>;

/**
 * A fixed number of windows an epoch, each with a chance that is proportional to its priority, and about
 * as often as that says: the sum of priorities is cut into as many equal parts as windows are wanted,
 * and each part draws one (Schaul et al. 2016, "Prioritized experience replay", B.2.1).
 *
 * @param priorities A priority per window, not negative. They are read each time an epoch begins:
 * change them while training goes on.
 * @throws {RangeError} When an epoch begins, if a priority is negative or not finite, or all are 0.
 */
export function prioritized(
  priorities: ArrayLike<number>,
  options: PriorityOptions = {},
): SteppedSampler {
  const { seed, count = priorities.length } = priorityOptions.check(options);
  return stepped({
    name: `by priority, ${count} windows, seed ${seed}`,
    most: () => count,
    mean: () => count,
    *steps(windows, epoch) {
      checkCount(priorities.length, windows, "priorities");
      const upTo = new Float64Array(windows);
      let [sum, last] = [0, 0];
      for (let window = 0; window < windows; window++) {
        if (window % STEP === 0) yield;
        const priority = priorities[window]!;
        if (!(priority >= 0)) {
          throw new RangeError(
            `Cannot sample by priority: window ${window} has ${priority}, wanted 0 or more`,
          );
        }
        upTo[window] = sum + priority;
        if (upTo[window]! > sum) [sum, last] = [upTo[window]!, window];
      }
      if (!(sum > 0 && sum < Infinity)) {
        throw new RangeError(
          `Cannot sample by priority: priorities add up to ${sum}, wanted a sum above 0`,
        );
      }
      const drawn = new Uint32Array(count);
      let words: readonly number[] = [];
      let window = 0;
      for (let i = 0; i < count; i++) {
        if (i % STEP === 0) yield;
        if (i % 4 === 0) words = philox([i / 4, epoch, 1, STREAMS.sampler], [seed, 0x5a3b]);
        const point = sum * ((i + words[i % 4]! / 2 ** 32) / count);
        // rounding may bring a part's end to the sum itself
        for (; window < last && upTo[window]! <= point; window++) if (window % STEP === 0) yield;
        drawn[i] = window;
      }
      return drawn;
    },
  });
}

export const balanceOptions = declare("balance classes", {
  /** Of the repeats, and of the part that comes. Default 0. */
  seed: whole({ default: 0, from: 0, to: 2 ** 32 - 1, says: "of what comes more or less often" }),
  /** Windows of an epoch; as many as there are when not given. */
  count: whole({ from: 0, otherwise: "as many as there are", says: "windows of an epoch" }),
  /** How often classes come beside each other, by class: `{ 0: 1, 7: 2.5 }`. Default: all as often. */
  classWeights: custom(
    "weights by class, as { 0: 1, 7: 2.5 }",
    isObject as Is<Readonly<Record<number, number>>>,
    { otherwise: "all alike", says: "how often classes come beside each other" },
  ),
});

export type BalanceOptions = OptionsOf<typeof balanceOptions>;

/**
 * Every class as often as the others, or as its weight says, and within a class every window as often as
 * the others, all to within one. Windows of a rare class are repeated; of a frequent one a part comes, another each epoch.
 *
 * @param classes A class per window; {@link Windows.segmentNumbers} makes episodes come equally often.
 * @throws {RangeError} If a class is NaN, has no weight, or a negative one.
 */
export function balanced(classes: ArrayLike<number>, options: BalanceOptions = {}): SteppedSampler {
  const { seed, count = classes.length, classWeights } = balanceOptions.check(options);
  const groups = groupsOf(classes);
  const ends = classWeights && shareEnds(groups.map(({ name }) => name), classWeights);
  const shareOf = (group: number, epoch: number) => {
    if (!ends) {
      // what does not divide goes to other classes each epoch
      const place = (group + epoch) % groups.length;
      return Math.floor(count / groups.length) + (place < count % groups.length ? 1 : 0);
    }
    // each end is rounded up or down by the same chance, so that shares add up
    const chance = philox([epoch, 0, 2, STREAMS.sampler], [seed, 0x5a3b])[0] / 2 ** 32;
    const upTo = (end: number) => Math.floor(count * end + (end < 1 ? chance : 0));
    return upTo(ends[group + 1]!) - upTo(ends[group]!);
  };
  const weights = classWeights ? `, weights ${JSON.stringify(classWeights)}` : "";
  return stepped({
    name: `balanced over ${groups.length} classes${weights}, ${count} windows, seed ${seed}`,
    most: () => count,
    mean: () => count,
    *steps(windows, epoch) {
      checkCount(classes.length, windows, "classes");
      const times = new Uint32Array(windows);
      for (const [group, { members }] of groups.entries()) {
        const share = shareOf(group, epoch);
        const whole = Math.floor(share / members.length);
        // those that come once more are chosen in one go: Knuth, "The art of computer programming", 3.4.2 S
        let more = share % members.length;
        let words: readonly number[] = [];
        for (let i = 0; i < members.length; i++) {
          if (i % STEP === 0) yield;
          if (more === 0) {
            times[members[i]!] = whole;
            continue;
          }
          if (i % 4 === 0) {
            words = philox([i / 4, epoch, 3 + group, STREAMS.sampler], [seed, 0x5a3b]);
          }
          const isChosen = words[i % 4]! * (members.length - i) < more * 2 ** 32;
          times[members[i]!] = isChosen ? whole + 1 : whole;
          if (isChosen) more--;
        }
      }
      const drawn = new Uint32Array(count);
      let at = 0;
      for (let window = 0; window < windows; window++) {
        if (window % STEP === 0) yield;
        for (let left = times[window]!; left > 0; left--) drawn[at++] = window;
      }
      return drawn;
    },
  });
}

/** Windows of each class, ascending. */
function groupsOf(classes: ArrayLike<number>): { name: number; members: Uint32Array }[] {
  const found = new Map<number, { name: number; size: number; members: Uint32Array }>();
  const none = new Uint32Array(0);
  let own = { name: NaN, size: 0, members: none as Uint32Array };
  for (let window = 0; window < classes.length; window++) {
    const name = classes[window]!;
    // neighbours are of one class more often than not
    if (name !== own.name) {
      if (Number.isNaN(name)) {
        throw new RangeError(`Cannot balance classes: window ${window} has the class NaN`);
      }
      const known = found.get(name);
      if (known) own = known;
      else found.set(name, own = { name, size: 0, members: none });
    }
    own.size++;
  }
  for (const group of found.values()) {
    group.members = new Uint32Array(group.size);
    group.size = 0;
  }
  for (let window = 0; window < classes.length; window++) {
    const name = classes[window]!;
    if (name !== own.name) own = found.get(name)!;
    own.members[own.size++] = window;
  }
  return [...found.values()].sort((a, b) => a.name - b.name);
}

/** Where the share of each class ends, the first beginning at 0 and the last ending at 1. */
function shareEnds(
  names: readonly number[],
  weights: Readonly<Record<number, number>>,
): number[] {
  const own = names.map((name) => {
    const weight = weights[name];
    if (typeof weight === "number" && weight >= 0 && weight < Infinity) return weight;
    throw new RangeError(
      `Cannot balance classes: the weight of class ${name} is ${weight}, wanted 0 or more`,
    );
  });
  const sum = own.reduce((total, weight) => total + weight, 0);
  if (!(sum > 0)) throw new RangeError("Cannot balance classes: all weights are 0");
  const ends = [0];
  for (const weight of own) ends.push(ends.at(-1)! + weight / sum);
  // what rounding left over is nobody's
  const last = own.findLastIndex((weight) => weight > 0);
  return ends.map((end, i) => i > last ? 1 : Math.min(1, end));
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
