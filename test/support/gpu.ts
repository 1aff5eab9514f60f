/** One GPU for a test file. Without an adapter the file fails: it never skips. */

import { afterAll, beforeAll } from "vitest";
import type { Gpu, OpenGpuOptions } from "../../src/gpu/device.ts";
import { openGpu } from "../../src/gpu/device.ts";

export function useGpu(options: OpenGpuOptions = { budget: "256 MiB" }): () => Gpu {
  let gpu: Gpu | undefined;
  beforeAll(async () => {
    gpu = await openGpu(options);
  });
  afterAll(() => gpu?.close());
  return () => gpu!;
}
