#!/usr/bin/env node
/**
 * The command line: finds the command, runs it, turns errors into messages and exit codes.
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
  QuotaError,
  StoreError,
} from "../errors.ts";
import { printable, printableJson } from "../math/format.ts";
import { withoutSecrets } from "../secrets.ts";
import { VERSION } from "../version.ts";
import { acts, actsHelp } from "./acts.ts";
import { predict, predictHelp, transform, transformHelp } from "./apply.ts";
import { check, checkHelp } from "./check.ts";
import { condition, conditionHelp } from "./condition.ts";
import { decode, decodeHelp } from "./decode.ts";
import { exportHelp, exportStore } from "./export.ts";
import { info, infoHelp } from "./info.ts";
import { kmeans, kmeansHelp } from "./kmeans.ts";
import { pca, pcaHelp } from "./pca.ts";
import { probe, probeHelp } from "./probe.ts";
import type { CommandContext } from "./usage.ts";
import { UsageError } from "./usage.ts";
import { windowsCommand, windowsHelp } from "./windows.ts";

const COMMANDS: Record<
  string,
  {
    /** Gives an exit code where it is not 0. */
    run(context: CommandContext): Promise<number | void>;
    help: string;
    summary: string;
  }
> = {
  acts: { run: acts, help: actsHelp, summary: "activations of a language model: info, pools" },
  check: { run: check, help: checkHelp, summary: "verify a stored result, and say how to go on" },
  condition: {
    run: condition,
    help: conditionHelp,
    summary: "does the past of frames predict them",
  },
  decode: { run: decode, help: decodeHelp, summary: "decode position from sorted spikes" },
  export: { run: exportStore, help: exportHelp, summary: "write a stored result as NetCDF-4" },
  info: { run: info, help: infoHelp, summary: "show adapter and memory, or what is in a file" },
  kmeans: { run: kmeans, help: kmeansHelp, summary: "cluster rows" },
  pca: { run: pca, help: pcaHelp, summary: "principal components of rows" },
  predict: { run: predict, help: predictHelp, summary: "assign rows by a stored k-means" },
  probe: {
    run: probe,
    help: probeHelp,
    summary: "what activations tell apart: fit, sweep, predict",
  },
  transform: { run: transform, help: transformHelp, summary: "project rows by a stored PCA" },
  windows: { run: windowsCommand, help: windowsHelp, summary: "windows of frames: count, cost" },
};

const HELP = `sluice ${VERSION}: analyses bigger than memory, on WebGPU

Usage: sluice <command> [options]

Commands:
${
  Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(9)} ${summary}`).join("\n")
}

sluice <command> --help tells a command's options. Every command takes --json (one object on
stdout) and --quiet (no progress). Sizes take B, KB, MB, GB, KiB, MiB and GiB.

Exit codes: 0 done, 1 failure, 2 usage or bad input, 3 over budget, 4 no adapter,
5 output conflict, 6 disk or quota, 130 cancelled.
`;

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
  return bad && /^Cannot [^:]*: /.test(error.message) && !/properties of/.test(error.message)
    ? 2
    : 1;
}

function report(error: unknown, json: boolean): void {
  const { name, message: words } = error instanceof Error
    ? error
    : { name: "Error", message: String(error) };
  const message = isNotAllowed(error) ? `Cannot run: Deno was not allowed to. ${words}` : words;
  if (json) {
    const fields = error instanceof Error ? { ...error } : {};
    console.log(withoutSecrets(printableJson({ error: { name, message, ...fields } })));
  } else {
    process.stderr.write(withoutSecrets(`sluice: ${printable(message)}\n`));
    if (exitCode(error) === 1 && error instanceof Error) {
      process.stderr.write(withoutSecrets(`${printable(error.stack ?? "")}\n`));
    }
  }
}

/** How long a command may take to end what it does, in milliseconds. */
const GRACE_MS = 100;
/** Whether a command was left at its work. */
let isLeft = false;

/**
 * Cancels on the first SIGINT or SIGTERM. A second one ends the process, as does a command that does not listen
 * in time: what it leaves is what a kill leaves, with which the next run goes on.
 */
function listenForCancel() {
  const cancel = new AbortController();
  const signals = ["SIGINT", "SIGTERM"] as const;
  let stopListening!: () => void;
  const deaf = new Promise<never>((_, reject) => {
    const onSignal = () => {
      // from now on signals do what they do by themselves, even while this thread is busy
      stopListening();
      const what = "Cancelled: run the same command again to go on";
      cancel.abort(new DOMException(what, "AbortError"));
      setTimeout(() => {
        isLeft = true;
        reject(cancel.signal.reason);
      }, GRACE_MS);
    };
    stopListening = () => signals.forEach((name) => process.off(name, onSignal));
    signals.forEach((name) => process.on(name, onSignal));
  });
  // a command that has answered waits for it no longer
  deaf.catch(() => {});
  return { signal: cancel.signal, deaf, stopListening };
}

/** Whoever reads what is printed may have gone: that ends no run. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_DESTROYED") throw error;
    });
  }
}

async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    console.log(HELP);
    return name === undefined ? 2 : 0;
  }
  if (name === "--version") {
    console.log(VERSION);
    return 0;
  }
  const json = rest.includes("--json");
  // in Deno a missing permission may end a call that then never answers
  process.on("unhandledRejection", (error) => {
    report(error, json);
    process.exit(exitCode(error));
  });
  const { signal, deaf, stopListening } = listenForCancel();
  try {
    const command = COMMANDS[name];
    if (!command) {
      throw new UsageError(
        `Cannot run "${name}": no such command, wanted one of ${Object.keys(COMMANDS).join(", ")}`,
      );
    }
    if (rest.includes("--help") || rest.includes("-h")) {
      console.log(command.help);
      return 0;
    }
    return await Promise.race([command.run({ args: rest, signal }), deaf]) ?? 0;
  } catch (error) {
    report(error, json);
    return exitCode(error);
  } finally {
    stopListening();
  }
}

outliveReaders();
const code = await main(process.argv.slice(2));
// pipes are asynchronous: let what was printed reach them before the process ends
await new Promise((resolve) => process.stdout.write("", resolve));
// a driver at work does not outlive an orderly exit, which crashes; shells call this one 130, too
if (isLeft) process.kill(process.pid, "SIGINT");
else process.exit(code);
