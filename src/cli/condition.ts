/**
 * `sluice condition`.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import process from "node:process";
import type { ConditionConfig, ConditionReport } from "../condition/condition.ts";
import { checkConfig, plan } from "../condition/condition.ts";
import { describeSkipped } from "../condition/tables.ts";
import { conditionConfig } from "../condition/config.ts";
import { conditionOptions } from "../condition/pipeline.ts";
import { gpuOptions } from "../gpu/device.ts";
import { bytes } from "../options.ts";
import { formatTable } from "../math/format.ts";
import { openGpu } from "./open_gpu.ts";
import type { CommandContext } from "./usage.ts";
import { percentOf, ProgressPrinter } from "./progress.ts";
import { CommandLine, common, configHelpOf, gpuChoices, helpOf, UsageError } from "./usage.ts";

const hostBudget = {
  hostBudget: bytes({
    otherwise: "2 GiB",
    says: "the host's memory allowed for scores, ids and moments",
  }),
};

export const conditionSections = {
  Options: {
    out: {
      ...conditionConfig.options.out,
      required: false,
      helps: "instead of the one in CONFIG.json",
    },
    ...conditionOptions.options,
    budget: gpuOptions.options.budget,
    ...hostBudget,
  },
};

export const conditionHelp = `Usage: sluice condition CONFIG.json [options]

Does the recent past of frames, made discrete, predict how they change? Models are fitted to the contexts
of train speakers, lag by lag; the variance of deltas within their clusters is held against all of it, for
train and for other speakers, slices, each speaker, and ids that are permuted. An interrupted run goes on
with the same command.

CONFIG.json, all but input and out with defaults (places are relative to the current folder):
${configHelpOf(conditionConfig.options)}${helpOf(conditionSections)}`;

export async function condition({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, conditionSections, { positionals: 1 });
  const [file] = line.positionals;
  if (file === undefined) throw new UsageError("Cannot run: CONFIG.json is missing");
  const { json, quiet = false } = line.read(common);
  const place = line.text("out");
  const config = { ...await readConfig(file), ...(place !== undefined && { out: place }) };
  const { out } = checkConfig(config);
  const printer = new ProgressPrinter(quiet);
  const gpu = await openGpu(gpuChoices(line));
  try {
    const analysis = await plan(gpu, config, { signal });
    try {
      if (!quiet) process.stderr.write(`${analysis.explain()}\n`);
      const report = await analysis.run({
        ...line.read(conditionOptions.options),
        signal,
        onProgress: (progress) => printer.print(describeProgress(progress), progress),
      });
      printer.end();
      console.log(json ? JSON.stringify(summary(report, out)) : describe(report, out));
    } finally {
      await analysis.close();
    }
  } finally {
    printer.end();
    gpu.close();
  }
}

function describeProgress({ pass, fraction }: { pass: string; fraction: number }): string {
  return `${pass} ${String(percentOf(fraction)).padStart(3)} %`;
}

async function readConfig(file: string): Promise<ConditionConfig> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT"
      ? 'there is no such file; "sluice condition --help" says what belongs in it'
      : message;
    throw new UsageError(`Cannot read "${file}": ${why}`);
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
