/**
 * `sluice probe`.
 *
 * @module
 */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { openArray, readAll } from "../array/array.ts";
import type { ChunkedArray } from "../chunked_array.ts";
import type { Gpu } from "../gpu/device.ts";
import { gpuOptions } from "../gpu/device.ts";
import { printable, printableJson, wantedNames } from "../math/format.ts";
import type { OpenedResult } from "../open.ts";
import { open } from "../open.ts";
import { list, number, place, text, whole } from "../options.ts";
import type { LabelColumns } from "../probes/labels.ts";
import { logisticOptions, massMeanOptions } from "../probes/logistic_options.ts";
import { LogisticProbe, MassMeanProbe } from "../probes/probes.ts";
import type { SweepResult } from "../probes/sweep.ts";
import { formatSweep, ProbeSweep, sweepOptions } from "../probes/sweep.ts";
import { SWEEP_KINDS, sweepJobs } from "../probes/sweep_jobs.ts";
import type { TrainedName } from "../probes/trained.ts";
import { createTrained } from "../probes/trained.ts";
import type { Plan } from "../stream/plan.ts";
import { outputChoices, planChoices } from "../stream/choices.ts";
import type { Measured } from "../stream/task.ts";
import { openGpu } from "./open_gpu.ts";
import { dataChoices, ProbeData } from "./probe_data.ts";
import { drawSweep } from "./probe_page.ts";
import { ProgressPrinter } from "./progress.ts";
import { runPlan, tell } from "./run_plan.ts";
import type { CommandContext } from "./usage.ts";
import {
  actionOf,
  CommandLine,
  common,
  flagOf,
  helpOf,
  inputChoices,
  UsageError,
} from "./usage.ts";

const ACTIONS = ["fit", "sweep", "predict"] as const;
const usual = { otherwise: "as the kind has it" };
const several = { ...usual, takes: "X[,X]" };

/** What kinds may be told; each kind refuses what it has not. */
const kindChoices = {
  c: list(number({}), { ...several, says: "of logistic: inverse strengths of the penalty" }),
  hidden: list(whole({ from: 1 }), { ...several, says: "units of hidden layers" }),
  heads: list(whole({ from: 1 }), { ...several, says: "heads of those that have several" }),
  learningRate: list(number({ above: 0 }), { ...several, says: "steps of AdamW" }),
  weightDecay: list(number({ from: 0 }), { ...several, says: "what parameters shrink by" }),
  dropout: list(number({ from: 0, below: 1 }), {
    ...several,
    says: "part of hidden units that steps leave out",
  }),
  epochs: whole({
    ...usual,
    from: 1,
    to: 100_000,
    says: "epochs of those that are trained, at most",
  }),
  batchSize: whole({ ...usual, from: 1, to: 65_535, says: "samples of their batches" }),
  patience: whole({ ...usual, from: 1, says: "epochs without a lower validation loss" }),
  maxPaddedTokens: whole({
    ...usual,
    from: 1,
    says: "samples of a batch times the tokens of the longest, at most",
  }),
};

export const probeSections = {
  Input: {
    ...dataChoices,
    labels: place({
      otherwise: "needed for fit and sweep",
      says: "0 and 1 of every sample, [samples] or [samples, columns]",
    }),
  },
  Probe: {
    kind: list(text({ takes: "KIND" }), {
      takes: "KIND[,...]",
      otherwise: "logistic",
      says: `of ${SWEEP_KINDS.join(", ")}; several for sweep`,
    }),
    ...kindChoices,
    testShare: sweepOptions.options.testShare,
    seed: sweepOptions.options.seed,
  },
  "Output and memory": {
    out: place({
      otherwise: "needed for fit and predict",
      says: "zarr group of the probe or of logits; for sweep: folder of all probes and report.html",
    }),
    overwrite: outputChoices.overwrite,
    budget: gpuOptions.options.budget,
    tileRows: planChoices.tileRows,
  },
};

export const probeHelp = `Usage: sluice probe fit --acts A --labels Y --out PLACE [options]
       sluice probe sweep --acts A --labels Y [--kind K,K] [--layers L,L] [options]
       sluice probe predict PROBE --acts A --out PLACE [options]

How well activations tell two classes apart: a probe of a layer (fit), a table of layers x kinds x options by samples
that no probe has seen (sweep), and what a stored probe makes of others (predict). Probes of features take
tokens as --pool makes one row of each sample, probes of sequences take them as they are.

${helpOf(probeSections)}`;

