/**
 * Reads command-line options.
 *
 * @module
 */

import { parseArgs } from "node:util";

/** Wrong usage: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Options every command takes. */
const COMMON = {
  json: { type: "boolean" },
  quiet: { type: "boolean" },
  adapter: { type: "string" },
} as const;

export type OptionTypes = Record<string, { type: "string" | "boolean" }>;

/** Values of a command's options, by name; `text`, `number` and `flag` check what was given. */
export class Options {
  readonly #values: Record<string, string | boolean | undefined>;
  readonly #positionals: string[];

  constructor(args: string[], types: OptionTypes, { positionals = 0 } = {}) {
    try {
      const parsed = parseArgs({
        args,
        options: { ...COMMON, ...types },
        strict: true,
        allowPositionals: positionals > 0,
      });
      this.#values = parsed.values as Record<string, string | boolean | undefined>;
      this.#positionals = parsed.positionals;
      const extra = this.#positionals[positionals];
      if (extra !== undefined) throw new TypeError(`"${extra}" is one argument too many`);
    } catch (error) {
      throw new UsageError(`Cannot read the options: ${(error as Error).message}`);
    }
  }

  positional(index: number): string | undefined {
    return this.#positionals[index];
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    return this.#values[name] as string | undefined;
  }

  required(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw new UsageError(`Cannot run: --${name} is missing`);
    return value;
  }

  number(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = Number(value);
    if (value.trim() === "" || !Number.isFinite(number)) {
      throw new UsageError(`Cannot read --${name}: got "${value}", wanted a number`);
    }
    return number;
  }

  /** `a:b[,c:d]` as intervals. */
  intervals(name: string): [number, number][] | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : readIntervals(name, value);
  }
}

/** `a:b[,c:d]` as intervals. */
export function readIntervals(name: string, text: string): [number, number][] {
  return text.split(",").map((part) => {
    const [start, stop, ...more] = part.split(":").map((end) => end.trim() ? Number(end) : NaN);
    if (more.length > 0 || !(start! < stop!)) {
      throw new UsageError(
        `Cannot read --${name}: got "${part}", wanted start:stop in seconds with start < stop`,
      );
    }
    return [start!, stop!];
  });
}
