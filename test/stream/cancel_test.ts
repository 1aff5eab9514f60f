/** Calls that are aborted while they wait: for what hears no signal, for a device, for rows in memory. */

import { describe, expect, it } from "vitest";
import type { ChunkedArray } from "../../src/array/array.ts";
import { fromTypedArray } from "../../src/array/array.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { turn } from "../support/turns.ts";

const gpu = useGpu();
const reason = new Error("enough");
const [rows, features] = [2048, 4];
const values = Float32Array.from({ length: rows * features }, seeded(5));

/** Rows that stop coming at the n-th read, whatever signal is given. */
function deafRows(
  stallsAt: number,
): { array: ChunkedArray; reads(): number; stalled: Promise<void> } {
  const whole = fromTypedArray(values, [rows, features]);
  let reads = 0;
  let stall!: () => void;
  const stalled = new Promise<void>((resolve) => stall = resolve);
  const { values: _, ...own } = whole;
  const array: ChunkedArray = {
    ...own,
    chunkRows: 256,
    read(start, end) {
      if (++reads < stallsAt) return whole.read(start, end);
      stall();
      return new Promise(() => {});
    },
  };
  return { array, reads: () => reads, stalled };
}

describe("a run that is aborted", () => {
  for (const [what, stallsAt] of [["looked at", 1], ["loaded", 2], ["clustered", 4]] as const) {
    it(`while rows that hear no signal are ${what} ends, and reads no more`, async () => {
      const { array, reads, stalled } = deafRows(stallsAt);
      const cancel = new AbortController();
      const fit = new KMeans({ k: 3, inits: 1, maxIterations: 2 })
        .fit(gpu(), array, { tileRows: 512 }).run({ signal: cancel.signal });
      // a fit that reads less often ends before
      await Promise.race([stalled, fit]);
      expect(reads()).toBe(stallsAt);
      cancel.abort(reason);
      await expect(fit).rejects.toBe(reason);
      await turn();
      expect(reads()).toBe(stallsAt);
      expect(gpu().ledger.reserved).toEqual({ gpu: 0, host: 0, disk: 0 });
    });
  }

  it("while it looks at rows in memory does not look at the rest", async () => {
    const cancel = new AbortController();
    let reads = 0;
    // more than a turn's worth, if every read takes a while
    const array: ChunkedArray = {
      ...fromTypedArray(new Float32Array(features), [1, features]),
      shape: [2 ** 24, features],
      chunkRows: 2 ** 15,
      read(start, end) {
        const until = performance.now() + 20;
        while (performance.now() < until);
        if (++reads === 2) setTimeout(() => cancel.abort(reason));
        return Promise.resolve(new Float32Array((end - start) * features));
      },
    };
    const fit = new KMeans({ k: 3, inits: 1 }).fit(gpu(), array);
    await expect(fit.run({ signal: cancel.signal })).rejects.toBe(reason);
    expect(reads).toBeLessThan(2 ** 24 / 2 ** 15);
  });
});

describe("openGpu() that is aborted", () => {
  it("before it begins opens nothing", async () => {
    await expect(openGpu({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it("while it opens does not wait for the driver, and another one opens", async () => {
    const cancel = new AbortController();
    const opening = openGpu({ signal: cancel.signal });
    cancel.abort(reason);
    await expect(opening).rejects.toBe(reason);
    const other = await openGpu();
    other.throwIfFailed();
    other.close();
  });

  it("after it is open leaves it open", async () => {
    const cancel = new AbortController();
    const own = await openGpu({ signal: cancel.signal });
    cancel.abort(reason);
    own.throwIfFailed();
    own.close();
  });
});
