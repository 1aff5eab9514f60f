/** What the original computed of small cases in f64: see the README beside them. */

import { openArray, readAll } from "../../src/array/array.ts";
import type { Doser, Head, ModelShape } from "../../src/cpa/model_shape.ts";
import type { CellBatch, State } from "../reference/cpa_model.ts";
import { constant } from "../reference/differentiate.ts";
import { sharedFile, sharedJson } from "./shared_data.ts";

interface Entry {
  name: string;
  shape: number[];
  offset: number;
}

interface Config {
  n_genes: number;
  n_perts: number;
  n_latent: number;
  recon_loss: Head;
  doser_type: "linear" | "sigm" | "logsigm";
  hidden_encoder: number;
  layers_encoder: number;
  hidden_decoder: number;
  layers_decoder: number;
  batch_norm: [boolean, boolean];
  layer_norm: [boolean, boolean];
  covariates: Record<string, number>;
  batch_key: string | null;
  lambda_: number[];
  class_weights: number[];
  n_conditions: number;
  plan: {
    n_hidden_adv: number;
    n_layers_adv: number;
    reg_adv: number;
    pen_adv: number;
    adv_steps: number;
  };
  steps: number;
}

export const GOLDEN_CASES = [
  "nb_bn_linear",
  "nb_ln_logsigm_mixup",
  "zinb_bn_sigm",
  "gauss_bn_ln",
  "nb_bn_mixup_default_shape",
] as const;

const GROUPS = [
  "params",
  "inputs",
  "forward",
  "grad_autoencoder",
  "grad_adversary",
  "bn_after_forward",
  "predict_eval",
  "custom_predict_nocov_nopert",
  "params_after_steps",
  "bn_after_steps",
];

/** Reads a case; every group once. */
export async function goldenCase(name: string) {
  const folder = `golden/perturbation/${name}`;
  const manifest = await sharedJson(`${folder}/manifest.json`) as Record<string, Entry[]>;
  const values = await Promise.all(
    GROUPS.map(async (group) =>
      await readAll(await openArray(await sharedFile(`${folder}/${group}.npy`))) as Float64Array
    ),
  );
  const read = (group: string, { shape, offset }: Entry) => {
    const length = shape.reduce((count, size) => count * size, 1);
    return { shape, values: values[GROUPS.indexOf(group)]!.subarray(offset, offset + length) };
  };
  const config = manifest.config as unknown as Config;
  return {
    config,
    shape: shapeOf(config),
    scalars: manifest.scalars as unknown as Record<string, number>,
    steps: manifest.steps as unknown as {
      recon_loss: number;
      adv_loss: number;
      penalty_adv: number;
    }[],
    has: (group: string, wanted: string) => manifest[group]!.some(({ name }) => name === wanted),
    get(group: string, wanted: string) {
      const entry = manifest[group]!.find(({ name }) => name === wanted);
      if (!entry) {
        throw new RangeError(`no ${wanted} among ${manifest[group]!.map(({ name }) => name)}`);
      }
      return read(group, entry);
    },
    /** Parameters, gradients or statistics by our names. */
    named(group: string): State {
      const found: State = new Map();
      for (const entry of manifest[group]!) {
        const own = ourName(entry.name, config);
        if (own === undefined) continue;
        const { shape, values } = read(group, entry);
        const columns = shape.at(-1) ?? 1;
        found.set(own, constant(values.length / columns, columns, values));
      }
      return found;
    },
  };
}

export type GoldenCase = Awaited<ReturnType<typeof goldenCase>>;

/** Parameters, and statistics as they are before the first batch. */
export function goldenState(golden: GoldenCase): State {
  const state = golden.named("params");
  for (const [name, { columns }] of golden.named("bn_after_forward")) {
    state.set(name, constant(1, columns, Array(columns).fill(Number(name.endsWith("var")))));
  }
  return state;
}

