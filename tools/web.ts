/** What builds for browsers have in common: plugins of Vite, and the names that examples import. */

import { readFileSync } from "node:fs";
import path from "node:path";
import type { Plugin } from "vite";

const root = path.dirname(import.meta.dirname);

/** What examples import, as those who install the package do. */
export const OWN_NAMES = [
  { find: /^sluice$/, replacement: path.join(root, "src/mod.ts") },
  { find: /^sluice\/analysis$/, replacement: path.join(root, "src/analysis.ts") },
];

// a notebook may import the built file from a blob or from another origin, where a worker in a file of
// its own cannot be started
export const inlineWorkers: Plugin = {
  name: "inline-workers",
  apply: "build",
  enforce: "pre",
  transform(code, id) {
    // an app has its workers beside it
    if (!id.startsWith(path.join(root, "src"))) return null;
    const imports: string[] = [];
    const inlined = code.replace(
      /new Worker\(new URL\("(.+?)", import\.meta\.url\), \{ type: "module" \}\)/g,
      (_, file) => {
        const name = `InlineWorker${imports.length}`;
        imports.push(`import ${name} from "${file}?worker&inline";`);
        return `new ${name}()`;
      },
    );
    // appended, so that the source map stays true
    return imports.length === 0 ? null : { code: [inlined, ...imports].join("\n"), map: null };
  },
};

/** Files that Node and Deno alone load, by dynamic import: `test/node/layers_test.ts` holds the rest to it. */
const NATIVE = /\/src\/(gpu\/driver|store\/(fs|file_lock)|files\/disk_file|cli\/points)\.ts$/;

/** Leaves out what browsers never load, so that bundlers meet no `node:` module and no Dawn. */
export const withoutNative: Plugin = {
  name: "without-native",
  apply: "build",
  enforce: "pre",
  async resolveId(specifier, importer) {
    if (specifier === "webgpu") return "\0nothing";
    const found = specifier.startsWith(".") && await this.resolve(specifier, importer);
    return found && NATIVE.test(found.id) ? "\0nothing" : null;
  },
  load: (id) => id === "\0nothing" ? "export {};" : null,
};

const SHADER = ".wgsl?raw";
/** Of the text of a shader, beside the module that loads it late. */
const TEXT = `${SHADER}&text`;

/** Takes comments and indents out of shaders; what is wrong in one is still told by its line. */
export const shortShaders: Plugin = {
  name: "short-shaders",
  apply: "build",
  enforce: "pre",
  load(id) {
    if (!id.endsWith(SHADER) && !id.endsWith(TEXT)) return null;
    const code = readFileSync(id.slice(0, id.lastIndexOf("?")), "utf8");
    return `export default ${JSON.stringify(code.replace(/[ \t]*\/\/.*$|^[ \t]+/gm, ""))};`;
  },
};

/** Has shaders loaded when a kernel is compiled: they would be a fifth of what a page that decodes begins with. */
export const lateShaders: Plugin = {
  name: "late-shaders",
  apply: "build",
  enforce: "pre",
  load(id) {
    if (!id.endsWith(SHADER)) return null;
    const file = id.slice(0, -SHADER.length);
    const name = path.relative(path.join(root, "shaders"), file);
    return `import { lateShader } from ${
      JSON.stringify(path.join(root, "src/gpu/late_shaders.ts"))
    };
export default lateShader(${JSON.stringify(name)}, () => import(${JSON.stringify(file + TEXT)}));`;
  },
};

const MOD = path.join(root, "src/mod.ts");

/** Modules that `sluice` exports as a namespace each, as `decoder` is, by what they are called when they are built. */
export const NAMESPACES: Record<string, string> = Object.fromEntries(
  [...readFileSync(MOD, "utf8").matchAll(/^export \* as \w+ from "\.\/(.+)\.ts";$/gm)]
    .map(([, name]) => [name!, `src/${name}.ts`]),
);

/** Leaves a namespace a module: made an object of, all of it would be in every page that uses one function of it. */
export const namespaceModules: Plugin = {
  name: "namespace-modules",
  apply: "build",
  enforce: "pre",
  resolveId(specifier, importer) {
    const name = /^\.\/(.+)\.ts$/.exec(specifier)?.[1];
    const isNamespace = importer === MOD && name !== undefined && name in NAMESPACES;
    return isNamespace ? { id: `./${name}.js`, external: true } : null;
  },
};
