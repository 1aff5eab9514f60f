import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { blocksOf } from "../support/doc_blocks.ts";
import { inChromium } from "../support/in_chromium.ts";
import { install, pack, runIn, sameVersion } from "../support/packed.ts";
import { runtime } from "../support/runtime.ts";

const PAGE = "docs/quick_start.md";
const program = blocksOf(PAGE).find(({ language }) => language === "ts")!.code;
const [page, importMap] = blocksOf(PAGE).filter(({ language }) => language === "html")
  .map(({ code }) => code) as [string, string];

/** Of the tools, which are no dependencies: they are used here alone, and weigh 70 MB. */
const TOOLS = [
  "ts56@npm:typescript@5.6.3",
  "ts59@npm:typescript@5.9.3",
  "@arethetypeswrong/cli@0.18.5",
  "publint@0.3.25",
  "pnpm@10.20.0",
];

// packing builds dist/: once is enough, and two at a time would mix
const elsewhere = runtime !== "node" && "the package is packed and installed in the Node run";
let folder: string;
let packed: string;
let consumer: string;
let tools: string;

describe("whoever installs the package", () => {
  beforeAll(async () => {
    if (elsewhere) return;
    folder = await mkdtemp(join(tmpdir(), "sluice-users-"));
    packed = await pack(folder);
    consumer = join(folder, "consumer");
    tools = join(folder, "tools");
    const others = ["webgpu", "@sparticuz/chromium", "vite", "@webgpu/types"];
    // that of our own Node does not suit TypeScript 7 with skipLibCheck false
    const typesOfNode = "@types/node@24.10.1";
    await install(consumer, [packed, typesOfNode, ...await Promise.all(others.map(sameVersion))]);
    await install(tools, [...TOOLS, await sameVersion("typescript"), await sameVersion("deno")]);
    await writeFile(join(consumer, "start.mjs"), program);
  });
  afterAll(async () => {
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** What the quick start made, in a folder. */
  async function expectDecoded(where: string, printed: string) {
    expect(printed).toContain("in all");
    expect(await readFile(join(where, "decode.html"), "utf8")).toMatch(/<svg .*true/s);
    const { attributes } = JSON.parse(await readFile(join(where, "decode.zarr/zarr.json"), "utf8"));
    expect(attributes.complete).toBeTruthy();
    await rm(join(where, "decode.zarr"), { recursive: true });
    await rm(join(where, "decode.html"));
  }

  it("runs the quick start in Node, and requires the package in CommonJS", async (context) => {
    if (elsewhere) context.skip(elsewhere);
    await expectDecoded(consumer, await runIn(consumer, process.execPath, "start.mjs"));
    const lines = program.split("\n");
    const common = [
      'const { writeFile } = require("node:fs/promises");',
      'const { decoder, openGpu, plot } = require("sluice");',
      "(async () => {",
      ...lines.slice(2),
      "})();",
    ];
    await writeFile(join(consumer, "start.cjs"), common.join("\n"));
    await expectDecoded(consumer, await runIn(consumer, process.execPath, "start.cjs"));
  });

  it("runs the quick start in Deno", async (context) => {
    if (elsewhere) context.skip(elsewhere);
    const deno = join(tools, "node_modules/deno/bin.cjs");
    const printed = await runIn(consumer, process.execPath, deno, "run", "-A", "start.mjs");
    await expectDecoded(consumer, printed);
  });

  it("runs the quick start where pnpm installed it", async (context) => {
    if (elsewhere) context.skip(elsewhere);
    const own = join(folder, "pnpm");
    await install(own, []);
    const pnpm = join(tools, "node_modules/pnpm/bin/pnpm.cjs");
    const packages = [
      packed,
      await sameVersion("webgpu"),
      await sameVersion("@sparticuz/chromium"),
    ];
    await runIn(
      own,
      process.execPath,
      pnpm,
      "add",
      ...["--prefer-offline", "--store-dir", join(folder, "pnpm_store")],
      ...packages,
    );
    await writeFile(join(own, "start.mjs"), program);
    await expectDecoded(own, await runIn(own, process.execPath, "start.mjs"));
  });

  it("runs the quick start in an app of Vite", async (context) => {
    if (elsewhere) context.skip(elsewhere);
    await writeFile(join(consumer, "index.html"), page);
    const vite = join(consumer, "node_modules/vite/bin/vite.js");
    const said = await runIn(consumer, process.execPath, vite, "build", "--target", "esnext");
    expect(said).not.toMatch(/node:|externalized/);
    await expectPicture(join(consumer, "dist"));
  });

  it("runs the quick start in a plain page", async (context) => {
    if (elsewhere) context.skip(elsewhere);
    const own = join(folder, "plain");
    await install(own, [packed]);
    await writeFile(join(own, "index.html"), page.replace("<script", `${importMap}<script`));
    await expectPicture(own);
  });

  /** Opens a folder's page as a static server gives it. */
  async function expectPicture(root: string) {
    const { servedFolder } = await import("../support/served_folder.ts");
    const site = await servedFolder(root);
    try {
      const drawn = await inChromium(async (page) => {
        await page.goto(site.url);
        await page.waitForSelector("svg");
        return await page.textContent("svg");
      });
      expect(drawn).toMatch(/true/);
    } finally {
      await site[Symbol.asyncDispose]();
    }
  }

  it("has types that every TypeScript since 5.6 takes, with and without those of WebGPU", async (context) => {
    if (elsewhere) context.skip(elsewhere);
    await cp("test/support/typed_program.ts", join(consumer, "typed.ts"));
    await rm(join(consumer, "start.ts"), { force: true });
    await writeFile(join(consumer, "start.ts"), program);
    const dom = ["ES2023", "DOM", "DOM.Iterable"];
    // the DOM of TypeScript 7 has WebGPU, which @webgpu/types declares otherwise
    const withTypes = [[dom, ["node", "@webgpu/types"]]] as const;
    const without = [[dom, ["node"]], [["ES2022"], ["node"]]] as const;
    for (
      const [name, libraries] of [
        ["ts56", [...withTypes, ...without]],
        ["ts59", [...withTypes, ...without]],
        ["typescript", without],
      ] as const
    ) {
      for (const [lib, types] of libraries) {
        for (const resolution of lib === dom ? ["bundler", "nodenext"] : ["nodenext"]) {
          const compilerOptions = {
            ...{ strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false },
            ...{ noEmit: true, target: "ES2022", lib, types },
            ...{ moduleResolution: resolution },
            module: resolution === "bundler" ? "ESNext" : "nodenext",
          };
          const files = ["typed.ts", "start.ts"];
          await writeFile(
            join(consumer, "tsconfig.json"),
            JSON.stringify({ compilerOptions, files }),
          );
          await runIn(consumer, process.execPath, join(tools, `node_modules/${name}/bin/tsc`));
        }
      }
    }
  });

  it("has a package.json in which attw and publint find nothing wrong", async (context) => {
    if (elsewhere) context.skip(elsewhere);
    const bin = (name: string) => join(tools, `node_modules/.bin/${name}`);
    await runIn(tools, bin("attw"), packed, "--profile", "esm-only");
    expect(await runIn(tools, bin("publint"), packed, "--strict")).toContain("All good");
  });

  it("has declarations of what is public alone", async (context) => {
    if (elsewhere) context.skip(elsewhere);
    const listed = await runIn(folder, "tar", "tzf", packed);
    const declared = listed.split("\n").filter((name) => name.endsWith(".d.ts"));
    expect(declared).toContain("package/dist/types/mod.d.ts");
    // what no public declaration speaks of
    const inner = /\/(raster|cli\/main|gpu\/driver|store\/fs|kernels\/vq_assign)\b/;
    expect(declared.filter((name) => inner.test(name))).toEqual([]);
  });
});
