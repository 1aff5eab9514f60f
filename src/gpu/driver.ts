/**
 * Finds a Vulkan driver on Linux for Dawn (Node) and wgpu (Deno). Reached by dynamic import alone:
 * it needs `node:` modules, which Deno has too.
 *
 * macOS and Windows bring Metal and Direct3D 12, so there is nothing to look for.
 *
 * @module
 */

import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";

/** A driver to try. */
export interface VulkanDriver {
  /** What it is and where it came from, for people. */
  name: string;
  source: "environment" | "system" | "browser" | "cache" | "npm";
  /** Driver manifests (`*_icd.json`), joined by `:`; absent where the system's own are used. */
  icdPath?: string;
  /** A Vulkan loader to open first; absent where the system has one. */
  loaderPath?: string;
}

const LOADER = "libvulkan.so.1";
const SWIFTSHADER = "vk_swiftshader_icd.json";
const NPM_PACKAGE = "@sparticuz/chromium";
const BROWSER_FOLDERS = [
  "/usr/lib/chromium",
  "/usr/lib/chromium-browser",
  "/usr/lib64/chromium-browser",
  "/opt/google/chrome",
  "/opt/microsoft/msedge",
  "/opt/brave.com/brave",
];

/** The few members of Deno that have no `node:` counterpart. */
interface DenoMembers {
  dlopen(path: string, symbols: Record<string, never>): unknown;
  permissions: { query(permission: { name: string }): Promise<{ state: string }> };
}

const deno = (globalThis as { Deno?: DenoMembers }).Deno;

// what was opened stays open: the driver's code must not go away while a device lives
const openLibraries: unknown[] = [];

/**
 * Yields drivers to try, best first: what the environment names, the system's, SwiftShader of an
 * installed Chromium, SwiftShader unpacked before, SwiftShader unpacked now from an npm package.
 *
 * wgpu looks for drivers once in a process. In Deno all of them therefore come as one candidate, of
 * which wgpu chooses.
 */
export async function* vulkanDrivers(): AsyncGenerator<VulkanDriver> {
  if (process.platform !== "linux") {
    yield {
      name: process.platform === "darwin" ? "Metal" : `the system's (${process.platform})`,
      source: "system",
    };
    return;
  }
  if (!deno) {
    yield* candidates();
  } else if (await mayLook(deno)) {
    const all: VulkanDriver[] = [];
    for (const driver of candidates()) {
      all.push(driver);
      // who names a driver wants that one
      if (driver.source === "environment") break;
    }
    const [first] = all;
    if (first) yield { ...first, ...merge(all) };
  } else {
    yield { name: "the system's", source: "system" };
  }
}

/**
 * Makes a driver the one that the next WebGPU instance of this process finds.
 *
 * Worker threads of Node have their own copy of the environment, which drivers do not see: call it in
 * the main thread first.
 */
export function useVulkanDriver(driver: VulkanDriver): Promise<void> {
  if (driver.loaderPath !== undefined) openLibrary(driver.loaderPath);
  if (driver.icdPath !== undefined) {
    // two names: loaders before 1.3.207 know the second only
    process.env.VK_DRIVER_FILES = driver.icdPath;
    process.env.VK_ICD_FILENAMES = driver.icdPath;
    // a software OpenGL must not win over the driver that was found
    if (deno) process.env.DENO_WEBGPU_BACKEND ??= "vulkan";
  }
  return Promise.resolve();
}

/** How to get an adapter on this platform: one paragraph for people. */
export function driverAdvice(): string {
  if (process.platform === "darwin") {
    return "macOS brings Metal: update macOS, and check that this process may use the GPU.";
  }
  if (process.platform === "win32") {
    return "Windows brings Direct3D 12: update the graphics driver.";
  }
  if (process.platform !== "linux") return `No driver is known for ${process.platform}.`;
  const software = process.arch === "x64"
    ? `without a GPU, a software driver comes with npm i -D ${NPM_PACKAGE}, or with Chromium or ` +
      "Chrome"
    : "without a GPU, a software driver comes with Chromium";
  return "Install the Vulkan driver of your GPU (mesa-vulkan-drivers for AMD and Intel, NVIDIA's " +
    `own for NVIDIA); ${software}. A driver elsewhere is taken from VK_DRIVER_FILES.`;
}

function* candidates(): Generator<VulkanDriver> {
  const named = process.env.VK_DRIVER_FILES || process.env.VK_ICD_FILENAMES;
  if (named) {
    const loader = findLoader();
    if (loader) yield { name: named, source: "environment", icdPath: named, ...loader };
  }
  const installed = systemManifests();
  if (installed.length > 0) {
    const loader = findLoader();
    const names = new Set(installed.map((path) => basename(path).replace(/(_icd)?(\..*)/, "")));
    const name = `the system's (${[...names].join(", ")})`;
    if (loader) yield { name, source: "system", icdPath: installed.join(delimiter), ...loader };
  }
  for (const { folder, ...driver } of softwareFolders()) {
    const icdPath = join(folder, SWIFTSHADER);
    const loader = findLoader(folder);
    if (icdPath !== named && loader) yield { ...driver, icdPath, ...loader };
  }
}

function merge(drivers: VulkanDriver[]): Pick<VulkanDriver, "name" | "icdPath"> {
  // several browsers ship the same software driver: one is enough
  const software = drivers.find(isSwiftShader);
  const kept = drivers.filter((driver) => driver === software || !isSwiftShader(driver));
  return {
    name: kept.map(({ name }) => name).join(" or "),
    icdPath: kept.map(({ icdPath }) => icdPath).join(delimiter),
  };
}