export async function probe({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, probeSections, { positionals: 2 });
  const action = actionOf(line, ACTIONS, "sluice probe fit --acts A --labels Y --out PLACE");
  const [, stored] = line.positionals;
  if ((action === "predict") !== (stored !== undefined)) {
    throw new UsageError(
      stored === undefined
        ? "Cannot run: PROBE is missing, wanted sluice probe predict PROBE --acts A --out PLACE"
        : `Cannot run: "${stored}" is one argument too many`,
    );
  }
  line.need(action === "sweep" ? ["labels"] : action === "fit" ? ["labels", "out"] : ["out"]);
  // a sweep has groups of its own in a folder, each of which is looked at
  if (action !== "sweep") await line.refuseOwnInputs([stored]);
  const data = await ProbeData.open(line, signal);
  try {
    if (action === "fit") await fit(line, signal, data);
    else if (action === "sweep") await sweep(line, signal, data);
    else await predict(line, signal, data, stored!);
  } finally {
    await data.close();
  }
}

async function readLabels(line: CommandLine, signal: AbortSignal): Promise<LabelColumns> {
  const from = line.text("labels")!;
  const array = await openArray(from, inputChoices(line, signal));
  try {
    const values = Array.from(
      await readAll(array) as ArrayLike<number | bigint>,
      // text stays what it is, and is refused: a blank is no 0
      (value) => typeof value === "bigint" ? Number(value) : value,
    );
    const [samples, columns = 1, ...more] = array.shape as [number, number?, ...number[]];
    if (more.length > 0) {
      throw new UsageError(
        `Cannot run: ${from} is [${
          array.shape.join(", ")
        }], wanted [samples] or [samples, columns]`,
      );
    }
    if (array.shape.length === 1) return values;
    return Object.fromEntries(Array.from({ length: columns }, (_, column) => [
      `column ${column}`,
      Array.from({ length: samples }, (_, sample) => values[sample * columns + column]!),
    ]));
  } finally {
    await array.close();
  }
}

/** Names of what a kind may be told. */
function choicesOf(kind: string): string[] {
  const { options } = kind === "logistic"
    ? logisticOptions
    : kind === "mass_mean"
    ? massMeanOptions
    : createTrained(kind as TrainedName, {}).kind;
  return Object.keys(options);
}

/** What was given of what a kind may be told; what no kind may be told is refused. */
function kindOptions(line: CommandLine, kinds: readonly string[]): Record<string, unknown>[] {
  const given = line.given(kindChoices);
  const values = Object.entries(line.read(kindChoices)).map(([name, value]) => ({
    name,
    value,
    flag: flagOf(name, kindChoices[name as keyof typeof kindChoices]),
  })).filter(({ flag }) => given.includes(flag));
  const stray = values.find(({ name }) => !kinds.some((kind) => choicesOf(kind).includes(name)));
  if (stray) {
    throw new UsageError(
      `Cannot run: --${stray.flag} is given, which probes of kind ${kinds.join(", ")} do not have`,
    );
  }
  return kinds.map((kind) =>
    Object.fromEntries(
      values.filter(({ name }) => choicesOf(kind).includes(name))
        .map(({ name, value }) => [name, value]),
    )
  );
}

function kindsOf(line: CommandLine): readonly string[] {
  const kinds = line.read(probeSections.Probe).kind ?? ["logistic"];
  for (const kind of kinds) {
    if (SWEEP_KINDS.includes(kind)) continue;
    throw new UsageError(
      `Cannot run: there is no probe of kind "${kind}", ${wantedNames(kind, SWEEP_KINDS)}`,
    );
  }
  return kinds;
}

/** Opens a device for as long as it is used. */
async function withGpu(line: CommandLine, use: (gpu: Gpu) => Promise<void>): Promise<void> {
  const { budget } = line.read(probeSections["Output and memory"]);
  const { adapter } = line.read(common);
  const gpu = await openGpu({
    ...(budget !== undefined && { budget }),
    ...(adapter && { adapter }),
  });
  try {
    await use(gpu);
  } finally {
    gpu.close();
  }
}

