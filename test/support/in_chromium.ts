/** A page in a browser of its own, with a profile that is thrown away: Node only. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import type { Page } from "playwright";

/** Opens a page for a while; gives what `work` gives, and fails on what the page's console calls an error. */
export async function inChromium<Result>(work: (page: Page) => Promise<Result>): Promise<Result> {
  const profile = await mkdtemp(join(tmpdir(), "sluice-profile-"));
  const { chromium } = await import("playwright");
  // not a literal: the tools have no types
  const { findBrowser } = await import(pathToFileURL("tools/browser.mjs").href);
  const { path: executablePath, args, env } = await findBrowser();
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath,
    args,
    env: { ...process.env, ...env },
    headless: true,
    timeout: 0,
  });
  try {
    // a busy machine may take minutes for what is done in a moment
    browser.setDefaultTimeout(0);
    const page = await browser.newPage();
    const wrong = new Promise<never>((_, reject) => {
      page.on("pageerror", reject);
      page.on("console", (said) => {
        if (said.type() === "error" && !/favicon/.test(said.location().url)) {
          reject(new Error(`the console says: ${said.text()}`));
        }
      });
    });
    return await Promise.race([work(page), wrong]);
  } finally {
    await browser.close();
    await rm(profile, { recursive: true, force: true });
  }
}