function isSwiftShader({ icdPath }: VulkanDriver): boolean {
  return icdPath?.endsWith(SWIFTSHADER) === true;
}

/** Drivers that packages of the system installed, without those for 32-bit programs. */
function systemManifests(): string[] {
  const roots = new Set([
    ...(process.env.XDG_DATA_DIRS || "/usr/local/share:/usr/share").split(":"),
    process.env.XDG_DATA_HOME || join(os.homedir(), ".local/share"),
    "/etc",
    "/run/opengl-driver/share",
  ]);
  return [...roots].flatMap((root) =>
    list(join(root, "vulkan/icd.d")).filter((path) => /\.json$/.test(path) && !/i[36]86/.test(path))
  );
}

/** The system's loader (nothing to open), else a private one: in `folder` or wherever one is. */
function findLoader(folder?: string): { loaderPath?: string } | undefined {
  if (openLibrary(LOADER)) return {};
  const folders = folder === undefined ? [] : [folder];
  for (const { folder } of softwareFolders()) folders.push(folder);
  const loaderPath = folders.map((folder) => join(folder, LOADER)).find(existsSync);
  return loaderPath === undefined ? undefined : { loaderPath };
}

type SoftwareFolder = Pick<VulkanDriver, "name" | "source"> & { folder: string };

/** Folders that hold SwiftShader, most of them with a Vulkan loader beside it. */
function* softwareFolders(): Generator<SoftwareFolder> {
  const playwright = process.env.PLAYWRIGHT_BROWSERS_PATH ||
    join(os.homedir(), ".cache/ms-playwright");
  for (const folder of [...BROWSER_FOLDERS, ...list(playwright).flatMap(list)]) {
    if (existsSync(join(folder, SWIFTSHADER))) {
      yield { name: `SwiftShader of ${folder}`, source: "browser", folder };
    }
  }
  const cache = cacheFolder();
  if (cache === undefined) return;
  const unpacked = list(cache).filter((path) => /\/swiftshader-[\d.]+$/.test(path)).reverse();
  for (const folder of unpacked) {
    const version = folder.slice(folder.lastIndexOf("-") + 1);
    yield { name: `SwiftShader of npm ${NPM_PACKAGE} ${version}`, source: "cache", folder };
  }
  const npm = findPackage();
  if (npm === undefined) return;
  const folder = join(cache, `swiftshader-${npm.version}`);
  if (unpacked.includes(folder)) return;
  unpack(npm.archive, folder);
  yield { name: `SwiftShader of npm ${NPM_PACKAGE} ${npm.version}`, source: "npm", folder };
}

function findPackage(): { archive: string; version: string } | undefined {
  const starts = [process.cwd()];
  if (import.meta.url.startsWith("file:")) starts.push(dirname(fileURLToPath(import.meta.url)));
  for (const start of starts) {
    for (let folder = start;; folder = dirname(folder)) {
      const root = join(folder, "node_modules", NPM_PACKAGE);
      const archive = join(root, "bin/swiftshader.tar.br");
      // the package is built for x64 alone
      if (process.arch === "x64" && existsSync(archive)) {
        const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
        return { archive, version };
      }
      if (folder === dirname(folder)) break;
    }
  }
  return undefined;
}

/** Where what is unpacked is kept: the user's cache, else a folder of this user's among temporaries. */
function cacheFolder(): string | undefined {
  const cache = process.env.XDG_CACHE_HOME || join(os.homedir(), ".cache");
  const user = process.getuid?.();
  for (const folder of [join(cache, "sluice"), join(os.tmpdir(), `sluice-${user}`)]) {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      // a folder of somebody else's could hold somebody else's library
      if (lstatSync(folder).uid !== user) continue;
      accessSync(folder, constants.W_OK);
      return folder;
    } catch {
      // read-only or not a folder: the next one
    }
  }
  return undefined;
}

/** Unpacks a brotli-compressed tar of plain files; all of it becomes visible at once. */
function unpack(archive: string, folder: string): void {
  const tar = brotliDecompressSync(readFileSync(archive));
  const temporary = mkdtempSync(`${folder}.`);
  const field = (start: number, length: number) =>
    tar.toString("latin1", start, start + length).replace(/\0.*/s, "");
  for (let header = 0; header < tar.length && tar[header] !== 0;) {
    const bytes = parseInt(field(header + 124, 12), 8);
    const start = header + 512;
    const name = basename(field(header, 100));
    writeFileSync(join(temporary, name), tar.subarray(start, start + bytes));
    header = start + 512 * Math.ceil(bytes / 512);
  }
  try {
    renameSync(temporary, folder);
  } catch (error) {
    rmSync(temporary, { recursive: true });
    // another process was faster
    if (!existsSync(folder)) throw error;
  }
}

function openLibrary(path: string): boolean {
  try {
    if (deno) {
      openLibraries.push(deno.dlopen(path, {}));
    } else {
      const { RTLD_NOW, RTLD_GLOBAL } = os.constants.dlopen;
      const RTLD_NODELETE = 0x1000;
      process.dlopen({ exports: {} }, path, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
    }
    return true;
  } catch (error) {
    // Node opens the library and then complains that it is no addon
    return /did not self-register/.test(String(error));
  }
}

async function mayLook({ permissions }: DenoMembers): Promise<boolean> {
  for (const name of ["env", "read", "sys", "ffi"]) {
    if ((await permissions.query({ name })).state !== "granted") return false;
  }
  return true;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort().map((name) => join(folder, name));
  } catch {
    return [];
  }
}
