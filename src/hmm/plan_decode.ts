/**
 * A decode as a plan: with the way to apply its transition that costs least and fits.
 *
 * @module
 */

import { BudgetError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { Plan } from "../stream/plan.ts";
import type { PlanChoices, planChoices } from "../stream/choices.ts";
import { formatBytes } from "../math/format.ts";
import type { DecodeOptions, SampleChoices, ViterbiOptions } from "./decode_options.ts";
import type { DecodeResult } from "./decode_result.ts";
import type { DecodeParts, Operator } from "./decode_task.ts";
import { DecodeTask } from "./decode_task.ts";
import type { Expectation, ExpectationParts } from "./expectation_task.ts";
import { ExpectationTask } from "./expectation_task.ts";
import type { Grid } from "./grid.ts";
import type { Observation } from "./observation/observation.ts";
import type { SampledPaths } from "./sample_task.ts";
import { SampleTask } from "./sample_task.ts";
import { StateBins } from "./state_bins.ts";
import type { StateModel } from "./states.ts";
import { chooseOperator } from "./transition/choose_operator.ts";
import type { OperatorKind } from "./transition/choose_operator.ts";
import type { GeneralTransitionOptions } from "./transition/general_transition.ts";
import { matrixRecursion } from "./transition/matrix_recursion.ts";
import { pathTransition } from "./transition/path_transition.ts";
import type { Recursion } from "./transition/recursion.ts";
import { convolutionRecursion } from "./transition/recursion.ts";
import { transitionColumns } from "./transition/transition_columns.ts";
import type { ViterbiParts, ViterbiResult } from "./viterbi_task.ts";
import { ViterbiTask } from "./viterbi_task.ts";

/** What a decode works on, whichever way its transition is applied. */
export interface SmoothParts
  extends
    Omit<DecodeParts, "recursion" | "observation" | "operator" | "adapter" | "withOperator">,
    Pick<GeneralTransitionOptions, "positions" | "likelihoodOf"> {
  observationOf(recursion: Recursion): Observation;
}

/**
 * Plans filter and smoother.
 *
 * @throws {BudgetError} If no tile fits the budget, whichever way the transition is applied.
 */
export function planSmooth(
  gpu: Gpu,
  { observationOf, positions, likelihoodOf, ...parts }: SmoothParts,
  options: DecodeOptions,
): Plan<DecodeResult> {
  const { grid, model, lanes } = parts;
  const sources = { ...(positions && { positions }), ...(likelihoodOf && { likelihoodOf }) };
  const { operator: wanted = "auto" } = options;
  const operators: Operator[] = wanted === "auto"
    ? cheapest(grid, model, { ...sources, lanes: lanes.count })
    : [{ kind: wanted, reason: `${wanted}, as was asked for` }];
  const taskWith = (operator: Operator): DecodeTask => {
    const recursion = recursionOf(gpu, grid, model, operator.kind, sources);
    return new DecodeTask({
      ...parts,
      recursion,
      operator,
      observation: observationOf(recursion),
      adapter: gpu.adapter.name,
      withOperator(kind) {
        const other = operators.find((operator) => operator.kind === kind);
        return other && taskWith({ kind: other.kind, reason: `${kind}, as it was begun` });
      },
    }, options);
  };
  let refusal: BudgetError | undefined;
  for (const operator of operators) {
    const task = taskWith(operator);
    try {
      return new Plan(gpu, task, options);
    } catch (error) {
      if (!(error instanceof BudgetError)) throw error;
      // a smaller table may fit
      const { smallestBudgetBytes = Infinity } = refusal ?? {};
      if (error.smallestBudgetBytes < smallestBudgetBytes) refusal = error;
    }
  }
  throw refusal;
}

/**
 * Plans one step of a search for parameters: what is expected of them.
 *
 * @param place Where it is stored.
 * @throws {BudgetError} If no tile fits the budget.
 */
export function planExpectation(
  gpu: Gpu,
  { observationOf, positions, likelihoodOf, ...parts }: SmoothParts,
  { operator, counts, place, tellLocal, ...choices }:
    & Pick<ExpectationParts, "counts" | "place" | "tellLocal">
    & { operator: Operator }
    & PlanChoices,
): { plan: Plan<Expectation>; task: ExpectationTask } {
  const { grid, model } = parts;
  const sources = { ...(positions && { positions }), ...(likelihoodOf && { likelihoodOf }) };
  const recursion = recursionOf(gpu, grid, model, operator.kind, sources);
  const task = new ExpectationTask({
    ...{ ...parts, recursion, operator, counts, place, tellLocal },
    observation: observationOf(recursion),
    adapter: gpu.adapter.name,
  });
  return { plan: new Plan(gpu, task, choices), task };
}

/**
 * Plans paths that are drawn from the posterior of all rows together.
 *
 * @throws {BudgetError} If no tile fits the budget.
 * @throws {RangeError} If the transition, or what paths are weighed in, does not fit a binding.
 */
export function planSamples(
  gpu: Gpu,
  { observationOf, positions, likelihoodOf, ...parts }: SmoothParts,
  { samples, seed, out, overwrite, operator: wanted = "auto", ...choices }: SampleChoices,
): Plan<SampledPaths> {
  const { grid, model } = parts;
  const sources = { ...(positions && { positions }), ...(likelihoodOf && { likelihoodOf }) };
  const operator: Operator = wanted === "auto"
    ? cheapest(grid, model, { ...sources, lanes: 1 })[0]!
    : { kind: wanted, reason: `${wanted}, as was asked for` };
  const bins = new StateBins(grid, model);
  const bindingBytes = bindingBytesOf(gpu);
  const weights = 4 * samples * bins.count;
  if (weights > bindingBytes) {
    throw new RangeError(
      `Cannot plan samples: ${samples} paths are weighed in ${
        formatBytes(weights)
      }, a binding holds ` +
        `${formatBytes(bindingBytes)}, wanted at most ${
          Math.floor(bindingBytes / 4 / bins.count)
        } paths`,
    );
  }
  const recursion = recursionOf(gpu, grid, model, operator.kind, sources);
  const task = new SampleTask({
    ...{ ...parts, recursion, operator, samples, seed, out, overwrite },
    columns: transitionColumns(grid, model, bins, {
      bindingBytes,
      ...(positions && { positions }),
    }),
    observation: observationOf(recursion),
    adapter: gpu.adapter.name,
  });
  return new Plan(gpu, task, choices);
}

/** The largest buffer that kernels may read. */
function bindingBytesOf({ device: { limits } }: Gpu): number {
  return Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
}

/** What a path is sought in. */
export interface PathParts
  extends
    Omit<ViterbiParts, "bins" | "transition" | "adapter" | "out" | "overwrite">,
    Pick<GeneralTransitionOptions, "positions"> {
  grid: Grid;
  initialProbs?: ArrayLike<number> | undefined;
  /** Of the largest buffer that kernels read. Default: what the adapter has. */
  bindingBytes?: number;
}

/**
 * Plans the search for the likeliest path.
 *
 * @throws {BudgetError} If no tile fits the budget.
 * @throws {RangeError} If a bin leads to more others than a binding holds.
 */
export function planPath(
  gpu: Gpu,
  { grid, initialProbs, positions, bindingBytes = bindingBytesOf(gpu), ...parts }: PathParts,
  options: Pick<ViterbiOptions, "out" | "overwrite" | keyof typeof planChoices>,
): Plan<ViterbiResult> {
  const { model } = parts;
  const bins = new StateBins(grid, model);
  const transition = pathTransition(grid, model, bins, bins.initialProbs(model, initialProbs), {
    bindingBytes,
    ...(positions && { positions }),
  });
  const task = new ViterbiTask({
    ...parts,
    ...{ bins, transition },
    adapter: gpu.adapter.name,
    out: options.out,
    overwrite: options.overwrite,
  });
  return new Plan(gpu, task, options);
}

/** Ways to apply the transition, the best first. */
export function cheapest(
  grid: Grid,
  model: StateModel,
  sources: GeneralTransitionOptions & { lanes: number },
): Operator[] {
  const { reason, costs } = chooseOperator(grid, model, sources);
  return costs.map(({ kind }, i) => ({
    kind,
    reason: i === 0 ? reason : `${kind}, since others do not fit the budget`,
  }));
}

function recursionOf(
  gpu: Gpu,
  grid: Grid,
  model: StateModel,
  kind: OperatorKind,
  sources: GeneralTransitionOptions,
): Recursion {
  if (kind === "convolution") return convolutionRecursion(grid, model, sources.likelihoodOf);
  return matrixRecursion(grid, model, kind, {
    bindingBytes: bindingBytesOf(gpu),
    ...sources,
  });
}
