/**
 * The engine of one machine: processes side by side, a part each.
 *
 * @module
 */

import { PartsError } from "../../errors.ts";
import { UsageError } from "../usage.ts";
import type { Engine } from "./engine.ts";
import { runToEnd } from "./programs.ts";
import type { Before } from "./rounds.ts";
import { describeRound, nextRound } from "./rounds.ts";

/** Exit codes of what another try does not help: bad input, a budget, no adapter. */
const HOPELESS = [2, 3, 4];

export const local: Engine = {
  name: "local",

  async submit(job, { workers, rounds, signal, onLine }) {
    let before: Before | undefined;
    for (;;) {
      const round = await nextRound(job, rounds, before);
      if (!round) return { done: true };
      before = round;
      const { stage } = round;
      onLine(describeRound(round));
      const waiting = [...round.missing];
      let hopeless: string | undefined;
      const work = async () => {
        for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
          const command = job.command(stage, part);
          const { code, stderr } = await runToEnd(command, { folder: job.folder, signal });
          signal.throwIfAborted();
          for (const [line] of stderr.matchAll(/^warning: .*$/gm)) onLine(line);
          if (code === 0) continue;
          const said = /^sluice: (.*)$/m.exec(stderr)?.[1] ?? `it ended with ${code}`;
          onLine(`part ${part} of ${stage} failed: ${said}`);
          if (HOPELESS.includes(code!)) hopeless ??= said;
          if (hopeless !== undefined) return;
        }
      };
      await Promise.all(Array.from({ length: workers }, work));
      if (hopeless === undefined) continue;
      if (/^Cannot /.test(hopeless)) throw new UsageError(hopeless);
      throw new PartsError(`Cannot go on at ${job.place}: ${hopeless}`, round);
    }
  },
};
