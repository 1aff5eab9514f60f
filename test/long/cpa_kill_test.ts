import { describe, expect, it } from "vitest";
import type { TrainOptions } from "../../src/cpa/train_options.ts";
import { useGpu } from "../support/gpu.ts";
import { killTrainings } from "../support/killed_trainings.ts";
import { runtime } from "../support/runtime.ts";

const KILLS = 20;

describe("sluice cpa that is killed 20 times", () => {
  for (const action of ["train", "predict"] as const) {
    it(`goes on to the same bytes: ${action}`, async (context) => {
      if (runtime !== "node") context.skip("one runtime's kills tell enough");
      const { killCpa } = await import("../support/killed_cpa.ts");
      const { kills, resumed, lives } = await killCpa(action, KILLS, 7);
      console.log(`${action}: ${kills} kills, ${lives} results, ${resumed} of them gone on with`);
      expect(kills).toBe(KILLS);
      // states are kept every two seconds: on fast machines a prediction ends before; that it goes on is held by
      // test/cpa/predict_resume_test.ts
      if (action === "train") expect(resumed).toBeGreaterThanOrEqual(KILLS / 10);
    });
  }
});

describe("a training that is stopped 20 times", () => {
  const gpu = useGpu();
  const small: TrainOptions = {
    ...{ latent: 6, batchSize: 16, epochs: 4, validateEvery: 1, patience: 9, seed: 11 },
    encoder: { layers: 2, width: 16 },
    decoder: { layers: 1, width: 16, dropout: 0.1 },
    adversary: { layers: 2, width: 8 },
    ...{ mixupAlpha: 0.3, pretraining: 1, adversaryWarmup: 2, autoencoderRates: { rate: 0.5 } },
  };
  const cases: Record<string, TrainOptions> = {
    "nothing else": {},
    "genes of some cells at a time": { partSize: 5 },
    "layers made again": { checkpointing: true },
    "gradients that are limited": { mostNorm: 0.5 },
    "variational latents": { variational: true, divergenceWarmup: 2 },
    "focal classifiers": { focal: true },
    "the original's score": { judge: "cpaMetric" },
    "the original's slips": { compat: true, mixupWarmup: 2 },
    "sizes left to the budget": { partSize: "auto" },
  };
  for (const [name, own] of Object.entries(cases)) {
    it(`goes on to the same bits with ${name}`, async () => {
      await killTrainings(gpu(), { ...small, ...own }, KILLS);
    });
  }
});
