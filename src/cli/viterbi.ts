/**
 * `sluice viterbi`.
 *
 * @module
 */

import { gpuOptions } from "../gpu/device.ts";
import { decodeOutput, pathOutput } from "../hmm/decode_options.ts";
import { formatSeconds, jsonNumber } from "../math/format.ts";
import { modelSections, runModel } from "./decode.ts";
import type { CommandContext } from "./usage.ts";
import { CommandLine, helpOf } from "./usage.ts";

export const viterbiSections = {
  ...modelSections,
  "Output and memory": { ...pathOutput, out: decodeOutput.out, budget: gpuOptions.options.budget },
};

export const viterbiHelp =
  `Usage: sluice viterbi --spike-times T --spike-units U --position-times PT --position P
         --bin-size S --out PLACE [options]
       sluice viterbi --log-likelihoods LL --transition-matrix M --out PLACE [options]

Finds which bins, one a row, are likeliest together, exactly and out of core. Inputs and model are those of
sluice decode. The output is a zarr store with path_state_bin, path_state_ind and positions.

${helpOf(viterbiSections)}`;

export async function viterbi({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, viterbiSections, { positionals: 1 });
  await runModel(line, signal, {
    plan: (model, gpu) => model.viterbi(gpu),
    facts(result, { warnings }, gpu) {
      const { logProbability, impossibleRows, seconds, projectedBytes, peakBytes } = result;
      return {
        rows: result.stateBins.shape[0],
        logProbability: jsonNumber(logProbability),
        ...{ impossibleRows, warnings, projectedBytes, peakBytes, seconds },
        ...(result.resumed && { resumed: result.resumed }),
        adapter: gpu.adapter.name,
      };
    },
    lines({ logProbability, impossibleRows, seconds, stateBins }, out) {
      const [rows] = stateBins.shape;
      return [
        `${out}: a path through ${rows} rows, log-probability ${logProbability.toFixed(3)} nats`,
        ...(impossibleRows > 0 ? [`${impossibleRows} rows are impossible, and say nothing`] : []),
        seconds.total === undefined
          ? "already finished: nothing had to be computed"
          : formatSeconds(seconds.total),
      ].join("\n");
    },
  });
}
