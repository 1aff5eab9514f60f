import { beforeEach, describe, expect, it } from "vitest";
import type { ModelShape } from "../../src/cpa/model_shape.ts";
import type { CellBatch, State } from "../reference/cpa_model.ts";
import { CpaTwin, stepGradient } from "../reference/cpa_model.ts";
import { useGpu } from "../support/gpu.ts";
import {
  GOLDEN_CASES,
  goldenBatch,
  goldenCase,
  goldenState,
  goldenWeights,
} from "../support/perturbation_goldens.ts";
import type { RunOptions } from "../support/run_cpa.ts";
import { openCpa } from "../support/run_cpa.ts";
import { sharedDataMissing } from "../support/shared_data.ts";
import type { SmallOptions } from "../support/small_cells.ts";
import { smallBatch, smallShape, smallState, smallWeights } from "../support/small_cells.ts";

const gpu = useGpu();

/** Of sums over a batch, relative; and of gradients and latents, of the largest of theirs. */
const LOSS = 1e-5;
const GRADIENT = 1e-3;

function off(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(got.length).toBe(wanted.length);
  let [most, largest] = [0, 1e-6];
  for (let i = 0; i < wanted.length; i++) {
    most = Math.max(most, Math.abs(got[i]! - wanted[i]!));
    largest = Math.max(largest, Math.abs(wanted[i]!));
  }
  return most / largest;
}

const relative = (got: number, wanted: number) => Math.abs(got - wanted) / Math.abs(wanted);

/** Latents, losses, both gradients and running statistics are those of the twin. */
async function agrees(shape: ModelShape, state: State, batch: CellBatch, options: RunOptions) {
  const { classWeights, coupling, penalty, unmixedCovariates = false, seed = 5 } = options;
  const { focal = false } = options;
  const run = await openCpa(gpu(), shape, state, batch, options);
  const { model, open, turn } = run;
  const divergence = 0.7;
  const drawn = { draw: 9, drawnFor: 3 };
  const batchOf = turn({ step: 9, autoencoder: 1, divergence, ...drawn });
  await open.run([...model.encode(batchOf), ...model.decode(batchOf)]);
  const twinOf = (own: State) =>
    new CpaTwin(shape, own, batch, {
      ...{ train: true, classWeights, unmixedCovariates, seed, step: 9, focal, ...drawn },
    });
  const weights = { adversary: coupling, penalty, divergence };
  const own = new Map(state);
  const wanted = stepGradient(twinOf(own), false, weights);
  for (const [name, value] of Object.entries(model.latents)) {
    const twin = wanted.made[LATENT_NAMES[name]!];
    expect(off(await run.value(value), twin.data), name).toBeLessThan(LOSS);
  }
  if (model.parts.count === 1) {
    expect(off(await run.value(model.means), wanted.made.means.data)).toBeLessThan(LOSS);
  }
  await open.run([...model.judge(batchOf), ...model.improve(batchOf)]);
  const losses = await run.losses();
  expect(relative(losses.recon, wanted.recon)).toBeLessThan(LOSS);
  expect(relative(losses.entropy, wanted.entropy)).toBeLessThan(LOSS);
  if (shape.variational) {
    expect(relative(losses.divergence, wanted.made.divergence!.data[0]!)).toBeLessThan(LOSS);
  }
  const improved = await run.named("gradient");
  for (const [name, gradient] of wanted.gradient()) {
    expect(near(improved.get(name)!, gradient), name).toBeLessThan(GRADIENT);
  }
  const moved = await run.named("parameters");
  for (const [name, { data }] of own) {
    if (name.includes("running_")) {
      expect(off(moved.get(name)!, data), name).toBeLessThan(LOSS);
    }
  }
  await open.run(model.oppose(batchOf));
  const opposed = await run.named("gradient");
  const against = stepGradient(twinOf(new Map(state)), true, weights);
  expect(relative((await run.losses()).penalty, against.penalty)).toBeLessThan(LOSS);
  for (const [name, gradient] of against.gradient()) {
    expect(near(opposed.get(name)!, gradient), name).toBeLessThan(GRADIENT);
  }
  open.close();
}

