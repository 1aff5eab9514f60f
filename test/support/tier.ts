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
export const cases = (few: number, all: number): number => quick ? few : all;

/** What kernels, devices, stores and plans do is tried everywhere; analyses are made of them. */
const TAKES_TURNS = /^test\/(acts|cluster|condition|cpa|decompose|hmm|node|probes)\//;

/** Runtimes that take part in this run, in the order they take turns. */
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
    // the last are often the longest: Node alone tries them, and of analyses the first will do
    const ends = TAKES_TURNS.test(file) || runtime !== "node"
      ? [sweep[0]]
      : [sweep[0], sweep.at(-1)];
    for (const test of sweep) {
      if (!ends.includes(test) || !isOurTurn(file, i)) left.add(test);
    }
  });
  return left;
}

function isOurTurn(file: string, index: number): boolean {
  if (!TAKES_TURNS.test(file)) return true;
  // browsers have no processes
  const turns = file.startsWith("test/node/")
    ? runtimes.filter((name) => name !== "chromium")
    : runtimes;
  // files begin with another each
  const start = [...file].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
  return turns[(start + index) % turns.length] === runtime;
}
