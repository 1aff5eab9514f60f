import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";

// layers look down only; math and the files directly in src are for all
const MAY_IMPORT: Record<string, readonly string[]> = {
  math: [],
  view: [],
  gpu: [],
  store: [],
  zarr: ["store"],
  files: ["zarr", "store"],
  array: ["files", "zarr", "store"],
  feed: ["array", "zarr"],
  kernels: ["gpu"],
  parts: ["store"],
  stream: ["gpu", "store", "parts", "zarr", "array"],
  net: ["stream", "feed", "kernels", "gpu"],
  io: ["files", "array", "zarr", "store"],
  // an analysis made of models
  condition: [
    "stream",
    "feed",
    "array",
    "files",
    "zarr",
    "gpu",
    "store",
    "io",
    "view",
    "cluster",
    "decompose",
  ],
};
// a model is passes over arrays; its functions take a gpu and a place to write
const DOMAINS = ["hmm", "cluster", "decompose", "windows", "acts", "probes", "cpa"];
const DOMAIN_MAY_IMPORT = ["net", "stream", "feed", "kernels", "array", "zarr", "gpu", "store"];
// what users call, made of all of it
const FOR_USERS = ["mod.ts", "open.ts", "analysis.ts", "anywidget.ts", "plot"];
const FOR_ALL = [
  "math",
  "chunked_array.ts",
  "display.ts",
  "errors.ts",
  "options.ts",
  "secrets.ts",
  "turns.ts",
  "types.ts",
  "version.ts",
];

// files that need Node or Deno: reached by dynamic import alone, so that browsers never load them
const NATIVE_FILES = [
  "src/gpu/driver.ts",
  "src/gpu/driver_package.ts",
  "src/store/fs.ts",
  "src/files/disk_file.ts",
];
// and what they alone load
const NATIVE_PARTS = ["src/store/disk_errors.ts", "src/store/file_lock.ts"];

// from `class` to its closing brace; those that may be longer have many short methods with their documentation
const MOST_CLASS_LINES = 200;
/** Classes of more lines: what a net is declared, laid out and run by. */
const LONG_CLASSES = ["DeclaredNet", "LayeredNet", "Net"];

interface Import {
  file: string;
  /** As written. */
  specifier: string;
  /** Path from the root of the repository, for relative imports. */
  target: string | undefined;
  dynamic: boolean;
}

