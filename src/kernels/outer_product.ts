/**
 * Code of the kernels that add up products of 8 numbers with 8 others. See
 * `shaders/shared/outer_product.wgsl`.
 *
 * @module
 */

import outerProduct from "../../shaders/shared/outer_product.wgsl?raw" with { type: "text" };
import runByQuad from "../../shaders/shared/run_by_quad.wgsl?raw" with { type: "text" };
import runEach from "../../shaders/shared/run_each.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

// on the first line, so that those that follow keep their numbers. Threads leave a kernel by whole quads,
// which compilers cannot see
const SUBGROUPS = "enable subgroups; diagnostic(off, subgroup_uniformity); ";

/** A kernel's code, with what it uses appended. */
export function withProducts(code: string): Pick<KernelSpec, "code" | "quadCode"> {
  return {
    code: [code, outerProduct, runEach].join("\n"),
    quadCode: SUBGROUPS + [code, outerProduct, runByQuad].join("\n"),
  };
}
