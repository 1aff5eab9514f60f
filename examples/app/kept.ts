/** What a page remembers when it is loaded again. */

import type { Settings } from "./settings.ts";

export interface Kept {
  settings: Settings;
  /** A run that began and has not ended is interrupted, here or in another tab. */
  state: "running" | "done";
}

const KEY = "sluice-app";

/** Nothing is kept in a sandboxed frame. */
export function keep(kept: Kept | undefined): void {
  try {
    if (kept) localStorage.setItem(KEY, JSON.stringify(kept));
    else localStorage.removeItem(KEY);
  } catch {
    // it will be asked for again
  }
}

export function kept(): Kept | undefined {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}
