/**
 * Builds the documentation as a site of files: pages of docs/, and an API reference from the docstrings. Links that lead nowhere
 * fail it.
 *
 *   npm --prefix tools/site install && node tools/site/build.mjs [FOLDER]
 *
 * It has packages of its own, so that `npm ci` of the checkout stays small.
 */

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

const here = import.meta.dirname;
const root = path.dirname(path.dirname(here));
const require = createRequire(import.meta.url);
/** Pages as the site has them: inside of this folder, where VitePress finds its packages. */
const pages = path.join(here, "pages");
/** Where sources are to be seen, as `https://github.com/OWNER/NAME/blob/main`; without it links to them are words. */
const repository = process.env.SLUICE_REPOSITORY;
const ROOT_PAGES = ["CHANGELOG.md", "CONTRIBUTING.md", "MIGRATING.md", "SECURITY.md"];

rmSync(pages, { recursive: true, force: true });
mkdirSync(pages);
const own = readdirSync(path.join(root, "docs"));
for (const name of own.filter((name) => !name.endsWith(".md"))) {
  cpSync(path.join(root, "docs", name), path.join(pages, name));
}
for (const name of own.filter((name) => name.endsWith(".md"))) copyPage(`docs/${name}`, name);
for (const name of ROOT_PAGES) copyPage(name, name);
copyPage("README.md", "index.md");

run(path.join(path.dirname(require.resolve("typedoc")), "../bin/typedoc"), [
  ...["--plugin", "typedoc-plugin-markdown", "--readme", "none", "--out", path.join(pages, "api")],
  ...["--tsconfig", path.join(root, "tsconfig.json"), "--excludePrivate", "--excludeInternal"],
  ...repository
    ? ["--sourceLinkTemplate", `${repository}/{path}#L{line}`, "--disableGit", "--basePath", root]
    : ["--disableSources"],
  ...["--hideBreadcrumbs", "true", "--entryFileName", "index", "--logLevel", "Error"],
  ...[path.join(root, "src/mod.ts"), path.join(root, "src/analysis.ts")],
]);
const out = path.resolve(process.argv[2] ?? path.join(root, "dist-docs"));
run(path.join(path.dirname(require.resolve("vitepress/package.json")), "bin/vitepress.js"), [
  ...["build", here, "--outDir", out],
]);
console.log(`${out}: open it by any static server`);

function run(program, args) {
  const { status } = spawnSync(process.execPath, [program, ...args], {
    cwd: here,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}

/** A page, whose links lead to pages of the site, or to the repository where it has none. */
function copyPage(from, to) {
  const text = readFileSync(path.join(root, from), "utf8").replace(
    /(?:\[([^\]]*)\]\(|src=")([^)"\s#]+)(#[^)"\s]*)?[)"]/g,
    (whole, words, target, anchor = "") => {
      if (/^[a-z]+:/.test(target)) return whole;
      const file = path.posix.normalize(path.posix.join(path.posix.dirname(from), target));
      const isPage = file.startsWith("docs/") || ROOT_PAGES.includes(file) || file === "README.md";
      const place = file === "README.md" ? "index.md" : file.replace(/^docs\//, "");
      if (words === undefined) return `src="./${place}"`;
      if (!isPage && repository === undefined) return words;
      return `[${words}](${isPage ? `./${place}` : `${repository}/${file}`}${anchor})`;
    },
  );
  writeFileSync(path.join(pages, to), text);
}
