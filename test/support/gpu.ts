/** GPUs for test files. Without an adapter the file fails: it never skips. */

import { afterAll, beforeAll, expect } from "vitest";
import type { OpenGpuOptions } from "../../src/gpu/device.ts";
import { Gpu, openGpu } from "../../src/gpu/device.ts";
import { parseBytes } from "../../src/math/format.ts";

let shared: Gpu | undefined;

/** The one whose device and kernels all others have: kernels take longer to compile than most tests to run. */
async function share(): Promise<Gpu> {
  try {
    shared?.throwIfFailed();
  } catch {
    // closed or lost by a test
    shared = undefined;
  }
  return shared ??= await openGpu();
}

/**
 * A GPU with a budget and a ledger of its own, on the device and with the kernels of all that are lent. To close
 * it does nothing. A named adapter, and one that can be waited for in vain, is opened anew.
 */
export async function lendGpu(options: OpenGpuOptions = {}): Promise<Gpu> {
  const { budget = "1 GiB", ...others } = options;
  const lender = await share();
  if (Object.keys(others).length > 0) return await openGpu(options);
  const { gpu = "1 GiB", host = lender.budgetBytes.host } = typeof budget === "object"
    ? budget
    : { gpu: budget };
  const open = { device: lender.device, adapter: lender.adapter, release: () => {} };
  const lent = new Gpu(
    open,
    { gpu: parseBytes(gpu), host: parseBytes(host) },
    () => Promise.reject(new Error("what is lent is not opened again")),
  );
  lent.kernel = (spec, constants) => lender.kernel(spec, constants);
  lent.close = () => {};
  return lent;
}

/** A GPU for a file. */
export function useGpu(options: OpenGpuOptions = { budget: "256 MiB" }): () => Gpu {
  let gpu: Gpu | undefined;
  beforeAll(async () => {
    gpu = await lendGpu(options);
  });
  afterAll(() => {
    expect(gpu?.ledger.reserved ?? 0, "bytes that a file has not given back")
      .toEqual({ gpu: 0, host: 0, disk: 0 });
  });
  return () => gpu!;
}
