/** Decodes in a worker, as a page that may be hidden does. */

import { openGpu } from "../../src/gpu/device.ts";
import { contents, smallPlan } from "../support/small_decode.ts";

globalThis.onmessage = async ({ data: out }: MessageEvent<string>) => {
  try {
    const gpu = await openGpu({ budget: "64 MiB" });
    const result = await smallPlan(gpu, out).run();
    await result.close();
    gpu.close();
    globalThis.postMessage({ files: await contents(out) });
  } catch (error) {
    globalThis.postMessage({ error: String(error) });
  }
};
