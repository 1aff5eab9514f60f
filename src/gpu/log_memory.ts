/**
 * What memory is held, told at any moment of a program.
 *
 * @module
 */

import { formatBytes } from "../math/format.ts";
import type { Gpu } from "./device.ts";

export interface LoggedMemory {
  label: string;
  /** Of plans of this device: held now, and most that was held at a time since it was opened. */
  gpuBytes: number;
  gpuPeakBytes: number;
  hostBytes: number;
  hostPeakBytes: number;
  /** Of the whole process, as the system sees it; browsers do not tell. */
  residentBytes?: number;
}

/**
 * Prints what memory is held, and gives the numbers.
 *
 * @example
 * ```ts
 * logMemory("baseline", gpu);
 * await cpa.train(gpu, cells, table).run();
 * const { gpuPeakBytes } = logMemory("after training", gpu);
 * ```
 */
export function logMemory(label: string, gpu: Gpu): LoggedMemory {
  const { live, peak } = gpu.ledger;
  const { process } = globalThis as {
    process?: { memoryUsage?: () => { rss: number } };
  };
  const resident = process?.memoryUsage?.().rss;
  const memory = {
    label,
    ...{
      gpuBytes: live.gpu,
      gpuPeakBytes: peak.gpu,
      hostBytes: live.host,
      hostPeakBytes: peak.host,
    },
    ...resident !== undefined && { residentBytes: resident },
  };
  const of = (kind: "gpu" | "host") =>
    `${formatBytes(live[kind])} now, ${formatBytes(peak[kind])} at most`;
  const whole = resident === undefined ? "" : `; process ${formatBytes(resident)}`;
  console.log(`${label}: GPU ${of("gpu")}; host ${of("host")}${whole}`);
  return memory;
}
