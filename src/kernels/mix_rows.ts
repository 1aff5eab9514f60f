/**
 * Makes rows dense that are mostly zero, and mixes them in pairs. See `shaders/mix_rows.wgsl`.
 *
 * @module
 */

import code from "../../shaders/mix_rows.wgsl?raw" with { type: "text" };
import logarithm from "../../shaders/shared/logarithm.wgsl?raw" with { type: "text" };
import packedEntries from "../../shaders/shared/packed_entries.wgsl?raw" with { type: "text" };
import workgroupSums from "../../shaders/shared/workgroup_sums.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";
import { ENTRY_FORMS } from "./densify_rows.ts";

export const mixRows: KernelSpec = {
  name: "mix_rows",
  code: [code, packedEntries, logarithm, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    starts: "read",
    entries: "read",
    partners: "read",
    mixed: "read_write",
    entered: "read_write",
    libraries: "read_write",
  },
};

/** @param log Whether what is entered is ln(1 + value). */
export function mixRowsConstants(
  form: typeof ENTRY_FORMS[number],
  log: boolean,
): Record<string, number> {
  return { LANES: 64, FORM: ENTRY_FORMS.indexOf(form), LOG: log ? 1 : 0 };
}
