import { beforeEach, describe, expect, it } from "vitest";
import {
  GOLDEN_CASES,
  goldenBatch,
  goldenCase,
  goldenState,
  goldenWeights,
} from "../support/perturbation_goldens.ts";
import { sharedDataMissing } from "../support/shared_data.ts";
import type { SmallOptions } from "../support/small_cells.ts";
import { smallBatch, smallShape, smallState, smallWeights } from "../support/small_cells.ts";
import { AdamTwin, CpaTwin, stepGradient, trained } from "./cpa_model.ts";
import type { Matrix } from "./differentiate.ts";
import { constant, derivatives } from "./differentiate.ts";

/** Largest difference, over the largest number that is wanted or 1. */
function off(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(got.length).toBe(wanted.length);
  let [most, largest] = [0, 1];
  for (let i = 0; i < wanted.length; i++) {
    most = Math.max(most, Math.abs(got[i]! - wanted[i]!));
    largest = Math.max(largest, Math.abs(wanted[i]!));
  }
  return most / largest;
}

const LATENTS = {
  zBasal: "z_basal",
  z: "z",
  zCorrected: "z_corrected",
  zNoPert: "z_no_pert",
  zNoPertCorrected: "z_no_pert_corrected",
} as const;

function sumOf(matrices: Matrix[]): Matrix {
  return matrices.reduce((sum, one) => sum.add(one));
}

const missing = sharedDataMissing();

describe("the twin is the original, in f64", () => {
  beforeEach((context) => {
    if (missing) context.skip(missing);
  });

  for (const name of GOLDEN_CASES) {
    it(`${name}: values, losses, gradients, statistics and six steps`, async () => {
      const golden = await goldenCase(name);
      const { shape, scalars, config: { plan, steps } } = golden;
      const state = goldenState(golden);
      const options = {
        ...{ train: true, classWeights: goldenWeights(golden), unmixedCovariates: true },
      };
      const twin = new CpaTwin(shape, state, goldenBatch(golden), options);
      const made = twin.forward();
      for (const [own, theirs] of Object.entries(LATENTS)) {
        const { values } = golden.get("forward", theirs);
        expect(off(made[own as keyof typeof LATENTS].data, values)).toBeLessThan(1e-9);
      }
      const means = golden.get("forward", shape.head === "gauss" ? "px_loc" : "px_mu");
      expect(off(made.means.data, means.values)).toBeLessThan(1e-9);
      expect(off(made.recon.data, [scalars.recon!])).toBeLessThan(1e-9);

      const names = [trained(state, false), trained(state, true)] as const;
      const parameters = names.map((own) => own.map((each) => state.get(each)!));
      const entropy = sumOf(twin.adversary(made.zBasal).map(({ loss }) => loss));
      const loss = made.recon.subtract(entropy.times(plan.reg_adv));
      expect(off(loss.data, [scalars.autoencoder_loss!])).toBeLessThan(1e-9);
      const { rows, columns, data } = made.zBasal;
      const classifiers = twin.adversary(constant(rows, columns, data));
      const penalty = sumOf(classifiers.map((one) => one.penalty));
      expect(off(penalty.data, [scalars.adv_penalty_adv!])).toBeLessThan(1e-9);
      const adversaryLoss = sumOf(classifiers.map((one) => one.loss))
        .add(penalty.times(plan.pen_adv));
      for (
        const [group, of, which] of [["grad_autoencoder", loss, 0], [
          "grad_adversary",
          adversaryLoss,
          1,
        ]] as const
      ) {
        const wanted = golden.named(group);
        derivatives(of, parameters[which]!).forEach((gradient, i) => {
          expect(off(gradient.data, wanted.get(names[which][i]!)!.data)).toBeLessThan(1e-9);
        });
      }
      for (const [key, { data }] of golden.named("bn_after_forward")) {
        expect(off(state.get(key)!.data, data)).toBeLessThan(1e-9);
      }

      const still = new CpaTwin(
        shape,
        state,
        { ...goldenBatch(golden), lambda: 1 },
        { ...options, train: false },
      ).forward();
      expect(off(still.means.data, golden.get("predict_eval", "px").values)).toBeLessThan(1e-9);
      expect(off(still.z.data, golden.get("predict_eval", "z").values)).toBeLessThan(1e-9);

      const adam = new AdamTwin();
      for (let step = 0; step < steps; step++) {
        const own = new CpaTwin(shape, state, goldenBatch(golden, step + 1), options);
        const weights = { adversary: plan.reg_adv, penalty: plan.pen_adv };
        const isAdversary = step % plan.adv_steps !== 0;
        const made = stepGradient(own, isAdversary, weights);
        expect(off([made.recon], [golden.steps[step]!.recon_loss])).toBeLessThan(1e-9);
        expect(off([made.entropy], [golden.steps[step]!.adv_loss])).toBeLessThan(1e-9);
        if (isAdversary) {
          expect(off([made.penalty], [golden.steps[step]!.penalty_adv])).toBeLessThan(1e-9);
        }
        adam.step(state, made.gradient());
      }
      for (const group of ["params_after_steps", "bn_after_steps"]) {
        for (const [key, { data }] of golden.named(group)) {
          // before a batch norm a bias has no gradient: Adam makes something of how it is rounded
          const idle = state.has(key.replace(/bias$/, "norm.weight"));
          const most = idle ? 1e-6 : 1e-9;
          expect(off(state.get(key)!.data, data), `${group} ${key}`).toBeLessThan(most);
        }
      }
    });
  }
});

