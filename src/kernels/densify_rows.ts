/**
 * Makes rows dense that are mostly zero. See `shaders/densify_rows.wgsl`.
 *
 * @module
 */

import code from "../../shaders/densify_rows.wgsl?raw" with { type: "text" };
import logarithm from "../../shaders/shared/logarithm.wgsl?raw" with { type: "text" };
import packedEntries from "../../shaders/shared/packed_entries.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { foldWorkgroups } from "../gpu/kernel.ts";

export const densifyRows: KernelSpec = {
  name: "densify_rows",
  code: [code, packedEntries, logarithm].join("\n"),
  bindings: { params: "uniform", starts: "read", entries: "read", dense: "read_write" },
};

const WORKGROUP = 256;

/** A count beside its gene in a word, a word for each, or a gene and an f32. */
export const ENTRY_FORMS = ["narrow", "wide", "float"] as const;

/** @param log Whether values become ln(1 + value). */
export function densifyRowsConstants(
  form: typeof ENTRY_FORMS[number],
  log: boolean,
): Record<string, number> {
  return { WORKGROUP, FORM: ENTRY_FORMS.indexOf(form), LOG: log ? 1 : 0 };
}

export function densifyRowsParams(
  from: number,
  to: number,
  genes: number,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(from, to, genes, 0);
}

/** A workgroup a row. */
export function densifyRowsWorkgroups(rows: number): [number, number] {
  return foldWorkgroups(rows);
}
