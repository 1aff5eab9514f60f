/** The package as those have it who install it: packed, in an empty folder. Node only. */

import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";

const run = promisify(execFile);
// npm is a script on Windows
const shell = process.platform === "win32";
const INSTALL = ["i", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];

/** Packs the package into a folder, which builds it; gives the file. */
export async function pack(folder: string): Promise<string> {
  await run("npm", ["pack", "--pack-destination", folder, "--loglevel=error"], { shell });
  const { version } = JSON.parse(await readFile("package.json", "utf8"));
  return join(folder, `sluice-${version}.tgz`);
}

/** A package of devDependencies, as npm installs it in the same version. */
export async function sameVersion(name: string): Promise<string> {
  const { devDependencies } = JSON.parse(await readFile("package.json", "utf8"));
  return `${name}@${devDependencies[name]}`;
}

/** Makes a folder in which these are installed. */
export async function install(folder: string, packages: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  await run("npm", [...INSTALL, ...packages], { cwd: folder, shell });
}

/** What a command prints that runs in a folder. @throws With what it printed, if it fails. */
export async function runIn(folder: string, program: string, ...args: string[]): Promise<string> {
  try {
    const { stdout } = await run(program, args, {
      cwd: folder,
      shell: shell && program !== process.execPath,
      maxBuffer: 2 ** 26,
    });
    return stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`"${program} ${args.join(" ")}" failed:\n${stdout}${stderr}`, { cause: error });
  }
}
