/** Runs scripts in the system's Python, as users of the results do: Node and Deno only. */

import { execFileSync } from "node:child_process";

export const PYTHON = "/usr/bin/python3";

/** What importing modules said. */
const imported = new Map<string, boolean>();

function imports(modules: string): boolean {
  try {
    execFileSync(PYTHON, ["-c", `import ${modules}`], { stdio: "pipe" });
    return true;
  } catch {
    return false;
  }
}

/** Why the system's Python cannot run what needs these modules; `undefined` if it can. */
export function pythonMissing(modules: readonly string[]): string | undefined {
  const key = modules.join(", ");
  if (!imported.has(key)) imported.set(key, imports(key));
  if (!imported.get(key)) {
    const packages = modules.map((name) => `python3-${name.toLowerCase()}`);
    return `the system's python3 lacks one of ${modules.join(", ")} ` +
      `(Debian: apt-get install ${packages.join(" ")})`;
  }
}

/** Runs a script that prints one JSON value, and gives that. */
export function runPython(script: string, ...args: string[]) {
  return JSON.parse(
    execFileSync(PYTHON, ["-W", "ignore", "-c", script, ...args], { encoding: "utf8" }),
  );
}
