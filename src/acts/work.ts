/**
 * What is to be done: a graph, the source that it is of, and the arrays that it makes.
 *
 * @module
 */

import type { ActsGraph } from "./graph.ts";
import { isWide } from "./graph.ts";
import type { Selection } from "./selection.ts";
import type { ActsSource } from "./source.ts";

/** An array of the result, and the planes that it is made of. */
export interface ActsOutput {
  name: string;
  /** Position of its planes in the source. */
  planes: readonly number[];
}

/** What passes of activations share. */
export interface ActsWork {
  readonly source: ActsSource;
  readonly graph: ActsGraph;
  readonly selection: Selection;
}

/** Arrays of a result, each of a layer, or of all. */
export function outputsOf(source: ActsSource, graph: ActsGraph): ActsOutput[] {
  if (isWide(graph) || !source.layers) return [{ name: "values", planes: graph.planes }];
  return graph.planes.map((plane) => ({
    name: layerName(source.layers![plane]!),
    planes: [plane],
  }));
}

/** What the array of a layer is called. */
export function layerName(layer: number): string {
  return layer === -1 ? "embeddings" : `layer_${layer}`;
}

/** Channels of a row that the device pools: of all layers that are not pooled before. */
export function pooledWidth({ source, graph }: ActsWork, { planes }: ActsOutput): number {
  const isOne = graph.before.some(({ kind }) => kind === "layers");
  return source.hidden * (isOne ? 1 : planes.length);
}
