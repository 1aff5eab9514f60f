/** Pages of a built folder, and the browser that opens them: for tests that drive Chromium from Node. */

import { readFile } from "node:fs/promises";
import { mkdtemp, rm } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import type { BrowserContext, Page } from "playwright";

const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
};

export interface Site {
  url: string;
  close(): Promise<void>;
}

/** Serves files of a folder as any static host does, and pages that are told here. */
export async function serveFolder(
  folder: string,
  { headers = {}, pages = {} }: {
    headers?: Record<string, string>;
    pages?: Record<string, string>;
  } = {},
): Promise<Site> {
  const answer = async (name: string, response: ServerResponse) => {
    const file = name.endsWith("/") ? `${name}index.html` : name;
    const content = pages[file] ?? await readFile(join(folder, file)).catch(() => undefined);
    const type = TYPES[extname(file)] ?? "application/octet-stream";
    response.writeHead(content === undefined ? 404 : 200, { "content-type": type, ...headers });
    response.end(content);
  };
  const server = createServer(({ url }, response) => {
    answer(new URL(url!, "http://localhost").pathname, response);
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://localhost:${port}/`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A browser with a profile on disk: an incognito one keeps private files in memory. */
export async function openBrowser(): Promise<{ context: BrowserContext; close(): Promise<void> }> {
  const profile = await mkdtemp(join(tmpdir(), "sluice-profile-"));
  const { chromium } = await import("playwright");
  // not a literal: the tools have no types
  const { findBrowser } = await import(pathToFileURL("tools/browser.mjs").href);
  const { path: executablePath, args, env } = await findBrowser();
  const context = await chromium.launchPersistentContext(profile, {
    ...{ executablePath, args, headless: true, timeout: 0 },
    env: { ...process.env, ...env },
  });
  // a busy machine may take minutes for what is done in a moment
  context.setDefaultTimeout(0);
  return {
    context,
    close: async () => {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

/** Opens a page; what it complains of is added to `complaints`. */
export async function openPage(
  context: BrowserContext,
  url: string,
  complaints: string[],
): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  await page.goto(url);
  return page;
}
