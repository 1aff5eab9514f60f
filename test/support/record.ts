/** Numbers that must agree between runtimes: recorded here, compared by tools/test.mjs at the end. */

import { inject } from "vitest";
import { runtime } from "./runtime.ts";

export async function recordNumbers(name: string, numbers: Iterable<number>): Promise<void> {
  const file = `${inject("resultsFolder")}/${name}.json`;
  const text = JSON.stringify([...numbers]);
  if (runtime === "chromium") {
    const { commands } = await import("vitest/browser");
    await commands.writeFile(file, text);
  } else {
    const { mkdir, writeFile } = await import("node:fs/promises");
    await mkdir(inject("resultsFolder"), { recursive: true });
    await writeFile(file, text);
  }
}
