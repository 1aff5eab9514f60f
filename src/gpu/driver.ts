/**
 * Finds a Vulkan driver on Linux for Dawn (Node) and wgpu (Deno). Reached by dynamic import alone:
 * it needs `node:` modules, which Deno has too.
 *
 * A driver is code of a program's own rights. It comes from where the system or a browser has it, from where the
 * environment says by a whole path, or from a package that this one depends on: never from the folder that a
 * program is started in, nor from one that somebody else can write.
 *
 * macOS and Windows bring Metal and Direct3D 12, so there is nothing to look for.
 *
 * @module
 */

import { existsSync, readdirSync } from "node:fs";
import os from "node:os";
import { basename, delimiter, isAbsolute, join } from "node:path";
import process from "node:process";

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
const BROWSER_FOLDERS = [
  "/usr/lib/chromium",
  "/usr/lib/chromium-browser",
  "/usr/lib64/chromium-browser",
  "/opt/google/chrome",
  "/opt/microsoft/msedge",
  "/opt/brave.com/brave",
];

interface Permission {
  name: string;
  variable?: string;
  kind?: string;
}

/** What looking for a driver needs of Deno; docs/platforms.md tells the flags. */
const PERMISSIONS: readonly Permission[] = [
  { name: "read" },
  { name: "ffi" },
  ...["homedir", "uid"].map((kind) => ({ name: "sys", kind })),
  ...[
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "XDG_DATA_DIRS",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "PLAYWRIGHT_BROWSERS_PATH",
    "DENO_WEBGPU_BACKEND",
    "HOME",
    "TMPDIR",
    "TMP",
    "TEMP",
  ].map((variable) => ({ name: "env", variable })),
];

/** The few members of Deno that have no `node:` counterpart. */
interface DenoMembers {
  dlopen(path: string, symbols: Record<string, never>): unknown;
  permissions: { query(permission: Permission): Promise<{ state: string }> };
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
    for await (const driver of candidates()) {
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
    ? `without a GPU, a software driver comes with npm i -D @sparticuz/chromium, or with Chromium or ` +
      "Chrome"
    : "without a GPU, a software driver comes with Chromium";
  return "Install the Vulkan driver of your GPU (mesa-vulkan-drivers for AMD and Intel, NVIDIA's " +
    `own for NVIDIA); ${software}. A driver elsewhere is taken from VK_DRIVER_FILES.` +
    [...refused].map((reason) => ` ${reason}.`).join("");
}

async function* candidates(): AsyncGenerator<VulkanDriver> {
  const named = process.env.VK_DRIVER_FILES || process.env.VK_ICD_FILENAMES;
  if (named) {
    const stray = named.split(delimiter).find((path) => !isAbsolute(path));
    if (stray !== undefined) {
      // it would be looked for in the folder that the program was started in
      throw new RangeError(
        `Cannot open a GPU: VK_DRIVER_FILES names "${stray}", wanted a path from / on`,
      );
    }
    const loader = await findLoader();
    if (loader) yield { name: named, source: "environment", icdPath: named, ...loader };
  }
  const installed = systemManifests();
  if (installed.length > 0) {
    const loader = await findLoader();
    const names = new Set(installed.map((path) => basename(path).replace(/(_icd)?(\..*)/, "")));
    const name = `the system's (${[...names].join(", ")})`;
    if (loader) yield { name, source: "system", icdPath: installed.join(delimiter), ...loader };
  }
  for await (const { folder, ...driver } of softwareFolders()) {
    const icdPath = join(folder, SWIFTSHADER);
    const loader = await findLoader(folder);
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
  // others are taken for nothing, as their specification has it
  return [...roots].filter(isAbsolute).flatMap((root) =>
    list(join(root, "vulkan/icd.d")).filter((path) => /\.json$/.test(path) && !/i[36]86/.test(path))
  );
}

/** The system's loader (nothing to open), else a private one: in `folder` or wherever one is. */
async function findLoader(folder?: string): Promise<{ loaderPath?: string } | undefined> {
  if (openLibrary(LOADER)) return {};
  const folders = folder === undefined ? [] : [folder];
  for await (const { folder } of softwareFolders()) folders.push(folder);
  const loaderPath = folders.map((folder) => join(folder, LOADER)).find(existsSync);
  return loaderPath === undefined ? undefined : { loaderPath };
}

type SoftwareFolder = Pick<VulkanDriver, "name" | "source"> & { folder: string };

/** Folders that hold SwiftShader, most of them with a Vulkan loader beside it. */
async function* softwareFolders(): AsyncGenerator<SoftwareFolder> {
  // nobody needs it who has a driver of the system's
  const { areSafe, unpackedDriver } = await import("./driver_package.ts");
  const named = process.env.PLAYWRIGHT_BROWSERS_PATH;
  const playwright = named || join(os.homedir(), ".cache/ms-playwright");
  const browsers = isAbsolute(playwright) ? list(playwright).flatMap(list) : [];
  for (const folder of [...BROWSER_FOLDERS, ...browsers]) {
    if (!existsSync(join(folder, SWIFTSHADER))) continue;
    const libraries = list(folder).filter((path) => /\.(json|so(\.\d+)*)$/.test(path));
    // who names a folder answers for it
    const isNamed = named !== undefined && browsers.includes(folder);
    if (!isNamed && !areSafe([folder, ...libraries], refuse)) continue;
    yield { name: `SwiftShader of ${folder}`, source: "browser", folder };
  }
  const driver = await unpackedDriver(refuse);
  if (driver) yield driver;
}

/** Why what was found is not used, for whoever has no driver in the end. */
const refused = new Set<string>();

function refuse(reason: string): void {
  refused.add(reason);
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
  const missing: string[] = [];
  for (const permission of PERMISSIONS) {
    if ((await permissions.query(permission)).state === "granted") continue;
    const { name, variable = "", kind = "" } = permission;
    missing.push(`--allow-${name}${variable || kind ? "=" : ""}${variable}${kind}`);
  }
  if (missing.length === 0) return true;
  refuse(`Deno may not look for drivers, wanted ${missing.join(" ")}`);
  return false;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort().map((name) => join(folder, name));
  } catch {
    return [];
  }
}
