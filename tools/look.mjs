/**
 * Takes pictures of pages as wide and narrow windows show them, in light and dark, for people to look at, and tells what is wider than
 * its window.
 *
 *   node tools/look.mjs FOLDER PAGE...
 *
 * A page is a file or an address; pictures go into the folder.
 */

import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright";
import { findBrowser } from "./browser.mjs";

const WIDTHS = [1280, 390];
/** Of a picture, px: nobody looks at more of a page. */
const MOST_HEIGHT = 8000;

const [folder, ...pages] = process.argv.slice(2);
if (pages.length === 0) {
  console.error("usage: node tools/look.mjs FOLDER PAGE...");
  process.exit(2);
}
await mkdir(folder, { recursive: true });
const { path: executablePath, args, env } = await findBrowser();
const browser = await chromium.launch({ executablePath, args, env: { ...process.env, ...env } });
let wide = 0;
for (const page of pages) {
  const address = existsSync(page) ? pathToFileURL(page).href : page;
  const name = path.basename(page.replace(/[?#].*$/, "")).replace(/\.\w+$/, "") || "page";
  for (const width of WIDTHS) {
    for (const colorScheme of ["light", "dark"]) {
      const tab = await browser.newPage({ colorScheme, viewport: { width, height: 900 } });
      await tab.goto(address, { waitUntil: "networkidle" });
      const file = path.join(folder, `${name}-${width}-${colorScheme}.png`);
      const { scrollWidth, scrollHeight, wanting } = await tab.evaluate(widerThanWindow);
      const height = Math.min(scrollHeight, MOST_HEIGHT);
      await tab.screenshot({ path: file, fullPage: true, clip: { x: 0, y: 0, width, height } });
      if (scrollWidth > width) {
        wide++;
        console.error(`${file}: ${scrollWidth} px wide, wanted ${width}: ${wanting}`);
      } else console.log(file);
      await tab.close();
    }
  }
}
await browser.close();
process.exit(wide > 0 ? 1 : 0);

function widerThanWindow() {
  const { scrollWidth, scrollHeight, clientWidth } = document.documentElement;
  const beyond = [...document.body.querySelectorAll("*")]
    .filter((element) => element.getBoundingClientRect().right > clientWidth + 1)
    .map(({ tagName, id, className }) => `${tagName.toLowerCase()}${id && `#${id}`} ${className}`);
  return { scrollWidth, scrollHeight, wanting: beyond.slice(0, 4).join(", ") };
}
