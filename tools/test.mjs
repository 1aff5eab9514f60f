/**
 * Runs the suite in Node, Deno and Chromium, and adds up what was executed. Suites wait for the device
 * half of their time, so all run side by side; --long ones one after the other.
 *
 *   node tools/test.mjs [--all | --long] [--runtime node,deno,chromium] [vitest filters]
 *
 * Without --all it is quick: test/support/tier.ts says what is left out. What filters name runs whole.
 */

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { parseArgs } from "node:util";
import { findBrowser } from "./browser.mjs";

const require = createRequire(import.meta.url);
const root = path.dirname(import.meta.dirname);
const results = path.join(root, "test-results");
const vitest = path.join(root, "node_modules/vitest/vitest.mjs");
const reporter = path.join(root, "tools/reporter.mjs");

/** Largest difference between runtimes that rounding explains. */
const AGREEMENT = 1e-5;

const { values: options, positionals: filters } = parseArgs({
  options: {
    all: { type: "boolean", default: false },
    long: { type: "boolean", default: false },
    runtime: { type: "string", default: "node,deno,chromium" },
  },
  allowPositionals: true,
});
const runtimes = options.runtime.split(",");
const tier = options.all || options.long || filters.length > 0 ? "all" : "quick";

/** Program and first arguments that run vitest in a runtime. */
function launcher(runtime) {
  if (runtime !== "deno") return [process.execPath, [vitest]];
  const deno = require.resolve("deno/bin.cjs");
  return [process.execPath, [deno, "run", "--allow-all", vitest]];
}

/** Suites under way: an orphan would keep a core busy for as long as its tests take. */
const children = new Set();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    for (const child of children) child.kill(signal);
    process.exit(1);
  });
}

/** @param buffered Keeps what the suite prints until it has ended. */
async function runSuite(runtime, buffered) {
  const countsFile = path.join(results, `${runtime}.json`);
  const env = {
    ...process.env,
    SLUICE_RUNTIME: runtime,
    SLUICE_RUNTIMES: runtimes.join(","),
    SLUICE_LONG: options.long ? "1" : "0",
    SLUICE_TIER: tier,
    SLUICE_COUNTS: countsFile,
  };
  if (runtime === "chromium") {
    const browser = await findBrowser();
    console.log(`browser: ${browser.name}`);
    env.SLUICE_BROWSER = JSON.stringify(browser);
  }
  const [program, first] = launcher(runtime);
  const reporters = ["--reporter=default", `--reporter=${reporter}`];
  const args = [...first, "run", ...reporters, ...filters];
  // a filter may name files that are for other runtimes
  if (filters.length > 0) args.push("--passWithNoTests");
  const output = [];
  const code = await new Promise((resolve) => {
    const out = buffered ? "pipe" : "inherit";
    const child = spawn(program, args, { cwd: root, env, stdio: ["ignore", out, out] });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (data) => output.push(data));
    }
    children.add(child);
    child.on("close", (code) => {
      children.delete(child);
      resolve(code);
    });
  });
  const print = () => process.stdout.write(Buffer.concat(output));
  if (!existsSync(countsFile)) {
    return {
      print,
      passed: 0,
      failed: [{ name: "vitest", words: `it ended with ${code}, without counts` }],
      skipped: [],
      leftOut: 0,
    };
  }
  const counts = JSON.parse(readFileSync(countsFile, "utf8"));
  if (code !== 0 && counts.failed.length === 0) {
    counts.failed.push({ name: "vitest", words: `it ended with ${code}, no test failed` });
  }
  return { print, ...counts };
}

/** Compares every vector of numbers that more than one runtime recorded. */
function compareRuntimes() {
  const seen = new Map();
  for (const runtime of runtimes) {
    const folder = path.join(results, runtime);
    if (!existsSync(folder)) continue;
    for (const file of readdirSync(folder)) {
      const numbers = JSON.parse(readFileSync(path.join(folder, file), "utf8"));
      const name = path.basename(file, ".json");
      seen.set(name, [...(seen.get(name) ?? []), { runtime, numbers }]);
    }
  }
  let passed = 0;
  const failed = [];
  for (const [name, [first, ...others]] of seen) {
    for (const other of others) {
      const same = first.numbers.length === other.numbers.length;
      let worst = same ? 0 : NaN;
      first.numbers.forEach((number, i) => {
        const difference = Math.abs(number - other.numbers[i]);
        if (!(difference <= worst)) worst = difference;
      });
      const agree = worst <= AGREEMENT;
      if (agree) passed++;
      const words = `${first.runtime} and ${other.runtime} agree within ${AGREEMENT} on ` +
        `${first.numbers.length} numbers (largest difference ${worst})`;
      if (!agree) failed.push({ name, words: `not true: ${words}` });
      console.log(`${agree ? "✓" : "✗"} ${name}: ${words}`);
    }
  }
  return { passed, failed, skipped: [], leftOut: 0 };
}

rmSync(results, { recursive: true, force: true });
const title = (runtime) => console.log(`\n=== ${runtime} ===`);
const runs = [];
for (const [i, runtime] of runtimes.entries()) {
  mkdirSync(path.join(results, runtime), { recursive: true });
  // the first of several at once prints as it goes, the others when they are done
  const first = options.long || i === 0;
  if (first) title(runtime);
  const started = performance.now();
  const run = runSuite(runtime, !first)
    .then((counts) => ({ ...counts, first, seconds: (performance.now() - started) / 1000 }));
  if (options.long) await run;
  runs.push(run);
}
const all = {};
for (const [i, runtime] of runtimes.entries()) {
  const { print, first, ...counts } = await runs[i];
  if (!first) {
    title(runtime);
    print();
  }
  all[runtime] = counts;
}
if (runtimes.length > 1) {
  console.log("\n=== the same numbers in every runtime ===");
  all["between runtimes"] = compareRuntimes();
}

const named = filters.length > 0 ? `, files named ${filters.join(" ")}` : "";
console.log(`\n=== executed: ${options.long ? "long" : tier} tests${named} ===`);
let [passed, skipped, leftOut] = [0, 0, 0];
const failures = [];
for (const [name, counts] of Object.entries(all)) {
  passed += counts.passed;
  skipped += counts.skipped.length;
  leftOut += counts.leftOut;
  const left = counts.leftOut > 0 ? `, ${counts.leftOut} left out` : "";
  const time = counts.seconds === undefined ? "" : ` in ${counts.seconds.toFixed(0)} s`;
  console.log(
    `${name}: ${counts.passed} tests passed, ${counts.failed.length} failed, ` +
      `${counts.skipped.length} skipped${left}${time}`,
  );
  for (const { name: test, note } of counts.skipped) {
    console.log(`  skipped: ${test}: ${note ?? "no reason was given"}`);
  }
  failures.push(...counts.failed.map((failure) => ({ runtime: name, ...failure })));
  for (const { name: test, note } of counts.skipped) {
    if (!note) {
      failures.push({
        runtime: name,
        name: test,
        words: "a skip without a reason is switched off",
      });
    }
  }
}
for (const { runtime, name, words } of failures) {
  console.log(`\nfailed: ${runtime}: ${name}\n${words.replace(/^/gm, "  ")}`);
}
console.log(`${passed} passed, ${failures.length} failed, ${skipped} skipped`);
if (leftOut > 0) console.log(`${leftOut} left out as this was quick: npm run test:all runs them`);
process.exit(failures.length === 0 && passed > 0 ? 0 : 1);
