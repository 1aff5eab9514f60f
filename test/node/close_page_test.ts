import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import type { BrowserContext, Page } from "playwright";
import type { ViteDevServer } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PageReport } from "../support/decode_page.ts";
import { seeded } from "../support/random.ts";
import { runtime } from "../support/runtime.ts";
import { LEFT_OUT, quick } from "../support/tier.ts";

const CLOSINGS = 10;
const TILES = 12;

const reason = runtime !== "node" ? "Playwright is driven from Node" : quick ? LEFT_OUT : "";
let server: ViteDevServer;
let profile: string;
let browser: BrowserContext;
/** Hears the reports of the page that is at work, which waits for what it returns. */
let listen: (report: PageReport) => void | Promise<void> = () => {};

beforeAll(async () => {
  if (reason) return;
  const { createServer } = await import("vite");
  server = await createServer({
    configFile: false,
    root: process.cwd(),
    logLevel: "warn",
    // the packages that the sources load late
    optimizeDeps: { noDiscovery: true, exclude: ["webgpu"] },
    server: { port: 0, hmr: false, ws: false, watch: null },
  });
  await server.listen();
  profile = await mkdtemp(join(tmpdir(), "sluice-profile-"));
  const { chromium } = await import("playwright");
  // not a literal: the tools have no types
  const { findBrowser } = await import(pathToFileURL("tools/browser.mjs").href);
  const { path: executablePath, args, env } = await findBrowser();
  browser = await chromium.launchPersistentContext(profile, {
    executablePath,
    args,
    env: { ...process.env, ...env },
    headless: true,
    timeout: 0,
  });
  // a busy machine may take minutes for what is done in a moment
  browser.setDefaultTimeout(0);
  await browser.exposeFunction("tell", (report: PageReport) => listen(report));
}, 600_000);

afterAll(async () => {
  await browser?.close();
  await server?.close();
  if (profile) await rm(profile, { recursive: true, force: true });
});

async function openPage(): Promise<Page> {
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.error(error));
  const { port } = server.httpServer!.address() as { port: number };
  await page.goto(`http://localhost:${port}/test/support/decode_page.html`);
  await page.waitForFunction(() => globalThis.decodePage !== undefined);
  return page;
}

const decode = (page: Page, out: string) =>
  page.evaluate((place) => globalThis.decodePage!.decode(place), out);
const check = (page: Page, out: string) =>
  page.evaluate((place) => globalThis.decodePage!.check(place, "opfs:finished"), out);

describe("a decode whose page is closed", () => {
  it(`goes on in the next page, ${CLOSINGS} times over, to the same bytes`, async (context) => {
    if (reason) context.skip(reason);
    const random = seeded(3);
    let page = await openPage();
    expect(await decode(page, "opfs:finished")).toEqual({ resumed: false });
    const wanted = await page.evaluate(() => globalThis.decodePage!.hashes("opfs:finished"));

    let closings = 0;
    let refusals = 0;
    let worstExcess = -Infinity;
    let redone = 0;
    const stages: string[] = [];
    for (let decodes = 0; closings < CLOSINGS; decodes++) {
      const name = `decode${decodes}`;
      const out = `opfs:${name}`;
      const computed = new Map<string, number>();
      const committed = new Set<string>();
      let closedHere = 0;
      for (let done = false; !done;) {
        // the report after which the page goes: none when it may finish
        let left = closings < CLOSINGS ? 1 + Math.floor(8 * random()) : Infinity;
        const again: string[] = [];
        let stage = "";
        let work = () => {};
        const working = new Promise<void>((resolve) => work = resolve);
        const closing = new Promise<"closed">((resolve) => {
          listen = ({ event, pass, row }) => {
            const tile = `${pass} ${row}`;
            if (event === "committed") committed.add(tile);
            else {
              if (committed.has(tile)) again.push(tile);
              computed.set(tile, (computed.get(tile) ?? 0) + 1);
            }
            stage = `${event} ${tile}`;
            if (--left === 0) resolve("closed");
            if (event === "committed") {
              work();
              return held;
            }
          };
        });
        // now and then the next page is there already, and goes on at once
        const next = closings % 3 === 1 ? await openPage() : undefined;
        const rival = refusals === 0 ? await openPage() : undefined;
        let goOn = () => {};
        const held = rival && new Promise<void>((resolve) => goOn = resolve);
        const running = decode(page, out).catch(() => "gone" as const);
        if (rival) {
          await working;
          expect((await decode(rival, out)).error).toMatch(/^OutputConflictError: .*another tab/);
          refusals++;
          await rival.close();
          goOn();
        }
        const first = await Promise.race([running, closing]);
        if (first === "closed") {
          await wait(10 * random() ** 2);
          await page.close();
          closings++;
          closedHere++;
          stages.push(stage);
          page = next ?? await openPage();
        } else {
          await next?.close();
          expect(first).toEqual({ resumed: expect.any(Boolean) });
          done = true;
        }
        expect(again).toEqual([]);
        await check(page, out);
      }
      const times = [...computed.values()].reduce((sum, count) => sum + count - 1, 0);
      redone += times;
      worstExcess = Math.max(worstExcess, times - closedHere);
      expect(computed.size).toBe(TILES);
      const hashes = await page.evaluate((o) => globalThis.decodePage!.hashes(o), out);
      expect(hashes).toEqual(wanted);
      const files = await page.evaluate((n) => globalThis.decodePage!.files(n), name);
      expect(files.filter((path) => /partial|journal/.test(path))).toEqual([]);
    }
    console.log(
      `chromium: ${closings} pages closed (${stages.join(", ")}), ${redone} tiles computed again`,
    );
    expect(refusals).toBe(1);
    expect(worstExcess).toBeLessThanOrEqual(0);
    await page.close();
  });
});
