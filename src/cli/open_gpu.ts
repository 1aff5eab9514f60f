/**
 * GPUs as commands open them: anew, or, where parts are run, once for all of them, with kernels that stay compiled.
 *
 * @module
 */

import { AsyncLocalStorage } from "node:async_hooks";
import process from "node:process";
import type { OpenGpuOptions } from "../gpu/device.ts";
import { Gpu, openGpu as openNew } from "../gpu/device.ts";
import { grantWarning } from "./granted_gpus.ts";

/** The GPU that is kept, and what it was opened with. */
interface Kept {
  /** In the place of the adapter that a command wants. */
  adapter: string | undefined;
  gpu?: Gpu | undefined;
  choices?: string;
}

const keeping = new AsyncLocalStorage<Kept>();

/** Opens a GPU, or hands out the one that is kept, if it was opened alike: to close that does nothing. */
export async function openGpu(options: OpenGpuOptions = {}): Promise<Gpu> {
  const kept = keeping.getStore();
  if (!kept) return await openNew(options);
  const { signal: _, ...own } = options;
  if (kept.adapter !== undefined) own.adapter = kept.adapter;
  const choices = JSON.stringify(own);
  if (kept.gpu === undefined || kept.choices !== choices) {
    release(kept);
    const gpu = await openNew({ ...options, ...own });
    gpu.close = () => {};
    const warning = gpu.adapter.software ? undefined : grantWarning();
    if (warning !== undefined) process.stderr.write(`warning: ${warning}\n`);
    Object.assign(kept, { gpu, choices });
  }
  return kept.gpu!;
}

/**
 * Makes what runs commands of others one after the other on one GPU, which is let go of when one fails.
 *
 * @param adapter In the place of the one that they name.
 * @returns `run`, and `close`, which lets go of the GPU.
 */
export function keepGpu(adapter?: string) {
  const kept: Kept = { adapter };
  return {
    run: async <Result>(command: () => Promise<Result>): Promise<Result> => {
      try {
        return await keeping.run(kept, command);
      } catch (error) {
        release(kept);
        throw error;
      }
    },
    close: () => release(kept),
  };
}

function release(kept: Kept): void {
  if (kept.gpu) Gpu.prototype.close.call(kept.gpu);
  kept.gpu = undefined;
}
