/**
 * `sluice decode`.
 *
 * @module
 */

import process from "node:process";
import { gpuOptions, openGpu } from "../gpu/device.ts";
import type { DecodeResult, SortedSpikesDecoder } from "../hmm/decoder.ts";
import { contFrag, continuous, sortedSpikes } from "../hmm/decoder.ts";
import { clockOptions } from "../hmm/clocks.ts";
import {
  decodeOptions,
  decodeOutput,
  encodingOptions,
  timeOptions,
} from "../hmm/decode_options.ts";
import { continuousOptions } from "../hmm/states.ts";
import { declare, oneOf, place } from "../options.ts";
import { formatBytes, formatSeconds, printable } from "../math/format.ts";
import type { CommandContext } from "./usage.ts";
import { ProgressPrinter } from "./progress.ts";
import { peakResidentBytes } from "./resident.ts";
import type { UnitChoice } from "./recording.ts";
import { readRecording } from "./recording.ts";
import { CommandLine, common, helpOf, inputChoices } from "./usage.ts";

const PRESETS = { continuous, contFrag };
const PRESET_NAMES = ["continuous", "contFrag"] as const;

const array = (takes: string, says: string) =>
  place({ takes, says, otherwise: "that of RECORDING" });

const recordingOptions = {
  spikeTimes: array("T", "[spikes] seconds, in any order"),
  spikeUnits: array("U", "[spikes] unit of each spike, any whole number from 0"),
  positionTimes: array("PT", "[samples] seconds, ascending"),
  position: array(
    "P",
    "[samples] or [samples, 2], any unit of length; NaN where unknown; a time series of an NWB file " +
      "has its times with it",
  ),
  units: oneOf(["good", "all"], {
    otherwise: "good where there are labels",
    says: "units of a folder of Kilosort or phy: those labelled good, or all",
  }),
};

const presetOptions = declare("decode", {
  states: oneOf(PRESET_NAMES, { default: "continuous", says: PRESET_NAMES.join(" or ") }),
});

export const decodeSections = {
  Inputs: { ...recordingOptions, ...clockOptions },
  Model: { ...presetOptions.options, ...continuousOptions.options, ...encodingOptions },
  Time: timeOptions,
  "Output and memory": { ...decodeOutput, budget: gpuOptions.options.budget },
};

export const decodeHelp =
  `Usage: sluice decode --spike-times T --spike-units U --position-times PT --position P
         --bin-size S --out PLACE [options]
       sluice decode RECORDING --bin-size S --out PLACE [options]

Decodes position from sorted spikes with a hidden Markov model, out of core. Inputs are arrays: .npy
files, arrays in zarr stores, or in files, as a.npz/times or b.h5/tracking/position (sluice info FILE
lists them). RECORDING is an NWB file with units and a position, or a folder of Kilosort or phy, which has
no position; flags go before what it has. The output is a zarr store that xarray opens.

${helpOf(decodeSections)}`;

export async function decode({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, decodeSections, { positionals: 1 });
  const { json, quiet = false } = line.read(common);
  const told = line.read(decodeOptions.options);
  const { states } = presetOptions.check(line.read(presetOptions.options));
  const { binSize, ...encoding } = line.read({ ...clockOptions, ...encodingOptions });
  const { units, ...places } = line.read(recordingOptions);
  const { position, spikes, spikeRate, notes } = await readRecording(
    line.positionals[0],
    places,
    units as UnitChoice | undefined,
    inputChoices(line, signal),
  );
  if (!quiet) { for (const note of notes) process.stderr.write(`${printable(note)}\n`); }
  const model = sortedSpikes({
    position,
    spikes,
    states: PRESETS[states](line.read(continuousOptions.options)),
    binSize,
    ...(spikeRate !== undefined && { spikeRate }),
    ...encoding,
  });
  // the plan's table has them too
  if (quiet) {
    for (const warning of model.warnings) {
      process.stderr.write(`warning: ${warning}\n`);
    }
  }
  const gpu = await openGpu(line.read(gpuOptions.options));
  const printer = new ProgressPrinter(quiet);
  try {
    const plan = model.smooth(gpu, told);
    if (!quiet) process.stderr.write(`${plan.explain()}\n`);
    const result = await plan.run({ signal, onProgress: printer.show });
    printer.end();
    console.log(
      json ? JSON.stringify(summary(result, model, gpu.adapter.name)) : describe(result, told.out),
    );
    await result.close();
  } finally {
    printer.end();
    gpu.close();
  }
}

function summary(result: DecodeResult, model: SortedSpikesDecoder, adapter: string) {
  const { encoding, unitIds, warnings } = model;
  return {
    rows: result.posterior.shape[0],
    states: result.posterior.shape[1],
    discreteStates: result.states.shape[1],
    // JSON has no infinities
    marginalLogLikelihood: Number.isFinite(result.marginalLogLikelihood)
      ? result.marginalLogLikelihood
      : String(result.marginalLogLikelihood),
    impossibleRows: result.impossibleRows,
    droppedSpikes: result.droppedSpikes,
    encoding: {
      exposureSeconds: encoding.exposureSeconds,
      intervals: encoding.intervals,
      mergedStamps: encoding.mergedStamps,
      spikes: encoding.encodingSpikes,
    },
    unitIds,
    warnings,
    projectedBytes: result.projectedBytes,
    peakBytes: result.peakBytes,
    // of the whole process, as the system saw it; software adapters keep GPU memory in it
    peakResidentBytes: peakResidentBytes(),
    seconds: result.seconds,
    lanes: result.lanes,
    ...(result.resumed && { resumed: result.resumed }),
    adapter,
  };
}

function describe(result: DecodeResult, out: string): string {
  const [rows, bins] = result.posterior.shape;
  const { peakBytes, projectedBytes, seconds, resumed, lanes } = result;
  const lines = [`${out}: ${rows} rows x ${bins} state bins`];
  lines.push(`marginal log-likelihood ${result.marginalLogLikelihood.toFixed(3)} nats`);
  if (lanes.count > 1) {
    lines.push(
      `${lanes.count} lanes of ${lanes.rows} rows that meet within ` +
        `${lanes.largestDistance.toExponential(1)}; ${lanes.redoneRows} rows run again`,
    );
  }
  if (result.impossibleRows > 0) {
    lines.push(
      `${result.impossibleRows} rows are impossible under the model and keep the prediction`,
    );
  }
  if (result.droppedSpikes > 0) lines.push(`${result.droppedSpikes} spikes outside the time grid`);
  if (resumed) {
    lines.push(`went on in pass "${resumed.pass}" at row ${resumed.row}`);
    if (resumed.damaged) lines.push(`${resumed.damaged} was damaged and is written again`);
  }
  if (seconds.total === undefined) lines.push("already finished: nothing had to be computed");
  else {
    lines.push(
      `${formatSeconds(seconds.total)}; GPU peak ${formatBytes(peakBytes.gpu)} of ` +
        `${formatBytes(projectedBytes.gpu)} promised, host ${formatBytes(peakBytes.host)} of ` +
        `${formatBytes(projectedBytes.host)}, disk ${formatBytes(peakBytes.disk)} of ` +
        formatBytes(projectedBytes.disk),
    );
  }
  return lines.join("\n");
}
