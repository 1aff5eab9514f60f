import { describe, expect, it } from "vitest";
import type { TrainOptions } from "../../src/cpa/train_options.ts";
import { train } from "../../src/cpa/train.ts";
import { openTrained } from "../../src/cpa/trained.ts";
import { madeCells } from "../support/cpa_cells.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu();

const SMALL: TrainOptions = {
  ...{ latent: 6, batchSize: 16, epochs: 4, validateEvery: 1, patience: 3, seed: 11 },
  encoder: { layers: 2, width: 16 },
  decoder: { layers: 1, width: 16, dropout: 0.1 },
  adversary: { layers: 2, width: 8 },
  ...{ mixupAlpha: 0.3, adversarySteps: 3, pretraining: 1, adversaryWarmup: 2 },
};

describe("a model of perturbations learns", () => {
  it("to the same bits whatever the tiles", async () => {
    const { table, held } = madeCells();
    const cells = await held();
    const whole = await train(gpu(), cells, table, SMALL).run();
    const cut = await train(gpu(), cells, table, { ...SMALL, tileRows: 2, slots: 1 }).run();
    expect(whole.parameters).toEqual(cut.parameters);
    expect(whole.history).toEqual(cut.history);
    expect(whole.facts.epochsRun).toBe(4);
    expect(whole.history.validation_loss.every(Number.isFinite)).toBe(true);
    const { projectedBytes, peakBytes } = whole.measured;
    expect(peakBytes.gpu).toBeLessThanOrEqual(projectedBytes.gpu);
    expect(peakBytes.host).toBeLessThanOrEqual(projectedBytes.host);
  });
});
