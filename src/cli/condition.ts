/**
 * `sluice condition`.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import type { ConditionReport } from "../condition/condition.ts";
import { checkConfig, run } from "../condition/condition.ts";
import { describeSkipped } from "../condition/tables.ts";
import { openGpu } from "../gpu/device.ts";
import { formatTable } from "../math/format.ts";
import type { CommandContext } from "./main.ts";
import { given } from "./points.ts";
import { ProgressPrinter } from "./progress.ts";
import { Options, UsageError } from "./usage.ts";

export const conditionHelp = `Usage: sluice condition CONFIG.json [options]

Does the recent past of frames, made discrete, predict how they change? Models are fitted to the contexts
of train speakers, lag by lag; the variance of deltas within their clusters is held against all of it, for
train and for other speakers, slices, each speaker, and ids that are permuted. An interrupted run goes on
with the same command.

CONFIG.json, all but input and out with defaults (places are relative to the current folder):
  input            { "latents": store of a zarr group for each utterance, "index"?: table }, or
                   { "frames": array, "segments": array, "speakers": array or .json,
                     "index"?: instead of both, "energy"?: array }
                   an index is .csv, .parquet or .json, with utterance_id, speaker_id, n_frames
  out              folder of the results
  window, lags     8, [1, 2, 4]
  conditions       [{ "name", "context": "mean" or "flat", "components"?, "clusters" or "quartile": true,
                     "inits"?, "maxIterations"? }]
  slices           ["all", "high_energy", "medial"]
  seed             42
  shuffle          "python": whose shuffle draws the split, random.Random(seed) as was published, or
                   "numpy": default_rng(seed)
  trainShare       0.8 of the speakers, or speakers: { "train": [...], "eval": [...] }
  holdout          0.1 of the train utterances, or a list of them; published: 0
  energyMedian     "frames": of all of train speakers, as was published, or "rows": of train rows
  minSeconds       0: shorter utterances are left out; published 3, with frameRate 12.5
  frameRate        frames a second, for minSeconds
  minClusterSize, minSpeakerRows                     100, 50
  thresholds       { "ratio": 0.6, "degradation": 0.2, "slice": 0.65, "control": 0.05 }
Options:
  --out PLACE          instead of the one in CONFIG.json
  --overwrite          replace the results of another analysis or input; groups are copied again
  --budget SIZE        GPU memory allowed, device and staging (default 512MiB)
  --host-budget SIZE   the host's memory allowed for scores, ids and moments (default 2GiB)
  --adapter NAME       part of an adapter's name, or "software"
  --json, --quiet
`;

const TYPES = {
  out: { type: "string" },
  overwrite: { type: "boolean" },
  budget: { type: "string" },
  "host-budget": { type: "string" },
} as const;

export async function condition({ args, signal }: CommandContext): Promise<void> {
  const options = new Options(args, TYPES, { positionals: 1 });
  const file = options.positional(0);
  if (file === undefined) throw new UsageError("Cannot run: CONFIG.json is missing");
  const config = { ...await readConfig(file), ...given({ out: options.text("out") }) };
  const { out } = checkConfig(config);
  const printer = new ProgressPrinter(options.flag("quiet"));
  const gpu = await openGpu({
    budget: {
      gpu: options.text("budget") ?? "512MiB",
      ...given({ host: options.text("host-budget") }),
    },
    ...given({ adapter: options.text("adapter") }),
  });
  try {
    const report = await run(gpu, config, {
      signal,
      overwrite: options.flag("overwrite"),
      onProgress: (progress) => printer.print(describeProgress(progress), progress),
    });
    printer.end();
    console.log(
      options.flag("json") ? JSON.stringify(summary(report, out)) : describe(report, out),
    );
  } finally {
    printer.end();
    gpu.close();
  }
}

function describeProgress({ pass, fraction }: { pass: string; fraction: number }): string {
  return `${pass} ${(100 * fraction).toFixed(0).padStart(3)} %`;
}

async function readConfig(file: string): Promise<Parameters<typeof run>[1]> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new UsageError(`Cannot read "${file}": ${(error as Error).message}`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`Cannot read "${file}": it is not JSON, ${(error as Error).message}`);
  }
}

function summary(
  { passed, frames, features, utterances, skipped, splits, results }: ConditionReport,
  out: string,
) {
  const conditions = results.map(({ lag, condition, passed, train, eval: evaluation, checks }) => ({
    lag,
    condition,
    passed,
    trainRatio: train.slices.all!.ratio,
    evalRatio: evaluation.slices.all!.ratio,
    controlRatio: evaluation.control.ratio,
    failed: checks.filter((check) => !check.passed).map(({ name }) => name),
  }));
  return { passed, out, frames, features, utterances, skipped, splits, conditions };
}

function describe(report: ConditionReport, out: string): string {
  const { passed, conditions, splits, skipped } = summary(report, out);
  const ratio = (value: number) => value.toFixed(4);
  const table = formatTable([
    ["condition", "lag", "train", "eval", "permuted", ""],
    ...conditions.map((own) => [
      own.condition,
      String(own.lag),
      ratio(own.trainRatio),
      ratio(own.evalRatio),
      ratio(own.controlRatio),
      own.passed ? "passed" : "failed",
    ]),
  ]);
  const sizes = Object.entries(splits).map(([name, { rows, speakers }]) =>
    `${name} ${rows} rows of ${speakers} speakers`
  );
  return `${out}: ${passed ? "passed" : "failed"}; ${sizes.join(", ")}${
    describeSkipped(skipped)
  }\nvariance ratios:\n${table}\n` +
    `look at ${out.replace(/\/$/, "")}/report.html`;
}
