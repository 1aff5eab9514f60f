/**
 * `sluice acts`.
 *
 * @module
 */

import process from "node:process";
import type { Acts } from "../acts/acts.ts";
import { load } from "../acts/load.ts";
import type { LayerNorms } from "../acts/norms.ts";
import { LONG, tokenNorms } from "../acts/norms.ts";
import { emaOptions, loadOptions, rollingOptions } from "../acts/options.ts";
import { gpuOptions } from "../gpu/device.ts";
import { formatTable, printable, printableJson } from "../math/format.ts";
import { numbers, oneOf, place, whole } from "../options.ts";
import { outputChoices, planChoices } from "../stream/choices.ts";
import { openGpu } from "./open_gpu.ts";
import { ProgressPrinter } from "./progress.ts";
import type { CommandContext } from "./usage.ts";
import { actionOf, CommandLine, common, helpOf, inputChoices, UsageError } from "./usage.ts";

const ACTIONS = ["info", "pool", "cache"] as const;
const POOLS = ["mean", "max", "sum", "last", "ema", "rolling"] as const;

export const actsSections = {
  Input: {
    layers: numbers({
      takes: "L[,L]",
      otherwise: "all",
      says: "layers, as --layers=-1,4: outputs of blocks from 0, -1 the embeddings",
    }),
    dtype: loadOptions.options.dtype,
    unfinished: loadOptions.options.unfinished,
    tokens: whole({
      default: 100_000,
      from: 1,
      says: "for info: tokens of each layer that are looked at, about",
    }),
  },
  Pool: {
    pool: oneOf(POOLS, { default: "mean", says: "what becomes of the tokens of a sample" }),
    ...emaOptions.options,
    ...rollingOptions.options,
  },
  "Output and memory": {
    out: place({
      otherwise: "needed for pool and cache",
      says: "for pool: zarr group of the result; for cache: folder where it is found again",
    }),
    overwrite: outputChoices.overwrite,
    budget: gpuOptions.options.budget,
    tileRows: planChoices.tileRows,
  },
};

export const actsHelp = `Usage: sluice acts info|pool|cache ACTS [options]

Activations of a language model: what they are and how long their tokens are (info), and what the tokens of
each sample are pooled to, layer by layer (pool, cache). ACTS is what acts pool or save() stored, an .h5 file
or a memmap folder of probelab, a folder of saev, .safetensors or .safetensors.index.json, or a folder of
vLLM's requests.

${helpOf(actsSections)}`;

export async function acts({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, actsSections, { positionals: 2 });
  const action = actionOf(line, ACTIONS, "sluice acts info ACTS");
  const [, from] = line.positionals;
  if (from === undefined) {
    throw new UsageError(`Cannot run: ACTS is missing, wanted sluice acts ${action} ACTS`);
  }
  const { out } = line.read(actsSections["Output and memory"]);
  if (action !== "info") line.need(["out"]);
  const { dtype, unfinished, tokens = 100_000 } = line.read(actsSections.Input);
  const layers = layersOf(line.text("layers"));
  const all = await load(from, {
    ...inputChoices(line, signal),
    ...(dtype && { dtype }),
    ...(unfinished && { unfinished }),
  });
  try {
    const chosen = layers ? all.selectLayers(layers) : all;
    if (action === "info") await info(line, from, chosen, tokens, signal);
    else await pool(line, from, chosen, { isCache: action === "cache", out: out! }, signal);
  } finally {
    await all.close();
  }
}

export function layersOf(text: string | undefined): number[] | undefined {
  const layers = text?.split(",").map((part) => part.trim() === "" ? NaN : Number(part));
  if (layers?.every((layer) => Number.isInteger(layer) && layer >= -1) ?? true) return layers;
  throw new UsageError(
    `Cannot read --layers: got "${text}", wanted whole numbers from -1 with commas between, as 0,4`,
  );
}

