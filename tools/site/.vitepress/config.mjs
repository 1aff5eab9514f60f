import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";

const page = (text, link) => ({ text, link });

const docs = path.join(import.meta.dirname, "../../../docs");

/** Pages of docs/ that nobody put anywhere, by their headings. */
function others(sidebar) {
  const known = sidebar.flatMap(({ items }) => items.map(({ link }) => link));
  return readdirSync(docs).filter((name) => name.endsWith(".md"))
    .map((name) => [name, `/${name.slice(0, -".md".length)}`])
    .filter(([, link]) => !known.includes(link))
    .map(([name, link]) =>
      page(/^# (.*)$/m.exec(readFileSync(path.join(docs, name), "utf8"))[1], link)
    );
}

/** What a guide is for, and for whom. */
const config = {
  title: "Sluice",
  description: "Analyses bigger than memory on WebGPU",
  srcDir: "pages",
  cleanUrls: false,
  // the site may lie in a folder of another
  base: process.env.SLUICE_DOCS_BASE ?? "/",
  markdown: { math: false },
  // on a telephone a column of code left a word a line to the one beside it
  head: [[
    "style",
    {},
    "@media (max-width: 640px) { .vp-doc td { min-width: 9rem } .vp-doc td code { overflow-wrap: anywhere } }",
  ]],
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [page("Quick start", "/quick_start"), page("API", "/api/"), page("Changes", "/CHANGELOG")],
    sidebar: [
      {
        text: "Begin",
        items: [
          page("Sluice", "/"),
          page("Quick start", "/quick_start"),
          page("Your data", "/inputs"),
          page("Errors, and what to do", "/errors"),
          page("The memory promise", "/memory"),
          page("Pictures and notebooks", "/pictures"),
        ],
      },
      {
        text: "Guides",
        items: [
          page("Decoding", "/decoding"),
          page("Clusters and components", "/clustering"),
          page("Conditioning", "/conditioning"),
          page("Windows", "/windows"),
          page("Activations", "/activations"),
          page("Probes", "/probes"),
          page("Perturbed cells", "/perturbation"),
          page("Nets", "/net"),
          page("Results", "/results"),
          page("Many machines", "/scaling"),
          page("Coming from non_local_detector", "/MIGRATING"),
        ],
      },
      {
        text: "Look up",
        items: [
          page("API", "/api/"),
          page("Options", "/options"),
          page("Platforms", "/platforms"),
          page("Accuracy", "/accuracy"),
          page("Measurements", "/measurements"),
          page("Changes", "/CHANGELOG"),
        ],
      },
      {
        text: "Carry on",
        items: [page("Architecture", "/architecture"), page("Contributing", "/CONTRIBUTING")],
      },
    ],
  },
};

const { sidebar } = config.themeConfig;
sidebar[1].items.push(...others(sidebar));
export default config;
