/**
 * What a graph will read and make, in words.
 *
 * @module
 */

import { formatBytes } from "../math/format.ts";
import type { ActsGraph } from "./graph.ts";
import { hiddenOf, layersOf } from "./graph.ts";
import type { BytesToRead } from "./plane.ts";
import { bytesToRead } from "./plane.ts";
import type { Selection } from "./selection.ts";
import type { ActsSource } from "./source.ts";
import { TYPE_BYTES } from "./types.ts";

/** Bytes that a graph reads of its source, in all. */
export function readingOf(
  source: ActsSource,
  graph: ActsGraph,
  { map }: Pick<Selection, "map">,
): BytesToRead {
  const each = graph.planes.map((plane) => bytesToRead(source.planes[plane]!, map));
  return {
    needed: each.reduce((sum, { needed }) => sum + needed, 0),
    forced: each.reduce((sum, { forced }) => sum + forced, 0),
  };
}

/** A few lines for people. */
export function explainGraph(
  source: ActsSource,
  graph: ActsGraph,
  { map }: Pick<Selection, "map">,
): string {
  const { needed, forced } = readingOf(source, graph, { map });
  const rows = graph.tokens === undefined || graph.tokens.kind === "extract"
    ? map.rows
    : graph.samples.length;
  const layers = layersOf(source, graph);
  const hidden = hiddenOf(source, graph);
  const tokens = source.dims.includes("s") ? `, ${source.tokens!.offsets.at(-1)} tokens` : "";
  const all = source.planes.length * TYPE_BYTES[source.dtype] * source.hidden *
    source.planes[0]!.rows;
  const more = forced > needed
    ? `, of which chunks and layers that lie between force ${formatBytes(forced - needed)} ` +
      `(${(forced / Math.max(1, needed)).toFixed(2)} times what is needed)`
    : "";
  const bytes = rows * hidden * (layers?.length ?? 1) * TYPE_BYTES[graph.dtype];
  const flagged = source.facts.afterFinalNorm ?? [];
  const flags = flagged.length > 0 ? [`after the final norm: layers ${flagged.join(", ")}`] : [];
  return [
    `Acts "${source.name}": ${source.dims}, ${source.samples} samples${tokens}` +
    `${
      source.layers ? `, layers ${source.layers.join(", ")}` : ""
    }, ${source.hidden} channels of ` +
    `${source.dtype}, ${formatBytes(all)} (${all} B)`,
    ...flags,
    ...graph.notes.map((note) => `- ${note}`),
    `reads ${formatBytes(forced)} (${forced} B)${more}`,
    `makes ${graph.dims}: ${rows} rows x ${layers ? `${layers.length} layers x ` : ""}${hidden} ` +
    `channels of ${graph.dtype}, ${formatBytes(bytes)} (${bytes} B)`,
  ].join("\n");
}
