/**
 * Declared options on a command line: their flags, what was given, and help.
 *
 * @module
 */

import { parseArgs } from "node:util";
import type { OpenArrayOptions } from "../array/array.ts";
import { serverChoices } from "../array/array.ts";
import type { OpenGpuOptions } from "../gpu/device.ts";
import { gpuOptions } from "../gpu/device.ts";
import { wantedNames } from "../math/format.ts";
import type { GivenOf, Option, Options } from "../options.ts";
import { flag } from "../options.ts";
import { refuseOverlap } from "../stream/places.ts";

/** Wrong usage: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What a command gets: its arguments, and a signal that SIGINT and SIGTERM abort. */
export interface CommandContext {
  args: string[];
  signal: AbortSignal;
}

/** Options every command takes. */
export const common = {
  adapter: gpuOptions.options.adapter,
  json: flag({ default: false, says: "one JSON object on stdout, errors too" }),
  quiet: flag({ default: false, says: "no progress" }),
  ...serverChoices,
};

/** Options of a command, by the headings of its help. */
export type Sections = Readonly<Record<string, Options>>;

/** A command, as the command line finds it. */
export interface Command {
  /** Gives an exit code where it is not 0. */
  run(context: CommandContext): Promise<number | void>;
  help: string;
  /** Its options, by the headings of its help. */
  sections: Sections;
  summary: string;
  /** What may be typed, without `sluice`. */
  examples: readonly string[];
}

/** A flag of an option: on its own, or as a member of another. */
export interface Flag {
  name: string;
  option: Option;
}

export function flagsOf(options: Options): Flag[] {
  return Object.entries(options).flatMap(([name, option]): Flag[] => {
    if (option.members) return option.flag === false ? [] : flagsOf(option.members);
    const known = option.read || option.isFlag || option.takes;
    return option.flag === false || !known ? [] : [{ name: flagOf(name, option), option }];
  });
}

