import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Rolldown } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { blocksOf } from "../support/doc_blocks.ts";
import type { Site } from "../support/pages.ts";
import { openBrowser, openPage, serveFolder } from "../support/pages.ts";
import { runtime } from "../support/runtime.ts";
import { LEFT_OUT, quick } from "../support/tier.ts";

const reason = runtime !== "node"
  ? "Vite and Playwright are driven from Node"
  : quick
  ? LEFT_OUT
  : "";

let folder: string;
/** What each file that was built asks for, by its name. */
const asked: Record<string, readonly string[]> = {};
let browser: Awaited<ReturnType<typeof openBrowser>>;
const sites: Site[] = [];

beforeAll(async () => {
  if (reason) return;
  folder = await mkdtemp(join(tmpdir(), "sluice-bundle-"));
  const { build } = await import("vite");
  for (const [mode, outDir] of [["bundle", "cdn"], ["anywidget", "cdn"], ["browser", "browser"]]) {
    const [built] = await build({
      ...{ configFile: "tools/web.config.ts", mode: mode!, logLevel: "error" },
      build: { outDir: join(folder, outDir!) },
    }) as Rolldown.RolldownOutput[];
    for (const chunk of built!.output) {
      if (chunk.type !== "chunk") continue;
      // what is loaded late lies in the same file
      asked[chunk.fileName] = [...chunk.imports, ...chunk.dynamicImports]
        .filter((from) => from !== chunk.fileName);
    }
  }
  // modules of a package that has no side effects, as ours says
  expect(packageJson.sideEffects).toBe(false);
  await writeFile(join(folder, "browser/package.json"), `{ "sideEffects": false }`);
  browser = await openBrowser();
}, 600_000);

