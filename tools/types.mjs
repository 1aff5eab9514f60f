/**
 * Makes what the package exports readable for every TypeScript since 5.6: declarations of what is public alone, with or
 * without the types of WebGPU and of browsers.
 */

import { readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Ambient declarations, beside the entries. */
const AMBIENT = "ambient.d.ts";

/** What a program may do without the types of: WebGPU, and two names of browsers. */
const PLATFORM = /\b(GPU[A-Z]\w+|FileSystemDirectoryHandle|HTMLElement)\b/g;

/** What entries begin with. */
const REFERENCES =
  `/// <reference lib="esnext.disposable" />\n/// <reference path="./${AMBIENT}" />\n`;

const TYPED_ARRAY =
  "(?:Int8|Int16|Int32|Uint8|Uint16|Uint32|Float32|Float64|BigInt64|BigUint64)Array";

/**
 * @param folder Where `tsc` put declarations.
 * @param entries Those that the package exports, in that folder.
 */
export function publishTypes(folder, entries) {
  const texts = reachable(entries.map((entry) => path.join(folder, entry)));
  const names = new Set();
  for (const [file, text] of texts) {
    for (const [name] of text.matchAll(PLATFORM)) names.add(name);
    const own = entries.includes(path.relative(folder, file)) ? REFERENCES : "";
    writeFileSync(file, own + withoutGenerics(text));
  }
  // empty interfaces: they are one with those of @webgpu/types and of TypeScript's DOM, where these are
  const interfaces = [...names].sort().map((name) => `interface ${name} {}\n`);
  writeFileSync(path.join(folder, AMBIENT), interfaces.join(""));
  for (const name of readdirSync(folder, { recursive: true })) {
    const file = path.join(folder, name);
    if (name.endsWith(".d.ts") && name !== AMBIENT && !texts.has(file)) rmSync(file);
  }
  removeEmpty(folder);
}

/** Texts of declarations by their files: those that are imported from these, and so on. */
function reachable(files) {
  const texts = new Map();
  for (const waiting = [...files]; waiting.length > 0;) {
    const file = waiting.pop();
    if (texts.has(file)) continue;
    const text = readFileSync(file, "utf8");
    texts.set(file, text);
    for (const [, name] of text.matchAll(/(?:from |import\(|^import )"(\.[^"]+)"/gm)) {
      waiting.push(path.resolve(path.dirname(file), name.replace(/(\.d)?\.ts$/, ".d.ts")));
    }
  }
  return texts;
}

/** Typed arrays are generic since 5.7 only: what `of` returns is the same in both. */
function withoutGenerics(text) {
  return text
    .replace(new RegExp(`\\b(${TYPED_ARRAY})<ArrayBufferLike>`, "g"), "$1")
    .replace(
      new RegExp(`\\b(${TYPED_ARRAY})<ArrayBuffer>`, "g"),
      'ReturnType<$1Constructor["of"]>',
    );
}

function removeEmpty(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeEmpty(path.join(folder, entry.name));
  }
  if (readdirSync(folder).length === 0) rmdirSync(folder);
}