const LATENT_NAMES: Record<string, "zBasal" | "z" | "zCorrected" | "zNoPert" | "zNoPertCorrected"> =
  {
    basal: "zBasal",
    after: "z",
    corrected: "zCorrected",
    noPert: "zNoPert",
    noPertCorrected: "zNoPertCorrected",
  };

const THEIR_LATENTS = {
  basal: "z_basal",
  after: "z",
  corrected: "z_corrected",
  noPert: "z_no_pert",
  noPertCorrected: "z_no_pert_corrected",
};

/** As {@link off}; what is 0 but for rounding in f64 has to be next to 0. */
function near(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  const largest = Math.max(...Array.from(wanted, Math.abs));
  return largest < 1e-9 ? Math.max(...Array.from(got, Math.abs)) : off(got, wanted);
}

describe("the model on the device is its twin in f64", () => {
  const both = { batchNorm: true, layerNorm: true };
  const rows = { batchNorm: false, layerNorm: true };
  const none = { batchNorm: false, layerNorm: false };
  type Case =
    & SmallOptions
    & { lambda?: number }
    & Pick<RunOptions, "before" | "partCells" | "checkpointing" | "focal" | "sparse">;
  const cases: [string, Case][] = [
    ["nb, batch norms, doses by ln and sigmoid, mixed", { cells: 7, before: 3 }],
    ["nb, both norms, three cells", { norms: both, cells: 3, genes: 5, width: 4 }],
    ["zinb, layer norms, doses by sigmoid", { head: "zinb", doser: "sigmoid", norms: rows }],
    ["gauss, no norms, linear doses, one gene", {
      ...{ head: "gauss", doser: "linear", norms: none },
      ...{ genes: 1, before: 2 },
    }],
    ["nb, both norms, dropout", { norms: both, cells: 40, dropout: 0.3 }],
    ["zinb, no norms, dropout", { head: "zinb", norms: none, cells: 9, dropout: 0.5 }],
    ["nb, many cells and genes, not mixed", { cells: 70, genes: 131, width: 33, lambda: 1 }],
    ["nb, batch norms, in parts, mixed across them, dropout", {
      ...{ cells: 11, before: 2, partCells: 4, dropout: 0.3, sparse: false },
    }],
    ["zinb, no norms, one cell at a time, dropout", {
      ...{ head: "zinb", norms: none, cells: 5, partCells: 1, dropout: 0.3 },
    }],
    ["gauss, both norms, in parts, layers made again, dropout", {
      ...{ head: "gauss", norms: both, cells: 9, partCells: 5, checkpointing: true, dropout: 0.3 },
    }],
    ["nb, classifiers with layer norms, dropout", {
      ...{ classifierNorms: rows, cells: 9, width: 11, dropout: 0.3 },
    }],
    ["nb, classifiers with both norms", { classifierNorms: both, before: 1 }],
    ["nb, classifiers without norms, dropout", { classifierNorms: none, dropout: 0.3 }],
    ["nb, variational latents, focal classifiers, mixed", {
      ...{ variational: true, focal: true, cells: 9, before: 2 },
    }],
    ["nb, variational latents, in parts, layers made again", {
      ...{
        variational: true,
        norms: rows,
        cells: 12,
        partCells: 5,
        checkpointing: true,
        lambda: 1,
      },
    }],
  ];
  for (const [name, options] of cases) {
    it(name, async () => {
      const { lambda = 0.3, cells = 7, before = 0, partCells, checkpointing, focal } = options;
      const { sparse = true } = options;
      const shape = smallShape(options);
      await agrees(shape, smallState(shape), smallBatch(shape, cells, lambda), {
        ...{ classWeights: smallWeights(shape), coupling: 2, penalty: 3, latents: true, before },
        ...partCells !== undefined && { partCells },
        ...{ checkpointing: checkpointing ?? false, focal: focal ?? false, sparse },
      });
    });
  }
});

