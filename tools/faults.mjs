/**
 * Puts the faults of test/faults/ into a copy of this tree, one at a time, and looks whether the tests
 * that should notice do: those of the quick tier first, and where they do not, all. Fails where fewer than
 * 95 % are noticed, or where a fault cannot be put in.
 *
 *   node tools/faults.mjs [--only PART OF A NAME] [--jobs 2]
 */

import { execFileSync, spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";

/** Share of the faults that has to be noticed. */
const LEAST_NOTICED = 0.95;
/** A run may hang for a fault, which has been noticed then: it takes so much longer than all tests without one. */
const [LEAST_PATIENCE_MS, PATIENCE] = [180_000, 3];
/** For what nobody has measured yet. */
const HOURS_MS = 4 * 3600_000;

const root = path.dirname(import.meta.dirname);
const listFolder = path.join(root, "test/faults");

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    jobs: { type: "string", default: String(Math.min(3, availableParallelism())) },
  },
});

const faults = readFaults().filter(({ name }) => name.includes(options.only));
const problems = faults.flatMap(problemsOf);
for (const problem of problems) console.error(problem);
if (faults.length === 0) console.error(`Cannot run: no fault is called "${options.only}"`);
if (problems.length > 0 || faults.length === 0) process.exit(2);

const temporary = mkdtempSync(path.join(tmpdir(), "sluice-faults-"));
const children = new Set();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));
process.on("exit", () => {
  for (const child of children) kill(child);
  rmSync(temporary, { recursive: true, force: true });
});

const started = performance.now();
const jobs = Math.max(1, Math.min(Number(options.jobs), faults.length));
const trees = Array.from({ length: jobs }, (_, job) => copyTree(path.join(temporary, String(job))));

const outcomes = [];
let waiting = faults;
for (const tier of ["quick", "all"]) {
  if (waiting.length === 0) break;
  // a test that fails anyway notices nothing; names of tests are left out, so that all have to pass
  const files = [...new Set(waiting.flatMap(({ tests }) => tests))];
  const began = performance.now();
  const whole = await runTests(trees[0], files, { tier, mostMs: HOURS_MS });
  const mostMs = Math.max(LEAST_PATIENCE_MS, PATIENCE * (performance.now() - began));
  if (whole.failures.length > 0) {
    console.error(`Cannot look for faults: without any, ${whole.failures.join(", ")}`);
    process.exit(2);
  }
  console.log(`${files.length} test files pass without a fault in the ${tier} tier\n`);
  waiting = await tryFaults(waiting, { tier, mostMs });
}

const count = (state) => outcomes.filter((outcome) => outcome.state === state).length;
const share = count("noticed") / outcomes.length;
for (const outcome of outcomes) {
  if (outcome.state !== "noticed" && outcomes.length > 1) console.log(describe(outcome));
}
console.log(
  `\n${count("noticed")} of ${outcomes.length} faults noticed (${(100 * share).toFixed(1)} %), ` +
    `${count("missed")} not, ${count("broken")} do not run; ` +
    `${((performance.now() - started) / 1000).toFixed(0)} s`,
);
process.exit(count("broken") > 0 ? 2 : share < LEAST_NOTICED ? 1 : 0);

/** Tries each, and gives back those that a quick tier leaves to the next. */
async function tryFaults(faults, how) {
  const missed = [];
  const left = [...faults];
  await Promise.all(trees.map(async (tree) => {
    for (let fault = left.shift(); fault; fault = left.shift()) {
      const outcome = { fault, ...await tryFault(tree, fault, how) };
      if (how.tier === "quick" && outcome.state === "missed") {
        missed.push(fault);
        continue;
      }
      outcomes.push(outcome);
      console.log(describe(outcome));
    }
  }));
  return missed;
}

/**
 * Faults by name: `file`, a text that stands there once, what stands there in its place, the test files
 * that should notice, and where those take long the names of the tests, as a regular expression.
 */
function readFaults() {
  return readdirSync(listFolder).filter((name) => name.endsWith(".json")).sort().flatMap((name) =>
    JSON.parse(readFileSync(path.join(listFolder, name), "utf8"))
      .map((fault) => ({ ...fault, name: `${path.basename(name, ".json")}: ${fault.name}` }))
  );
}

