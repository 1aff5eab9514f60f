/**
 * Runs a program of this checkout in Node, which cannot read TypeScript before version 22: builds it
 * when its sources have changed, then imports what was built, so that signals and exit codes are its own.
 *
 *   node tools/run.mjs cli|demo|bench [arguments]
 *   node tools/run.mjs pack cli|demo|bench FOLDER
 *
 * `pack` builds one into a folder that needs nothing but Node and the package webgpu.
 */

import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

const PROGRAMS = {
  cli: "src/cli/main.ts",
  demo: "examples/demo.ts",
  picture: "examples/readme_picture.ts",
  bench: "bench/main.ts",
  // for the tests
  engine_child: "test/support/engine_child.ts",
  kill_child: "test/support/kill_child.ts",
  lock_child: "test/support/lock_child.ts",
};
const KEPT_BUILDS = 4;
// a run may load parts of its build late: only what is older than any run is removed
const KEPT_MS = 7 * 24 * 3600_000;

const root = path.dirname(import.meta.dirname);
const cache = path.join(root, "node_modules/.cache/sluice");

const packs = process.argv[2] === "pack";
const [program, ...args] = process.argv.slice(packs ? 3 : 2);
const entry = PROGRAMS[program];
if (entry === undefined || !existsSync(path.join(root, entry))) {
  console.error(`Cannot run "${program}": wanted one of ${Object.keys(PROGRAMS).join(", ")}`);
  process.exit(2);
}
if (packs) {
  await buildInto(path.resolve(args[0]), {
    ssr: { noExternal: true, external: ["webgpu", "vite", "playwright"] },
  });
} else {
  const file = path.join(await freshBuild(), `${program}.js`);
  process.setSourceMapsEnabled(true);
  process.argv = [process.argv[0], file, ...args];
  await import(pathToFileURL(file).href);
}

/** Folder of a build of the sources as they are now. */
async function freshBuild() {
  const folder = path.join(cache, `${program}-${sourceKey()}`);
  if (!existsSync(folder)) {
    mkdirSync(cache, { recursive: true });
    const partial = `${folder}.${process.pid}.partial`;
    await buildInto(partial);
    try {
      renameSync(partial, folder);
    } catch (error) {
      rmSync(partial, { recursive: true });
      // another process was faster
      if (!existsSync(folder)) throw error;
    }
    removeOldBuilds();
  }
  const now = new Date();
  utimesSync(folder, now, now);
  return folder;
}

async function buildInto(outDir, options = {}) {
  const { build } = await import("vite");
  await build({
    configFile: false,
    root,
    logLevel: "warn",
    resolve: {
      alias: [
        { find: /^sluice$/, replacement: path.join(root, "src/mod.ts") },
        { find: /^sluice\/analysis$/, replacement: path.join(root, "src/analysis.ts") },
      ],
    },
    ...options,
    build: {
      ssr: true,
      target: "node20",
      outDir,
      emptyOutDir: true,
      sourcemap: true,
      rollupOptions: { input: { [program]: path.join(root, entry) } },
    },
  });
}

/** Changes when a source, this tool or a dependency does. */
function sourceKey() {
  const hash = createHash("sha256");
  // benches have the tests' problems and twins
  const folders = ["src", "shaders", "test", path.dirname(entry)];
  const files = new Set(["package-lock.json", "tools/run.mjs"]);
  for (const folder of folders) {
    for (const name of readdirSync(path.join(root, folder), { recursive: true }).sort()) {
      if (/^(?!.*node_modules).*\.(ts|wgsl)$/.test(name)) files.add(path.join(folder, name));
    }
  }
  for (const name of files) hash.update(name).update(readFileSync(path.join(root, name)));
  return hash.digest("hex").slice(0, 16);
}

function removeOldBuilds() {
  const builds = readdirSync(cache)
    .map((name) => ({
      folder: path.join(cache, name),
      ms: statSync(path.join(cache, name)).mtimeMs,
    }))
    .sort((a, b) => b.ms - a.ms);
  for (const { folder, ms } of builds.slice(KEPT_BUILDS)) {
    if (ms < Date.now() - KEPT_MS) rmSync(folder, { recursive: true, force: true });
  }
}
