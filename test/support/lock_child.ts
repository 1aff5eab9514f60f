/** Races for the lock of a place: says that it is there, and on a line of standard input whether it got it. */

import { writeSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { openStore } from "../../src/store/open_store.ts";

const store = await openStore(process.argv.at(-1)!);
writeSync(1, "ready\n");
for await (const _ of createInterface({ input: process.stdin })) {
  const found = await store.lock("/lock").then(() => "won", (error) => (error as Error).name);
  writeSync(1, `${found}\n`);
}
// what it took stays: others still look at it
process.exit(0);
