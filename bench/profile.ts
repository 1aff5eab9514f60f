/** Where the time of a step of training goes, kernel by kernel. */

import { formatTable } from "../src/math/format.ts";
import type { LoopKernel, Tile } from "../src/stream/pass.ts";
import type { OpenNet } from "../test/support/run_net.ts";

export interface KernelShare {
  way: string;
  kernel: string;
  dispatches: number;
  ms: number;
  /** Of the time of all kernels of its way. */
  share: number;
}

/** Of each kernel at least so many dispatches are timed together, and so long, ms. */
const [LEAST_DISPATCHES, MOST_DISPATCHES, LEAST_MS] = [2, 128, 40];
const TILE: Tile = { start: 0, end: 1, firstLane: 0, lanes: 1 };
const IN_PLACE = ["softmax_means", "likelihood_gradient"];

/**
 * Prints and gives the time of every kernel of some ways to go through a net that is open, those that take most first.
 *
 * @param now Milliseconds: of the clock, or of the processor where the adapter is software.
 */
export async function profileSteps(
  open: Pick<OpenNet, "run">,
  ways: Record<string, readonly LoopKernel[]>,
  now: () => number,
): Promise<KernelShare[]> {
  const known = new Map<string, number>();
  const shares: KernelShare[] = [];
  const table = [["", "dispatches", "ms", "share"]];
  for (const [way, steps] of Object.entries(ways)) {
    const spent = new Map<string, Pick<KernelShare, "dispatches" | "ms">>();
    for (const [place, step] of steps.entries()) {
      const { kernel, workgroups, params, buffers } = step;
      // a kernel with the same work takes the same time
      const work = [
        kernel.name,
        workgroups(TILE, 0),
        params(TILE, 0),
        Object.values(buffers ?? {}),
      ];
      const whole = work.join(" ");
      if (!known.has(whole)) {
        known.set(whole, await timeKernel(open, step, now));
        // again and again it makes numbers so small that processors are slow
        if (IN_PLACE.includes(kernel.name)) await open.run(steps.slice(0, place + 1));
      }
      const { dispatches, ms } = spent.get(kernel.name) ?? { dispatches: 0, ms: 0 };
      spent.set(kernel.name, { dispatches: dispatches + 1, ms: ms + known.get(whole)! });
    }
    const all = [...spent.values()].reduce((sum, { ms }) => sum + ms, 0);
    table.push([way, `${steps.length}`, all.toFixed(1), ""]);
    for (const [kernel, own] of [...spent].sort(([, a], [, b]) => b.ms - a.ms)) {
      const share = own.ms / all;
      if (share >= 0.01) {
        const percent = `${(100 * share).toFixed(0)} %`;
        table.push([`  ${kernel}`, `${own.dispatches}`, own.ms.toFixed(1), percent]);
      }
      shares.push({ way, kernel, ...own, share });
    }
  }
  console.log(`${formatTable(table)}\n`);
  return shares;
}

/** Of one dispatch, once the kernel is compiled. */
async function timeKernel(
  open: Pick<OpenNet, "run">,
  kernel: LoopKernel,
  now: () => number,
): Promise<number> {
  await open.run([kernel]);
  for (let count = LEAST_DISPATCHES;; count *= 4) {
    const began = now();
    await open.run(Array<LoopKernel>(count).fill(kernel));
    const ms = now() - began;
    if (ms >= LEAST_MS || count >= MOST_DISPATCHES) return ms / count;
  }
}
