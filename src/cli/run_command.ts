/**
 * Finds the command that is meant, runs it, turns errors into messages and exit codes.
 *
 * @module
 */

import process from "node:process";
import {
  AdapterError,
  BudgetError,
  ChunkError,
  NoAdapterError,
  OutputConflictError,
  PartsError,
  QuotaError,
  StoreError,
} from "../errors.ts";
import { printable, printableJson, wantedNames } from "../math/format.ts";
import { withoutSecrets } from "../secrets.ts";
import { VERSION } from "../version.ts";
import { COMMANDS, HELP, helpWithExamples } from "./commands.ts";
import { UsageError } from "./usage.ts";

/** Whether Deno was not given a permission. */
function isNotAllowed(error: unknown): boolean {
  return (error as Partial<Error> | undefined)?.name === "NotCapable";
}

function exitCode(error: unknown): number {
  if (error instanceof DOMException && error.name === "AbortError") return 130;
  if (error instanceof BudgetError) return 3;
  if (error instanceof NoAdapterError || error instanceof AdapterError) return 4;
  if (error instanceof OutputConflictError) return 5;
  if (error instanceof QuotaError || error instanceof StoreError) return 6;
  if (error instanceof UsageError || error instanceof ChunkError || isNotAllowed(error)) return 2;
  // bad arguments by our own wording; anything else of these classes is a defect
  const bad = error instanceof RangeError || error instanceof TypeError;
  return bad && /^Cannot .+?: /s.test(error.message) && !/properties of/.test(error.message)
    ? 2
    : 1;
}

/** Prints an error, as JSON or for people, and says what to exit with. */
export function report(error: unknown, json: boolean): number {
  const { name, message: words } = error instanceof Error
    ? error
    : { name: "Error", message: String(error) };
  const message = isNotAllowed(error) ? `Cannot run: Deno was not allowed to. ${words}` : words;
  if (json) {
    const fields = error instanceof Error ? { ...error } : {};
    console.log(withoutSecrets(printableJson({ error: { name, message, ...fields } })));
  } else {
    process.stderr.write(withoutSecrets(`sluice: ${printable(message)}\n`));
    if (exitCode(error) === 1 && error instanceof Error && !(error instanceof PartsError)) {
      process.stderr.write(withoutSecrets(`${printable(error.stack ?? "")}\n`));
    }
  }
  return exitCode(error);
}

/**
 * Runs a command line, given without the program's name. It never throws: the exit code says what came of it.
 *
 * @param left Rejects where the command is left at its work.
 */
export async function runCommand(
  args: readonly string[],
  signal: AbortSignal,
  left: Promise<never> = new Promise(() => {}),
): Promise<number> {
  const [name, ...rest] = args;
  const asks = name === "help" && rest[0] !== undefined && !rest[0].startsWith("-");
  if (asks) return await runCommand([rest[0]!, "--help"], signal, left);
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    console.log(HELP);
    return name === undefined ? 2 : 0;
  }
  if (name === "--version" || name === "-V") {
    console.log(VERSION);
    return 0;
  }
  try {
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (!command) {
      throw new UsageError(
        `Cannot run "${name}": there is no such command, ${
          wantedNames(name, Object.keys(COMMANDS))
        }`,
      );
    }
    if (rest.includes("--help") || rest.includes("-h")) {
      console.log(helpWithExamples(name));
      return 0;
    }
    return await Promise.race([command.run({ args: rest, signal }), left]) ?? 0;
  } catch (error) {
    return report(error, rest.includes("--json"));
  }
}
