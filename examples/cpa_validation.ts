/**
 * Does an option that saves memory change a model of perturbed cells? Trains it twice by the same seed, compares what
 * both predict, and how well. Put the option to be tried where `after` has its own.
 *
 *   deno run -A examples/cpa_validation.ts
 */

import { AnnDataWriter, cpa, logMemory, openAnnData, openGpu } from "sluice";

const [CELLS, GENES] = [240, 30];
const place = "memory:validation";
await simulate();

const gpu = await openGpu({ budget: "256 MiB" });
const adata = await openAnnData(place);
const table = await cpa.setup(adata, {
  perturbationKey: "condition",
  controlGroup: "control",
  split: { key: "split" },
});
const counts = await adata.matrix();
const cells = await cpa.HeldCells.read(counts, { counts: true, mostBytes: 2 ** 26 });
logMemory("baseline", gpu);

// 1. both models by the same seed
const options = {
  ...{ seed: 42, epochs: 6, batchSize: 32, latent: 8, adversarySteps: 0, adversaryWeight: 0.1 },
  autoencoderRates: { rate: 1e-2 },
  encoder: { layers: 1, width: 32 },
  decoder: { layers: 1, width: 32 },
  adversary: { layers: 1, width: 16 },
};
const before = await cpa.train(gpu, cells, table, options).run();
logMemory("before", gpu);
const after = await cpa.train(gpu, cells, table, { ...options, tileRows: 1, slots: 1 }).run();
logMemory("after", gpu);

// 2. what they predict of cells that neither has seen
const asked = { perturbations: ["A", "B"] };
const predictionOf = async (model: typeof before) => {
  const { arrays, cells } = await model.counterfactual(gpu, counts, table, asked).run();
  return await arrays.counterfactual!.read(0, cells.length);
};
const [one, other] = [await predictionOf(before), await predictionOf(after)];

// 3. is the same, to 1e-5 of its size
const worst = one.reduce((most, value, i) => Math.max(most, Math.abs(other[i]! / value - 1)), 0);
console.log(`predictions differ by ${worst.toExponential(1)} of their size at most`);
if (!(worst <= 1e-5)) throw new Error("predictions are others");

// 4. and as good, beside what needs no model
const sums = await cpa.sumCells(counts, table);
const r2Of = async (model: typeof before) => {
  const predictor = await model.predictor(gpu, counts, table);
  const { means, headlines } = cpa.evaluate(sums, [predictor], await adata.var.names());
  console.log(headlines[0]);
  return means.find(({ predictor }) => predictor === "the model")!.scores.originalR2Mean.mean;
};
const [r2Before, r2After] = [await r2Of(before), await r2Of(after)];
console.log(`r2 ${r2Before.toFixed(4)} before, ${r2After.toFixed(4)} after`);
if (!(Math.abs(r2Before - r2After) < 0.01)) throw new Error("r2 is another");

await adata.close();
gpu.close();

/** Cells that were given A, B or nothing, and some given both, which no model is to see. */
async function simulate(): Promise<void> {
  let state = 7;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const names = ["control", "A", "B", "A+B"];
  const effects = names.slice(0, 3).map((_, i) =>
    Array.from({ length: GENES }, () => i === 0 ? 2 * uniform() : 1.5 * (uniform() - 0.5))
  );
  const codes = Int32Array.from({ length: CELLS }, (_, cell) => cell % names.length);
  const values = Float32Array.from({ length: CELLS * GENES }, (_, i) => {
    const own = codes[Math.floor(i / GENES)]!;
    const given = [0, ...own === 3 ? [1, 2] : own === 0 ? [] : [own]];
    const mean = Math.exp(given.reduce((sum, one) => sum + effects[one]![i % GENES]!, 0));
    return Math.floor(-2 * mean * Math.log(1 - uniform()));
  });
  const writer = await AnnDataWriter.create(place, {
    tables: {
      cells: Array.from({ length: CELLS }, (_, cell) => `cell ${cell}`),
      genes: Array.from({ length: GENES }, (_, gene) => `gene ${gene}`),
      obs: {
        condition: { categories: names, codes },
        split: {
          categories: ["train", "test", "ood"],
          codes: codes.map((own, cell) => own === 3 ? 2 : cell % 10 === 0 ? 1 : 0),
        },
      },
    },
    arrays: [{ path: "X", dtype: "float32", columns: GENES }],
    overwrite: true,
  });
  await writer.write("X", 0, values);
  await writer.finish();
}
