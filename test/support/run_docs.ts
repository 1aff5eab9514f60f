/** Runs the blocks of a page one after the other, in one folder, as somebody who follows it does: Node and Deno. */

import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { openGpu } from "../../src/gpu/device.ts";
import { runCli } from "./cli.ts";
import type { DocBlock } from "./doc_blocks.ts";
import { blocksOf, commandsOf, declaredBy, sluiceArguments } from "./doc_blocks.ts";
import { makeResults, namesOfBlock, ownNames, packageFor, writeWorld } from "./doc_world.ts";
import { PYTHON, pythonMissing } from "./python.ts";

/** What an ellipsis stands for: a recording, whose times are what a flag says of them. */
function recordingFor(args: readonly string[]): string[] {
  const clock = args.find((arg) => /^--(spike-rate|time-rate|time-offset)/.test(arg)) ?? "";
  const [spikes, positions] = clock === "--spike-rate"
    ? ["t_samples.npy", "pt.npy"]
    : clock === "--time-rate"
    ? ["t_microseconds.npy", "pt_microseconds.npy"]
    : clock.startsWith("--time-offset")
    ? ["t.npy", "pt_unix.npy"]
    : ["t.npy", "pt.npy"];
  return [
    ...["--spike-times", spikes!, "--spike-units", "u.npy", "--position-times", positions!],
    ...["--position", "p.npy"],
  ];
}

/** Why a command is not run here. */
const NOT_RUN: [RegExp, string][] = [
  [/^npm ci\b/, "a fresh checkout is what CI begins with"],
  [/^npm i /, "packages are there, as devDependencies"],
  [/^deno run --no-prompt/, "test/node/permissions_test.ts runs Deno with these"],
  [/^sluice worker | --on (?:slurm|bullmq)/, "test/long/engine_results_test.ts runs engines"],
  [/^sluice completion /, "test/node/manners_test.ts runs it; the redirection is the reader's"],
];

/** Runs a page's blocks; gives what was not run, and why. */
export async function runPage(page: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-docs-"));
  const gpu = await openGpu({ budget: "256 MiB" });
  const left: string[] = [];
  try {
    await writeWorld(folder);
    await makeResults(page, folder, gpu);
    const blocks = blocksOf(page);
    for (const { language, code } of blocks) {
      if (language === "json") await writeFile(join(folder, "phase0.json"), code);
    }
    if (page === "README.md") {
      await writeFile(join(folder, "phase0.json"), await firstConfiguration());
    }
    const names: Record<string, unknown> = { gpu, ...await ownNames(page, folder) };
    const sluice = { ...await packageFor(page), "node:fs/promises": { writeFile } };
    for (const block of blocks) {
      const where = `${page}:${block.line}`;
      try {
        await makeRoom(block, folder);
        Object.assign(names, namesOfBlock(block));
        if (block.language === "ts") await runTypeScript(block, folder, names, sluice);
        else if (block.language === "sh") left.push(...await runShell(block, folder));
        else if (block.language === "python") left.push(...await runPython(block, folder));
        else if (block.language === "html") {
          const test = page === "docs/browser.md" ? "node/bundle_test.ts" : "long/package_test.ts";
          left.push(`${where}: test/${test} opens it in a browser`);
        } else if (block.language !== "json") throw new Error(`nobody runs "${block.language}"`);
      } catch (error) {
        throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
      }
    }
    await close(names);
  } finally {
    gpu.close();
    await rm(folder, { recursive: true, force: true });
  }
  return left;
}

