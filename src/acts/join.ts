/**
 * Activations after those of others, as if they were of one source.
 *
 * @module
 */

import type { DescribedActs } from "./described.ts";
import type { ActsOp } from "./graph.ts";
import type { ActsSource } from "./source.ts";
import { joinSources, viewOf } from "./source.ts";

/**
 * Samples of all of them, and what is still to be done: choices of layers and samples are those of each.
 *
 * @throws {RangeError} If they differ in layers, type, producer or hook point, in what is to be done with
 * them, or if a sample id comes twice.
 */
export function joinActs(
  all: readonly DescribedActs[],
): { source: ActsSource; ops: readonly ActsOp[] } {
  const works = all.map((acts) => acts.work("join activations"));
  const rest = ({ ops }: DescribedActs) =>
    ops.filter(({ kind }) => kind !== "selectLayers" && kind !== "sliceBatch");
  const [first] = all as [DescribedActs];
  const wanted = JSON.stringify(rest(first));
  const other = all.findIndex((acts) => JSON.stringify(rest(acts)) !== wanted);
  if (other >= 0) {
    throw new RangeError(
      `Cannot join activations: what is to be done with those of position ${other} differs from that of ` +
        "the first, wanted the same; realize() or cache() them first",
    );
  }
  const views = works.map(({ source, graph: { samples, planes } }, i) => {
    // one layer alone is no axis
    const isOne = all[i]!.ops.some((op) =>
      op.kind === "selectLayers" && typeof op.layers === "number"
    );
    return viewOf(source, samples, planes, { hasLayers: !isOne && source.layers !== undefined });
  });
  return { source: joinSources(views), ops: rest(first) };
}
