/** Asks scripts beside, which compare with libraries of Python. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

/**
 * What a script prints in its last line, JSON; `undefined` where there is no python3 or it lacks a library, which is
 * told. It is given a folder with files, `name.npy` each, then the arguments.
 */
export function askPython(
  script: string,
  words: readonly string[],
  files: Readonly<Record<string, Uint8Array>>,
): Record<string, unknown> | undefined {
  const folder = mkdtempSync(path.join(tmpdir(), "sluice-bench-python-"));
  try {
    for (const [name, bytes] of Object.entries(files)) {
      writeFileSync(path.join(folder, `${name}.npy`), bytes);
    }
    const own = path.resolve("bench", script);
    const text = execFileSync("/usr/bin/python3", [own, folder, ...words], { encoding: "utf8" });
    return JSON.parse(text.trim().split("\n").at(-1)!);
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    console.log(`${words[0]} was not asked: ${stderr?.trim().split("\n").at(-1) ?? message}`);
    return undefined;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
