/**
 * All commands: what runs them, their options, and examples of them.
 *
 * @module
 */

import { VERSION } from "../version.ts";
import { acts, actsHelp, actsSections } from "./acts.ts";
import {
  predict,
  predictHelp,
  predictSections,
  transform,
  transformHelp,
  transformSections,
} from "./apply.ts";
import { check, checkHelp } from "./check.ts";
import { completion, completionHelp } from "./completion.ts";
import { condition, conditionHelp, conditionSections } from "./condition.ts";
import { cpa, cpaHelp, cpaSections } from "./cpa.ts";
import { decode, decodeHelp, decodeSections } from "./decode.ts";
import { em, emHelp, emSections } from "./em.ts";
import { encode, encodeHelp, encodeSections } from "./encode.ts";
import { exportHelp, exportSections, exportStore } from "./export.ts";
import { info, infoHelp } from "./info.ts";
import { kmeans, kmeansHelp, kmeansSections } from "./kmeans.ts";
import { part, partHelp } from "./part.ts";
import { pca, pcaHelp, pcaSections } from "./pca.ts";
import { plotCommand, plotHelp, plotSections } from "./plot.ts";
import { probe, probeHelp, probeSections } from "./probe.ts";
import { samples, samplesHelp, samplesSections } from "./samples.ts";
import { status, statusHelp } from "./status.ts";
import { submit, submitHelp, submitSections } from "./submit.ts";
import type { Command } from "./usage.ts";
import { viterbi, viterbiHelp, viterbiSections } from "./viterbi.ts";
import { windowsCommand, windowsHelp, windowsSections } from "./windows.ts";
import { worker, workerHelp, workerSections } from "./worker.ts";

