import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createArray, exportZip } from "../../src/mod.ts";
import { libraryFile } from "../support/library_files.ts";
import type { Site } from "../support/pages.ts";
import { openBrowser, openPage, serveFolder } from "../support/pages.ts";
import { runtime } from "../support/runtime.ts";
import { LEFT_OUT, quick } from "../support/tier.ts";

const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

const reason = runtime !== "node" ? "Playwright is driven from Node" : quick ? LEFT_OUT : "";
let folder: string;
let browser: Awaited<ReturnType<typeof openBrowser>>;
const sites: Site[] = [];
const complaints: string[] = [];

beforeAll(async () => {
  if (reason) return;
  folder = await mkdtemp(join(tmpdir(), "sluice-app-"));
  const { build } = await import("vite");
  await build({
    ...{ configFile: "examples/app/vite.config.ts", logLevel: "error" },
    build: { outDir: folder },
  });
  browser = await openBrowser();
}, 600_000);

afterAll(async () => {
  await browser?.close();
  for (const site of sites) await site.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** The app of an origin of its own, which nothing is stored at. */
async function visit({ headers = {}, pages = {}, path = "" } = {}): Promise<[Page, Site]> {
  const site = await serveFolder(folder, { headers, pages });
  sites.push(site);
  return [await openApp(site, path), site];
}

async function openApp({ url }: Site, path = ""): Promise<Page> {
  const page = await openPage(browser.context, url + path, complaints);
  if (path === "") await page.waitForSelector("main:not([hidden])");
  return page;
}

async function simulate(page: Page, budget?: number): Promise<void> {
  await page.click("#simulate");
  await page.waitForSelector("#run:not([hidden])");
  if (budget === undefined) return;
  await page.fill("input[name=budget]", String(budget));
  await page.locator("input[name=budget]").blur();
  await page.waitForFunction(
    (words) => document.querySelector("#memory small")!.textContent!.includes(words),
    `of ${budget}`,
  );
  await page.waitForSelector("#run:not([hidden])");
}

const started = (page: Page, share: number) =>
  page.waitForFunction((least) => document.querySelector("progress")!.value > least, share);
const finished = (page: Page) => page.waitForSelector("#result:not([hidden])");
const textOf = async (page: Page, id: string) => (await page.textContent(`#${id}`))!;

/** SHA-256 of every file of the result, and what lies beside it. */
const stored = (page: Page) =>
  page.evaluate(async () => {
    const files: Record<string, string> = {};
    const walk = async (directory: FileSystemDirectoryHandle, path: string) => {
      for await (const [name, handle] of directory.entries()) {
        if (handle.kind === "directory") {
          await walk(handle as FileSystemDirectoryHandle, `${path}/${name}`);
          continue;
        }
        const file = await (handle as FileSystemFileHandle).getFile();
        const hash = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
        files[`${path}/${name}`] = [...new Uint8Array(hash)].join(" ");
      }
    };
    await walk(await (await navigator.storage.getDirectory()).getDirectoryHandle("sluice-app"), "");
    return files;
  });

describe("the app", () => {
  it("decodes a simulated session on a first visit, and goes on after a reload to the same bytes", async (ctx) => {
    if (reason) ctx.skip(reason);
    const began = performance.now();
    const [page, site] = await visit();
    await simulate(page);
    await page.click("#start");
    await finished(page);
    const seconds = (performance.now() - began) / 1000;
    console.log(`chromium: first visit to decoded picture in ${seconds.toFixed(1)} s`);
    expect(await page.locator("#picture svg").count()).toBeGreaterThan(1);
    const wanted = await stored(page);
    expect(Object.keys(wanted).filter((name) => /journal|partial/.test(name))).toEqual([]);

    // smaller tiles, so that it stops at many places; the bytes are the same
    await simulate(page, 16);
    await page.click("#start");
    await started(page, 0.2);
    await page.reload();
    await page.waitForSelector("#run:not([hidden])");
    expect(await textOf(page, "status")).toMatch(/interrupted/);
    expect(Object.keys(await stored(page)).some((name) => /journal/.test(name))).toBe(true);
    await page.click("text=Go on");
    await started(page, 0.3);
    await page.click("#pause");
    await page.waitForFunction(() =>
      /^Paused/.test(document.querySelector("#status")!.textContent!)
    );
    await page.click("text=Go on");
    await finished(page);
    expect(await stored(page)).toEqual(wanted);

    // a result is there again when the page is
    await page.reload();
    await finished(page);
    expect(await textOf(page, "facts")).toMatch(/as it was left/);
    await page.close();
    await site.close();
  });

  it("refuses a second tab in words, and keeps nothing of what is cancelled", async (ctx) => {
    if (reason) ctx.skip(reason);
    const [page, site] = await visit();
    await simulate(page, 16);
    await page.click("#start");
    await started(page, 0.1);
    const rival = await openApp(site);
    await rival.waitForSelector("#run:not([hidden])");
    await rival.click("text=Go on");
    await rival.waitForSelector("#failure:not([hidden])");
    expect(await textOf(rival, "failure")).toMatch(
      /another tab or worker is at work there\.\nThis page is at work in another tab: wait for it/,
    );
    await rival.close();
    await page.click("#cancel");
    await page.waitForFunction(() =>
      /^Cancelled/.test(document.querySelector("#status")!.textContent!)
    );
    expect(await stored(page)).toEqual({});
    await page.close();
  });

  it("takes arrays that are dropped, and gives a zarr and a NetCDF file back", async (ctx) => {
    if (reason) ctx.skip(reason);
    const [page] = await visit({ headers: ISOLATION });
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    const rows = Float32Array.from({ length: 500 * 6 }, (_, i) => Math.sin(i * i));
    const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (500, 6), }`.padEnd(117) +
      "\n";
    const npy = new Uint8Array(128 + rows.byteLength);
    npy.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, 118, 0]);
    npy.set(new TextEncoder().encode(header), 10);
    npy.set(new Uint8Array(rows.buffer), 128);
    await page.setInputFiles("#files", {
      ...{ name: "latents.npy", mimeType: "application/octet-stream", buffer: Buffer.from(npy) },
    });
    await page.waitForSelector("#run:not([hidden])");
    expect(await page.inputValue("select[name=rows]")).toMatch(/inputs\/latents\.npy$/);
    await page.click("#start");
    await finished(page);
    for (
      const [kind, name, magic] of [
        ["zip", "kmeans.zarr.zip", "PK\x03\x04"],
        ["netcdf", "kmeans.nc", "\x89HDF"],
        ["page", "kmeans.html", "<!DO"],
      ] as const
    ) {
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.click(`[data-kind=${kind}]`),
      ]);
      expect(download.suggestedFilename()).toBe(name);
      const { readFile } = await import("node:fs/promises");
      const bytes = await readFile((await download.path())!);
      expect(bytes.subarray(0, 4).toString("latin1")).toBe(magic);
    }
    // a recording that lies in one file
    const nwb = Buffer.from(await libraryFile("stamps.nwb"));
    await page.setInputFiles("#files", { name: "rat.nwb", mimeType: "", buffer: nwb });
    await page.waitForFunction(() =>
      /spikes of 3 units from opfs:.*rat\.nwb/.test(document.querySelector("#table")!.textContent!)
    );
    await page.click("#start");
    await finished(page);
    expect(await page.locator("#picture svg").count()).toBeGreaterThan(1);
    // what is no array is told by the library
    await page.setInputFiles("#files", {
      ...{ name: "notes.npy", mimeType: "text/plain", buffer: Buffer.from("hello, not an array") },
    });
    await page.waitForSelector("#failure:not([hidden])");
    expect(await textOf(page, "failure")).toMatch(/^Cannot .*notes\.npy/);
    await page.close();
  });

  it("takes archives of numpy, folders of zarr, and zips of those", async (ctx) => {
    if (reason) ctx.skip(reason);
    const own = join(folder, "own");
    const written = await createArray(`${own}/rat.zarr/latents`, {
      ...{ shape: [Infinity, 6], dtype: "float32", dims: ["row", "feature"], chunks: 100 },
    });
    await written.append(Float32Array.from({ length: 500 * 6 }, (_, i) => Math.sin(i * i)));
    await written.close();
    await exportZip(`${own}/rat.zarr`, `${own}/packed.zarr.zip`);
    const archive = {
      name: "a.npz",
      mimeType: "",
      buffer: Buffer.from(await libraryFile("deflated.npz")),
    };
    const [page] = await visit();
    for (
      const [input, files, place] of [
        ["#folder", `${own}/rat.zarr`, "/inputs/rat.zarr/latents"],
        ["#files", `${own}/packed.zarr.zip`, "/inputs/packed.zarr.zip/latents"],
        ["#files", archive, "/inputs/a.npz/"],
      ] as const
    ) {
      await page.setInputFiles(input, files);
      await page.waitForFunction(
        (place) =>
          document.querySelector<HTMLSelectElement>("select[name=rows]")?.value.includes(place),
        place,
      );
      if (files === archive) continue;
      await page.waitForSelector("#run:not([hidden])");
      await page.click("#start");
      await finished(page);
      expect(await page.locator("#picture svg").count()).toBeGreaterThan(0);
    }
    await page.close();
  });

  it("says in a sandboxed frame what it cannot do, and decodes there", async (ctx) => {
    if (reason) ctx.skip(reason);
    const [page] = await visit({
      // a frame of no origin may load what everybody may
      headers: { "Access-Control-Allow-Origin": "*" },
      pages: {
        "/frame.html":
          `<iframe sandbox="allow-scripts" src="./" style="width:100%;height:4000px"></iframe>`,
      },
      path: "frame.html",
    });
    const frame = page.frameLocator("iframe");
    await frame.locator("main:not([hidden])").waitFor();
    expect(await frame.locator("#limits").textContent()).toMatch(/may keep no files.*in memory/);
    await frame.locator("#simulate").click();
    await frame.locator("#run:not([hidden])").waitFor();
    await frame.locator("#start").click();
    await frame.locator("#result:not([hidden])").waitFor();
    expect(await frame.locator("#picture svg").count()).toBeGreaterThan(1);
    await page.close();
  });

  it("complains of nothing in the console", (ctx) => {
    if (reason) ctx.skip(reason);
    expect(complaints).toEqual([]);
  });
});