function problemsOf({ name, file, find, replace, tests }) {
  const missing = [file, ...tests].filter((file) => !existsSync(path.join(root, file)));
  if (missing.length > 0) return [`${name}: there is no ${missing.join(", ")}`];
  if (tests.length === 0) return [`${name}: it names no test files`];
  const count = readFileSync(path.join(root, file), "utf8").split(find).length - 1;
  if (count !== 1) return [`${name}: its text stands ${count} times in ${file}, wanted once`];
  return find === replace ? [`${name}: it changes nothing`] : [];
}

/** A copy of what is kept in git, or would be; its packages are those of this checkout. */
function copyTree(folder) {
  const listed = execFileSync("git", ["ls-files", "-coz", "--exclude-standard"], { cwd: root });
  for (const file of listed.toString().split("\0").filter((name) => name !== "")) {
    const from = path.join(root, file);
    if (!existsSync(from)) continue;
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    copyFileSync(from, path.join(folder, file));
  }
  // links one by one: caches are written beside them, and stay here
  const packages = path.join(folder, "node_modules");
  mkdirSync(packages);
  for (const name of readdirSync(path.join(root, "node_modules"))) {
    if ([".cache", ".vite", ".vite-temp"].includes(name)) continue;
    symlinkSync(path.join(root, "node_modules", name), path.join(packages, name));
  }
  return folder;
}

async function tryFault(tree, { file, find, replace, tests, only }, how) {
  const target = path.join(tree, file);
  const text = readFileSync(target, "utf8");
  // a function: "$" means nothing in what it returns
  writeFileSync(target, text.replace(find, () => replace));
  const began = performance.now();
  try {
    const { failures, broken } = await runTests(tree, tests, { ...how, only });
    const state = broken ? "broken" : failures.length > 0 ? "noticed" : "missed";
    return { state, by: broken ?? failures[0], ms: performance.now() - began };
  } finally {
    writeFileSync(target, text);
  }
}

function describe({ fault, state, by, ms }) {
  const words = { noticed: "noticed    ", missed: "NOT NOTICED", broken: "DOES NOT RUN" };
  const seconds = `${(ms / 1000).toFixed(0)} s`;
  return `${words[state]}  ${fault.name} (${seconds})${by ? `\n    ${by}` : ""}`;
}

/** Runs test files in Node. Says which tests failed, or why the code cannot even be loaded. */
async function runTests(tree, files, { tier, mostMs, only }) {
  const report = path.join(tree, "report.json");
  rmSync(report, { force: true });
  const shared = path.join(root, "../shared");
  const args = [
    path.join(root, "node_modules/vitest/vitest.mjs"),
    "run",
    "--bail=1",
    `--testTimeout=${Math.floor(mostMs)}`,
    "--reporter=json",
    `--outputFile=${report}`,
    ...(only ? ["-t", only] : []),
    ...files,
  ];
  const env = {
    ...process.env,
    ...{ SLUICE_RUNTIME: "node", SLUICE_RUNTIMES: "node", SLUICE_LONG: "0", SLUICE_TIER: tier },
  };
  if (env.SLUICE_DATA === undefined && existsSync(shared)) env.SLUICE_DATA = shared;
  const output = [];
  const inTime = await new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: tree, env, detached: true });
    children.add(child);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data) => output.push(data));
    }
    const clock = setTimeout(() => kill(child), mostMs);
    child.on("close", (_code, signal) => {
      clearTimeout(clock);
      children.delete(child);
      resolve(signal === null);
    });
  });
  if (!inTime) return { failures: ["the tests did not end"] };
  if (!existsSync(report)) {
    return { failures: ["vitest ended"], broken: Buffer.concat(output).toString().slice(-2000) };
  }
  const { testResults, numTotalTests, numPendingTests, success } = JSON.parse(
    readFileSync(report, "utf8"),
  );
  const failed = testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.filter(({ status }) => status === "failed").map((test) => ({
      text: `${path.relative(tree, name)}: ${test.fullName}`,
      message: test.failureMessages.join("\n"),
    }))
  );
  const unloaded = testResults.find(({ status, assertionResults, message }) =>
    status === "failed" && assertionResults.length === 0 && message
  );
  const unbuilt = failed.find(({ message }) => /ShaderError|Transform failed/.test(message));
  const broken = unbuilt?.message ?? unloaded?.message ??
    (tier === "all" && numTotalTests === numPendingTests
      ? `no test is called "${only}"`
      : undefined);
  const failures = failed.map(({ text }) => text);
  if (failures.length === 0 && !success) failures.push("the run failed outside of its tests");
  return { failures, broken };
}

/** Ends a run and the workers it started. */
function kill(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // it is gone
  }
}