async function fit(line: CommandLine, signal: AbortSignal, data: ProbeData): Promise<void> {
  const kinds = kindsOf(line);
  const [kind] = kinds as [string];
  if (kinds.length > 1) {
    throw new UsageError(
      `Cannot run: --kind has ${kinds.join(", ")}, wanted one (sluice probe sweep takes several)`,
    );
  }
  const labels = await readLabels(line, signal);
  const { out, overwrite = false, tileRows } = line.read(probeSections["Output and memory"]);
  const choices = { out: out!, overwrite, ...(tileRows !== undefined && { tileRows }) };
  const [options] = kindOptions(line, kinds) as [Record<string, unknown>];
  const [job, more] = sweepJobs({ kind, options }, 1);
  ProbeData.refusePool(line, [job!.takes], `a probe of kind "${kind}"`);
  if (more) {
    throw new UsageError(
      "Cannot run: an option has several values, wanted one (sluice probe sweep tries all)",
    );
  }
  await withGpu(line, async (gpu) => {
    const samples = await data.only(job!.takes, kind, gpu, { signal });
    if (kind === "logistic" || kind === "mass_mean") {
      const model = kind === "logistic"
        ? new LogisticProbe(logisticOptions.check(options as object))
        : new MassMeanProbe(options as object);
      const result = await runPlan(
        line,
        signal,
        model.fit(gpu, samples as ChunkedArray, labels, choices),
      );
      const probes = result.probes.map((one, i) =>
        one && {
          label: one.label,
          c: one.c,
          loss: one.loss,
          distance: one.distance,
          gradientNorm: one.gradientNorm,
          converged: one.converged,
          reason: result.reasons[i],
        }
      );
      tell(
        line,
        result,
        { out, kind, probes, reasons: result.reasons, adapter: gpu.adapter.name },
        [
          ...result.probes.map((one, i) =>
            one
              ? kind === "logistic"
                ? `${one.label}, c ${one.c}: loss ${one.loss.toPrecision(5)}, at most ` +
                  `${one.distance.toExponential(1)} from the optimum`
                : `${one.label}: from the mean of the negatives to that of the positives, midway at 0`
              : `no probe: ${result.reasons[i]}`
          ),
        ],
      );
      return;
    }
    const model = createTrained(kind as TrainedName, job!.members[0]!);
    const result = await runPlan(line, signal, model.fit(gpu, samples, labels, choices));
    const probes = result.probes.map((one) =>
      one && { label: one.label, epochs: one.epochs, bestEpoch: one.bestEpoch }
    );
    tell(line, result, { out, kind, probes, reasons: result.reasons, adapter: gpu.adapter.name }, [
      ...result.probes.map((one, i) =>
        one
          ? `${one.label}: ${one.epochs} epochs, the parameters of epoch ${one.bestEpoch}`
          : `no probe: ${result.reasons[i]}`
      ),
    ]);
  });
}

async function sweep(line: CommandLine, signal: AbortSignal, data: ProbeData): Promise<void> {
  const kinds = kindsOf(line);
  const labels = await readLabels(line, signal);
  const { testShare, seed } = line.read(probeSections.Probe);
  const { out, overwrite = false } = line.read(probeSections["Output and memory"]);
  const { json, quiet = false } = line.read(common);
  const options = kindOptions(line, kinds);
  const takes = kinds.map((kind) => sweepJobs({ kind }, 1)[0]!.takes);
  ProbeData.refusePool(line, takes, `each of ${kinds.join(", ")}`);
  const printer = new ProgressPrinter(quiet);
  await withGpu(line, async (gpu) => {
    const sweep = new ProbeSweep(gpu, {
      layers: data.layers,
      labels,
      probes: kinds.map((kind, i) => ({ kind, options: options[i]! })),
    }, {
      overwrite,
      ...(out !== undefined && { out }),
      ...(testShare !== undefined && { testShare }),
      ...(seed !== undefined && { seed }),
    });
    if (!quiet) process.stderr.write(`${printable(sweep.explain())}\n`);
    const result = await sweep.run({ signal, onProgress: printer.show })
      .finally(() => printer.end());
    const report = out === undefined ? undefined : join(out, "report.html");
    if (report !== undefined) {
      await writeFile(report, drawSweep(result, line.text("acts") ?? line.text("features") ?? ""));
    }
    console.log(
      json
        ? printableJson({
          ...factsOf(result),
          ...(report && { report }),
          adapter: gpu.adapter.name,
        })
        : printable(`${formatSweep(result)}${report ? `\n${report}: to look at` : ""}`),
    );
  });
}

function factsOf({ rows, test }: SweepResult) {
  return { rows, testSamples: test.length };
}

async function predict(
  line: CommandLine,
  signal: AbortSignal,
  data: ProbeData,
  from: string,
): Promise<void> {
  const found: OpenedResult = await open(from);
  try {
    if (found.kind !== "probe") {
      throw new UsageError(`Cannot predict with ${from}: it holds ${found.kind}, wanted a probe`);
    }
    const { model } = found;
    const { out, overwrite = false, tileRows } = line.read(probeSections["Output and memory"]);
    const choices = { out: out!, overwrite, ...(tileRows !== undefined && { tileRows }) };
    const takes = "kind" in model ? model.kind.takes : "features";
    ProbeData.refusePool(line, [takes], `the probe in ${from}`);
    await withGpu(line, async (gpu) => {
      const samples = await data.only(takes, takes, gpu, { signal });
      const plan = "kind" in model
        ? model.predict(gpu, samples, choices)
        : model.predict(gpu, samples as ChunkedArray, choices);
      const result = await runPlan(
        line,
        signal,
        plan as Plan<Measured & { close(): Promise<void> }>,
      );
      const count = "offsets" in samples ? samples.offsets.length - 1 : samples.shape[0]!;
      tell(line, result, { out, samples: count, adapter: gpu.adapter.name }, [
        `${out}: logits of ${count} samples by ${from}`,
      ]);
      await result.close();
    });
  } finally {
    await found.close();
  }
}
