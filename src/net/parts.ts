/**
 * Batches that are worked on in parts: what is as wide as genes is made for some rows at a time, what is narrow for all of them. Rows
 * are copied between the values of a part and those of the whole batch.
 *
 * @module
 */

import { netCopyRows } from "../kernels/net_elements.ts";
import type { LayerKernel } from "./layer.ts";
import { groupsOf } from "./layer.ts";
import { quadsOf } from "./value.ts";

/** How a batch is cut. */
export interface Parts {
  count: number;
  /** Rows of a part, but of the last. */
  rows: number;
}

export function cutParts(rows: number, most: number): Parts {
  const count = Math.ceil(rows / most);
  return { count, rows: Math.ceil(rows / count) };
}

/** Rows of a part to or from a buffer of the batch, `[samples, width]` of one net; a batch that is a part says where it lies in its own. */
export function copyRows(
  { part, whole, width }: { part: string; whole: string; width: number },
  direction: "to part" | "to whole",
): LayerKernel {
  const quads = quadsOf(width);
  const toPart = direction === "to part";
  return {
    kernel: netCopyRows,
    buffers: toPart ? { source: whole, copied: part } : { source: part, copied: whole },
    params: ({ samples, partStart }) => {
      const at = quads * partStart;
      return Uint32Array.of(quads * samples, toPart ? at : 0, toPart ? 0 : at);
    },
    workgroups: ({ samples }) => [groupsOf(quads * samples)],
  };
}