describe("layers that are made again for gradients", () => {
  it("change no bit, running statistics among them, and save what is said", async () => {
    const shape = smallShape({ norms: { batchNorm: true, layerNorm: true }, dropout: 0.3 });
    const [state, batch] = [smallState(shape), smallBatch(shape, 9)];
    const found = [];
    for (const checkpointing of [false, true]) {
      const run = await openCpa(gpu(), shape, state, batch, {
        ...{ classWeights: smallWeights(shape), coupling: 2, penalty: 3, checkpointing },
      });
      const { model, open, optimizers } = run;
      for (const step of [1, 2]) {
        const turn = run.turn({ step, autoencoder: step });
        await open.run([...model.encode(turn), ...model.judge(turn)]);
        await open.run([...model.improve(turn), ...optimizers.improve(turn)]);
      }
      const buffers = model.nets.flatMap((net) => net.valueBuffers());
      const bytes = [...buffers, ...model.sharedBuffers()]
        .reduce((sum, own) => sum + (own.within === undefined ? own.bytes : 0), 0);
      found.push({
        gradient: await run.named("gradient"),
        parameters: await run.named("parameters"),
        bytes: bytes + model.savedBytes,
        saved: model.savedBytes,
      });
      open.close();
    }
    const [kept, again] = found;
    expect(again!.gradient).toEqual(kept!.gradient);
    expect(again!.parameters).toEqual(kept!.parameters);
    expect([kept!.saved, again!.saved > 0]).toEqual([0, true]);
    expect(again!.bytes).toBe(kept!.bytes);
  });
});

describe("gradients that are too large", () => {
  it("are scaled down to the norm that is allowed, optimizer by optimizer", async () => {
    const shape = smallShape();
    const [state, batch] = [smallState(shape), smallBatch(shape, 9)];
    const isAdversary = (name: string) => name.startsWith("adversary ");
    const isDoser = (name: string) => name.startsWith("doser.");
    const groups: [(name: string) => boolean, boolean][] = [
      [(name) => !isAdversary(name) && !isDoser(name), false],
      [isDoser, false],
      [isAdversary, true],
    ];
    const normOf = (gradient: Map<string, Float32Array>, is: (name: string) => boolean) =>
      Math.sqrt(
        [...gradient].filter(([name]) => is(name) && !name.includes("running_"))
          .reduce((sum, [, own]) => own.reduce((part, value) => part + value ** 2, sum), 0),
      );
    // between the norms of some groups and of others
    const limit = 0.5;
    const scaled: boolean[] = [];
    for (const [is, opposes] of groups) {
      const run = await openCpa(gpu(), shape, state, batch, {
        ...{ classWeights: smallWeights(shape), coupling: 2, penalty: 3, mostNorm: limit },
      });
      const { model, open, optimizers } = run;
      const turn = run.turn({ step: 1, autoencoder: 1, adversary: 1 });
      await open.run([...model.encode(turn), ...model.judge(turn)]);
      await open.run(opposes ? model.oppose(turn) : model.improve(turn));
      const before = await run.named("gradient");
      await open.run(opposes ? optimizers.oppose(turn) : optimizers.improve(turn));
      const after = await run.named("gradient");
      const norm = normOf(before, is);
      const scale = Math.min(1, limit / (norm + 1e-6));
      scaled.push(scale < 1);
      for (const [name, gradient] of before) {
        if (!is(name)) continue;
        const wanted = Float64Array.from(gradient, (value) => value * scale);
        expect(near(after.get(name)!, wanted), name).toBeLessThan(1e-6);
      }
      open.close();
    }
    // the doses' gradient is small
    expect(scaled).toEqual([true, false, true]);
  });
});

const missing = sharedDataMissing();

