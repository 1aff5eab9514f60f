/**
 * Builds of the package for browsers, by mode: `browser`, a module for each file, for bundlers, which leave out what a
 * page does not use; `bundle` and `anywidget`, one file for pages, with all but HDF5 and parquet in it.
 */

import path from "node:path";
import type { Plugin, Rolldown } from "vite";
import { defineConfig } from "vite";
import {
  inlineWorkers,
  lateShaders,
  namespaceModules,
  NAMESPACES,
  shortShaders,
  withoutNative,
} from "./web.ts";

const root = path.dirname(import.meta.dirname);

const LAZY = ["h5wasm", /^hyparquet/];
const ONE_FILE = { minify: true, codeSplitting: false };
const BUILDS: Record<string, Build> = {
  browser: {
    entry: { sluice: "src/mod.ts", analysis: "src/analysis.ts", ...NAMESPACES },
    plugins: [namespaceModules, lateShaders],
    outDir: "dist/browser",
    // zstd is four tenths of all: once, however many packages have it
    external: [...LAZY, "aws4fetch", /^numcodecs/],
    output: { minify: false, preserveModules: true, preserveModulesRoot: "src" },
  },
  bundle: { entry: { bundle: "src/mod.ts" }, external: LAZY, output: ONE_FILE },
  anywidget: { entry: { anywidget: "src/anywidget.ts" }, external: LAZY, output: ONE_FILE },
};

interface Build {
  entry: Record<string, string>;
  outDir?: string;
  plugins?: Plugin[];
  external: (string | RegExp)[];
  output: Rolldown.OutputOptions;
}

export default defineConfig(({ mode }) => {
  const { entry, outDir = "dist", plugins = [], external, output } = BUILDS[mode]!;
  return {
    root,
    plugins: [...plugins, inlineWorkers, withoutNative, shortShaders],
    build: {
      outDir,
      emptyOutDir: false,
      target: "es2023",
      lib: { entry, formats: ["es"] },
      // how long plugins take is nobody's concern
      rolldownOptions: { external, output, checks: { pluginTimings: false } },
    },
    worker: { format: "es" },
  };
});
