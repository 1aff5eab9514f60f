/** The worker: answers what the page asks, by name. */

import type { Commands } from "./settings.ts";
import { createWork } from "./work.ts";

export interface Asked {
  id: number;
  command: keyof Commands;
  args: unknown[];
}

const work = createWork((shown) => postMessage({ shown }));

globalThis.onmessage = async ({ data: { id, command, args } }: MessageEvent<Asked>) => {
  try {
    const run = work[command] as (...args: unknown[]) => Promise<unknown>;
    postMessage({ id, value: await run(...args) });
  } catch (error) {
    const { name, message } = error as Error;
    postMessage({ id, error: { name, message } });
  }
};
postMessage({ ready: true });
