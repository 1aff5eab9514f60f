/**
 * Speakers apart: those that models are fitted to, and others.
 *
 * @module
 */

import { PythonRandom } from "../math/mersenne.ts";
import { Pcg64 } from "../math/pcg64.ts";
import type { Is, Option, OptionsOf } from "../options.ts";
import { custom, declare, isObject, list, number, oneOf, record, whole } from "../options.ts";
import type { Id, IdKind, Utterance } from "./rows.ts";

/** Utterances by split, ascending. */
export interface Splits {
  train: Utterance[];
  /** Of train speakers, and not fitted to. */
  holdout: Utterance[];
  /** Of other speakers. */
  eval: Utterance[];
}

/** Whose shuffle draws a split: `random.Random(seed)` of Python, or `numpy.random.default_rng(seed)`. */
export type Shuffle = "python" | "numpy";

const SHUFFLES: readonly Shuffle[] = ["python", "numpy"];
const isId = (value: unknown) =>
  typeof value === "string" && value !== "" || Number.isSafeInteger(value);
const id = custom("a name: a text or a whole number", isId as Is<Id>, {});
const ids = list(id, { required: true, says: "speakers by name" }, 1);
const named = list(id, {});
const share = number({ from: 0, below: 1 });

/** How speakers and utterances are split. */
export const splitChoices = {
  /** Of split and clusters; controls take seed + 1000 (train), + 2000 (eval) and + 3000. Default 42. */
  seed: whole({ default: 42, from: 0, says: "seed of split and clusters" }),
  /**
   * Whose shuffle draws the split: Python's `random.Random(seed)`, of whole numbers in their order, as was
   * published, or `numpy.random.default_rng(seed)`, of texts in theirs. Default `python`.
   */
  shuffle: oneOf(SHUFFLES, {
    default: "python",
    says:
      "whose shuffle draws the split: random.Random(seed) as was published, or default_rng(seed)",
  }),
  /** Share of the speakers that are train, rounded down. Default 0.8. */
  trainShare: number({
    default: 0.8,
    from: 0,
    below: 1,
    says: "share of the speakers that are train",
  }),
  /**
   * Share of the train utterances that are held out, rounded down, or those utterances by name; scored by
   * themselves. Default 0.1. In the published analysis models were fitted to them too: 0.
   */
  holdout: {
    ...number({
      default: 0.1,
      from: 0,
      below: 1,
      says: "share of the train utterances that are held out, or a list of them; published: 0",
    }),
    wanted: "a number from 0 below 1, or a list of names",
    check: (value, place) =>
      Array.isArray(value) ? named.check(value, place) : share.check(value, place),
  } as Option<number | readonly Id[], "default">,
  /** The speakers of both splits, by name, instead of a share drawn by the seed; others are left out. */
  speakers: record({ train: ids, eval: ids }, {
    says: "speakers of both splits, instead of a share",
  }),
};

export const splitOptions = declare("split speakers", {
  ...splitChoices,
  /** What names are; a number and its text are told apart where that is known. */
  kinds: custom(
    "{ speaker, utterance }",
    isObject as Is<{ speaker?: IdKind; utterance?: IdKind }>,
    { says: `what names are: "number" or "text"` },
  ),
});

export type SplitOptions = OptionsOf<typeof splitOptions>;

/**
 * Splits utterances by speaker: speakers sorted, shuffled by the seed, the first of them train. Held out are
 * the first of the train utterances, shuffled by a generator of the same seed.
 *
 * `python` is the rule of the published analysis: names that are whole numbers are sorted as such, others
 * as texts, and so are the utterances that some are held out of. `numpy` sorts speakers as texts, and
 * takes utterances as they come.
 *
 * @throws {RangeError} If train or eval are left without speakers, or somebody who is named is not there.
 */
export function splitSpeakers(
  utterances: readonly Utterance[],
  options: SplitOptions = {},
): Splits {
  const { seed, trainShare, holdout, speakers, shuffle, kinds = {} } = splitOptions.check(options);
  const isPython = shuffle === "python";
  const random = () => isPython ? new PythonRandom(seed) : new Pcg64(seed);
  const all = [...new Set(utterances.map(({ speaker }) => speaker))];
  const drawn = random().shuffle(isPython ? sortAsPython(all, kinds.speaker) : all.slice().sort());
  const count = Math.floor(trainShare * all.length);
  const named = (ids: readonly Id[]) => findIds(ids, all, kinds.speaker, "speaker");
  const train = new Set(speakers ? named(speakers.train) : drawn.slice(0, count));
  const evaluation = new Set(speakers ? named(speakers.eval) : drawn.slice(count));
  if (train.size === 0 || evaluation.size === 0) {
    throw new RangeError(
      `Cannot split speakers: of ${all.length} speakers ${train.size} are train and ` +
        `${evaluation.size} eval, wanted at least one of each`,
    );
  }
  const own = utterances.filter(({ speaker }) => train.has(speaker));
  const ids = own.map(({ id }) => id);
  const held = new Set(
    typeof holdout !== "number"
      ? findIds(holdout, ids, kinds.utterance, "train utterance")
      : random().shuffle(isPython ? sortAsPython(ids, kinds.utterance) : ids)
        .slice(0, Math.floor(holdout * own.length)),
  );
  return {
    train: own.filter(({ id }) => !held.has(id)),
    holdout: own.filter(({ id }) => held.has(id)),
    eval: utterances.filter(({ speaker }) => evaluation.has(speaker)),
  };
}

/** Names in the order of Python's `sorted`. */
function sortAsPython(names: readonly string[], kind: IdKind): string[] {
  const isWhole = kind === "number" ||
    kind === undefined && names.every((name) => /^(0|-?[1-9]\d*)$/.test(name));
  return names.slice().sort(
    isWhole ? (a, b) => Number(BigInt(a) - BigInt(b)) : compareCodePoints,
  );
}

/** Order of code points, where that of UTF-16 puts what is above U+FFFF before U+E000. */
function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  const rank = (unit: number) =>
    unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/**
 * Those names among all, as texts.
 *
 * @throws {RangeError} If one is not there, or only as a text where it is a number, or the other way round.
 */
function findIds(
  ids: readonly Id[],
  all: readonly string[],
  kind: IdKind,
  what: string,
): string[] {
  const there = new Set(all);
  return ids.map((id) => {
    const own = typeof id === "number" ? "number" : "text";
    if (kind !== undefined && kind !== own) {
      throw new RangeError(
        `Cannot split speakers: the ${what} ${
          JSON.stringify(id)
        } is named, a ${own}; in the input they ` +
          `are ${kind}s, as ${kind === "text" ? `"${all[0]}"` : all[0]}`,
      );
    }
    if (!there.has(String(id))) {
      throw new RangeError(
        what === "speaker"
          ? `Cannot split speakers: there is no utterance of ${JSON.stringify(id)}`
          : `Cannot split speakers: there is no ${what} ${JSON.stringify(id)} to hold out`,
      );
    }
    return String(id);
  });
}
