import {
  likelihoodConstants,
  likelihoodParams,
  likelihoodWorkgroups,
} from "../src/kernels/likelihood_elements.ts";
import * as nb from "../src/kernels/nb_likelihood.ts";
import { Random } from "../src/math/random.ts";
import { nbLikelihood } from "../test/reference/nb_likelihood.ts";
import type { Bench } from "./harness.ts";
import { checkWithin } from "./harness.ts";

/** Share of counts that are not zero. */
const SHARE = 0.1;
/** Operations an element, about: a dozen logarithms of some twenty each. */
const FLOPS = 300;

export const nbLikelihoodBench: Bench = {
  name: "nb_likelihood",
  cases: () =>
    [[128, 2000], [128, 5000]].map(([cells, genes]) => {
      const random = new Random(1);
      const elements = cells! * genes!;
      const counts = Float32Array.from(
        { length: elements },
        () => random.uniform() < SHARE ? 1 + random.integer(20) : 0,
      );
      const means = Float32Array.from({ length: elements }, () => 0.01 + random.uniform());
      const dispersions = Float32Array.from({ length: genes! }, () => random.normal());
      return {
        spec: nb.nbLikelihood,
        constants: likelihoodConstants,
        shape: `${cells} cells x ${genes} genes, ${100 * SHARE} % not zero`,
        rows: cells!,
        flops: FLOPS * elements,
        bytes: 20 * elements,
        buffers: {
          params: likelihoodParams(elements, genes!),
          ...{ counts, means, log_dispersions: dispersions },
          ...{ log_likelihood: 4 * elements, by_log_mean: 4 * elements },
          by_log_dispersion: 4 * elements,
        },
        workgroups: likelihoodWorkgroups(elements),
        outputs: ["log_likelihood", "by_log_mean", "by_log_dispersion"],
        check({ log_likelihood, by_log_mean, by_log_dispersion }) {
          let worst = 0;
          for (let i = 0; i < elements; i++) {
            const twin = nbLikelihood(counts[i]!, means[i]!, dispersions[i % genes!]!);
            for (
              const [own, exact] of [
                [log_likelihood![i]!, twin.logLikelihood],
                [by_log_mean![i]!, twin.byLogMean],
                [by_log_dispersion![i]!, twin.byLogDispersion],
              ] as const
            ) worst = Math.max(worst, Math.abs(own - exact) / Math.max(1, Math.abs(exact)));
          }
          checkWithin("nb_likelihood", worst, 2e-5);
        },
      };
    }),
};