describe("gradients of the twin are differences of its losses", () => {
  const cases: [string, SmallOptions & { focal?: boolean }][] = [
    ["nb, doses by ln and sigmoid, batch norms", {}],
    ["nb, variational latents, focal classifiers", { variational: true, focal: true }],
    ["nb, both norms", { norms: { batchNorm: true, layerNorm: true } }],
    ["zinb, doses by sigmoid, layer norms", {
      ...{ head: "zinb", doser: "sigmoid" },
      norms: { batchNorm: false, layerNorm: true },
    }],
    ["nb, classifiers with both norms", {
      classifierNorms: { batchNorm: true, layerNorm: true },
    }],
    ["nb, classifiers with layer norms", {
      classifierNorms: { batchNorm: false, layerNorm: true },
      // two numbers less their mean, over their deviation, are 1 and -1
      width: 5,
    }],
    ["gauss, linear doses, no norms", {
      ...{ head: "gauss", doser: "linear" },
      norms: { batchNorm: false, layerNorm: false },
    }],
  ];
  for (const [name, options] of cases) {
    it(name, () => {
      const shape = smallShape({ width: 3, ...options, genes: 4 });
      const batch = smallBatch(shape, 5);
      const classWeights = smallWeights(shape);
      const weights = { adversary: 2, penalty: 3, divergence: 0.8 };
      const { focal = false } = options;
      for (const adversary of [false, true]) {
        const step = (change?: { name: string; at: number; by: number }) => {
          const state = smallState(shape);
          if (change) {
            const { rows, columns, data } = state.get(change.name)!;
            const moved = data.slice();
            moved[change.at]! += change.by;
            state.set(change.name, constant(rows, columns, moved));
          }
          const twin = new CpaTwin(shape, state, batch, {
            ...{ train: true, classWeights, focal, draw: 2 },
          });
          return stepGradient(twin, adversary, weights);
        };
        for (const [name, gradient] of step().gradient()) {
          const at = gradient.length >> 1;
          const by = 1e-5;
          // the adversaries' z is held, so that nothing of the encoder moves with them
          const difference = (step({ name, at, by }).loss - step({ name, at, by: -by }).loss) /
            (2 * by);
          const most = 1e-6 * Math.max(1, Math.abs(difference));
          expect(Math.abs(gradient[at]! - difference), name).toBeLessThan(most);
        }
      }
    });
  }
});