async function info(
  line: CommandLine,
  from: string,
  acts: Acts,
  tokens: number,
  signal: AbortSignal,
): Promise<void> {
  const norms = await tokenNorms(acts, tokens, { signal });
  const { dims, dtype, hidden, samples, layers, facts, tokenCount } = acts;
  if (line.read(common).json) {
    console.log(printableJson({
      ...{ acts: from, dims, dtype, hidden, samples, layers: layers ?? null, tokens: tokenCount },
      ...{ ...facts, norms },
    }));
    return;
  }
  const known = [
    facts.producer && `made by ${facts.producer}`,
    facts.hookPoint && `at ${facts.hookPoint}`,
    facts.collected && `collected ${facts.collected}`,
    facts.afterFinalNorm && `after the final norm: layers ${facts.afterFinalNorm.join(", ")}`,
  ].filter((words) => words !== undefined);
  console.log(printable([
    `${from}: ${dims}, ${samples} samples, ${tokenCount} ${
      dims.includes("s") ? "tokens" : "rows"
    }` +
    `${layers ? `, layers ${layers.join(", ")}` : ""}, ${hidden} channels of ${dtype}`,
    ...known,
    describeNorms(norms),
  ].join("\n")));
}

function describeNorms(norms: readonly LayerNorms[]): string {
  const digits = (value: number) => value.toPrecision(4);
  const head = [
    "layer",
    "rows seen",
    "least",
    "median",
    "mean",
    "largest",
    `over ${LONG} medians`,
    "not finite",
  ];
  const rows = norms.map((own) => [
    own.layer === undefined ? "" : String(own.layer),
    String(own.rows),
    ...[own.least, own.median, own.mean, own.most].map(digits),
    `${(100 * own.longShare).toFixed(2)} %${
      own.long > 0 ? `, ${own.longFirst} of ${own.long} first tokens` : ""
    }`,
    String(own.notFinite),
  ]);
  return formatTable([head, ...rows]);
}

async function pool(
  line: CommandLine,
  from: string,
  acts: Acts,
  { isCache, out }: { isCache: boolean; out: string },
  signal: AbortSignal,
): Promise<void> {
  const pooled = poolOf(line, acts);
  const { overwrite = false, tileRows, budget } = line.read(actsSections["Output and memory"]);
  const { json, quiet = false, adapter } = line.read(common);
  const printer = new ProgressPrinter(quiet);
  const gpu = await openGpu({
    ...(budget !== undefined && { budget }),
    ...(adapter && { adapter }),
  });
  try {
    if (!quiet) process.stderr.write(`${printable(pooled.explain())}\n`);
    const options = {
      ...{ signal, overwrite, onProgress: printer.show },
      ...(tileRows !== undefined && { tileRows }),
    };
    const stored = isCache
      ? await pooled.cache(gpu, out, options)
      : await pooled.save(gpu, out, options);
    printer.end();
    const { dims, dtype, hidden, samples, layers, place } = stored;
    const { bytesRead } = acts;
    const facts = { out: place, dims, dtype, hidden, samples, layers: layers ?? null, bytesRead };
    const shown = `${place}: ${dims} of ${samples} samples${
      layers ? `, layers ${layers.join(", ")}` : ""
    }, ${hidden} channels of ${dtype}, of ${from}`;
    console.log(json ? printableJson({ ...facts, adapter: gpu.adapter.name }) : printable(shown));
    await stored.close();
  } finally {
    printer.end();
    gpu.close();
  }
}

export function poolOf(line: CommandLine, acts: Acts): Acts {
  const { pool = "mean", alpha, window, ends } = line.read(actsSections.Pool);
  for (
    const [name, owner] of [["alpha", "ema"], ["window", "rolling"], ["ends", "rolling"]] as const
  ) {
    if (line.text(name) !== undefined && pool !== owner) {
      throw new UsageError(`Cannot run: --${name} is given, --pool is ${pool}, wanted ${owner}`);
    }
  }
  switch (pool) {
    case "mean":
      return acts.meanPool();
    case "max":
      return acts.maxPool();
    case "sum":
      return acts.sumPool();
    case "last":
      return acts.lastPool();
    case "ema":
      return acts.ema(alpha === undefined ? {} : { alpha });
    case "rolling":
      return acts.rolling({ ...(window !== undefined && { window }), ...(ends && { ends }) });
  }
}
