import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, it } from "vitest";
import { inChromium } from "../support/in_chromium.ts";
import { install, pack, runIn } from "../support/packed.ts";
import { runtime } from "../support/runtime.ts";

const NOTEBOOK = "examples/notebooks/observable";

describe("a notebook of Observable", () => {
  it("is built by Notebook Kit, runs in a page and draws its picture", async (context) => {
    if (runtime !== "node") context.skip("Playwright is driven from Node");
    const folder = await mkdtemp(join(tmpdir(), "sluice-observable-"));
    try {
      const { devDependencies } = JSON.parse(await readFile(`${NOTEBOOK}/package.json`, "utf8"));
      const [kit] = Object.entries(devDependencies).map(([name, version]) => `${name}@${version}`);
      const packed = await pack(folder);
      const own = join(folder, "notebook");
      try {
        await install(own, [packed, kit!]);
      } catch (error) {
        context.skip(`${kit} cannot be installed: ${(error as Error).message.slice(0, 200)}`);
      }
      await cp(`${NOTEBOOK}/decode.html`, join(own, "decode.html"));
      const notebooks = join(own, "node_modules/.bin/notebooks");
      await runIn(own, process.execPath, notebooks, "build", "--root", ".", "--", "decode.html");
      const { servedFolder } = await import("../support/served_folder.ts");
      const site = await servedFolder(join(own, ".observable/dist"));
      try {
        const drawn = await inChromium(async (page) => {
          await page.goto(`${site.url}decode.html`);
          await page.waitForSelector("svg.view");
          return await page.textContent("svg.view");
        });
        expect(drawn).toMatch(/true/);
      } finally {
        await site[Symbol.asyncDispose]();
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
