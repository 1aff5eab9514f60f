/**
 * Layers of the nets of a perturbation model.
 *
 * @module
 */

import type { ClassLosses, Section } from "../net/net.ts";
import { Net } from "../net/net.ts";
import type { Value } from "../net/value.ts";
import { ENTERED } from "./gene_kernels.ts";
import type { ModelShape, Stack } from "./model_shape.ts";
import { BATCH_NORM, classifiersOf } from "./model_shape.ts";

/** Groups of parameters that have rates of their own, in `body`; `head` has the first, `adversary` the first two. */
export const GROUPS = { trained: 0, statistics: 1, doser: 2 } as const;

/** f32 of a cell, how far its variational latents are from normal ones: a buffer to be downloaded. */
export const CELL_DIVERGENCES = "cell divergences";

/** A value of a part of a batch, and of all of it. */
export interface PartAndWhole {
  part: Value;
  whole: Value;
}

export interface EncoderLayers {
  /** What the first layer makes. */
  first: PartAndWhole;
  /** From there to what latents are made of. */
  inner: Section;
  basal: Value;
}

/** @param sparse Whether what is entered is mostly 0. */
export function encoderLayers(
  body: Net,
  entry: Net,
  shape: ModelShape,
  sparse: boolean,
): EncoderLayers {
  const { encoder, genes, latent } = shape;
  const [to, ...later] = encoder.widths;
  const entered = entry.given(ENTERED, { axis: "samples", width: genes });
  const part = entry.linear(entered, { name: "encoder.0", to: to!, sparse });
  const isNormed = encoder.batchNorm || encoder.layerNorm;
  const whole = body.gather(part, { name: "encoder.0", ...isNormed ? {} : endingOf(encoder) });
  const { made: encoded, section: inner } = body.section(() =>
    later.reduce(
      (values, width, i) => layer(body, `encoder.${i + 1}`, values, width, encoder),
      norms(body, "encoder.0", whole, encoder),
    )
  );
  const mean = body.linear(encoded, { name: "encoder.z", to: latent });
  if (!shape.variational) return { first: { part, whole }, inner, basal: mean };
  const spread = body.linear(encoded, { name: "encoder.variance", to: latent });
  const divergences = CELL_DIVERGENCES;
  const basal = body.sample(mean, spread, { name: "basal", divergences });
  return { first: { part, whole }, inner, basal };
}

/** Latents with embeddings of those kinds added to basal ones: see `KIND_BITS`. */
export function embedded(
  body: Net,
  basal: Value,
  shape: ModelShape,
  { name, kinds, entries }: { name: string; kinds: number; entries: number },
): Value {
  return body.embed(basal, {
    ...{ name, kinds, entries },
    tables: [
      { name: "perturbations", rows: shape.perturbations },
      ...shape.covariates.map(({ name, levels }) => ({
        name: `covariate ${name}`,
        rows: levels,
      })),
    ],
    ...shape.doser !== "linear" && { doser: { name: "doser", group: GROUPS.doser } },
  });
}

/** From the decoder's last layer but one to every gene. */
export function headLayers(
  head: Net,
  hidden: Value,
  shape: ModelShape,
): { means: Value; others: Value | undefined } {
  // its likelihood takes them from the first element on
  if (shape.head !== "gauss") head.parameter("dispersions", [shape.genes]);
  const means = head.linear(hidden, { name: "decoder.mean", to: shape.genes });
  if (shape.head === "nb") return { means, others: undefined };
  const name = shape.head === "zinb" ? "decoder.zeros" : "decoder.variance";
  return { means, others: head.linear(hidden, { name, to: shape.genes }) };
}

/** Classifiers that training is against. */
export interface AdversaryOptions {
  /** Of classes, by classifier. */
  weights: Record<string, ArrayLike<number>>;
  penalty: number;
  /** Whether covariates of mixed cells count as those of both. */
  mixesCovariates: boolean;
  /** Whether cells count less the better their class is known. Default false. */
  focal?: boolean;
}

export function adversaryNet(
  basal: Value,
  shape: ModelShape,
  cells: number,
  seed: number,
  { weights, penalty, mixesCovariates, focal = false }: AdversaryOptions,
): { net: Net; classLosses: ClassLosses[] } {
  const net = new Net({ nets: 1, samples: cells, name: "adversary", seeds: [seed] });
  const classLosses = classifiersOf(shape).map(({ name, classes }) => {
    const inner = stack(net, `adversary ${name}`, basal, shape.adversary);
    const logits = net.linear(inner, { name: `adversary ${name}.out`, to: classes });
    return net.classEntropy(logits, {
      weights: weights[name]!,
      classes: classesOf(name),
      mixes: name === "perturbations" || mixesCovariates,
      focal,
      penalty: { of: basal, weight: penalty },
    });
  });
  return { net, classLosses };
}

/** The upload with classes of a classifier. */
export function classesOf(classifier: string): string {
  return `classes of ${classifier}`;
}

/** Linear, batch norm, layer norm, ReLU and dropout, as often as there are widths. */
export function stack(net: Net, name: string, x: Value, layers: Stack): Value {
  return layers.widths.reduce((values, to, i) => layer(net, `${name}.${i}`, values, to, layers), x);
}

function layer(net: Net, name: string, x: Value, to: number, layers: Stack): Value {
  const isNormed = layers.batchNorm || layers.layerNorm;
  const made = net.linear(x, { name, to, ...isNormed ? {} : endingOf(layers) });
  return norms(net, name, made, layers);
}

/** With what ends a layer, where there is a norm. */
function norms(net: Net, name: string, x: Value, layers: Stack): Value {
  const { batchNorm, layerNorm } = layers;
  let made = x;
  if (batchNorm) {
    made = net.batchNorm(made, {
      name: `${name}.norm`,
      statisticsGroup: GROUPS.statistics,
      ...BATCH_NORM,
      ...layerNorm ? {} : endingOf(layers),
    });
  }
  if (!layerNorm) return made;
  return net.layerNorm(made, { name: `${name}.rows`, affine: false, ...endingOf(layers) });
}

const endingOf = ({ dropout }: Stack) => ({ activation: "relu", dropout }) as const;
