import { describe, expect, it } from "vitest";
import { readAll } from "../../src/array/array.ts";
import * as decoder from "../../src/hmm/decoder.ts";
import { useGpu } from "../support/gpu.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu();

describe("decoder.nonLocal()", () => {
  it("finds the states that a simulated animal went through", async () => {
    const { position, marks, start, stop, rowSeconds, states } = decoder.simulateReplay({
      seed: 1,
      encodedSeconds: cases(40, 100),
      stretches: Array.from(
        { length: cases(8, 24) },
        (_, i) => (["local", "noSpike", "continuous", "fragmented"] as const)[i % 4]!,
      ),
    });
    const model = decoder.clusterless({
      ...{ position, spikes: marks, binSize: 5, positionStd: 5, waveformStd: 20 },
      states: decoder.nonLocal({ movementVar: 9 }),
      train: [[0, start]],
    });
    const result = await model.smooth(gpu(), {
      ...{ time: { start, stop, step: rowSeconds }, posterior: false },
      out: "memory:state-recovery",
    }).run();
    const probabilities = await readAll(result.states) as Float32Array;
    await result.close();
    const share = (most: number) =>
      states.reduce((found, state, row) => {
        const own = probabilities.subarray(4 * row, 4 * row + 4);
        const better = own.filter((p) => p > own[state]!).length;
        return found + (better < most ? 1 : 0);
      }, 0) / states.length;
    expect(share(1)).toBeGreaterThan(0.8);
    expect(share(3)).toBeGreaterThan(0.9);
  });
});
