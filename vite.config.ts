import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import type { Plugin } from "vite";
import { defineConfig, type ViteUserConfig } from "vitest/config";
import type { BrowserConfigOptions, TestSpecification } from "vitest/node";
import { BaseSequencer } from "vitest/node";
import { playedRoutes } from "./test/support/played_routes.ts";
import { inlineWorkers, OWN_NAMES } from "./tools/web.ts";

// tools/test.mjs sets these; plain `npx vitest` is the Node suite
const runtime = process.env.SLUICE_RUNTIME ?? "node";
const long = process.env.SLUICE_LONG === "1";
const tier = process.env.SLUICE_TIER ?? "all";
const runtimes = (process.env.SLUICE_RUNTIMES ?? runtime).split(",");

const root = import.meta.dirname;
const sharedData = [process.env.SLUICE_DATA, path.join(root, "../shared")]
  .find((folder) => folder && existsSync(folder)) ?? "";

/** How long to wait for what only a busy machine delays. */
const PATIENCE_MS = 600_000;

// pages that are cross-origin isolated may use precise timers, as a real deployment would
const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

async function browser(): Promise<BrowserConfigOptions> {
  const { playwright } = await import("@vitest/browser-playwright");
  const { path: executablePath, args, env } = JSON.parse(process.env.SLUICE_BROWSER!);
  // an incognito context keeps private files in memory and drops large ones
  const profile = mkdtempSync(path.join(tmpdir(), "sluice-profile-"));
  process.once("exit", () => rmSync(profile, { recursive: true, force: true }));
  return {
    enabled: true,
    headless: true,
    screenshotFailures: false,
    connectTimeout: PATIENCE_MS,
    instances: [{ browser: "chromium" }],
    provider: playwright({
      launchOptions: {
        executablePath,
        args,
        env: { ...process.env, ...env },
        timeout: PATIENCE_MS,
      },
      persistentContext: profile,
    }),
  };
}

/** Begins what takes longest first, so that no worker is left with it at the end. */
class LongFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const long = /\/(linear_track|lanes|fuzz|cli|resume|decoder|xarray|operators|disk)_test\.ts$/;
    const rank = ({ moduleId }: TestSpecification) => long.test(moduleId) ? 0 : 1;
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

// commands that tests run within their process have the device and the kernels that the tests have
const lentDevices: Plugin = {
  name: "lent-devices",
  enforce: "pre",
  resolveId: (source, importer) =>
    source === "../gpu/device.ts" && importer?.startsWith(path.join(root, "src/cli/"))
      ? path.join(root, "test/support/lent_device.ts")
      : undefined,
};

export default defineConfig(async (): Promise<ViteUserConfig> => ({
  plugins: [inlineWorkers, playedRoutes(), ...(process.env.VITEST ? [lentDevices] : [])],
  resolve: { alias: OWN_NAMES },
  build: {
    outDir: "dist",
    target: "es2023",
    minify: false,
    sourcemap: true,
    lib: {
      entry: { sluice: "src/mod.ts", analysis: "src/analysis.ts", cli: "src/cli/main.ts" },
      formats: ["es"],
    },
    rollupOptions: {
      // how long plugins take is nobody's concern
      checks: { pluginTimings: false },
      external: [
        /^node:/,
        "webgpu",
        "aws4fetch",
        "bullmq",
        "h5wasm",
        /^hyparquet/,
        "ioredis",
        /^numcodecs/,
      ],
      output: { chunkFileNames: "[name]-[hash].js" },
    },
  },
  worker: { format: "es" },
  server: { headers: isolation, fs: { allow: [root, ...(sharedData ? [sharedData] : [])] } },
  optimizeDeps: {
    exclude: ["webgpu"],
    include: [
      "zarrita",
      "numcodecs/zstd",
      "aws4fetch",
      "h5wasm",
      "hyparquet",
      "hyparquet-compressors",
    ],
  },
  test: {
    include: [long ? "test/long/**/*_test.ts" : "test/**/*_test.ts"],
    exclude: [
      ...(long ? [] : ["test/long/**"]),
      runtime === "chromium" ? "test/node/**" : "test/browser/**",
    ],
    provide: {
      sharedData,
      resultsFolder: path.join(root, "test-results", runtime),
      tier,
      runtimes,
    },
    setupFiles: ["test/support/tier_setup.ts"],
    // to load the package anew for every file would take half as long as the tests; a file that replaces
    // modules resets them, before and after
    isolate: false,
    // tests that one loop makes are told by it
    includeTaskLocation: true,
    sequence: { sequencer: LongFilesFirst },
    // tests wait for the device at times, but each worker compiles the kernels anew
    maxWorkers: long || runtime === "chromium" ? 1 : 2,
    // no test fails because the machine has other work
    testTimeout: long ? 4 * 3600_000 : 1800_000,
    hookTimeout: PATIENCE_MS,
    teardownTimeout: 5_000,
    ...(runtime === "chromium" && { browser: await browser() }),
  },
}));
