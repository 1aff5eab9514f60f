/**
 * Chooses how a transition is applied: as convolutions, as the tiles of a sparse matrix or as a dense
 * one, whichever can express the model and is counted to cost least.
 *
 * @module
 */

import { formatBytes, formatCount } from "../../math/format.ts";
import { GUARANTEED_BINDING_BYTES } from "./dense_transition.ts";
import type { GeneralTransitionOptions } from "./general_transition.ts";
import { generalTransition } from "./general_transition.ts";
import type { Grid } from "../grid.ts";
import { sparseMultiplyAdds } from "./sparse_transition.ts";
import type { StateModel } from "../states.ts";
import { transitionOperator } from "./transition.ts";

/** How a transition is applied. */
export type OperatorKind = "convolution" | "sparse" | "dense";

/** A way to apply a transition, and what it takes. */
export interface OperatorCost {
  kind: OperatorKind;
  /** Multiply-adds of one application to one lane. */
  multiplyAdds: number;
  /** `multiplyAdds` times what one costs, and dispatches; only comparable between kinds. */
  cost: number;
}

/** What {@link chooseOperator} found. */
export interface OperatorChoice {
  kind: OperatorKind;
  /** One line for people. */
  reason: string;
  /** Every way that can express the model, the cheapest first. */
  costs: OperatorCost[];
}

/** Options of {@link chooseOperator}. */
export interface ChooseOperatorOptions extends GeneralTransitionOptions {
  /** Lanes of time that are advanced at once. Default 1. */
  lanes?: number;
  /** Largest binding of the device: tiles of a sparse matrix are one. Default 128 MiB. */
  bindingBytes?: number;
}

/**
 * What a multiply-add costs, in those of a convolution. Measured on SwiftShader, CPU time of both
 * cores: a convolution's 3 ns; a tile's 2.4 ns with 8 lanes and 8.5 ns with one, which reads the
 * matrix for itself; a dense one's 1.2 ns and 5 ns. See bench/multiply_sparse_bench.ts.
 */
const COSTS: Record<OperatorKind, { lane: number; lanes: number }> = {
  convolution: { lane: 1, lanes: 1 },
  sparse: { lane: 2.8, lanes: 0.8 },
  dense: { lane: 1.7, lanes: 0.4 },
};

/**
 * What a row's dispatches cost, which all lanes share: some 30 us each, where a convolution walks through
 * rows in one.
 */
const DISPATCH_COSTS: Record<OperatorKind, number> = {
  convolution: 0,
  sparse: 2 * 10_000,
  dense: 3 * 10_000,
};

/** From so many lanes on, what a matrix costs to read is shared. */
const MANY_LANES = 8;

/**
 * Counts what each operator that can express `model` takes, and names the cheapest. Rows of the
 * matrix are made and counted one by one; nothing is kept.
 *
 * @throws {RangeError} If a block cannot be built on this grid; see {@link blockRows}.
 */
export function chooseOperator(
  grid: Grid,
  model: StateModel,
  { lanes = 1, bindingBytes = GUARANTEED_BINDING_BYTES, ...sources }: ChooseOperatorOptions = {},
): OperatorChoice {
  const { bins, rows, columns, row } = generalTransition(grid, model, sources);
  const counts: [OperatorKind, number | string][] = [
    ["convolution", convolutionMultiplyAdds(grid, model)],
    ["sparse", sparseCount(sparseMultiplyAdds(bins, bins, row), bindingBytes)],
    ["dense", rows * columns],
  ];
  const share = Math.min(1, Math.log2(lanes) / Math.log2(MANY_LANES));
  const costs = counts.flatMap(([kind, multiplyAdds]) => {
    if (typeof multiplyAdds === "string") return [];
    const { lane, lanes: many } = COSTS[kind];
    const each = lane ** (1 - share) * many ** share;
    return [{ kind, multiplyAdds, cost: multiplyAdds * each + DISPATCH_COSTS[kind] / lanes }];
  }).sort((a, b) => a.cost - b.cost);
  const [chosen, ...others] = costs;
  const told = others.map(({ kind, multiplyAdds, cost }) =>
    `${kind} takes ${formatCount(multiplyAdds)}, ${ratio(cost, chosen!.cost)} the cost`
  );
  const refused = counts.flatMap(([, count]) => typeof count === "string" ? [count] : []);
  return {
    kind: chosen!.kind,
    reason: [
      `${chosen!.kind}: ${formatCount(chosen!.multiplyAdds)} multiply-adds a row`,
      ...told,
      ...refused,
    ].join("; "),
    costs,
  };
}

/** Their number, or why there are none. */
function convolutionMultiplyAdds(grid: Grid, model: StateModel): number | string {
  try {
    return transitionOperator(grid, model).multiplyAdds;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return `no convolution: ${error.message.replace(/^[^:]*: /, "")}`;
  }
}

/** The number, or why a device cannot hold the tiles; a few may serve as padding and be counted twice. */
function sparseCount(multiplyAdds: number, bindingBytes: number): number | string {
  const bytes = 4 * multiplyAdds;
  if (bytes <= bindingBytes) return multiplyAdds;
  return `no sparse: its tiles take up to ${formatBytes(bytes)}, a binding holds ` +
    formatBytes(bindingBytes);
}

function ratio(cost: number, least: number): string {
  const times = least > 0 ? cost / least : cost > 0 ? Infinity : 1;
  return `${times < 10 ? times.toFixed(1) : formatCount(Math.round(times))} times`;
}
