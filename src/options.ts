/**
 * Options, each declared once: what it may be, what it is when nobody says, and what it is in a few
 * words. From a declaration come the type, defaults and checks of an API, flags and help of a command,
 * the attributes of a store, and the tables of the docs.
 *
 * @example
 * ```ts
 * const cakeOptions = declare("bake a cake", {
 *   layers: whole({ required: true, from: 1, says: "layers" }),
 *   minutes: number({ default: 40, above: 0, flag: "bake-for", says: "time in the oven" }),
 * });
 * type CakeOptions = OptionsOf<typeof cakeOptions>; // { layers: number; minutes?: number }
 * const { layers, minutes } = cakeOptions.check({ layers: 3 });
 * ```
 *
 * @module
 */

import { parseBytes, wantedNames } from "./math/format.ts";

/** What can be said of an option of any kind. */
interface Words {
  /** What it is, without a full stop: for help and docs. */
  says?: string;
  /** Of its flag, where that is put differently, as for `--no-scores`. */
  helps?: string;
  required?: boolean;
  default?: unknown;
  /** What holds when it is not given, in words, where that depends on other things. */
  otherwise?: string;
  /** Words that it may be besides, as `auto`. */
  or?: readonly string[];
  /** Name of its flag, or `false` for none. Default: its own with hyphens. One in `no-` switches off. */
  flag?: string | false;
  /** What its flag takes, in help. Default: a letter that suits the kind. */
  takes?: string;
  /** Its name in stores. Default: its own with underscores; `false`: results do not depend on it. */
  stored?: string | false;
}

/** Ends of a range: `from` and `to` are part of it, `above` and `below` are not. */
interface Range {
  from?: number;
  above?: number;
  to?: number;
  below?: number;
}

type Presence = "required" | "default" | "optional";

/** An option, or an entry of a list of them. */
export interface Option<Value = unknown, Given extends Presence = Presence> extends Words {
  /** Whether it has to be given, or is always there. */
  readonly presence?: Given;
  /** What it has to be, in words. */
  readonly wanted: string;
  /** Throws what is wrong with a value. */
  check(value: unknown, place: Place): Value;
  /** From the text of a command line; `undefined` where it cannot be. Kinds without it need a command's help. */
  read?(text: string): unknown;
  /** What the text is to be, where that is not what a program gives. */
  readonly written?: string;
  /** Options that it is made of. */
  readonly members?: Options;
  /** What a list is of. */
  readonly entry?: Option;
  readonly isFlag?: boolean;
  /** Whether it says where something is stored. */
  readonly isPlace?: boolean;
  /** All that it may be, where those are few. */
  readonly choices?: readonly (string | number)[];
}

/** Options by their names. */
export type Options = Readonly<Record<string, Option>>;

/** Where a value stands: what was to be done, and the option. */
export interface Place {
  action: string;
  name: string;
}

type PresenceOf<Own> = Own extends { required: true } ? "required"
  : Own extends { default: unknown } ? "default"
  : "optional";
type OrOf<Own> = Own extends { or: readonly (infer Word)[] } ? Word : never;
type ValueOf<Own> = Own extends Option<infer Value> ? Value : never;
type NamesOf<Own, Given extends Presence> = {
  [Name in keyof Own]: Own[Name] extends Option<unknown, Given> ? Name : never;
}[keyof Own];
type ValuesOf<Own, Names extends keyof Own> = { -readonly [Name in Names]: ValueOf<Own[Name]> };

/** What a caller may give. */
export type GivenOf<Own> =
  & ValuesOf<Own, NamesOf<Own, "required">>
  & Partial<ValuesOf<Own, NamesOf<Own, "default" | "optional">>>;

/** What a check gives back: with the defaults. */
export type CheckedOf<Own> =
  & ValuesOf<Own, NamesOf<Own, "required" | "default">>
  & Partial<ValuesOf<Own, NamesOf<Own, "optional">>>;

/** Options that are checked together. */
export interface Declaration<Own extends Options = Options> {
  readonly action: string;
  readonly options: Own;
  /**
   * @returns What was given, and defaults; what is neither is left out.
   * @throws {TypeError} If an option is not known, missing or of another kind.
   * @throws {RangeError} If it is out of its range. The message names it, and what is wanted.
   */
  check(given?: unknown): CheckedOf<Own>;
}

/** What callers may give to whatever checks by this declaration. */
export type OptionsOf<Declared> = Declared extends Declaration<infer Own> ? GivenOf<Own> : never;

/** @param action What options are for, as in "Cannot make k-means: k is 0, ...". */
export function declare<const Own extends Options>(
  action: string,
  options: Own,
): Declaration<Own> {
  const check = (given: unknown = {}) =>
    checkMembers(options, given, { action, name: "" }) as CheckedOf<Own>;
  return { action, options, check };
}

