/**
 * Which tests run. `npm test` is quick: of tests that differ in data alone it runs two, of those that a
 * runtime hardly changes each in one runtime. `npm run test:all`, and a run of files that are named, leave
 * nothing out.
 */

import { inject } from "vitest";
import { runtime } from "./runtime.ts";

/** Whether only what is quick is wanted. */
export const quick = inject("tier") === "quick";

/** Why a test is skipped that only takes too long: tools/reporter.mjs counts it apart. */
export const LEFT_OUT = "left to npm run test:all";

/** How many cases of a sweep to try: few, or as many as show all. */
export const cases = <Value>(few: Value, all: Value): Value => quick ? few : all;

/** What devices, stores and plans do is tried everywhere; analyses are made of them. */
const ANALYSES =
  /^test\/(?:acts\/|cluster\/|condition\/|cpa\/|decompose\/|hmm\/|node\/|parts\/|plot\/|probes\/|stream\/fit_)/;
/** What is read, written and drawn by no other means than the language's, and what kernels are compared with. */
const SAME_EVERYWHERE =
  /^test\/(?:array\/|files\/|io\/|net\/|reference\/|view\/|zarr\/(?:damage|\w+_fuzz)_)/;
/** Node and Chromium have one compiler of kernels and one software adapter, Deno has others. */
const KERNELS = /^test\/kernels\//;

/** Runtimes in the order they take turns: to Deno, whose software adapter takes three times as long, fewer fall. */
const TURNS = ["node", "chromium", "chromium", "deno", "node", "chromium"];
/** Browsers have no processes. */
const TURNS_WITHOUT_PAGES = ["node", "node", "deno"];
const TURNS_OF_COMPILERS = ["node", "chromium"];

/** Those that take part in this run. */
const runtimes = inject("runtimes");

/** A test as it stands in its file. */
export interface TestPlace {
  /** What tests share that one `it` makes in a loop. */
  site: string;
  name: string;
}

/** Those tests of a file, in their order, that the quick tier leaves to others. */
export function leftOut(file: string, tests: readonly TestPlace[]): Set<TestPlace> {
  const sites = new Map<string, TestPlace[]>();
  for (const test of tests) sites.set(test.site, [...sites.get(test.site) ?? [], test]);
  const left = new Set<TestPlace>();
  [...sites.values()].forEach((sweep, i) => {
    // the last are often the longest: one runtime alone tries them, and of analyses the first will do
    const turns = turnsOf(file);
    const ends = ANALYSES.test(file) || turns === undefined && runtime !== "node"
      ? [sweep[0]]
      : [sweep[0], sweep.at(-1)];
    for (const test of sweep) {
      if (!ends.includes(test) || !isOurTurn(file, i, turns)) left.add(test);
    }
  });
  return left;
}

/** Runtimes that share a file's tests; where there are none, all of them try all. */
function turnsOf(file: string): string[] | undefined {
  if (file.startsWith("test/node/")) return TURNS_WITHOUT_PAGES;
  if (KERNELS.test(file)) return runtime === "deno" ? undefined : TURNS_OF_COMPILERS;
  return ANALYSES.test(file) || SAME_EVERYWHERE.test(file) ? TURNS : undefined;
}

function isOurTurn(file: string, index: number, order: readonly string[] | undefined): boolean {
  const turns = order?.filter((name) => runtimes.includes(name));
  if (turns === undefined) return true;
  // files begin with another each
  const start = [...file].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
  return turns[(start + index) % turns.length] === runtime;
}
