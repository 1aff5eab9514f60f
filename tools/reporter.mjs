/**
 * Vitest reporter: counts every test and writes the counts, with the reason of each skip, where
 * tools/test.mjs finds them. What the quick tier leaves out is counted apart: test/support/tier.ts.
 */

import { writeFileSync } from "node:fs";

const LEFT_OUT = /^left to /;

export default class CountingReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const counts = {
      passed: 0,
      failed: 0,
      skipped: [],
      leftOut: 0,
      errors: unhandledErrors.length,
    };
    for (const module of modules) {
      let own = 0;
      for (const test of module.children.allTests()) {
        own++;
        const { state, note } = test.result();
        if (state === "passed") counts.passed++;
        else if (state === "skipped" && LEFT_OUT.test(note ?? "")) counts.leftOut++;
        else if (state === "skipped") {
          counts.skipped.push({ name: `${module.relativeModuleId} > ${test.fullName}`, note });
        } else counts.failed++;
      }
      // a file that cannot even be loaded, or whose hooks fail, has failed
      if (module.errors().length > 0 || own === 0) counts.failed++;
    }
    writeFileSync(process.env.SLUICE_COUNTS, JSON.stringify(counts));
  }
}
