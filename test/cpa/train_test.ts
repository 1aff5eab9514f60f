import { describe, expect, it } from "vitest";
import type { CellMatrix } from "../../src/array/anndata/matrix.ts";
import type { TrainOptions } from "../../src/cpa/train_options.ts";
import { train } from "../../src/cpa/train.ts";
import type { ModelFacts, TrainedCpa } from "../../src/cpa/trained.ts";
import { openTrained } from "../../src/cpa/trained.ts";
import type { CellBatch, State } from "../reference/cpa_model.ts";
import { CpaTwin } from "../reference/cpa_model.ts";
import { constant } from "../reference/differentiate.ts";
import { stateSizes } from "../support/small_cells.ts";
import { paceStates } from "../support/kept_states.ts";
import { seeded } from "../support/random.ts";
import { cases } from "../support/tier.ts";
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

  it("and goes on from any moment with the same bits", async () => {
    const { table, held } = madeCells(40, 9);
    const cells = await held();
    // the best state is not the last one
    const hot = { rate: 0.5 };
    const options: TrainOptions = { ...SMALL, epochs: 4, tileRows: 2, autoencoderRates: hot };
    const wanted = await train(gpu(), cells, table, options).run();
    expect(wanted.facts.bestEpoch).toBeLessThan(wanted.facts.epochsRun - 1);
    const restore = paceStates();
    const moments = seeded(5);
    try {
      for (let i = 0; i < cases(1, 20); i++) {
        const out = `memory:cpa-train-${i}`;
        let left = i === 0 ? 7 : 1 + Math.floor(moments() * 9);
        for (let attempt = 0;; attempt++) {
          const cancel = new AbortController();
          const onProgress = () => {
            if (attempt === 0 && left-- === 0) cancel.abort(new Error("killed"));
          };
          const own = { ...options, out, ...attempt > 0 && { tileRows: 3 } };
          try {
            const plan = train(gpu(), cells, table, own);
            const got = await plan.run({ signal: cancel.signal, onProgress });
            expect(got.parameters).toEqual(wanted.parameters);
            expect(got.history).toEqual(wanted.history);
            expect((await openTrained(out)).parameters).toEqual(wanted.parameters);
            break;
          } catch (error) {
            expect((error as Error).message).toBe("killed");
          }
        }
      }
    } finally {
      restore();
    }
  });

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
    expect(() => train(gpu(), cells, table, { head: "gauss" })).toThrow(
      'held as counts, a model of "gauss" wants numbers',
    );
    const unseen = { ...table, splits: table.splits.map(() => 2) };
    expect(() => train(gpu(), cells, unseen)).toThrow("0 cells to learn from, wanted 2");
  });
});

/** Parameters by name, as the twin has them. */
function stateOf({ facts, parameters }: TrainedCpa): State {
  const all = Object.entries(namesOf(facts)).flatMap(([net, sizes]) => {
    let at = 0;
    return sizes.map(([name, rows, columns]) => {
      const own = parameters[net]!.subarray(at, at += rows * columns);
      return [name, constant(rows, columns, own)] as const;
    });
  });
  return new Map(all);
}

/** Parameters of each net in their order. */
function namesOf({ shape }: ModelFacts) {
  const all = stateSizes(shape);
  const isHead = (name: string) =>
    name === "dispersions" || /^decoder\.(mean|zeros|variance)/.test(name);
  const isAdversary = (name: string) => name.startsWith("adversary ");
  const body = all.filter(([name]) => !isHead(name) && !isAdversary(name));
  const isDecoder = ([name]: typeof all[number]) => name.startsWith("decoder.");
  return {
    body: [...body.filter((own) => !isDecoder(own)), ...body.filter(isDecoder)],
    head: all.filter(([name]) => isHead(name)),
    adversary: all.filter(([name]) => isAdversary(name)),
  };
}