export const COMMANDS: Readonly<Record<string, Command>> = {
  acts: {
    ...{ run: acts, help: actsHelp, sections: actsSections },
    summary: "activations of a language model: info, pools",
    examples: ["acts info acts.zarr", "acts pool acts.zarr --pool mean --out pooled.zarr"],
  },
  check: {
    ...{ run: check, help: checkHelp, sections: {} },
    summary: "verify a stored result, and say how to go on",
    examples: ["check decode.zarr"],
  },
  completion: {
    run: (context) => completion(context, COMMANDS),
    ...{ help: completionHelp, sections: {} },
    summary: "print what completes commands and options in a shell",
    examples: ["completion bash", "completion fish"],
  },
  condition: {
    ...{ run: condition, help: conditionHelp, sections: conditionSections },
    summary: "does the past of frames predict them",
    examples: ["condition phase0.json --budget 2GiB"],
  },
  cpa: {
    ...{ run: cpa, help: cpaHelp, sections: cpaSections },
    summary: "perturbed cells: train, predict, latents, report",
    examples: [
      "cpa train --adata cells.h5ad --perturbation-key condition --control-group ctrl --out model.zarr",
      "cpa predict model.zarr --adata cells.h5ad --perturbations KLF1 --out predicted.zarr",
      "cpa report model.zarr --adata cells.h5ad --out report.html",
    ],
  },
  decode: {
    ...{ run: decode, help: decodeHelp, sections: decodeSections },
    summary: "decode position from sorted spikes",
    examples: [
      "decode --spike-times t.npy --spike-units u.npy --position-times pt.npy --position p.npy --bin-size 6 --states contFrag --rate 50 --out decode.zarr",
      "decode recording.nwb --bin-size 6 --out decode.zarr",
      "decode recording.nwb --model model.json --out decode.zarr",
    ],
  },
  em: {
    ...{ run: em, help: emHelp, sections: emSections },
    summary: "fit how states follow one another",
    examples: ["em recording.nwb --bin-size 6 --states contFrag --out fit"],
  },
  encode: {
    ...{ run: encode, help: encodeHelp, sections: encodeSections },
    summary: "learn what spikes tell of positions",
    examples: ["encode recording.nwb --bin-size 6 --out encoding.zarr"],
  },
  export: {
    ...{ run: exportStore, help: exportHelp, sections: exportSections },
    summary: "write a stored result as NetCDF-4",
    examples: ["export decode.zarr decode.nc --expand"],
  },
  info: {
    ...{ run: info, help: infoHelp, sections: {} },
    summary: "show adapter and memory, or what is in a file",
    examples: ["info", "info recording.nwb"],
  },
  kmeans: {
    ...{ run: kmeans, help: kmeansHelp, sections: kmeansSections },
    summary: "cluster rows",
    examples: ["kmeans --input latents.npy --k 256 --out kmeans.zarr --budget 512MiB"],
  },
  part: {
    run: (context) => part(context, COMMANDS),
    ...{ help: partHelp, sections: {} },
    summary: "run a part of what was submitted: what engines start",
    examples: ["part ids.zarr rows/assign 3"],
  },
  pca: {
    ...{ run: pca, help: pcaHelp, sections: pcaSections },
    summary: "principal components of rows",
    examples: ["pca --input latents.npy --components 8 --out pca.zarr"],
  },
  plot: {
    ...{ run: plotCommand, help: plotHelp, sections: plotSections },
    summary: "draw a stored result: page or picture",
    examples: [
      "plot decode.zarr --position-times pt.npy --position p.npy --unit cm",
      "plot decode.zarr --time 120:150 --path path.zarr --out replay.svg",
      "plot kmeans.zarr --input latents.npy --out clusters.png",
    ],
  },
  predict: {
    ...{ run: predict, help: predictHelp, sections: predictSections },
    summary: "assign rows by a stored k-means",
    examples: ["predict kmeans.zarr --input more.npy --out more_ids.zarr"],
  },
  probe: {
    ...{ run: probe, help: probeHelp, sections: probeSections },
    summary: "what activations tell apart: fit, sweep, predict",
    examples: [
      "probe fit --acts acts.zarr --labels labels.npy --layers 12 --pool mean --out probe.zarr",
      "probe sweep --acts acts.zarr --labels labels.npy --kind logistic,mlp",
    ],
  },
  samples: {
    ...{ run: samples, help: samplesHelp, sections: samplesSections },
    summary: "draw paths of a recording, as likely as they are",
    examples: ["samples recording.nwb --bin-size 6 --samples 100 --out paths.zarr"],
  },
  status: {
    ...{ run: status, help: statusHelp, sections: {} },
    summary: "which parts of what was submitted are done",
    examples: ["status ids.zarr"],
  },
  submit: {
    run: (context) => submit(context, COMMANDS),
    ...{ help: submitHelp, sections: submitSections },
    summary: "cut commands into parts, and have an engine run them",
    examples: ["submit ids.json --on local --parts 4", "submit sessions.json"],
  },
  transform: {
    ...{ run: transform, help: transformHelp, sections: transformSections },
    summary: "project rows by a stored PCA",
    examples: ["transform pca.zarr --input more.npy --out more_scores.zarr"],
  },
  viterbi: {
    ...{ run: viterbi, help: viterbiHelp, sections: viterbiSections },
    summary: "find the likeliest path of a recording",
    examples: ["viterbi recording.nwb --bin-size 6 --out path.zarr"],
  },
  windows: {
    ...{ run: windowsCommand, help: windowsHelp, sections: windowsSections },
    summary: "windows of frames: count, cost, stream",
    examples: [
      "windows info frames.zarr/embeddings --size 30",
      "windows stream pusht --frames observation.state --keys action=0:8 --size 2",
    ],
  },
  worker: {
    run: (context) => worker(context, COMMANDS),
    ...{ help: workerHelp, sections: workerSections },
    summary: "run parts out of a queue, and keep the GPU warm",
    examples: ["worker --queue redis://host:6379"],
  },
};

export const HELP = `sluice ${VERSION}: analyses bigger than memory, on WebGPU

Usage: sluice <command> [options]

Commands:
${
  Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`).join(
    "\n",
  )
}

sluice <command> --help tells a command's options. Every command takes --json (one object on
stdout) and --quiet (no progress). Sizes take B, KB, MB, GB, KiB, MiB and GiB.

Exit codes: 0 done, 1 failure, 2 usage or bad input, 3 over budget, 4 no adapter,
5 output conflict, 6 disk or quota, 130 cancelled.
`;

/** Help of a command, with what may be typed. */
export function helpWithExamples(name: string): string {
  const { help, examples } = COMMANDS[name]!;
  return `${help}\nExamples:\n${examples.map((line) => `  sluice ${line}`).join("\n")}`;
}
