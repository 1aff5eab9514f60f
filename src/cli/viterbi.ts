/**
 * `sluice viterbi`.
 *
 * @module
 */

import process from "node:process";
import { gpuOptions, openGpu } from "../gpu/device.ts";
import { decodeOutput, pathOutput } from "../hmm/decode_options.ts";
import { formatSeconds } from "../math/format.ts";
import { modelSections, prepare } from "./decode.ts";
import { ProgressPrinter } from "./progress.ts";
import type { CommandContext } from "./usage.ts";
import { CommandLine, common, helpOf } from "./usage.ts";

export const viterbiSections = {
  ...modelSections,
  "Output and memory": { ...pathOutput, out: decodeOutput.out, budget: gpuOptions.options.budget },
};

export const viterbiHelp =
  `Usage: sluice viterbi --spike-times T --spike-units U --position-times PT --position P
         --bin-size S --out PLACE [options]
       sluice viterbi --log-likelihoods LL --transition-matrix M --out PLACE [options]

Finds which bins, one a row, are likeliest together, exactly and out of core. Inputs and model are those of
sluice decode, but for --marks. The output is a zarr store with path_state_bin, path_state_ind and positions.

${helpOf(viterbiSections)}`;

export async function viterbi({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, viterbiSections, { positionals: 1 });
  const { json, quiet = false } = line.read(common);
  const { out } = line.read({ out: decodeOutput.out });
  const model = await prepare(line, signal, quiet);
  try {
    const gpu = await openGpu(line.read(gpuOptions.options));
    const printer = new ProgressPrinter(quiet);
    try {
      const plan = model.viterbi(gpu);
      if (!quiet) process.stderr.write(`${plan.explain()}\n`);
      const result = await plan.run({ signal, onProgress: printer.show });
      printer.end();
      const { logProbability, impossibleRows, seconds, projectedBytes, peakBytes } = result;
      const [rows] = result.stateBins.shape;
      const told = {
        rows,
        // JSON has no infinities
        logProbability: Number.isFinite(logProbability) ? logProbability : String(logProbability),
        ...{ impossibleRows, warnings: model.warnings, projectedBytes, peakBytes, seconds },
        ...(result.resumed && { resumed: result.resumed }),
        adapter: gpu.adapter.name,
      };
      const lines = [
        `${out}: a path through ${rows} rows, log-probability ${logProbability.toFixed(3)} nats`,
        ...(impossibleRows > 0 ? [`${impossibleRows} rows are impossible, and say nothing`] : []),
        seconds.total === undefined
          ? "already finished: nothing had to be computed"
          : formatSeconds(seconds.total),
      ];
      console.log(json ? JSON.stringify(told) : lines.join("\n"));
      await result.close();
    } finally {
      printer.end();
      gpu.close();
    }
  } finally {
    await model.close?.();
  }
}