function importsOf(file: string): Import[] {
  const code = readFileSync(file, "utf8");
  const pattern =
    /^(?:import|export)\b(?:[^;"]*?\bfrom)?\s*"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/gm;
  return [...code.matchAll(pattern)].map(([statement, fixed, lazy]) => {
    const specifier = fixed ?? lazy!;
    const target = specifier.startsWith(".")
      ? normalize(join(dirname(file), specifier)).replaceAll("\\", "/")
      : undefined;
    // types leave no trace in what runs
    const dynamic = fixed === undefined || /^(import|export) type\b/.test(statement);
    return { file, specifier, target, dynamic };
  });
}

const files = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => `src/${name.replaceAll("\\", "/")}`);
const imports = files.flatMap(importsOf);
const layerOf = (path: string) => path.split("/")[1]!;
const describeImport = ({ file, specifier }: Import) => `${file} imports ${specifier}`;

describe("layers", () => {
  it("are all known", () => {
    const folders = new Set(
      files.filter((file) => file.split("/").length > 2).map(layerOf),
    );
    const known = [...Object.keys(MAY_IMPORT), ...DOMAINS, "plot", "cli"];
    expect([...folders].filter((folder) => !known.includes(folder))).toEqual([]);
    // what this test reads is what there is to read
    expect(imports.length).toBeGreaterThan(files.length);
    for (const file of NATIVE_FILES) {
      expect(imports.some(({ target, dynamic }) => target === file && dynamic)).toBe(true);
    }
  });

  it("look down only", () => {
    const upward = imports.filter(({ file, target }) => {
      if (!target?.startsWith("src/")) return false;
      const [from, to] = [layerOf(file), layerOf(target)];
      if (from === to || from === "cli" || FOR_USERS.includes(from) || FOR_ALL.includes(to)) {
        return false;
      }
      const allowed = DOMAINS.includes(from) ? DOMAIN_MAY_IMPORT : MAY_IMPORT[from] ?? [];
      return !allowed.includes(to);
    });
    expect(upward.map(describeImport)).toEqual([]);
  });

  it("and files have no import circles, types included", () => {
    const targets = new Map(files.map((file) => [
      file,
      imports.filter((one) => one.file === file && one.target && files.includes(one.target))
        .map(({ target }) => target!),
    ]));
    const circles: string[] = [];
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]) => {
      const at = path.indexOf(file);
      if (at >= 0) circles.push([...path.slice(at), file].join(" -> "));
      if (at >= 0 || done.has(file)) return;
      for (const target of targets.get(file)!) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
    expect(circles).toEqual([]);
  });

  it("import nothing outside src but shaders", () => {
    const outside = imports.filter(({ target }) =>
      target !== undefined && !target.startsWith("src/") &&
      !/^shaders\/.+\.wgsl\?raw$/.test(target)
    );
    expect(outside.map(describeImport)).toEqual([]);
  });

  it("keep node: modules to the command line and the files browsers never load", () => {
    const isNative = (file: string) => [...NATIVE_FILES, ...NATIVE_PARTS].includes(file);
    const native = imports.filter(({ file, specifier }) =>
      specifier.startsWith("node:") && layerOf(file) !== "cli" && !isNative(file)
    );
    expect(native.map(describeImport)).toEqual([]);
    const eager = imports.filter(({ file, target, dynamic }) =>
      target !== undefined && !dynamic &&
      (NATIVE_FILES.includes(target) || (NATIVE_PARTS.includes(target) && !isNative(file)))
    );
    expect(eager.map(describeImport)).toEqual([]);
  });
});

describe("examples", () => {
  it("import what the package exports, and each other", () => {
    const names = readdirSync("examples", { recursive: true, encoding: "utf8" })
      .filter((name) => /^(?!.*node_modules).*\.(ts|html|js|mjs)$/.test(name));
    // what this test reads is what there is to read
    expect(names.length).toBeGreaterThan(8);
    const stray = names.filter((name) =>
      /\bfrom\s*"[^"]*\bsrc\/|import\(\s*"[^"]*\bsrc\//
        .test(readFileSync(join("examples", name), "utf8"))
    );
    expect(stray).toEqual([]);
  });
});

describe("benches", () => {
  it("import nothing that runs in tests alone", () => {
    const seen = new Set<string>();
    const visit = (file: string) => {
      if (seen.has(file) || !file.endsWith(".ts")) return;
      seen.add(file);
      for (const { target, dynamic } of importsOf(file)) if (target && !dynamic) visit(target);
    };
    const benches = readdirSync("bench").filter((name) => name.endsWith(".ts"));
    for (const name of benches) visit(`bench/${name}`);
    expect(seen.size).toBeGreaterThan(100);
    // it asks the runner which tests there are
    expect([...seen]).not.toContain("test/support/tier.ts");
  });
});

describe("classes", () => {
  it("can be read in one go, but for those that are known to be too long", () => {
    const pattern = /^(?:export )?(?:abstract )?class (\w+)[^]*?^}$/gm;
    const classes = files.flatMap((file) =>
      [...readFileSync(file, "utf8").matchAll(pattern)]
        .map(([text, name]) => ({ name, file, lines: text.split("\n").length }))
    );
    // what this test reads is what there is to read
    expect(classes.length).toBeGreaterThan(100);
    const long = classes.filter(({ lines }) => lines > MOST_CLASS_LINES);
    const others = long.filter(({ name }) => !LONG_CLASSES.includes(name!));
    expect(others.map(({ name, file, lines }) => `${name} of ${file}: ${lines} lines`)).toEqual([]);
    // one that was cut goes from the list
    expect(long.map(({ name }) => name).sort()).toEqual(LONG_CLASSES);
  });
});