describe("the model on the device is the original", () => {
  beforeEach((context) => {
    if (missing) context.skip(missing);
  });

  for (const name of GOLDEN_CASES) {
    it(`${name}: values, losses and gradients`, async () => {
      const golden = await goldenCase(name);
      const { plan } = golden.config;
      await agrees(golden.shape, goldenState(golden), goldenBatch(golden), {
        ...{ classWeights: goldenWeights(golden), unmixedCovariates: true, latents: true },
        ...{ coupling: plan.reg_adv, penalty: plan.pen_adv },
      });
    });

    it(`${name}: values, losses and gradients, a few cells at a time`, async () => {
      const golden = await goldenCase(name);
      const { plan } = golden.config;
      await agrees(golden.shape, goldenState(golden), goldenBatch(golden), {
        ...{ classWeights: goldenWeights(golden), unmixedCovariates: true, latents: true },
        ...{ coupling: plan.reg_adv, penalty: plan.pen_adv, partCells: 3, checkpointing: true },
        sparse: false,
      });
    });

    it(`${name}: six steps of the schedule`, async () => {
      const golden = await goldenCase(name);
      const { plan, steps } = golden.config;
      // the first forward pass moved them
      const state = new Map([...goldenState(golden), ...golden.named("bn_after_forward")]);
      const run = await openCpa(gpu(), golden.shape, state, goldenBatch(golden, 1), {
        ...{ classWeights: goldenWeights(golden), unmixedCovariates: true },
        ...{ coupling: plan.reg_adv, penalty: plan.pen_adv },
      });
      const { model, open, optimizers, turn } = run;
      const updates = { autoencoder: 0, adversary: 0 };
      for (let step = 0; step < steps; step++) {
        run.take(goldenBatch(golden, step + 1));
        const which = step % plan.adv_steps === 0 ? "autoencoder" : "adversary";
        const own = turn({ step: step + 1, [which]: ++updates[which] });
        await open.run([...model.encode(own), ...model.decode(own), ...model.judge(own)]);
        await open.run(
          which === "autoencoder"
            ? [...model.improve(own), ...optimizers.improve(own)]
            : [...model.oppose(own), ...optimizers.oppose(own)],
        );
        const losses = await run.losses();
        expect(relative(losses.recon, golden.steps[step]!.recon_loss)).toBeLessThan(LOSS);
        expect(relative(losses.entropy, golden.steps[step]!.adv_loss)).toBeLessThan(LOSS);
        if (which === "adversary") {
          const wanted = golden.steps[step]!.penalty_adv;
          expect(relative(losses.penalty, wanted)).toBeLessThan(GRADIENT);
        }
      }
      const moved = await run.named("parameters");
      for (const group of ["params_after_steps", "bn_after_steps"]) {
        for (const [key, { data }] of golden.named(group)) {
          // steps are 5e-4 of some 1
          expect(off(moved.get(key)!, data), key).toBeLessThan(1e-5);
        }
      }
      open.close();
    });

    it(`${name}: what is predicted by running statistics`, async () => {
      const golden = await goldenCase(name);
      const state = new Map([...goldenState(golden), ...golden.named("bn_after_forward")]);
      const batch = { ...goldenBatch(golden), lambda: 1 };
      const run = await openCpa(gpu(), golden.shape, state, batch, {
        ...{ classWeights: goldenWeights(golden), coupling: 0, penalty: 0, latents: true },
      });
      const { model, open, turn } = run;
      await open.run([...model.encode(turn({})), ...model.decode(turn({}))]);
      expect(off(await run.value(model.means), golden.get("predict_eval", "px").values))
        .toBeLessThan(LOSS);
      for (const [own, theirs] of Object.entries(THEIR_LATENTS)) {
        expect(off(await run.value(model.latents[own]!), golden.get("predict_eval", theirs).values))
          .toBeLessThan(LOSS);
      }
      open.close();
    });
  }
});