/** Values by the names they have in stores: of options that results depend on. */
export function storedOf(options: Options, values: object): Record<string, unknown> {
  const entries = Object.entries(options).filter(([, { stored }]) => stored !== false);
  return Object.fromEntries(
    entries.map(([name, { stored }]) => [
      stored || name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      (values as Record<string, unknown>)[name],
    ]),
  );
}

// Kinds

type Kind<Value> = Omit<Option<Value>, "check" | "presence"> & {
  /** Whether a value is of this kind at all, and whether it is one of those that make sense. */
  is(value: unknown): boolean;
  fits?(value: Value): boolean;
  /** Instead of both: gives the value back, or throws. */
  check?(value: unknown, place: Place): unknown;
};

function option<Value, const Own extends Words>(
  own: Own,
  { is, fits, check, ...kind }: Kind<Value>,
): Option<Value | OrOf<Own>, PresenceOf<Own>> {
  const { or = [] } = own;
  const wanted = [...or.map((word) => `"${word}"`), kind.wanted].join(" or ");
  const isWord = (value: unknown) => or.includes(value as string);
  return {
    ...kind,
    ...own,
    wanted,
    check(value: unknown, place: Place) {
      if (isWord(value)) return value;
      if (check) return check(value, place);
      if (!is(value) || !(fits?.(value as Value) ?? true)) {
        throw wrong(value, is(value), `wanted ${wanted}`, place);
      }
      return value;
    },
    ...(kind.read && { read: (text: string) => isWord(text) ? text : kind.read!(text) }),
  } as Option<Value | OrOf<Own>, PresenceOf<Own>>;
}

export function whole<const Own extends Words & Range>(own: Own) {
  const { from = -Infinity, to = Number.MAX_SAFE_INTEGER } = own;
  return option<number, Own>(own, {
    takes: "N",
    wanted: `a whole number${rangeWords(own)}`,
    read: readNumber,
    is: isNumber,
    // an infinity, where the range ends in one
    fits: (value) =>
      (Number.isSafeInteger(value) || value === own.to) && value >= from && value <= to,
  });
}

export function number<const Own extends Words & Range>(own: Own) {
  const { from = -Infinity, above = -Infinity, below = Infinity, to = Number.MAX_VALUE } = own;
  return option<number, Own>(own, {
    takes: "X",
    wanted: `a number${rangeWords(own)}`,
    read: readNumber,
    is: isNumber,
    fits: (value) => value >= from && value > above && value <= to && value < below,
  });
}

export function flag<const Own extends Words>(own: Own) {
  const is = (value: unknown) => typeof value === "boolean";
  return option<boolean, Own>(own, { isFlag: true, wanted: "true or false", is });
}

export function oneOf<const Choice extends string | number, const Own extends Words>(
  choices: readonly Choice[],
  own: Own,
) {
  const is = (value: unknown) => typeof value === typeof choices[0];
  return option<Choice, Own>(own, {
    takes: "NAME",
    choices,
    wanted: `one of ${choices.join(", ")}`,
    read: is(0) ? readNumber : (text) => text,
    is,
    check(value, place) {
      if (choices.includes(value as Choice)) return value;
      throw wrong(value, is(value), wantedNames(value, choices.map(String)), place);
    },
  });
}

export function text<const Own extends Words>(own: Own, wanted = "a text") {
  return option<string, Own>(own, {
    takes: "TEXT",
    wanted,
    read: (text) => text,
    is: isText,
    fits: (value) => value !== "",
  });
}

/** Where something is stored: a path, `file:`, `opfs:` or `memory:` place. */
export function place<const Own extends Words>(own: Own) {
  return { ...text<Own>({ takes: "PLACE", ...own }, "a place, as text"), isPlace: true };
}

/** A size: bytes, or text such as `512 MiB`. */
export function bytes<const Own extends Words>(own: Own) {
  return option<number | string, Own>(own, {
    takes: "SIZE",
    wanted: "bytes or a number with MiB, GiB, MB or GB",
    read: (text) => text,
    is: (value) => isNumber(value) || isText(value),
    fits(value) {
      try {
        return value === Infinity || parseBytes(value) >= 0;
      } catch {
        return false;
      }
    },
  });
}

/** A stretch of time, seconds. */
export function interval<const Own extends Words>(own: Own) {
  return pair(own, "start, stop", "in seconds with start < stop");
}

/** Least and largest of something that is no time. */
export function range<const Own extends Words>(own: Own) {
  return pair(own, "least, largest", "with least < largest");
}

