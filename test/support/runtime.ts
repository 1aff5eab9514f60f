/** The runtime that a test runs in. */

export type Runtime = "node" | "deno" | "chromium";

export const runtime: Runtime = "Deno" in globalThis
  ? "deno"
  : typeof document === "undefined"
  ? "node"
  : "chromium";
