/**
 * Memory of this process, as the system saw it.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import process from "node:process";

/**
 * Most bytes that were resident at a time; software adapters keep GPU memory in them. What
 * `resourceUsage()` tells is, on Linux, at least what the process had that started this one.
 */
export function peakResidentBytes(): number {
  try {
    const [, kilobytes] = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))!;
    return 1024 * Number(kilobytes);
  } catch {
    return 1024 * process.resourceUsage().maxRSS;
  }
}