afterAll(async () => {
  await browser?.close();
  for (const site of sites) await site.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

const open = async (...given: Parameters<typeof serveFolder>) => {
  const site = await serveFolder(...given);
  sites.push(site);
  return site;
};

/** A program of a page: the quick start, with a simulated session; `load` says how it comes by the package. */
const program = (load: string, out: string) => `
  try {
    const { decoder, openGpu, readAll } = await ${load};
    const session = decoder.simulateSession({ seed: 7, seconds: 4, units: 20 });
    const gpu = await openGpu({ budget: "64 MiB" });
    const model = decoder.sortedSpikes({ ...session, states: decoder.contFrag({ movementVar: 12 }), binSize: 10 });
    const result = await model.smooth(gpu, { time: { rate: 50 }, out: "${out}", codec: "zstd" }).run();
    const posterior = await readAll(result.posterior);
    await result.close();
    gpu.close();
    document.title = "sum " + Math.round(posterior.reduce((sum, own) => sum + own, 0));
  } catch (error) { document.title = "failed: " + error.message; }`;

const page = (script: string) =>
  `<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module">${script}</script>`;

describe("the bundle", () => {
  it("is one file that asks for nothing but what reads HDF5 and parquet", async (ctx) => {
    if (reason) ctx.skip(reason);
    expect((await readdir(join(folder, "cdn"))).sort()).toEqual(["anywidget.js", "bundle.js"]);
    for (const name of ["bundle.js", "anywidget.js"]) {
      const code = await readFile(join(folder, "cdn", name), "utf8");
      expect(asked[name]!.filter((from) => !/^(h5wasm|hyparquet(-compressors)?)$/.test(from)))
        .toEqual([]);
      // zstd is one WebAssembly module in base64
      expect(code.split("AGFzbQ").length - 1).toBe(1);
      console.log(`${name}: ${(gzipSync(code).length / 1000).toFixed(0)} kB gzipped`);
    }
  });

  it("decodes in a page of another origin, from a blob, from a data: address, and in a sandboxed frame", async (ctx) => {
    if (reason) ctx.skip(reason);
    const everybody = { "Access-Control-Allow-Origin": "*" };
    const { url } = await open(join(folder, "cdn"), { headers: everybody });
    const source = `${url}bundle.js`;
    const loads = {
      plain: `import("${source}")`,
      // as anywidget does, which takes the address back
      blob: `fetch("${source}").then((answer) => answer.blob()).then(async (blob) => {
        const address = URL.createObjectURL(blob.slice(0, blob.size, "text/javascript"));
        try { return await import(address); } finally { URL.revokeObjectURL(address); }
      })`,
      data: `fetch("${source}").then((answer) => answer.text())
        .then((text) => import("data:text/javascript," + encodeURIComponent(text)))`,
    };
    const pages = Object.fromEntries(
      Object.entries(loads).map(([name, load]) => [
        `/${name}.html`,
        page(program(load, `opfs:${name}.zarr`)),
      ]),
    );
    // a frame of no origin tells its page by messages alone
    const framed = page(program(loads.plain, "memory:framed.zarr"))
      .replace(/document\.title = (.*?)(;| })/g, "parent.postMessage($1, '*')$2")
      .replaceAll("&", "&amp;").replaceAll('"', "&quot;");
    pages["/framed.html"] =
      page(`addEventListener("message", ({ data }) => document.title = data)`) +
      `<iframe sandbox="allow-scripts" srcdoc="${framed}"></iframe>`;
    // the page of the guide, as it stands there
    const guide = blocksOf("docs/browser.md").find(({ language }) => language === "html")!;
    const own = guide.code.replace("https://cdn.jsdelivr.net/npm/sluice/dist/bundle.js", source);
    expect(own).not.toBe(guide.code);
    pages["/guide.html"] = own.replace("</script>", `document.title = "sum 200";</script>`) +
      `<link rel="icon" href="data:,">`;
    const site = await open(folder, { pages });
    const complaints: string[] = [];
    for (const name of Object.keys(pages)) {
      const opened = await openPage(browser.context, site.url + name.slice(1), complaints);
      await opened.waitForFunction(() => document.title !== "");
      expect([name, await opened.title()]).toEqual([name, "sum 200"]);
      await opened.close();
    }
    expect(complaints).toEqual([]);
  });
});

describe("modules for bundlers", () => {
  it("leave out what a page does not use, and name no module of Node", async (ctx) => {
    if (reason) ctx.skip(reason);
    const { build } = await import("vite");
    const from = JSON.stringify(join(folder, "browser/sluice.js"));
    const warnings: string[] = [];
    /** kB gzipped of all that a page has to load before its first line runs. */
    const sizeOf = async (names: string, program = `console.log(${names});`) => {
      const input = join(folder, "main.js");
      await writeFile(input, `import { ${names} } from ${from}; ${program}`);
      const built = await build({
        ...{ configFile: false, root: process.cwd(), logLevel: "silent" },
        build: {
          write: false,
          rolldownOptions: {
            ...{ input, external: ["aws4fetch", "h5wasm", /^hyparquet/] },
            onLog: (_, { message }) => warnings.push(message),
          },
        },
      }) as Rolldown.RolldownOutput;
      const chunks = built.output.filter((file) => file.type === "chunk");
      expect(chunks.filter(({ code }) => /["\`]node:/.test(code))).toEqual([]);
      const loaded = new Set<string>();
      const load = (name: string): number => {
        if (loaded.has(name)) return 0;
        loaded.add(name);
        const { code, imports } = chunks.find(({ fileName }) => fileName === name)!;
        return imports.reduce((sum, own) => sum + load(own), gzipSync(code).length / 1000);
      };
      return load(chunks.find(({ isEntry }) => isEntry)!.fileName);
    };
    const decode = `const gpu = await openGpu();
      const model = decoder.sortedSpikes({
        ...decoder.simulateSession(), states: decoder.contFrag(), binSize: 5,
      });
      const result = await model.smooth(gpu, { time: { rate: 50 }, out: "decode.zarr" }).run();
      console.log(await result.posterior.read(0, 1));`;
    const sizes = {
      gpu: await sizeOf("openGpu"),
      kmeans: await sizeOf("openGpu, openArray, KMeans"),
      decode: await sizeOf("openGpu, decoder", decode),
      decoder: await sizeOf("openGpu, openArray, decoder"),
    };
    console.log(`kB gzipped: ${JSON.stringify(sizes)}`);
    expect(warnings.filter((message) => /node:|externalized/.test(message))).toEqual([]);
    expect(sizes.gpu).toBeLessThan(11);
    expect(sizes.kmeans).toBeLessThan(51);
    expect(sizes.decode).toBeLessThan(100);
    expect(sizes.decoder).toBeLessThan(112);
  });
});
