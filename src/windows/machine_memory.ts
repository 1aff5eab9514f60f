/**
 * How much memory this machine has.
 *
 * @module
 */

/** Assumed where a runtime does not say. */
const UNKNOWN_BYTES = 4 * 2 ** 30;

/** Bytes of memory of the machine, or of what the process is confined to. */
export function machineMemoryBytes(): number {
  const { Deno, process, navigator } = globalThis as {
    Deno?: { systemMemoryInfo(): { total: number } };
    process?: {
      constrainedMemory?(): number;
      getBuiltinModule?(name: string): { totalmem(): number };
    };
    navigator?: { deviceMemory?: number };
  };
  if (Deno) return Deno.systemMemoryInfo().total;
  const total = process?.getBuiltinModule?.("os").totalmem();
  if (total !== undefined) {
    // 0, or more than there is, where the process is not confined
    const confined = process?.constrainedMemory?.() || Infinity;
    return Math.min(total, confined);
  }
  // GiB; browsers tell 8 at most
  return navigator?.deviceMemory === undefined ? UNKNOWN_BYTES : navigator.deviceMemory * 2 ** 30;
}
