#!/usr/bin/env node
/**
 * The command line as a program: its arguments, its signals, its end.
 *
 * @module
 */

import process from "node:process";
import { report, runCommand } from "./run_command.ts";

/** How long a command may take to end what it does: milliseconds, and how many turns of the event loop share them. */
const [GRACE_MS, GRACE_TURNS] = [100, 10];
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
      // in turns: where others have the processor, the command has not had its time either
      let turns = 0;
      const wait = () => {
        if (turns++ < GRACE_TURNS) return void setTimeout(wait, GRACE_MS / GRACE_TURNS);
        isLeft = true;
        reject(cancel.signal.reason);
      };
      wait();
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

const args = process.argv.slice(2);
outliveReaders();
// in Deno a missing permission may end a call that then never answers
process.on("unhandledRejection", (error) => process.exit(report(error, args.includes("--json"))));
const { signal, deaf, stopListening } = listenForCancel();
const code = await runCommand(args, signal, deaf);
stopListening();
// pipes are asynchronous: let what was printed reach them before the process ends
await new Promise((resolve) => process.stdout.write("", resolve));
// a driver at work does not outlive an orderly exit, which crashes; shells call this one 130, too
if (isLeft) process.kill(process.pid, "SIGINT");
else process.exit(code);
