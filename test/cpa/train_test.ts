import { describe, expect, it } from "vitest";
import type { CellMatrix } from "../../src/array/anndata/matrix.ts";
import type { TrainOptions } from "../../src/cpa/train_options.ts";
import { train } from "../../src/cpa/train.ts";
import { HeldCells } from "../../src/cpa/held_cells.ts";
import { paceStates } from "../support/kept_states.ts";
import { killTrainings } from "../support/killed_trainings.ts";
import { cases } from "../support/tier.ts";
import { OutputConflictError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { madeCells } from "../support/cpa_cells.ts";
import { trainedTwin } from "../support/trained_twin.ts";
import { lendGpu, useGpu } from "../support/gpu.ts";

const gpu = useGpu();

const SMALL: TrainOptions = {
  ...{ latent: 6, batchSize: 16, epochs: 4, validateEvery: 1, patience: 3, seed: 11 },
  encoder: { layers: 2, width: 16 },
  decoder: { layers: 1, width: 16, dropout: 0.1 },
  adversary: { layers: 2, width: 8 },
  ...{ mixupAlpha: 0.3, adversarySteps: 3, pretraining: 1, adversaryWarmup: 2 },
};

const BESIDES = ", with all that training can do besides";

const ALL: TrainOptions = {
  ...{ variational: true, divergenceWarmup: 2, focal: true, mostNorm: 0.5, judge: "cpaMetric" },
  ...{ partSize: 5, checkpointing: true },
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

  it("of cells that are mostly 0, to the same bits after a kill, as its twin reads them", async () => {
    const { table, matrix, counts } = madeCells(60, 41);
    const isThere = (cell: number, gene: number) => gene % 10 === cell % 10;
    const sparse: CellMatrix = {
      ...matrix,
      rows: async (start, end) => {
        const { starts, genes, values, ...rest } = await matrix.rows(start, end);
        const kept = Array.from(genes, (gene, i) => {
          const cell = start + starts.findIndex((first) => first > i) - 1;
          return isThere(cell, gene) ? i : -1;
        }).filter((i) => i >= 0);
        return {
          ...rest,
          starts: starts.map((first) => kept.filter((i) => i < first).length),
          genes: Uint32Array.from(kept, (i) => genes[i]!),
          values: Float64Array.from(kept, (i) => values[i]!),
        };
      },
    };
    const cells = await HeldCells.read(sparse, { counts: true, mostBytes: 2 ** 24 });
    expect(cells.entries / 60 / 41).toBeLessThan(0.15);
    const options = { ...SMALL, mixupAlpha: 0, epochs: 2 };
    const whole = await train(gpu(), cells, table, options).run();
    const out = "memory:cpa-mostly-zero";
    const restore = paceStates();
    try {
      const cancel = new AbortController();
      const dying = train(gpu(), cells, table, { ...options, out, tileRows: 1 }).run({
        signal: cancel.signal,
        onProgress: ({ fraction }) => fraction > 0.3 && cancel.abort(new Error("killed")),
      });
      await dying.catch((error) => expect(error).toMatchObject({ message: "killed" }));
    } finally {
      restore();
    }
    const again = await train(gpu(), cells, table, { ...options, out }).run();
    expect(again.parameters).toEqual(whole.parameters);
    expect(again.history).toEqual(whole.history);
    const all = Uint32Array.from({ length: 60 }, (_, cell) => cell);
    const kept = counts.map((count, i) => isThere(Math.floor(i / 41), i % 41) ? count : 0);
    const { arrays } = await whole.latents(gpu(), sparse, table, { which: ["basal"] }).run();
    const { zBasal } = trainedTwin(whole, table, kept, all);
    const read = await arrays.latent_basal!.read(0, 60) as Float32Array;
    zBasal.forEach((wanted, i) => expect(Math.abs(read[i]! - wanted)).toBeLessThan(1e-5));
  });

  it("in parts and layers made again, drawn, clipped and scored, in the memory that is promised", async () => {
    const { table, held } = madeCells(40, 9);
    const cells = await held();
    const options: TrainOptions = { ...SMALL, ...ALL, epochs: 2 };
    const saving = train(gpu(), cells, table, options);
    const again = await saving.run();
    const keeping = train(gpu(), cells, table, {
      ...{ ...options, checkpointing: false, tileRows: 2, slots: 1 },
    });
    const kept = await keeping.run();
    expect(again.parameters).toEqual(kept.parameters);
    expect(again.history).toEqual(kept.history);
    for (const name of ["divergence", "cpa_metric", "validation_loss"] as const) {
      expect(again.history[name].every(Number.isFinite)).toBe(true);
    }
    for (const { projectedBytes, peakBytes } of [again.measured, kept.measured]) {
      expect(peakBytes.gpu).toBeLessThanOrEqual(projectedBytes.gpu);
      expect(peakBytes.host).toBeLessThanOrEqual(projectedBytes.host);
    }
    expect(saving.explain()).toMatch(/of GPU memory are saved by making values again: same bits/);
    expect(saving.explain()).toContain("genes of 4 cells are on the device at a time, 3 parts");
  });

  it("in batches and parts that the budget allows, and goes on with those it began with", async () => {
    const { table, held } = madeCells(100, 600);
    const cells = await held();
    const auto: TrainOptions = { ...SMALL, epochs: 1, batchSize: "auto", partSize: "auto" };
    const sizes = { ...SMALL, epochs: 1, tileRows: 1, slots: 1 };
    const planOf = (own: Gpu, out?: string) =>
      train(own, cells, table, { ...auto, tileRows: 1, slots: 1, ...out && { out } });
    const bytesOf = (batchSize: number, partSize: number) =>
      train(gpu(), cells, table, { ...sizes, batchSize, partSize }).projected.gpu;
    const training = cells.cells * 3 / 5;
    const [large, small] = [bytesOf(training, training), bytesOf(training, 11)];
    expect(planOf(gpu()).projected.gpu).toBe(large);
    // of a budget below, genes of fewer cells are on the device
    const { budgetBytes } = gpu();
    const limited = await lendGpu({ budget: { gpu: small, host: budgetBytes.host } });
    try {
      const plan = planOf(limited);
      expect(plan.projected.gpu).toBeLessThanOrEqual(small);
      expect(plan.explain()).toMatch(/genes of \d+ cells are on the device at a time/);
      const restore = paceStates();
      try {
        const out = "memory:cpa-train-auto";
        const cancel = new AbortController();
        const killed = planOf(limited, out).run({
          signal: cancel.signal,
          onProgress: () => cancel.abort(new Error("killed")),
        });
        await expect(killed).rejects.toThrow("killed");
        // what callers say themselves is not taken over
        const other = train(gpu(), cells, table, { ...auto, batchSize: 30, out });
        await expect(other.run()).rejects.toThrow(OutputConflictError);
        const got = await planOf(gpu(), out).run();
        expect(got.parameters).toEqual((await plan.run()).parameters);
      } finally {
        restore();
      }
    } finally {
      limited.close();
    }
  });

  // test/long stops them 20 times
  for (const [name, more] of [["", {}], [BESIDES, ALL]] as const) {
    it(`and goes on from any moment with the same bits${name}`, async () => {
      // the best state is not the last one
      const options = { ...SMALL, ...more, autoencoderRates: { rate: 0.5 } };
      await killTrainings(gpu(), options, cases(1, 3));
    });
  }

  it("and stops, with the best state, when validation gets no better", async () => {
    const { table, held } = madeCells(40, 6);
    const hot = { rate: 0.5 };
    const run = await train(gpu(), await held(), table, {
      ...{ ...SMALL, epochs: 12, patience: 2, pretraining: 0, autoencoderRates: hot },
    }).run();
    const { epochsRun, bestEpoch } = run.facts;
    const losses = Array.from(run.history.validation_loss.subarray(0, epochsRun));
    expect(epochsRun).toBe(bestEpoch + 2);
    expect(losses.indexOf(Math.min(...losses)) + 1).toBe(bestEpoch);
  });

  it("refuses cells and tables that do not belong together", async () => {
    const { table, held } = madeCells(20, 5);
    const cells = await held();
    const other = madeCells(21, 5).table;
    expect(() => train(gpu(), cells, other)).toThrow("20 cells are held, 21 are set up");
    expect(() => train(gpu(), cells, madeCells(20, 6).table)).toThrow(
      "cells are held with 5 genes, they are set up with 6",
    );
    expect(() => train(gpu(), cells, table, { head: "gauss" })).toThrow(
      'held as counts, a model of "gauss" wants numbers',
    );
    const unseen = { ...table, splits: table.splits.map(() => 2) };
    expect(() => train(gpu(), cells, table, { precision: "float16" })).toThrow(
      'precision is "float16", wanted "float32", with checkpointing (the same bits) or partSize',
    );
    expect(() => train(gpu(), cells, unseen)).toThrow("0 cells to learn from, wanted 2");
  });
});

