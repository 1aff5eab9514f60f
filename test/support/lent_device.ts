/** What commands have in place of src/gpu/device.ts where tests run them: vite.config.ts. */

export * from "../../src/gpu/device.ts";
export { lendGpu as openGpu } from "./gpu.ts";
