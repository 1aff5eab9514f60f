/**
 * `sluice em`.
 *
 * @module
 */

import { gpuOptions } from "../gpu/device.ts";
import { decodeOutput } from "../hmm/decode_options.ts";
import { emChoices, encodingChoice } from "../hmm/em_options.ts";
import { modelSections, runModel } from "./decode.ts";
import type { CommandContext } from "./usage.ts";
import { CommandLine, helpOf } from "./usage.ts";

export const emSections = {
  ...modelSections,
  "What is fitted": { ...emChoices, ...encodingChoice },
  "Output and memory": { ...decodeOutput, budget: gpuOptions.options.budget },
};

export const emHelp =
  `Usage: sluice em --spike-times T --spike-units U --position-times PT --position P
         --bin-size S --states contFrag --out PLACE [options]
       sluice em --log-likelihoods LL --states contFrag --out PLACE [options]

Fits how discrete states follow one another, and where the first row was, by expectation maximisation, out of core,
and decodes with what it found. Inputs and model are those of sluice decode. The output is a folder with
parameters.json, which sluice decode and viterbi take as --parameters PLACE, and decode.zarr, which xarray opens; with
--fit-encoding also encoding.zarr, which they take as --encoding.

${helpOf(emSections)}`;

export async function em({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, emSections, { positionals: 1 });
  await runModel(line, signal, {
    plan(model, gpu) {
      const plan = model.em(gpu);
      return {
        explain: () => plan.explain(),
        async run(options) {
          const result = await plan.run(options);
          return { ...result, close: () => result.decode.close() };
        },
      };
    },
    facts: (
      { states, logLikelihoods, converged, falls, warnings },
      { warnings: before, facts },
      gpu,
    ) => ({
      states: states.names,
      discreteTransition: states.discreteTransition,
      ...{ logLikelihoods, converged, falls, ...facts },
      warnings: [...before, ...warnings],
      adapter: gpu.adapter.name,
    }),
    lines({ states, logLikelihoods, converged, warnings }, out) {
      const updates = logLikelihoods.length - 1;
      return [
        `${out}: ${updates} updates, ${
          converged ? "converged" : "not converged"
        }; log-likelihood ` +
        `${logLikelihoods[0]!.toFixed(3)} before, ${
          logLikelihoods[updates]!.toFixed(3)
        } nats after`,
        ...states.names.map((name, from) =>
          `${name}: ${
            states.discreteTransition[from]!
              .map((value, to) => `${value.toPrecision(4)} to ${states.names[to]}`).join(", ")
          }`
        ),
        ...warnings.map((warning) => `warning: ${warning}`),
      ].join("\n");
    },
  });
}