function pair<const Own extends Words>(own: Own, names: string, rule: string) {
  return option<readonly [start: number, stop: number], Own>(own, {
    takes: "A:B",
    wanted: `[${names}] ${rule}`,
    written: `${names.replace(", ", ":")} ${rule}`,
    read(text) {
      const ends = text.split(":").map((end) => end.trim() ? Number(end) : NaN);
      return ends.length === 2 && ends[0]! < ends[1]! ? ends : undefined;
    },
    is: (value) => isList(value) && value.length === 2 && Array.from(value).every(isNumber),
    fits: ([start, stop]) => start < stop,
  });
}

/** @param least Entries there have to be. */
export function list<Value, const Own extends Words>(entry: Option<Value>, own: Own, least = 0) {
  const wanted = `a list${least > 0 ? ` of at least ${least}` : ""}, each ${entry.wanted}`;
  return option<readonly Value[], Own>(own, {
    takes: `${entry.takes}[,...]`,
    wanted,
    read(text) {
      const entries = text.split(",").map((part) => entry.read?.(part.trim()));
      return entries.includes(undefined) ? undefined : entries;
    },
    is: isList,
    entry,
    check(value, place) {
      if (!isList(value) || value.length < least) {
        throw wrong(value, isList(value), `wanted ${wanted}`, place);
      }
      Array.from(value, (own, i) => entry.check(own, { ...place, name: `${place.name}[${i}]` }));
      return value;
    },
  });
}

/** Numbers in an array of any type. */
export function numbers<const Own extends Words>(own: Own) {
  return custom("an array of numbers", isList as Is<ArrayLike<number>>, own);
}

/** An object whose fields are options. */
export function record<const Members extends Options, const Own extends Words>(
  members: Members,
  own: Own,
) {
  return option<GivenOf<Members>, Own>(own, {
    members,
    wanted: "an object",
    is: isObject,
    check: (value, place) => checkMembers(members, value, place),
  });
}

/** Tells values of a kind from others. */
export type Is<Value> = (value: unknown) => value is Value;

/** A function, an object, or one of several kinds. */
export function custom<Value, const Own extends Words>(wanted: string, is: Is<Value>, own: Own) {
  return option<Value, Own>(own, { wanted, is });
}

const isFunction = (value: unknown) => typeof value === "function";
export const isObject = (value: unknown) => typeof value === "object" && value !== null;
/** A typed array, or one that is read. */
export const isArrayLike = (value: unknown) =>
  isList(value) || isObject(value) && "read" in (value as object);
const isNumber = (value: unknown) => typeof value === "number";
const isText = (value: unknown) => typeof value === "string";

/** What a long call is stopped by. */
export const signal = custom(
  "an AbortSignal",
  ((value) => isObject(value) && "aborted" in (value as object)) as Is<AbortSignal>,
  { flag: false, stored: false, says: "stops it when it aborts" },
);

/** A function that is told something, as how far a call is. */
export function told<Listener>(says: string) {
  return custom("a function", isFunction as Is<Listener>, { flag: false, stored: false, says });
}

function checkMembers(options: Options, given: unknown, { action, name }: Place) {
  const within = name && `${name}.`;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw wrong(given, false, "wanted an object", { action, name: name || "what it is told" });
  }
  const stray = Object.keys(given).find((key) => !Object.hasOwn(options, key));
  if (stray !== undefined) {
    // by its name in stores, as in other people's libraries
    const [known = stray] = Object.entries(options).find(([, { stored }]) => stored === stray) ??
      [];
    const wanted = wantedNames(known, Object.keys(options));
    throw new TypeError(`Cannot ${action}: there is no option "${within}${stray}", ${wanted}`);
  }
  const values: Record<string, unknown> = {};
  for (const [key, own] of Object.entries(options)) {
    const { [key]: value = own.default } = given as Record<string, unknown>;
    if (value !== undefined) values[key] = own.check(value, { action, name: within + key });
    else if (own.required) {
      throw new TypeError(`Cannot ${action}: ${within}${key} is missing, wanted ${own.wanted}`);
    }
  }
  return values;
}

function wrong(value: unknown, isKind: boolean, wanted: string, { action, name }: Place): Error {
  const message = `Cannot ${action}: ${name} is ${show(value)}, ${wanted}`;
  return isKind ? new RangeError(message) : new TypeError(message);
}

function show(value: unknown): string {
  if (typeof value === "string") return `"${value}"`;
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) return value.length > 8 ? "a list" : `[${value.map(show).join(", ")}]`;
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

export function isList(value: unknown): value is ArrayLike<unknown> {
  return isObject(value) && typeof (value as { length?: unknown }).length === "number";
}

function readNumber(text: string): number | undefined {
  const value = text.trim() === "" ? NaN : Number(text);
  return Number.isFinite(value) ? value : undefined;
}

function rangeWords({ from, above, to, below }: Range): string {
  const words = { from, above, to: to === Infinity ? undefined : to, below };
  return Object.entries(words).map(([end, value]) => value === undefined ? "" : ` ${end} ${value}`)
    .join("");
}