describe("a trained model", () => {
  it("is not taken for one of other names, of which all numbers are the same", async () => {
    const { table, held } = madeCells(20, 5);
    const cells = await held();
    const options: TrainOptions = { ...SMALL, epochs: 1, out: "memory:named model" };
    await train(gpu(), cells, table, options).run();
    const { facts } = await train(gpu(), cells, table, options).run();
    expect(facts.perturbations).toEqual(["", "ctrl", "A", "B"]);
    const [cell, plate] = table.covariates;
    const renamed = [
      { ...table, perturbations: ["", "ctrl", "A", "C"] },
      { ...table, covariates: [{ ...cell!, levels: ["x", "z"] }, plate!] },
      { ...table, genesDigest: "of other genes" },
    ];
    for (const other of renamed) {
      await expect(train(gpu(), cells, other, options).run()).rejects.toThrow(OutputConflictError);
    }
  });

  it("says of cells what its twin says, and of control cells what they were not given", async () => {
    const { table, held, matrix, counts } = madeCells(53, 9);
    const options: TrainOptions = { ...SMALL, epochs: 2, head: "zinb" };
    const trained = await train(gpu(), await held(), table, options).run();
    const twinOf = (
      cells: Uint32Array,
      given?: (cell: number) => { id: number; dose: number }[],
    ) => {
      const { means, zeros, ...latents } = trainedTwin(trained, table, counts, cells, {
        ...given && { given },
      });
      return { ...latents, means: means.map((mean, i) => mean / (1 + Math.exp(zeros![i]!))) };
    };
    const near = (got: ArrayLike<number>, wanted: ArrayLike<number>) => {
      expect(got.length).toBe(wanted.length);
      const largest = Math.max(...Array.from(wanted, Math.abs));
      for (let i = 0; i < got.length; i++) {
        expect(Math.abs(got[i]! - wanted[i]!)).toBeLessThan(1e-5 * largest);
      }
    };
    const every = Uint32Array.from({ length: table.cells }, (_, cell) => cell);
    const own = twinOf(every);
    const latents = await trained.latents(gpu(), matrix, table, {
      which: ["basal", "after", "corrected", "noPert", "noPertCorrected"],
    }).run();
    const read = async (name: string, from = latents) =>
      await from.arrays[name]!.read(0, from.cells.length) as Float32Array;
    near(await read("latent_basal"), own.zBasal);
    near(await read("latent_after"), own.z);
    near(await read("latent_corrected"), own.zCorrected);
    near(await read("latent_no_pert"), own.zNoPert);
    near(await read("latent_no_pert_corrected"), own.zNoPertCorrected);
    const again = await trained.reconstruct(gpu(), matrix, table).run();
    near(await read("reconstruction", again), own.means);
    const theirs = await trained.reconstruct(gpu(), matrix, table, { compat: true }).run();
    near(await read("reconstruction", theirs), trainedTwin(trained, table, counts, every).means);
    const changed = await trained.counterfactual(gpu(), matrix, table, {
      ...{ perturbations: ["B", "A"], doses: [0.5, 1], covariates: { cell: "y" } },
      out: "memory:cpa-counterfactual",
    }).run();
    const controls = every.filter((cell) =>
      table.conditionIds[cell] === 0 && table.covariates[0]!.codes[cell] === 1
    );
    expect(changed.cells).toEqual(controls);
    near(
      await read("counterfactual", changed),
      twinOf(controls, () => [{ id: 2, dose: 1 }, { id: 3, dose: 0.5 }]).means,
    );
    const ask =
      (perturbations: string[], doses?: number[], covariates?: Record<string, string>) => () =>
        trained.counterfactual(gpu(), matrix, table, {
          perturbations,
          ...doses && { doses },
          ...covariates && { covariates },
        });
    expect(ask(["C"])).toThrow('the model was not shown "C"');
    expect(ask(["A", "A"])).toThrow("names a perturbation twice");
    expect(ask(["A", "ctrl"])).toThrow(
      '"ctrl" is the control group beside 1 more, wanted it alone',
    );
    expect(ask(["A"], [1, 2])).toThrow("2 doses for 1 perturbations");
    expect(ask(["A"], [1], { cell: "z" })).toThrow('"cell" has no level "z"');
    const renamed = { ...table, perturbations: ["", "ctrl", "A", "C"] };
    expect(() => trained.reconstruct(gpu(), matrix, renamed)).toThrow("numbered otherwise");
  });

  it("of variational latents averages what it expects over draws, in memory that does not grow with them", async () => {
    const { table, held, matrix, counts } = madeCells(53, 9);
    const options: TrainOptions = { ...SMALL, epochs: 2, variational: true };
    const trained = await train(gpu(), await held(), table, options).run();
    const plan = (nSamples: number) =>
      trained.reconstruct(gpu(), matrix, table, { nSamples, tileRows: 256, slots: 1 });
    expect(plan(500).projected).toEqual(plan(2).projected);
    const every = Uint32Array.from({ length: table.cells }, (_, cell) => cell);
    const draws = [1, 2, 3].map((draw) =>
      trainedTwin(trained, table, counts, every, { options: { draw } }).means
    );
    const { arrays } = await plan(3).run();
    const read = async (name: string) => await arrays[name]!.read(0, 53) as Float32Array;
    const [means, variances] = [
      await read("reconstruction"),
      await read("reconstruction_variance"),
    ];
    let largest = 0;
    for (let i = 0; i < means.length; i++) {
      const own = draws.map((values) => values[i]!);
      const mean = own.reduce((sum, value) => sum + value, 0) / 3;
      const variance = own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 2;
      expect(Math.abs(means[i]! - mean)).toBeLessThan(2e-5 * Math.max(1, mean));
      expect(Math.abs(variances[i]! - variance)).toBeLessThan(1e-4 * Math.max(1, variance));
      largest = Math.max(largest, variance);
    }
    expect(largest).toBeGreaterThan(1e-3);
    // latents are what is drawn around
    const { arrays: latents } = await trained.latents(gpu(), matrix, table).run();
    const basal = await latents.latent_basal!.read(0, 53) as Float32Array;
    const twin = trainedTwin(trained, table, counts, every).zBasal;
    basal.forEach((value, i) => expect(Math.abs(value - twin[i]!)).toBeLessThan(1e-5));
    // the original gives a draw
    const { arrays: theirs } = await trained.latents(gpu(), matrix, table, { compat: true }).run();
    const drawn = await theirs.latent_basal!.read(0, 53) as Float32Array;
    const own = trainedTwin(trained, table, counts, every, { options: { draw: 1 } }).zBasal;
    drawn.forEach((value, i) => expect(Math.abs(value - own[i]!)).toBeLessThan(1e-5));
  });

  it("of variational latents says the same whatever the tiles", async () => {
    const { table, held, matrix } = madeCells(520, 5);
    const options: TrainOptions = { ...SMALL, epochs: 1, batchSize: 256, variational: true };
    const trained = await train(gpu(), await held(), table, options).run();
    const said = async (tileRows: number) => {
      const { arrays } = await trained.reconstruct(gpu(), matrix, table, { nSamples: 2, tileRows })
        .run();
      return await arrays.reconstruction!.read(0, 520);
    };
    expect(await said(256)).toEqual(await said(512));
  });

  it("streams what it says, in as much memory for many cells as for few, and goes on after a kill", async () => {
    const { table, held, matrix } = madeCells(700, 5);
    const options: TrainOptions = { ...SMALL, epochs: 1, batchSize: 256 };
    const trained = await train(gpu(), await held(), table, options).run();
    const plan = (out: string) =>
      trained.reconstruct(gpu(), matrix, table, { out, tileRows: 256, slots: 1 });
    const few = madeCells(300, 5);
    const least = trained.reconstruct(gpu(), few.matrix, few.table, {
      ...{ tileRows: 256, slots: 1, out: "memory:cpa-few" },
    });
    const wanted = await plan("memory:cpa-predict").run();
    expect(wanted.peakBytes.gpu).toBe((await least.run()).peakBytes.gpu);
    expect(wanted.peakBytes.host).toBeLessThanOrEqual(wanted.projectedBytes.host);
    // what cells were given is all that grows: 12 words a cell at most
    expect(plan("memory:cpa-other").projected.host - least.projected.host).toBeLessThan(
      48 * 400 + 4096,
    );
    const values = await wanted.arrays.reconstruction!.read(0, 700);
    const restore = paceStates();
    try {
      for (let i = 0; i < cases(1, 20); i++) {
        const out = `memory:cpa-predict-${i}`;
        const cancel = new AbortController();
        let left = i % 5;
        // looked at first, then read
        const own: CellMatrix = {
          ...matrix,
          rows(start, end, options) {
            if (left-- === 0) cancel.abort(new Error("killed"));
            return matrix.rows(start, end, options);
          },
        };
        const choices = { out, tileRows: 256, slots: 1 };
        const run = trained.reconstruct(gpu(), own, table, choices).run({ signal: cancel.signal });
        await expect(run).rejects.toThrow("killed");
        const got = await plan(out).run();
        expect(await got.arrays.reconstruction!.read(0, 700)).toEqual(values);
      }
    } finally {
      restore();
    }
  });
});
