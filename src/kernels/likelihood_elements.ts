/**
 * How kernels of log-likelihoods go through their elements: a thread an element.
 *
 * @module
 */

import { foldWorkgroups } from "../gpu/kernel.ts";

const WORKGROUP = 256;

export const likelihoodConstants: Record<string, number> = { WORKGROUP };

/** @param genes Elements of a row; those of Gaussians have no use for it. */
export function likelihoodParams(elements: number, genes = 0): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(elements, genes, 0, 0);
}

export function likelihoodWorkgroups(elements: number): [number, number] {
  return foldWorkgroups(Math.ceil(elements / WORKGROUP));
}
