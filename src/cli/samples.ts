/**
 * `sluice samples`.
 *
 * @module
 */

import { gpuOptions } from "../gpu/device.ts";
import { decodeOutput, sampleChoices } from "../hmm/decode_options.ts";
import { formatSeconds, jsonNumber } from "../math/format.ts";
import { modelSections, runModel } from "./decode.ts";
import type { CommandContext } from "./usage.ts";
import { CommandLine, helpOf } from "./usage.ts";

export const samplesSections = {
  ...modelSections,
  "Output and memory": {
    ...sampleChoices,
    ...{ out: decodeOutput.out, budget: gpuOptions.options.budget },
  },
};

export const samplesHelp =
  `Usage: sluice samples --spike-times T --spike-units U --position-times PT --position P
         --bin-size S --out PLACE [options]
       sluice samples --log-likelihoods LL --transition-matrix M --out PLACE [options]

Draws paths from all that are possible, as likely as they are, out of core. Inputs and model are those of sluice
decode. The output is a zarr store with sampled_state_bin [time, samples].

${helpOf(samplesSections)}`;

export async function samples({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, samplesSections, { positionals: 1 });
  await runModel(line, signal, {
    plan: (model, gpu) => model.samples(gpu),
    facts(result, { warnings }, gpu) {
      const { marginalLogLikelihood, seconds, projectedBytes, peakBytes, resumed } = result;
      return {
        rows: result.stateBins.shape[0],
        samples: result.stateBins.shape[1],
        marginalLogLikelihood: jsonNumber(marginalLogLikelihood),
        ...{ warnings, projectedBytes, peakBytes, seconds },
        ...(resumed && { resumed }),
        adapter: gpu.adapter.name,
      };
    },
    lines({ marginalLogLikelihood, seconds, stateBins }, out) {
      const [rows, drawn] = stateBins.shape;
      return [
        `${out}: ${drawn} paths through ${rows} rows, marginal log-likelihood ` +
        `${marginalLogLikelihood.toFixed(3)} nats`,
        seconds.total === undefined
          ? "already finished: nothing had to be computed"
          : formatSeconds(seconds.total),
      ].join("\n");
    },
  });
}
