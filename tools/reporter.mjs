/**
 * Vitest reporter: counts every test and writes the counts, with the reason of each skip and the error of
 * each failure, where tools/test.mjs finds them. What the quick tier leaves out is counted apart: test/support/tier.ts.
 */

import { writeFileSync } from "node:fs";

const LEFT_OUT = /^left to /;

/** What is said of a failure where all are listed: enough to know what failed without the whole output. */
const words = (errors) =>
  errors.map(({ name, message }) => `${name ?? "Error"}: ${message}`.slice(0, 500)).join("\n");

export default class CountingReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const counts = {
      passed: 0,
      failed: [],
      skipped: [],
      leftOut: 0,
    };
    const fail = (name, errors) => counts.failed.push({ name, words: words(errors) });
    for (const module of modules) {
      let own = 0;
      for (const test of module.children.allTests()) {
        own++;
        const { state, note, errors } = test.result();
        const name = `${module.relativeModuleId} > ${test.fullName}`;
        if (state === "passed") counts.passed++;
        else if (state === "skipped" && LEFT_OUT.test(note ?? "")) counts.leftOut++;
        else if (state === "skipped") counts.skipped.push({ name, note });
        else fail(name, errors ?? []);
      }
      // a file that cannot even be loaded, or whose hooks fail, has failed
      if (module.errors().length > 0 || own === 0) fail(module.relativeModuleId, module.errors());
    }
    if (unhandledErrors.length > 0) fail("outside of any test", unhandledErrors);
    writeFileSync(process.env.SLUICE_COUNTS, JSON.stringify(counts));
  }
}
