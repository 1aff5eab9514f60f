/** What it takes samplers to draw an epoch of 4,000,000 windows, and for how long others wait for a turn meanwhile. */

import { balanced, prioritized, weighted } from "../src/feed/samplers.ts";
import type { SteppedSampler } from "../src/feed/samplers.ts";
import { formatTable } from "../src/math/format.ts";
import { inTurns, nextTurn } from "../src/turns.ts";
import type { ResultRow } from "./results.ts";

const WINDOWS = 4_000_000;
const EPOCHS = 3;

export async function runWindowDraws(): Promise<ResultRow[]> {
  const numbers = Float64Array.from({ length: WINDOWS }, (_, i) => 0.5 + i % 7 / 7);
  const labels = Int32Array.from({ length: WINDOWS }, (_, i) => i % 97 === 0 ? 1 : 0);
  const samplers: Record<string, SteppedSampler> = {
    weighted: weighted(numbers, 1),
    balanced: balanced(labels),
    prioritized: prioritized(numbers),
  };
  const rows: ResultRow[] = [];
  for (const [name, sampler] of Object.entries(samplers)) {
    let [fastest, longest, drawn] = [Infinity, 0, 0];
    for (let epoch = 0; epoch < EPOCHS; epoch++) {
      let isDone = false;
      const others = (async () => {
        for (let turn = performance.now(); !isDone; turn = performance.now()) {
          await nextTurn();
          longest = Math.max(longest, performance.now() - turn);
        }
      })();
      const began = performance.now();
      drawn = (await inTurns(sampler.steps(WINDOWS, epoch))).length;
      fastest = Math.min(fastest, performance.now() - began);
      isDone = true;
      await others;
    }
    rows.push({ bench: "window_draws", case: name, ms: fastest, longestTurnMs: longest, drawn });
  }
  const whole = (value: unknown) => Math.round(value as number).toString();
  console.log(formatTable([
    ["sampler", "ms, least of 3", "longest turn ms", "drawn"],
    ...rows.map((row) => [row.case, whole(row.ms), whole(row.longestTurnMs), String(row.drawn)]),
  ]));
  return rows;
}
