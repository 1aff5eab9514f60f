/**
 * SwiftShader out of the npm package that this one may depend on, and where it is kept once it is unpacked.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readFileSync, realpathSync } from "node:fs";
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliDecompress } from "node:zlib";

const NPM_PACKAGE = "@sparticuz/chromium";

/** All that the archive of the package may hold. */
const FILES = [
  "libEGL.so",
  "libGLESv2.so",
  "libvk_swiftshader.so",
  "libvulkan.so.1",
  "vk_swiftshader_icd.json",
];
/** Digests of the files beside it: what was unpacked once is still that. */
const DIGESTS = "sha256.json";
/** Bytes of an archive, and of what is in it, at most. */
const MOST_BYTES = 256 * 2 ** 20;

/** Is told why something that was found is not used. */
export type Refuse = (reason: string) => void;

/** SwiftShader of the package, and where it lies. */
export interface UnpackedDriver {
  name: string;
  /** Whether it lay there already. */
  source: "cache" | "npm";
  folder: string;
}

let driver: Promise<UnpackedDriver | undefined> | undefined;

/** SwiftShader of the package, if there is one, unpacked where nobody else can write. */
export function unpackedDriver(refuse: Refuse): Promise<UnpackedDriver | undefined> {
  driver ??= (async () => {
    const found = findPackage(dirname(fileURLToPath(import.meta.url)), refuse);
    const cache = found && cacheFolder(refuse);
    if (!found || cache === undefined) return undefined;
    try {
      const name = `SwiftShader of npm ${NPM_PACKAGE} ${found.version}`;
      return { name, ...await unpacked(found, cache) };
    } catch (error) {
      refuse((error as Error).message);
      return undefined;
    }
  })();
  return driver;
}

export interface DriverPackage {
  version: string;
  archive: string;
}

/**
 * The package, where what lies in a folder finds it, as this package does: never where a program was started.
 */