/** The batch: mixed with no other cell first, as the goldens' first forward, or as in one of the steps after it. */
export function goldenBatch(golden: GoldenCase, step = 0): CellBatch {
  const { config } = golden;
  const input = (name: string) => golden.get("inputs", name).values;
  const cells = input("condition").length;
  return {
    x: input("X"),
    ids: input("perts"),
    doses: input("perts_doses"),
    combinations: input("condition"),
    covariates: Object.fromEntries(
      Object.keys(config.covariates).map((name) => [name, input(name)]),
    ),
    partners: input("perms").subarray(step * cells, (step + 1) * cells),
    lambda: config.lambda_[step]!,
  };
}

export function goldenWeights({ config }: GoldenCase): Record<string, number[]> {
  return {
    // the original rounds them
    perturbations: config.class_weights.map(Math.fround),
    ...Object.fromEntries(
      Object.entries(config.covariates).map((
        [name, levels],
      ) => [`covariate ${name}`, Array(levels).fill(1)]),
    ),
  };
}

function shapeOf(config: Config): ModelShape {
  const dosers: Record<Config["doser_type"], Doser> = {
    linear: "linear",
    sigm: "sigmoid",
    logsigm: "logsigmoid",
  };
  const stack = (width: number, layers: number, part: 0 | 1) => ({
    widths: Array(layers).fill(width),
    batchNorm: config.batch_norm[part],
    layerNorm: config.layer_norm[part],
    dropout: 0,
  });
  const { plan } = config;
  return {
    genes: config.n_genes,
    latent: config.n_latent,
    head: config.recon_loss,
    doser: dosers[config.doser_type],
    encoder: stack(config.hidden_encoder, config.layers_encoder, 0),
    decoder: stack(config.hidden_decoder, config.layers_decoder, 1),
    perturbations: config.n_perts,
    combinations: config.n_conditions,
    covariates: Object.entries(config.covariates).map(([name, levels]) => ({
      name,
      levels,
      isBatch: name === config.batch_key,
    })),
    adversary: {
      widths: Array(plan.n_layers_adv).fill(plan.n_hidden_adv),
      ...{ batchNorm: true, layerNorm: false, dropout: 0 },
    },
  };
}

/** What is ours of the original's names; nothing where it does nothing. */
function ourName(name: string, { recon_loss, doser_type }: Config): string | undefined {
  const isIdle = name.includes("px_r_decoder") || name.includes("num_batches") ||
    (name.includes("px_dropout_decoder") && recon_loss !== "zinb") ||
    (name.includes("dosers") && doser_type === "linear") ||
    (name === "module.px_r" && recon_loss === "gauss");
  if (isIdle) return undefined;
  const parts: [RegExp, string][] = [
    [/^module\.px_r$/, "dispersions"],
    [/^module\.encoder\.network\.fc_layers/, "encoder"],
    [/^module\.encoder\.z/, "encoder.z"],
    [/^module\.decoder\.(px_decoder|encoder)\.fc_layers/, "decoder"],
    [/^module\.decoder\.(px_scale_decoder\.0|mean_encoder)/, "decoder.mean"],
    [/^module\.decoder\.var_encoder/, "decoder.variance"],
    [/^module\.decoder\.px_dropout_decoder/, "decoder.zeros"],
    [/^module\.pert_network\.pert_embedding\.weight/, "perturbations"],
    [/^module\.pert_network\.dosers/, "doser"],
    [/^module\.covars_embeddings\.(.*)\.weight/, "covariate $1"],
    [/^perturbation_classifier\.classifier\.0\.fc_layers/, "adversary perturbations"],
    [/^perturbation_classifier\.classifier\.1/, "adversary perturbations.out"],
    [/^covars_classifiers\.(\w+)\.classifier\.0\.fc_layers/, "adversary covariate $1"],
    [/^covars_classifiers\.(\w+)\.classifier\.1/, "adversary covariate $1.out"],
    [/\.Layer (\d+)\.0/, ".$1"],
    [/\.Layer (\d+)\.1/, ".$1.norm"],
  ];
  return parts.reduce((own, [from, to]) => own.replace(from, to), name);
}
