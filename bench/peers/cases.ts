/** What the peers are measured at. */

import type { PeerCase } from "./case.ts";
import { assignCase, clusters, stepCase } from "./clusters.ts";
import { covarianceCase, flatCase, projectionCase } from "./components.ts";
import { hmmCase, matmulCase } from "./decode.ts";
import { gatherCase } from "./windows.ts";

/** @param scale How many times the rows that a software adapter is given. */
export function peerCases(scale = 1): PeerCase[] {
  const points = clusters(2048 * scale, 64, 512);
  return [
    assignCase(points),
    stepCase(points),
    projectionCase(2048 * scale, 512, 32),
    covarianceCase(2048 * scale, 192),
    flatCase(2048 * scale, 64, 8),
    matmulCase(1024, 16),
    gatherCase(4096 * Math.min(16, scale), 256, 30, 287),
    hmmCase(scale > 1 ? 73 : 32, 16),
  ];
}
