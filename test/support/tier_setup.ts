/** Marks what the quick tier leaves out, before a file's tests begin. */

import type { RunnerTestCase, RunnerTestSuite } from "vitest";
import { beforeAll, TestRunner } from "vitest";
import { LEFT_OUT, leftOut, quick } from "./tier.ts";

const testsIn = (suite: RunnerTestSuite): RunnerTestCase[] =>
  suite.tasks.flatMap((task) => task.type === "suite" ? testsIn(task) : [task]);

/** Suites without a test to run, the file among them, need no preparation. */
function leaveIdleAlone(suite: RunnerTestSuite): void {
  for (const task of suite.tasks) if (task.type === "suite") leaveIdleAlone(task);
  if (testsIn(suite).some(({ mode }) => mode !== "skip")) return;
  const { beforeAll, afterAll } = TestRunner.getSuiteHooks(suite);
  beforeAll.length = 0;
  afterAll.length = 0;
}

// vitest looks at how the first parameter is written
// deno-lint-ignore no-empty-pattern
beforeAll(({}, file) => {
  if (!quick) return;
  const tests = testsIn(file);
  const places = tests.map(({ name, location }) => ({
    name,
    site: location ? `${location.line}:${location.column}` : name,
  }));
  const left = leftOut(file.name, places);
  tests.forEach((test, i) => {
    if (!left.has(places[i]!)) return;
    Object.assign(test, { mode: "skip", result: { state: "skip", note: LEFT_OUT } });
  });
  leaveIdleAlone(file);
});