/** The name of an option's flag, without hyphens before it. */
export function flagOf(name: string, { flag }: Option): string {
  return flag || name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** What a command was given. */
export class CommandLine {
  readonly #values: Record<string, string | boolean | undefined>;
  readonly positionals: readonly string[];
  readonly #flags: readonly Flag[];

  /** @param positionals How many arguments are no options, at most. */
  constructor(args: string[], sections: Sections, { positionals = 0 } = {}) {
    const all = [common, ...Object.values(sections)];
    const flags = all.flatMap(flagsOf);
    this.#flags = flags;
    args = joinOptions(args, flags);
    refuseStrays(args, flags.map(({ name }) => `--${name}`));
    try {
      const parsed = parseArgs({
        args,
        options: Object.fromEntries(
          flags.map(({ name, option }) => [name, { type: option.isFlag ? "boolean" : "string" }]),
        ),
        strict: true,
        allowPositionals: positionals > 0,
      });
      this.#values = parsed.values as Record<string, string | boolean | undefined>;
      this.positionals = parsed.positionals;
      const extra = parsed.positionals[positionals];
      if (extra !== undefined) throw new TypeError(`"${extra}" is one argument too many`);
    } catch (error) {
      const { message } = error as Error;
      const short = /^Unknown option '(-[^-]*?)'/.exec(message)?.[1];
      if (short) throw unknownOption(short, flags.map(({ name }) => `--${name}`));
      throw new UsageError(`Cannot read the options: ${message}`);
    }
    // what is wrong is said before anything is opened
    for (const { name, option } of flags) this.#value(name, option);
  }

  /**
   * Values of options as their declaration wants them, but for those without a flag. `known` stands for
   * what was not given.
   *
   * @throws {UsageError} If one is required and missing.
   */
  read<const Own extends Options>(options: Own, known: Partial<GivenOf<Own>> = {}): GivenOf<Own> {
    const values: Record<string, unknown> = { ...known };
    const missing: string[] = [];
    for (const [name, option] of Object.entries(options)) {
      const isWhole = !option.members || option.flag === false;
      const value = isWhole
        ? this.#value(flagOf(name, option), option)
        : this.#members(option.members!);
      if (value !== undefined) values[name] = value;
      const isMissing = option.required && values[name] === undefined;
      if (isMissing && flagsOf({ [name]: option }).length > 0) missing.push(flagOf(name, option));
    }
    refuseMissing(missing);
    return values as GivenOf<Own>;
  }

  /**
   * Looks for flags without which a command cannot begin, and tells of all that are not there at once.
   *
   * @throws {UsageError} If one is missing.
   */
  need(flags: readonly string[]): void {
    refuseMissing(flags.filter((name) => this.#values[name] === undefined));
  }

  /** Flags of these options that were given. */
  given(options: Options): string[] {
    return flagsOf(options).map(({ name }) => name)
      .filter((name) => this.#values[name] !== undefined);
  }

  /** What a flag was given, as it is. */
  text(flag: string): string | undefined {
    return this.#values[flag] as string | undefined;
  }

  /**
   * @param others Places that are read, and are no options of places.
   * @throws {RangeError} If `--out` would take the place of something that is read.
   */
  async refuseOwnInputs(others: readonly (string | undefined)[] = []): Promise<void> {
    const flags = this.#flags.filter(({ name, option }) => option.isPlace && name !== "out");
    const places = [...flags.map(({ name }) => this.text(name)), ...others];
    await refuseOverlap(this.text("out"), [{ places: places.filter((own) => own !== undefined) }]);
  }

  #value(flag: string, option: Option): unknown {
    const value = option.flag === false ? undefined : this.#values[flag];
    if (value === undefined || typeof value === "boolean") return value && !flag.startsWith("no-");
    if (!option.read) return undefined;
    const read = option.read(value);
    if (read === undefined) throw unreadable(flag, value, option);
    if (option.takes === "SIZE") refuseFewBytes(flag, value);
    return option.check(read, { action: "run", name: `--${flag}` });
  }

  #members(members: Options): unknown {
    const values = this.read(members);
    return Object.keys(values).length > 0 ? values : undefined;
  }
}

/**
 * What a command of several actions is to do: its first argument.
 *
 * @param example A whole command, for those who gave none.
 * @throws {UsageError} If it is none of them.
 */
export function actionOf<const Action extends string>(
  { positionals: [action] }: CommandLine,
  actions: readonly Action[],
  example: string,
): Action {
  const known = actions.find((own) => own === action);
  if (known !== undefined) return known;
  const got = action === undefined ? "nothing" : `"${action}"`;
  throw new UsageError(`Cannot run: got ${got}, wanted one of ${actions.join(", ")}: ${example}`);
}

function refuseMissing(flags: readonly string[]): void {
  if (flags.length === 0) return;
  const names = flags.map((name) => `--${name}`);
  const last = names.pop()!;
  const all = names.length > 0 ? `${names.join(", ")} and ${last} are` : `${last} is`;
  throw new UsageError(`Cannot run: ${all} missing`);
}

/** Sizes in bytes below it are meant in other units. */
const FEW_BYTES = 10_000;

/** @throws {UsageError} If a size is so few bytes that its unit was forgotten. */
function refuseFewBytes(flag: string, text: string): void {
  const bytes = /^\s*\d+\s*$/.test(text) ? Number(text) : NaN;
  if (!(bytes > 0 && bytes < FEW_BYTES)) return;
  throw new UsageError(
    `Cannot run: --${flag} is ${bytes}, which is ${bytes} B, wanted a unit beside it: ${bytes}MiB may be meant`,
  );
}

/** Joins flags that take options of others with what follows them, which begins as a flag does. */
function joinOptions(args: readonly string[], flags: readonly Flag[]): string[] {
  const takers = flags.filter(({ option }) => option.takes === "OPTIONS").map(({ name }) =>
    `--${name}`
  );
  return args.flatMap((arg, i) => {
    if (i > 0 && takers.includes(args[i - 1]!)) return [];
    const next = args[i + 1];
    return takers.includes(arg) && next !== undefined ? [`${arg}=${next}`] : [arg];
  });
}

/** As parsing would, but with the flag that may be meant. */
function refuseStrays(args: readonly string[], names: readonly string[]): void {
  const end = args.indexOf("--");
  const given = args.slice(0, end < 0 ? undefined : end).filter((arg) => arg.startsWith("--"))
    .map((arg) => arg.split("=")[0]!);
  const stray = given.find((name) => !names.includes(name));
  if (stray !== undefined) throw unknownOption(stray, names);
}

function unknownOption(name: string, names: readonly string[]): UsageError {
  return new UsageError(
    `Cannot read the options: there is no option "${name}", ${wantedNames(name, names)}`,
  );
}

function unreadable(flag: string, text: string, { entry, written, wanted }: Option): UsageError {
  const part = entry && text.split(",").find((part) => entry.read?.(part.trim()) === undefined);
  if (entry && part !== undefined) return unreadable(flag, part, entry);
  return new UsageError(`Cannot read --${flag}: got "${text}", wanted ${written ?? wanted}`);
}

/** How inputs are opened. */
export function inputChoices(line: CommandLine, signal: AbortSignal): OpenArrayOptions {
  return { signal, ...line.read(serverChoices) };
}

/** How a GPU is opened: with a budget of the host too, where that has a flag. */
export function gpuChoices(line: CommandLine): OpenGpuOptions {
  const { budget, ...choices } = line.read(gpuOptions.options);
  const host = line.text("host-budget");
  if (host === undefined) return { ...choices, ...(budget !== undefined && { budget }) };
  return { ...choices, budget: { ...(budget !== undefined && { gpu: budget as string }), host } };
}

const [TEXT_COLUMN, WIDTH] = [23, 110];

/** Help for the options of a command, under their headings. */
export function helpOf(sections: Sections): string {
  return Object.entries({ ...sections, "": common }).map(([heading, options]) => {
    const lines = flagsOf(options).map(({ name, option }) => {
      const takes = option.isFlag ? "" : ` ${option.takes}`;
      return helpLine(`--${name}${takes}`, option, name.startsWith("no-"));
    });
    return (heading && `${heading}:\n`) + lines.join("");
  }).join("");
}

/** Help for options that a file of JSON gives. */
export function configHelpOf(options: Options, indent = ""): string {
  return Object.entries(options).map(([name, option]) =>
    helpLine(indent + name, option) +
    configHelpOf(option.members ?? option.entry?.members ?? {}, `${indent}  `)
  ).join("");
}

function helpLine(left: string, option: Option, isNegative = false): string {
  const { isFlag, says, helps = says, default: own, otherwise } = option;
  const usual = otherwise ?? (isFlag || own === undefined ? undefined : defaultWords(own));
  const words = `${helps}${usual === undefined || isNegative ? "" : ` (default: ${usual})`}`;
  const lines = [`  ${left}`.padEnd(TEXT_COLUMN - 2) + " "];
  for (const word of words.split(" ")) {
    if (lines.at(-1)!.length + 1 + word.length > WIDTH) lines.push(" ".repeat(TEXT_COLUMN - 1));
    lines.push(`${lines.pop()} ${word}`);
  }
  return `${lines.join("\n")}\n`;
}

/** A default as people write it. */
export function defaultWords(value: unknown): string {
  if (Array.isArray(value)) return value.map(defaultWords).join(",") || "none";
  const isSmall = typeof value === "number" && value !== 0 && Math.abs(value) < 1e-3;
  return isSmall ? value.toExponential() : String(value);
}
