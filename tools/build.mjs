/**
 * Builds the package into dist/: ES modules with shaders and worker inlined, those for browsers, one file for pages,
 * and their types.
 */

import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";
import { build } from "vite";
import { publishTypes } from "./types.mjs";

const root = path.dirname(import.meta.dirname);
const typescript = createRequire(import.meta.url).resolve("typescript/package.json");
const types = path.join(root, "dist/types");

await build({ root, logLevel: "warn" });
const configFile = path.join(root, "tools/web.config.ts");
for (const mode of ["browser", "bundle", "anywidget"]) {
  await build({ configFile, mode, logLevel: "warn" });
}
rmSync(types, { recursive: true, force: true });
const { status } = spawnSync(
  process.execPath,
  [path.join(path.dirname(typescript), "bin/tsc"), "--project", "tsconfig.build.json"],
  { cwd: root, stdio: "inherit" },
);
if (status !== 0) process.exit(status ?? 1);
const { exports } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
publishTypes(
  types,
  Object.values(exports).filter((entry) => entry.types)
    .map((entry) => path.relative(types, path.join(root, entry.types))),
);
