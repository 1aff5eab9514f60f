/**
 * Finds a Chromium for the tests: what BROWSER_PATH names, Playwright's own, the system's, or the one
 * that the npm package @sparticuz/chromium carries (Linux x64).
 */

import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";

const require = createRequire(import.meta.url);

// macOS and Windows: not run
const SYSTEM_BROWSERS = {
  linux: [
    "/usr/bin/chromium",
    "/usr/bin/google-chrome",
    "/usr/bin/google-chrome-stable",
    "/usr/bin/microsoft-edge",
  ],
  darwin: [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
  ],
  win32: [
    "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
    "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe",
  ],
};

// without these a browser on a closed network keeps looking things up
const QUIET_ARGS = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

/** @returns {Promise<{ path: string, name: string, args: string[], env: Record<string, string> }>} */
export async function findBrowser() {
  const args = [...QUIET_ARGS, "--enable-unsafe-webgpu"];
  const env = {};
  if (process.platform === "linux") {
    if (process.getuid?.() === 0) args.push("--no-sandbox");
    // without UTF-8 it forgets names of files that are not ASCII
    const { LC_ALL, LC_CTYPE, LANG } = process.env;
    if (!/utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || "")) env.LC_ALL = "C.UTF-8";
  }
  const named = process.env.BROWSER_PATH;
  if (named) return { path: named, name: `${named} (BROWSER_PATH)`, args, env };
  const { chromium } = await import("playwright");
  const known = [chromium.executablePath(), ...(SYSTEM_BROWSERS[process.platform] ?? [])];
  const found = known.find((file) => file && existsSync(file));
  if (found) return { path: found, name: found, args, env };
  if (process.platform === "linux" && process.arch === "x64") {
    const folder = await unpackBrowser();
    env.LD_LIBRARY_PATH = [path.join(folder, "al2023/lib"), process.env.LD_LIBRARY_PATH]
      .filter(Boolean).join(":");
    env.FONTCONFIG_FILE = await describeFonts(folder);
    const file = path.join(folder, "chromium");
    return { path: file, name: `${file} (from @sparticuz/chromium)`, args, env };
  }
  throw new Error(
    "No Chromium was found: install Chrome, Chromium or Edge, run `npx playwright install chromium`, " +
      "or name one in BROWSER_PATH",
  );
}

/** The package's own settings name folders that are not there, and no letter would be drawn. */
async function describeFonts(folder) {
  const file = path.join(folder, "fonts/sluice.conf");
  const settings = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>${path.join(folder, "fonts/fonts")}</dir>
  <cachedir>${path.join(folder, "fonts/cache")}</cachedir>
</fontconfig>
`;
  if (!existsSync(file)) await writeFile(file, settings);
  return file;
}

/** Unpacks the packaged browser into the user's cache, once per version. */
async function unpackBrowser() {
  const entry = require.resolve("@sparticuz/chromium");
  const root = entry.slice(0, entry.lastIndexOf("build"));
  const { version } = require(path.join(root, "package.json"));
  const cache = path.join(
    process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"),
    "sluice",
  );
  const folder = path.join(cache, `chromium-${version}`);
  if (existsSync(path.join(folder, "chromium"))) return folder;
  console.log(`unpacking Chromium ${version} into ${folder}`);
  const partial = `${folder}.${process.pid}.partial`;
  await mkdir(partial, { recursive: true });
  // the package unpacks into the temporary folder, and its libraries only where it believes to be at home
  const changed = ["TMPDIR", "AWS_EXECUTION_ENV", "LD_LIBRARY_PATH", "FONTCONFIG_PATH"];
  const kept = changed.map((name) => [name, process.env[name]]);
  Object.assign(process.env, { TMPDIR: partial, AWS_EXECUTION_ENV: "AWS_Lambda_nodejs20.x" });
  try {
    const { default: packaged } = await import("@sparticuz/chromium");
    await packaged.executablePath();
  } finally {
    for (const [name, value] of kept) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
  await rename(partial, folder).catch(() => rm(partial, { recursive: true, force: true }));
  return folder;
}