describe("a trained model", () => {
  it("says of cells what its twin says, and of control cells what they were not given", async () => {
    const { table, held, matrix, counts } = madeCells(53, 9);
    const options: TrainOptions = { ...SMALL, epochs: 2, head: "zinb" };
    const trained = await train(gpu(), await held(), table, options).run();
    const state = stateOf(trained);
    const twinOf = (cells: Uint32Array, given: (cell: number) => readonly number[]) => {
      const slots = 2;
      const ids = new Uint32Array(slots * cells.length);
      const doses = new Float32Array(slots * cells.length);
      cells.forEach((cell, i) =>
        given(cell).forEach((id, slot) => {
          ids[i * slots + slot] = id;
          doses[i * slots + slot] = id === 3 && cells.length < table.cells ? 0.5 : 1;
        })
      );
      const batch: CellBatch = {
        x: Array.from(cells).flatMap((cell) => [...counts.subarray(9 * cell, 9 * cell + 9)]),
        ...{ ids, doses, lambda: 1, partners: cells.map((_, i) => i), combinations: cells },
        covariates: Object.fromEntries(
          table.covariates.map((
            { name, codes },
          ) => [name, Array.from(cells, (cell) => codes[cell]!)]),
        ),
      };
      const { zeros, means, ...latents } = new CpaTwin(trained.facts.shape, state, batch, {
        ...{ train: false, classWeights: {} },
      }).forward();
      return {
        ...latents,
        means: means.data.map((mean, i) => mean / (1 + Math.exp(zeros!.data[i]!))),
      };
    };
    const near = (got: ArrayLike<number>, wanted: ArrayLike<number>) => {
      expect(got.length).toBe(wanted.length);
      const largest = Math.max(...Array.from(wanted, Math.abs));
      for (let i = 0; i < got.length; i++) {
        expect(Math.abs(got[i]! - wanted[i]!)).toBeLessThan(1e-5 * largest);
      }
    };
    const every = Uint32Array.from({ length: table.cells }, (_, cell) => cell);
    const own = twinOf(every, (cell) => table.conditions[table.conditionIds[cell]!]!.perturbations);
    const latents = await trained.latents(gpu(), matrix, table, {
      which: ["basal", "after", "corrected", "noPert", "noPertCorrected"],
    }).run();
    const read = async (name: string, from = latents) =>
      await from.arrays[name]!.read(0, from.cells.length) as Float32Array;
    near(await read("latent_basal"), own.zBasal.data);
    near(await read("latent_after"), own.z.data);
    near(await read("latent_corrected"), own.zCorrected.data);
    near(await read("latent_no_pert"), own.zNoPert.data);
    near(await read("latent_no_pert_corrected"), own.zNoPertCorrected.data);
    const again = await trained.reconstruct(gpu(), matrix, table).run();
    near(await read("reconstruction", again), own.means);
    const changed = await trained.counterfactual(gpu(), matrix, table, {
      ...{ perturbations: ["B", "A"], doses: [0.5, 1], covariates: { cell: "y" } },
      out: "memory:cpa-counterfactual",
    }).run();
    const controls = every.filter((cell) =>
      table.conditionIds[cell] === 0 && table.covariates[0]!.codes[cell] === 1
    );
    expect(changed.cells).toEqual(controls);
    near(await read("counterfactual", changed), twinOf(controls, () => [2, 3]).means);
    const ask =
      (perturbations: string[], doses?: number[], covariates?: Record<string, string>) => () =>
        trained.counterfactual(gpu(), matrix, table, {
          perturbations,
          ...doses && { doses },
          ...covariates && { covariates },
        });
    expect(ask(["C"])).toThrow('the model was not shown "C"');
    expect(ask(["A", "A"])).toThrow("names a perturbation twice");
    expect(ask(["A"], [1, 2])).toThrow("2 doses for 1 perturbations");
    expect(ask(["A"], [1], { cell: "z" })).toThrow('"cell" has no level "z"');
    const renamed = { ...table, perturbations: ["", "ctrl", "A", "C"] };
    expect(() => trained.reconstruct(gpu(), matrix, renamed)).toThrow("numbered otherwise");
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
