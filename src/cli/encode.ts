/**
 * `sluice encode`.
 *
 * @module
 */

import { clockOptions } from "../hmm/clocks.ts";
import { decodeOutput } from "../hmm/decode_options.ts";
import { encodingOptions, saveEncodingOptions } from "../hmm/encoding_options.ts";
import { formatCount } from "../math/format.ts";
import { kindOptions, readModel, recordingOptions, trackOptions } from "./decode.ts";
import { modelFile } from "./states.ts";
import type { CommandContext } from "./usage.ts";
import { CommandLine, common, helpOf } from "./usage.ts";

const output = { out: decodeOutput.out, ...saveEncodingOptions.options };

export const encodeSections = {
  Inputs: { ...recordingOptions, ...clockOptions },
  Encoding: { ...modelFile, ...encodingOptions, ...trackOptions, ...kindOptions },
  Output: output,
};

export const encodeHelp =
  `Usage: sluice encode --spike-times T --spike-units U --position-times PT --position P
         --bin-size S --out PLACE [options]
       sluice encode RECORDING --bin-size S --out PLACE [options]

Learns what spikes tell of positions, and stores it: place fields of sorted units, or with --marks kernels over
features. sluice decode, viterbi and em take it as --encoding PLACE, for other spikes, intervals and states, as often
as they like. Inputs are those of sluice decode. With --model, a file says how spikes are encoded, and of several
environments and groups the states that expect them.

${helpOf(encodeSections)}`;

export async function encode({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, encodeSections, { positionals: 1 });
  const { json, quiet = false } = line.read(common);
  const { out, overwrite } = line.read(output);
  const model = await readModel(line, signal, quiet);
  await model.saveEncoding(out, { ...(overwrite !== undefined && { overwrite }) });
  const { encoding, grid, unitIds, warnings } = model;
  const grids = grid.environments ?? [{ grid }];
  const facts = {
    units: unitIds.length,
    bins: grids.reduce((sum, { grid }) => sum + grid.interiorIndex.length, 0),
    ...(grid.environments
      ? { environments: grid.environments.map(({ name, grid: { shape } }) => ({ name, shape })) }
      : { gridShape: grid.shape }),
    exposureSeconds: encoding.exposureSeconds,
    spikes: encoding.encodingSpikes,
    warnings,
  };
  console.log(
    json ? JSON.stringify(facts) : [
      `${out}: ${
        formatCount(facts.spikes)
      } spikes of ${facts.units} units in ${facts.bins} bins, ` +
      `${facts.exposureSeconds.toFixed(1)} s of position`,
      ...warnings.map((warning) => `warning: ${warning}`),
    ].join("\n"),
  );
}
