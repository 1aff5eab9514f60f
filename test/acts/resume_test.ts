import { describe, expect, it } from "vitest";
import { collect } from "../../src/acts/collect.ts";
import { Journal } from "../../src/store/journal.ts";
import type { Checkpoint } from "../../src/stream/checkpoints.ts";
import { checkStore } from "../../src/zarr/check.ts";
import { useGpu } from "../support/gpu.ts";
import { useEveryState } from "../support/kept_states.ts";
import { seeded } from "../support/random.ts";
import { contents } from "../support/small_decode.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu();
useEveryState();

/**
 * Chunks of 128 samples; every third sample is empty, many at the start, so that a token's number is less than
 * its sample's, and some at the end.
 */
const [SAMPLES, HIDDEN] = [420, 2048];

const acts = (() => {
  const random = seeded(5);
  const offsets = [0];
  for (let sample = 0; sample < SAMPLES; sample++) {
    const length = sample % 3 === 0 || sample < 150 || sample > 400
      ? 0
      : 1 + Math.floor(4 * random());
    offsets.push(offsets.at(-1)! + length);
  }
  const tokens = offsets.at(-1)!;
  const layer = () =>
    Uint16Array.from({ length: tokens * HIDDEN }, () => 0x3f00 + Math.floor(256 * random()));
  const layers = { 0: layer(), 1: layer() };
  const shape = [tokens, HIDDEN];
  return () => collect(layers, { dims: "blsh", shape, offsets, dtype: "bfloat16" });
})();

const CHAINS = {
  "pooled": () => acts().meanPool(),
  "of rolling means": () => acts().rolling({ window: 3 }),
  "as they are": () => acts(),
  "of last tokens": () => acts().lastPool().cast("float32"),
};

let places = 0;

describe("activations that are interrupted go on to the same bits", () => {
  for (const [what, chain] of Object.entries(CHAINS)) {
    it(what, async () => {
      const place = () => `memory:acts-resume-test/${places++}`;
      const whole = place();
      await chain().save(gpu(), whole, { tileRows: 40 });
      const wanted = await contents(whole);
      let furthest = 0;
      const rows = [1, 120, what === "of last tokens" ? 400 : 330].slice(-cases(1, 3));
      const moments = ["layer_0", "layer_1"].flatMap((pass) =>
        rows.map((row) => [pass, row] as const)
      );
      // and just when a layer is done
      for (const [pass, row] of [...moments, ["layer_1", 0] as const]) {
        const out = place();
        const cancel = new AbortController();
        const append = Journal.prototype.append;
        Journal.prototype.append = async function (entry) {
          await append.call(this, entry);
          const line = entry as Checkpoint;
          if (line.pass === pass && line.row >= row) cancel.abort(new Error("interrupted"));
        };
        try {
          await expect(chain().save(gpu(), out, { tileRows: 40, signal: cancel.signal }))
            .rejects.toThrow("interrupted");
        } finally {
          Journal.prototype.append = append;
        }
        const source = chain();
        await source.save(gpu(), out, { tileRows: 64 });
        furthest = Math.max(furthest, 1 - source.bytesRead / source.reading().needed);
        expect(await contents(out)).toEqual(wanted);
        expect(await checkStore(out)).toMatchObject({ state: "whole" });
      }
      // and not from the beginning
      expect(furthest).toBeGreaterThan(0.5);
    });
  }
});
