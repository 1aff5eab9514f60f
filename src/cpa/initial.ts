/**
 * What a perturbation model begins with: as the original has it.
 *
 * @module
 */

import { Random } from "../math/random.ts";
import { constant, standardNormal, uniform } from "../net/initial.ts";
import type { Net } from "../net/net.ts";
import type { Parameter } from "../net/value.ts";

// keeps what parameters begin with apart from other draws of a seed
const STREAM = 0xc9b0;

/** `[stride]`, of one of the model's nets. */
export function initialParameters(
  net: Net,
  seed: number,
  index: number,
): Float32Array<ArrayBuffer> {
  const random = new Random(seed, STREAM + index);
  const values = net.parameters.flatMap((parameter) =>
    Array.from(begin(parameter, net.parameters, random))
  );
  return net.pack(values);
}

function begin(
  parameter: Parameter,
  all: readonly Parameter[],
  random: Random,
): Float32Array {
  const { name } = parameter;
  if (name.endsWith(".norm.weight") || name.endsWith("running_var") || name === "doser.beta") {
    return constant(parameter, 1);
  }
  const isZero = name.endsWith(".norm.bias") || name.endsWith("running_mean") ||
    name === "doser.bias";
  if (isZero) return constant(parameter, 0);
  const isLinear = name.endsWith(".weight") || name.endsWith(".bias");
  if (!isLinear) return standardNormal(parameter, random);
  const weight = all.find((own) => own.name === name.replace(/bias$/, "weight"))!;
  return uniform(parameter, random, 1 / Math.sqrt(weight.shape[1]!));
}
