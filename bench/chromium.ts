/** Runs benches in a headless Chromium: `npm run bench -- --runtime chromium [name ...]`. */

import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import type { AdapterDescription } from "../src/gpu/device.ts";
import type { ResultRow } from "./results.ts";

export interface PageResults {
  adapter: AdapterDescription;
  rows: ResultRow[];
  /** Of the browser. */
  version: string;
}

export async function runInChromium(names: readonly string[]): Promise<PageResults> {
  const { createServer } = await import("vite");
  const { chromium } = await import("playwright");
  const finder = pathToFileURL(path.resolve("tools/browser.mjs")).href;
  const found = await (await import(/* @vite-ignore */ finder)).findBrowser();
  const server = await createServer({ configFile: false, root: process.cwd(), logLevel: "warn" });
  await server.listen();
  const browser = await chromium.launch({
    executablePath: found.path,
    args: found.args,
    env: { ...process.env, ...found.env },
  });
  try {
    const page = await browser.newPage();
    page.on("console", (message) => console.log(message.text()));
    await page.goto(`${server.resolvedUrls!.local[0]}bench/page.html`);
    // as text: the import is the page's
    const results = await page.evaluate(
      `import("/bench/page.ts").then(({ runPage }) => runPage(${JSON.stringify(names)}))`,
    ) as Omit<PageResults, "version">;
    return { ...results, version: browser.version() };
  } finally {
    await browser.close();
    await server.close();
  }
}