export function findPackage(folder: string, refuse: Refuse): DriverPackage | undefined {
  // the package is built for x64 alone
  if (process.arch !== "x64") return undefined;
  for (let at = folder;; at = dirname(at)) {
    const root = join(at, "node_modules", NPM_PACKAGE);
    const archive = join(root, "bin/swiftshader.tar.br");
    if (existsSync(archive)) {
      const { name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
      if (name === NPM_PACKAGE && /^\d+\.\d+\.\d+$/.test(version)) return { version, archive };
      refuse(
        `The package in ${root} is "${name}" ${version}, wanted a release of ${NPM_PACKAGE}`,
      );
      return undefined;
    }
    if (at === dirname(at)) return undefined;
  }
}

/**
 * Where what is unpacked is kept: the user's cache, else a folder of this user's among temporaries. Nobody else
 * may own it, or write there.
 */
export function cacheFolder(refuse: Refuse): string | undefined {
  const cache = process.env.XDG_CACHE_HOME || join(os.homedir(), ".cache");
  const user = process.getuid?.();
  const folders = [join(cache, "sluice"), join(os.tmpdir(), `sluice-${user}`)];
  for (const folder of folders.filter(isAbsolute)) {
    try {
      if (!existsSync(folder)) mkdirSync(folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      refuse(`The folder ${folder} cannot be made: ${(error as Error).message}`);
      continue;
    }
    if (lstatSync(folder).uid !== user) {
      refuse(`The folder ${folder} belongs to user ${lstatSync(folder).uid}, wanted ${user}`);
    } else if (areSafe([folder], refuse)) return folder;
  }
  return undefined;
}

/**
 * Whether nobody but this user and the system can write these files and folders, or put others in their place. The
 * folders they lie in may be writable for a group, which at home is the user's own.
 */
export function areSafe(paths: readonly string[], refuse: Refuse): boolean {
  const user = process.getuid?.();
  return paths.every((path) => {
    for (let at = realpathSync(path), isOwn = true;; at = dirname(at), isOwn = false) {
      const { uid, mode } = lstatSync(at);
      // in a folder such as /tmp others may not rename what is not theirs
      const isSticky = !isOwn && (mode & 0o1000) !== 0;
      const isOpen = (mode & (isOwn ? 0o022 : 0o002)) !== 0 && !isSticky;
      if (isOpen || (uid !== 0 && uid !== user)) {
        const is = isOpen
          ? `can be written by others (mode ${(mode & 0o7777).toString(8)})`
          : `belongs to user ${uid}`;
        refuse(`${path} is not used: ${at} ${is}, wanted one of the user's or root's alone`);
        return false;
      }
      if (at === dirname(at)) return true;
    }
  });
}

/**
 * The folder of what is in the package: unpacked now, or before and unchanged since. Its name tells the archive's
 * digest, so that another archive is never taken for this one.
 */
export async function unpacked(
  { version, archive }: DriverPackage,
  cache: string,
): Promise<{ folder: string; source: "cache" | "npm" }> {
  const bytes = await readFile(archive);
  const folder = join(cache, `swiftshader-${version}-${sha256(bytes).slice(0, 16)}`);
  if (await isWhole(folder)) return { folder, source: "cache" };
  await unpack(bytes, folder);
  return { folder, source: "npm" };
}

/** Whether a folder holds what was unpacked into it, and nothing else. */
async function isWhole(folder: string): Promise<boolean> {
  try {
    if (!areSafe([folder], () => {})) return false;
    const digests = JSON.parse(await readFile(join(folder, DIGESTS), "utf8"));
    const names = (await readdir(folder)).filter((name) => name !== DIGESTS).sort();
    if (names.join() !== Object.keys(digests).sort().join()) return false;
    for (const name of names) {
      const path = join(folder, name);
      if (!lstatSync(path).isFile() || !areSafe([path], () => {})) return false;
      if (sha256(await readFile(path)) !== digests[name]) return false;
    }
    return true;
  } catch {
    // there is none, or it cannot be read
    return false;
  }
}

/** Unpacks a brotli-compressed tar of plain files; all of it becomes visible at once. */
async function unpack(archive: Uint8Array, folder: string): Promise<void> {
  const tar = await promisify(brotliDecompress)(archive, { maxOutputLength: MOST_BYTES });
  const files = filesOf(tar);
  const temporary = await mkdtemp(`${folder}.`);
  try {
    const digests: Record<string, string> = {};
    for (const [name, bytes] of files) {
      digests[name] = sha256(bytes);
      await writeFile(join(temporary, name), bytes, { mode: 0o600, flag: "wx" });
    }
    await writeFile(join(temporary, DIGESTS), JSON.stringify(digests), { mode: 0o600, flag: "wx" });
    // what is there was damaged, unless another process was faster
    if (!await isWhole(folder)) await rm(folder, { recursive: true, force: true });
    await rename(temporary, folder);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    if (!await isWhole(folder)) throw error;
  }
}

/** @throws {RangeError} If the archive holds anything but the files that it should. */
function filesOf(tar: Uint8Array): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const field = (start: number, length: number) =>
    new TextDecoder("latin1").decode(tar.subarray(start, start + length)).replace(/\0.*/s, "");
  for (let header = 0; header < tar.length && tar[header] !== 0;) {
    const bytes = parseInt(field(header + 124, 12), 8);
    const start = header + 512;
    const name = field(header, 100).replace(/^\.\//, "");
    const isFolder = field(header + 156, 1) === "5";
    if (!isFolder && !(FILES.includes(name) && start + bytes <= tar.length)) {
      throw new RangeError(
        `Cannot unpack ${NPM_PACKAGE}: its archive holds "${name}" of ${bytes} bytes, wanted ` +
          `${FILES.join(", ")} alone`,
      );
    }
    if (!isFolder) files.set(name, tar.subarray(start, start + bytes));
    header = start + 512 * Math.ceil(bytes / 512);
  }
  return files;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
