/**
 * Builds the package into dist/: ES modules with shaders and worker inlined, and their types.
 */

import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";
import { build } from "vite";

const root = path.dirname(import.meta.dirname);
const typescript = createRequire(import.meta.url).resolve("typescript/package.json");

await build({ root, logLevel: "warn" });
const { status } = spawnSync(
  process.execPath,
  [path.join(path.dirname(typescript), "bin/tsc"), "--project", "tsconfig.build.json"],
  { cwd: root, stdio: "inherit" },
);
process.exit(status ?? 1);