/** Blocks of a page may be other ways to the same place: what one writes is not there when it begins. */
async function makeRoom({ code }: DocBlock, folder: string): Promise<void> {
  const named = [...code.matchAll(/(?:\bout: "|--out )([\w.]+)/g)].map(([, name]) => name!);
  // which says where it goes
  if (code.includes("condition phase0.json")) named.push("phase0");
  for (const name of named) {
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** Of the page about it: README names the file. */
async function firstConfiguration(): Promise<string> {
  const text = await readFile("docs/conditioning.md", "utf8");
  return /```json\n(.*?)```/s.exec(text)![1]!;
}

async function close(names: Record<string, unknown>): Promise<void> {
  for (const value of Object.values(names)) {
    const own = value as { read?: unknown; shape?: unknown; close?(): Promise<void> } | undefined;
    if (own?.read && own.shape) await own.close?.();
  }
}

const PLACE =
  /(["`])((?:[\w.-]+\/)*[\w.-]+\.(?:npy|npz|zarr|csv|parquet|nc|html|svg)(?:\/[^"`]*)?|phase0|caches|sweep)\1/g;

async function runTypeScript(
  { page, code }: DocBlock,
  folder: string,
  names: Record<string, unknown>,
  sluice: object,
): Promise<void> {
  const declared = declaredBy(code);
  const body = code
    .replace(/^import \{([^}]*)\} from "sluice";\n/gm, "const {$1} = sluice;\n")
    .replace(/^import \{([^}]*)\} from "(node:[^"]+)";\n/gm, 'const {$1} = sluice["$2"];\n')
    .replace(PLACE, (_, quote, place) => `${quote}${join(folder, place)}${quote}`);
  const { transformWithOxc } = await import("vite");
  const imported = [...code.matchAll(/^import \{([^}]*)\}/gm)]
    .flatMap(([, list]) => list!.split(",").map((name) => name.trim()));
  const own = [...declared, ...imported];
  const wrapped = `export default async function block() {\n${body}\nreturn { ${
    own.join(", ")
  } };\n}`;
  const { code: plain } = await transformWithOxc(wrapped, `${page}.ts`);
  const given = Object.keys(names).filter((name) => !own.includes(name) && name !== "sluice");
  const run = new Function(
    "sluice",
    ...given,
    `${
      plain.replace("export default async function block", "return async function block").replace(
        /\/\/# source.*$/s,
        "",
      )
    }`,
  )(sluice, ...given.map((name) => names[name])) as () => Promise<object>;
  const log = console.log;
  console.log = () => {};
  try {
    Object.assign(names, await run());
  } finally {
    console.log = log;
  }
  // a page that closes its device opens another for what follows
  if (/^gpu\.close\(\)/m.test(code)) names.gpu = await openGpu({ budget: "256 MiB" });
}

async function runShell(block: DocBlock, folder: string): Promise<string[]> {
  const left: string[] = [];
  for (const words of commandsOf(block)) {
    const line = words.join(" ");
    const args = sluiceArguments(words);
    const reason = NOT_RUN.find(([pattern]) => pattern.test(line))?.[1];
    if (!args) {
      if (reason === undefined) throw new Error(`nobody runs "${line}"`);
      left.push(`${line}: ${reason}`);
      continue;
    }
    if (reason !== undefined) {
      left.push(`${line}: ${reason}`);
      continue;
    }
    const run = await runCli(await complete(args), { cwd: folder });
    if (run.code !== 0) {
      throw new Error(`"${line}" ended with ${run.code}: ${run.stderr.slice(-500)}`);
    }
  }
  return left;
}

let shortened = 0;

/** Arguments with what an ellipsis leaves to the reader. */
function complete(args: readonly string[]): string[] {
  const at = args.findIndex((arg) => arg === "…");
  if (at < 0) return [...args];
  // the page says "--spike-times …" for all of a recording
  const before = args[at - 1] === "--spike-times" ? args.slice(0, at - 1) : args.slice(0, at);
  const after = args.slice(at + 1);
  // times that are read as others may not overlap: these commands show a flag
  const size = args.includes("--bin-size") ? [] : ["--bin-size", "10"];
  const out = args.includes("--out") ? [] : ["--out", `short${shortened++}.zarr`];
  return [...before, ...recordingFor(args), ...size, ...out, ...after];
}

const RECORDING = `import numpy as np
position_times, position = np.load("pt.npy"), np.load("p.npy")
spike_times, spike_units = np.load("t.npy"), np.load("u.npy")
`;

async function runPython({ code }: DocBlock, folder: string): Promise<string[]> {
  const isWidget = code.includes("sluice_widget");
  const missing = pythonMissing(isWidget ? ["anywidget"] : ["xarray", "zarr", "dask"]);
  if (missing) return [`python: ${missing}`];
  const opened = isWidget
    ? RECORDING
    : code.includes("open_zarr")
    ? ""
    : 'import xarray as xr\nds = xr.open_zarr("ds.zarr")\n';
  await Promise.resolve(
    execFileSync(PYTHON, ["-W", "ignore", "-c", `${opened}${code}`], {
      cwd: folder,
      env: { ...process.env, PYTHONPATH: resolve("examples/python") },
      stdio: ["ignore", "ignore", "pipe"],
    }),
  );
  return [];
}
