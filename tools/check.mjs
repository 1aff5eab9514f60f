/** Checks types, format and lint, and stops at the first that fails. */

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

const require = createRequire(import.meta.url);
const root = path.dirname(import.meta.dirname);
const tsc = path.join(path.dirname(require.resolve("typescript/package.json")), "bin/tsc");
const deno = require.resolve("deno/bin.cjs");

const examples = readdirSync(path.join(root, "examples"))
  .filter((name) => name.endsWith(".ts")).map((name) => `examples/${name}`);
const checks = {
  "types as tsc sees them": [tsc, "--noEmit"],
  "types as Deno sees them": [deno, "check", "src/mod.ts", "src/cli/main.ts", ...examples],
  format: [deno, "fmt", "--check", "--quiet"],
  lint: [deno, "lint", "--quiet"],
};
for (const [name, args] of Object.entries(checks)) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) {
    console.error(`check failed: ${name} (${path.basename(args[0])} ${args.slice(1).join(" ")})`);
    process.exit(1);
  }
  console.log(`ok: ${name}`);
}
