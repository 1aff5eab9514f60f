/** Tasks of a few lines, for tests of how they are run: what is not said of one is nothing. */

import type { OutputSpec } from "../../src/stream/output.ts";
import type { HeldSpecs, Measured, Task } from "../../src/stream/task.ts";

type Parts<Specs extends HeldSpecs, Result> =
  & Pick<Task<Specs, Result>, "name" | "layout">
  & Partial<Omit<Task<Specs, Result>, "output">>
  & { output?: Partial<OutputSpec> };

/** Without a result of its own it gives what was measured. */
export function taskOf<Specs extends HeldSpecs, Result = Measured>(
  { output = {}, ...parts }: Parts<Specs, Result>,
): Task<Specs, Result> {
  return {
    identity: { facts: parts.name },
    feeds: [],
    held: {} as Specs,
    finish: () => ({}),
    result: (_stored, measured) => measured as Result,
    ...parts,
    output: {
      kind: "test",
      formatVersion: 1,
      adapter: "any",
      streamed: [],
      whole: [],
      attributes: {},
      ...output,
    },
  };
}
